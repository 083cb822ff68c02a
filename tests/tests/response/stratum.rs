//! Stratum on a suspect's own connection: what turns honest-looking hashing into
//! mining. And nothing of it in the kernel when no process is suspected.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tests::host::{eventually, output, take_turn};
use tests::{Daemon, Workload};

use super::NOTICE;

/// The host's own Python, which hashes with the host's own library.
const PYTHON: &str = "/usr/bin/python3";
/// Hashes headers if the second word says so, else computes: larger ones than Bitcoin's,
/// of which an interpreter takes too much of the time to be sure that it hashes. If
/// there is an address, it is connected to it all the time, says what the third
/// word says every second, and reads what it is told. The last word has it serve
/// others besides, or say it as what it uploads, or only once, when signalled.
const PROGRAM: &str = r#"
import hashlib, json, signal, socket, sys, time
work, say, host, port, besides = sys.argv[1:6]
listener = socket.create_server(("127.0.0.1", 0)) if besides == "serves" else None
peer = socket.create_connection((host, int(port))) if host else None
if peer:
    peer.setblocking(False)
if besides == "once":
    signal.signal(signal.SIGUSR1, lambda *_: peer.send(say.encode() + b"\n"))
print(json.dumps({"event": "started"}), flush=True)
nonce, spoken = 0, 0
while True:
    for _ in range(10000):
        nonce += 1
        if work == "hash":
            header = nonce.to_bytes(80, "little") * 8
            hashlib.sha256(hashlib.sha256(header).digest()).digest()
        else:
            (nonce * 1.000001) ** 0.5
    if peer and besides != "once" and time.monotonic() - spoken > 1:
        spoken = time.monotonic()
        if besides == "uploads":
            peer.send(b"PUT /share HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(say))
            time.sleep(0.1)
        peer.send(say.encode() + b"\n")
        try:
            peer.recv(65536)
        except BlockingIOError:
            pass
"#;

/// A server that is told nothing: what is sent to it is dropped, as by a bad link, so
/// that TCP sends it again and again. Prints its port.
const DEAF: &str = r#"
import ctypes, socket, struct, time
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
peer, _ = listener.accept()
# A socket filter of one instruction that lets nothing pass: BPF_RET | BPF_K, 0
# (include/uapi/linux/filter.h); 26 is SO_ATTACH_FILTER.
drop = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
peer.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", 1, ctypes.addressof(drop)))
time.sleep(3600)
"#;

/// A share, as miners send them.
fn share() -> Value {
    json!({"id": 4, "method": "mining.submit", "params": ["user.1", "6f", "00000000", "65a0b1c2", "1a2b3c4d"]})
}

/// A job, as pools send them.
fn job() -> Value {
    let coinbase = "01000000010000000000000000000000".repeat(8);
    json!({"id": null, "method": "mining.notify", "params": ["6f", "ab".repeat(32), coinbase, "ff", [], "20000000", "17053894", "65a0b1c2", true]})
}

/// What others send: a client of a node.
fn question() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["latest", false]})
}

/// A server that says this every second to all clients, and reads what it is told.
/// It ends with the test.
fn server(says: &Value) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("is bound");
    let line = format!("{says}\n");
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let line = line.clone();
            let reader = client.try_clone().expect("a descriptor");
            thread::spawn(move || BufReader::new(reader).lines().map_while(Result::ok).count());
            thread::spawn(move || speak(client, &line));
        }
    });
    address
}

fn speak(mut client: TcpStream, line: &str) {
    while client.write_all(line.as_bytes()).is_ok() {
        thread::sleep(Duration::from_secs(1));
    }
}

/// Starts the program.
fn client(work: &str, says: &Value, server: Option<SocketAddr>) -> Workload {
    start(work, says, server, "")
}

/// The same, as a proxy would be: it listens, too.
fn proxy(work: &str, says: &Value, server: SocketAddr) -> Workload {
    start(work, says, Some(server), "serves")
}

