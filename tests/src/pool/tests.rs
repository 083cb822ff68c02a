use std::io::{BufRead, BufReader, Write};
use std::time::Instant;

use rustls::ClientConnection;
use serde_json::{Value, json};
use unjack_core::stratum::recognise;

use super::session::{MANY, MAX_BITS, difficulty};
use super::*;

/// A pool, and the time after which a test of it fails.
fn pool() -> Pool {
    Pool::start(Options::default()).unwrap()
}

fn client(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    let limit = Some(Duration::from_secs(20));
    client.set_read_timeout(limit).unwrap();
    client
}

fn over_tls(address: SocketAddr) -> StreamOwned<ClientConnection, TcpStream> {
    let client = client(address);
    let name = address.ip().into();
    let connection = ClientConnection::new(crate::https::unverified(), name).unwrap();
    StreamOwned::new(connection, client)
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

/// What the pool says to these lines on a stream, until it has said `count` lines.
fn talk_on(mut stream: impl io::Read + Write, lines: &[Value], count: usize) -> Vec<String> {
    for line in lines {
        stream.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
    let heard = BufReader::new(stream).lines().take(count);
    heard.collect::<Result<_, _>>().unwrap()
}

fn talk(lines: &[Value], count: usize) -> Vec<String> {
    talk_on(client(pool().plain), lines, count)
}

/// What a miner says first.
fn hello() -> [Value; 2] {
    [
        json!({"id": 1, "method": "mining.subscribe", "params": ["m/1"]}),
        json!({"id": 2, "method": "mining.authorize", "params": ["u", "x"]}),
    ]
}

fn methods(said: &[String]) -> Vec<String> {
    let method = |line: &String| parsed(line)["method"].as_str().map(str::to_owned);
    said.iter().filter_map(method).collect()
}

#[test]
fn it_says_the_same_behind_tls_and_through_a_websocket() {
    const WORK: [&str; 2] = ["mining.set_difficulty", "mining.notify"];
    let pool = pool();
    let said = talk_on(over_tls(pool.tls), &hello(), 4);
    assert_eq!(methods(&said), WORK);

    let url = format!("{}/stratum", pool.wss_url());
    let (mut socket, _) = tungstenite::client(url, over_tls(pool.wss)).unwrap();
    for line in hello() {
        let message = tungstenite::Message::text(line.to_string());
        socket.send(message).unwrap();
    }
    let said: Vec<String> = (0..4)
        .map(|_| socket.read().unwrap().into_text().unwrap().to_string())
        .collect();
    assert_eq!(methods(&said), WORK);
}

#[test]
fn new_work_comes_unasked_and_as_often_as_is_wanted() {
    let often = Options {
        job_every: Duration::from_secs(1),
        ..Options::default()
    };
    let pool = Pool::start(often).unwrap();
    let begun = Instant::now();
    // Three jobs: one at once, and the others after a second and two.
    let said = talk_on(over_tls(pool.tls), &hello(), 8);
    let jobs = methods(&said);
    let jobs = jobs.iter().filter(|method| *method == "mining.notify");
    assert_eq!(jobs.count(), 3, "{said:?}");
    assert!(begun.elapsed() >= Duration::from_secs(2), "{begun:?}");
}

#[test]
fn a_miner_is_given_work_and_its_share_is_taken() {
    let [subscribe, authorize] = hello();
    let submit = |job: &str| json!({"id": 3, "method": "mining.submit", "params": ["u", job, "00000000", "67400001", "00000007"]});
    let said = talk(&[subscribe, authorize, submit("1"), submit("9")], 6);
    let said: Vec<Value> = said.iter().map(|line| parsed(line)).collect();
    assert_eq!(said[0]["result"][2], 4);
    assert_eq!(said[1]["result"], true);
    assert_eq!(said[2]["method"], "mining.set_difficulty");
    assert_eq!(said[3]["method"], "mining.notify");
    assert_eq!(said[4]["result"], true);
    assert_eq!(said[5]["error"][0], 21);
}

#[test]
fn what_it_sends_is_a_pools_half_of_stratum() {
    let login = json!({"id": 1, "jsonrpc": "2.0", "method": "login", "params": {"login": "u", "pass": "x", "agent": "m/1"}});
    let said = talk(&[login], 2);
    let job = parsed(&said[0]);
    assert_eq!(job["result"]["job"]["blob"].as_str().unwrap().len(), 152);
    let next = parsed(&said[1]);
    assert_eq!(next["method"], "job");
    // The miner's half is another.
    assert!(said.iter().all(|line| recognise(line.as_bytes()).is_none()));
}

#[test]
fn difficulty_follows_the_shares() {
    let after = |bits, shares, seconds| {
        let time = Duration::from_secs_f64(seconds);
        difficulty(bits, shares, time, Options::default().share_every)
    };
    // A share in four seconds, as it should be.
    assert_eq!(after(20, 2, 8.0), 20);
    assert_eq!(after(20, 8, 8.0), 22);
    assert_eq!(after(20, 0, 8.0), 17);
    // However fast they come at first, it does not shoot past.
    assert_eq!(after(8, MANY, 0.0001), 8 + 9);
    assert_eq!(after(MAX_BITS, 100, 1.0), MAX_BITS);
    assert_eq!(after(0, 0, 10.0), 0);
}
