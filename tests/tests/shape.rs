//! How the connections of a suspect behave, as `unjack record` tells: nothing that is
//! said on them can be understood, as behind TLS.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tests::daemon;
use tests::host::{observe_turn, output, unjack};

/// Hashes, and sends a share every three seconds: by a connection of its own, by a
/// helper behind a pipe, or asks a web server every two seconds instead.
const PROGRAM: &str = r#"
import hashlib, os, socket, subprocess, sys, threading, time
how, port = sys.argv[1:3]
HELPER = """
import os, socket, sys, threading
peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
peer.sendall(os.urandom(240))
def read():
    while peer.recv(4096):
        pass
threading.Thread(target=read, daemon=True).start()
while said := os.read(0, 4096):
    peer.sendall(said)
"""
peer = None
if how == "helper":
    helper = subprocess.Popen([sys.executable, "-c", HELPER, port], stdin=subprocess.PIPE)
    send = lambda said: os.write(helper.stdin.fileno(), said)
else:
    peer = socket.create_connection(("127.0.0.1", int(port)))
    peer.sendall(os.urandom(240))
    def read():
        while peer.recv(4096):
            pass
    threading.Thread(target=read, daemon=True).start()
    send = peer.sendall
every = 3.1 if how != "polls" else 2.1
end, next, digest = time.monotonic() + 40, time.monotonic() + every, b""
while time.monotonic() < end:
    for _ in range(3000):
        digest = hashlib.sha256(hashlib.sha256(digest * 20).digest()).digest()
    if time.monotonic() > next:
        next += every
        send(os.urandom(180))
"#;

/// A pool that answers shares and sends a job now and then, or a web server, which only
/// answers. It ends with the test.
fn server(job: Option<Duration>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("is bound");
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let reader = client.try_clone().expect("a descriptor");
            thread::spawn(move || answer(reader));
            if let Some(job) = job {
                thread::spawn(move || send_jobs(client, job));
            }
        }
    });
    address
}

fn answer(mut client: TcpStream) {
    let mut said = [0; 4096];
    while client.read(&mut said).is_ok_and(|length| length > 0) {
        thread::sleep(Duration::from_millis(30));
        if client.write_all(&[0x17; 70]).is_err() {
            return;
        }
    }
}

fn send_jobs(mut client: TcpStream, every: Duration) {
    loop {
        thread::sleep(every);
        if client.write_all(&[0x17; 380]).is_err() {
            return;
        }
    }
}

/// The program in each of its ways, recorded one after another: they are of one session,
/// and each would be taken for what connects for the other.
struct Recorded {
    own: Value,
    helper: Value,
    polls: Value,
}

/// Recorded by the first test that asks.
fn recorded() -> &'static Recorded {
    static RECORDED: OnceLock<Recorded> = OnceLock::new();
    RECORDED.get_or_init(|| {
        let job = Some(Duration::from_millis(5300));
        let [own, helper, polls] = [("own", job), ("helper", job), ("polls", None)]
            .map(|(how, job)| record(how, server(job)));
        Recorded { own, helper, polls }
    })
}

/// The last shape that was recorded of the program.
fn record(how: &str, server: SocketAddr) -> Value {
    let home = tempfile::tempdir().expect("a temporary directory");
    let file = home.path().join("recording");
    let port = server.port().to_string();
    let recorded = output(
        daemon::command(&unjack())
            .arg("record")
            .arg(&file)
            .args(["--for", "40s", "--", "/usr/bin/python3", "-c", PROGRAM])
            .args([how, &port]),
    );
    let problem = String::from_utf8_lossy(&recorded.stderr);
    assert!(recorded.status.success(), "{problem}");
    let text = fs::read_to_string(&file).expect("it was recorded");
    let lines = text.lines().map(|line| {
        serde_json::from_str::<Value>(line).expect("a recording is JSON, line by line")
    });
    let mut shapes = lines.filter_map(|line| shape(&line).cloned());
    shapes.next_back().expect("its connections were looked at")
}

/// The shape in a line, wherever it is.
fn shape(line: &Value) -> Option<&Value> {
    let members = line.as_object()?;
    let own = members.get("shape");
    own.or_else(|| members.values().find_map(shape))
}

#[track_caller]
fn check_pool(shape: &Value, related: bool) {
    let count = |name: &str| shape[name].as_u64().unwrap_or(0);
    assert!(count("pushes") >= 2 && count("submissions") >= 4, "{shape}");
    assert_eq!(shape["related"], related, "{shape}");
}

#[test]
fn a_miner_whose_pool_cannot_be_overheard() {
    let _turn = observe_turn();
    check_pool(&recorded().own, false);
}

#[test]
fn a_miner_whose_helper_connects() {
    let _turn = observe_turn();
    check_pool(&recorded().helper, true);
}

#[test]
fn what_hashes_and_polls_gets_no_jobs() {
    let _turn = observe_turn();
    let shape = &recorded().polls;
    assert_eq!(shape["pushes"], 0, "{shape}");
    assert!(shape["looks"].as_u64() > Some(20), "{shape}");
}