/// The same, as one that sends what another program wrote, a file after another.
fn uploader(work: &str, says: &Value, server: SocketAddr) -> Workload {
    start(work, says, Some(server), "uploads")
}

fn start(work: &str, says: &Value, server: Option<SocketAddr>, besides: &str) -> Workload {
    let (host, port) = server.map_or_else(Default::default, |address| {
        (address.ip().to_string(), address.port().to_string())
    });
    let says = says.to_string();
    let mut command = Command::new(PYTHON);
    let workload =
        Workload::spawn(command.args(["-c", PROGRAM, work, &says, &host, &port, besides]));
    let _ = workload.first_hash();
    workload
}

/// Ids of programs that see traffic.
fn seeing() -> BTreeSet<u64> {
    let answer = output(Command::new("bpftool").args(["prog", "list", "-j"]));
    assert!(answer.status.success(), "{}", answer.stderr.escape_ascii());
    let list: Value = serde_json::from_slice(&answer.stdout).expect("bpftool prints JSON");
    let programs = list.as_array().expect("a list").iter();
    programs
        .filter(|program| program["type"] == "cgroup_skb")
        .map(|program| program["id"].as_u64().expect("every program has an id"))
        .collect()
}

/// Waits until there are so many more of them than before.
fn wait_seeing(before: &BTreeSet<u64>, more: usize) {
    eventually(
        "programs that see traffic come and go",
        NOTICE,
        || match seeing().difference(before).count() {
            count if count == more => Ok(()),
            count => Err(format!("there are {count}")),
        },
    );
}

fn verdict(daemon: &Daemon, process: &Workload, verdict: &str) -> Value {
    let pid = process.pid();
    daemon.wait_event(&format!("{verdict} about {pid}"), NOTICE, |event| {
        event["event"] == "verdict" && event["pid"] == pid && event["verdict"] == verdict
    })
}

fn mines(daemon: &Daemon, process: &Workload) -> bool {
    let verdicts = daemon.events_of("verdict");
    let mut about = verdicts
        .iter()
        .filter(|event| event["pid"] == process.pid());
    about.any(|event| event["verdict"] == "miner")
}

#[test]
fn who_hashes_and_speaks_stratum_mines() {
    let _turn = take_turn();
    let pool = server(&job());
    let daemon = Daemon::start::<&str>(&[]);
    let miner = client("hash", &share(), Some(pool));
    let verdict = verdict(&daemon, &miner, "miner");
    let evidence = verdict["evidence"].as_array().expect("a list");
    let said = format!("speaks Stratum on a socket of its own: mining.submit to {pool}");
    assert!(
        evidence.iter().any(|line| line["text"] == said.as_str()),
        "{verdict}"
    );
    let metrics = daemon.metrics();
    let heard = metrics.sum("unjack_stratum_heard_total", &[]);
    assert!((heard - 1.0).abs() < 0.5, "{heard} were heard");
    assert!(metrics.sum("unjack_stratum_packets_total", &[]) >= 1.0);
}

#[test]
fn who_hashes_without_or_speaks_without_hashing_does_not() {
    let _turn = take_turn();
    let before = seeing();
    let pool = server(&job());
    let node = server(&question());
    let daemon = Daemon::start::<&str>(&[]);
    let talker = client("compute", &share(), Some(pool));
    let alone = client("hash", &share(), None);
    verdict(&daemon, &alone, "hashing");
    // No suspect is connected: nothing is attached.
    assert_eq!(seeing(), before);
    // A pool checks shares, and says the other half.
    let checker = client("hash", &job(), Some(server(&share())));
    // Who is told what a miner is told, but says nothing a miner says.
    let told = client("hash", &question(), Some(pool));
    let caller = client("hash", &question(), Some(node));
    // Who serves others may say what they say.
    let serving = proxy("hash", &share(), pool);
    let sending = uploader("hash", &share(), pool);
    for process in [&told, &caller, &checker, &serving, &sending] {
        verdict(&daemon, process, "hashing");
    }
    wait_seeing(&before, 1);
    daemon.wait_metrics("packets are looked at", NOTICE, |metrics| {
        let packets = metrics.sum("unjack_stratum_packets_total", &[]);
        let sockets = metrics.sum("unjack_stratum_sockets", &[]);
        (packets >= 12.0 && (sockets - 4.0).abs() < 0.5)
            .then_some(())
            .ok_or_else(|| format!("{packets} packets, {sockets} sockets"))
    });
    for process in [
        &talker, &alone, &checker, &told, &serving, &caller, &sending,
    ] {
        assert!(!mines(&daemon, process), "{:?}", daemon.events());
    }
    let heard = daemon.metrics().sum("unjack_stratum_heard_total", &[]);
    assert!(heard < 0.5, "{heard} were heard");
    drop((checker, told, serving, caller, sending));
    wait_seeing(&before, 0);
    let sockets = daemon.metrics().sum("unjack_stratum_sockets", &[]);
    assert!(sockets < 0.5, "{sockets} sockets");
}

/// Segments that TCP has sent again on this host.
fn sent_again() -> u64 {
    let tables = fs::read_to_string("/proc/net/snmp").expect("every kernel has it");
    let mut lines = tables.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = lines.next().zip(lines.next()).expect("names and values");
    let found = names
        .split(' ')
        .zip(values.split(' '))
        .find(|(name, _)| *name == "RetransSegs");
    found.expect("it is counted").1.parse().expect("a number")
}

#[test]
fn a_message_that_tcp_sends_again_is_one_message() {
    let _turn = take_turn();
    let mut deaf = Command::new(PYTHON)
        .args(["-c", DEAF])
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python runs");
    let mut port = String::new();
    BufReader::new(deaf.stdout.take().expect("a pipe"))
        .read_line(&mut port)
        .expect("it prints its port");
    let port: u16 = port.trim().parse().expect("a port");
    let daemon = Daemon::start::<&str>(&[]);
    let server = (Ipv4Addr::LOCALHOST, port).into();
    let client = start("hash", &share(), Some(server), "once");
    verdict(&daemon, &client, "hashing");
    daemon.wait_metrics("its socket is watched", NOTICE, |metrics| {
        let sockets = metrics.sum("unjack_stratum_sockets", &[]);
        (sockets > 0.5)
            .then_some(())
            .ok_or_else(|| "it is not".to_owned())
    });
    let before = sent_again();
    let pid = Pid::from_raw(client.pid().cast_signed()).expect("it has one");
    kill_process(pid, Signal::USR1).expect("it lives");
    // After 0.2, 0.6, 1.4 and 3 seconds: the first and the last are far apart.
    eventually("TCP sends it again", NOTICE, || {
        let again = sent_again() - before;
        (again >= 4)
            .then_some(())
            .ok_or_else(|| format!("{again} times"))
    });
    // One more drain, and a tick.
    thread::sleep(Duration::from_secs(2));
    let metrics = daemon.metrics();
    let packets = metrics.sum("unjack_stratum_packets_total", &[]);
    assert!((packets - 1.0).abs() < 0.5, "{packets} packets");
    let heard = metrics.sum("unjack_stratum_heard_total", &[]);
    assert!(heard < 0.5, "{heard} were heard");
    assert!(!mines(&daemon, &client), "{:?}", daemon.events());
    let _ = deaf.kill();
    let _ = deaf.wait();
}

fn check_the_end_leaves_nothing(signal: Signal) {
    let _turn = take_turn();
    let before = seeing();
    let node = server(&question());
    let mut daemon = Daemon::start::<&str>(&[]);
    let caller = client("hash", &question(), Some(node));
    wait_seeing(&before, 1);
    daemon.stop(signal);
    // Another daemon on this machine suspects it too.
    drop(caller);
    wait_seeing(&before, 0);
}

#[test]
fn nothing_sees_traffic_after_sigterm() {
    check_the_end_leaves_nothing(Signal::TERM);
}

#[test]
fn nothing_sees_traffic_after_sigkill() {
    check_the_end_leaves_nothing(Signal::KILL);
}
