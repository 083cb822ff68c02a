//! Honest services and ledgers that hash all the time, from a user's own files: none
//! is taken for a miner, however busy it is.
//!
//! `UNJACK_TEST_BENIGN_SECONDS` says how long each runs; 60 by default.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tests::host::{schedstat_seconds, take_turn};
use tests::spawn::benign_time;
use tests::{Daemon, Workload};

/// Clients at once.
const CLIENTS: usize = 2;
/// Bytes of each upload: as large as an image of a container's layer.
const UPLOAD: usize = 64 << 20;
/// The CPU time of the service is at least this much of the time: it was under load.
const BUSY: f64 = 0.2;

/// A service is under load for a while: it lives, and nothing says that it mines.
/// Gives how often the load was served.
fn check(work: &[&str], load: Option<fn(SocketAddr) -> std::io::Result<()>>) -> u64 {
    let _turn = take_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(&["--action", "kill"]);
    // A copy in a temporary directory: no file of the host's own.
    let mut service = Workload::start_as(&home.path().join("service"), work);
    let _ = service.first_hash();
    let burnt = schedstat_seconds(service.pid()).expect("it lives");
    let (over, served) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for load in load.iter().cycle().take(load.map_or(0, |_| CLIENTS)) {
            let address = service.address();
            let (over, served) = (&over, &served);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    // Of one that is killed the test says below that it is.
                    if load(address).is_ok() {
                        served.fetch_add(1, Ordering::Relaxed);
                    } else {
                        thread::sleep(Duration::from_millis(100));
                    }
                }
            });
        }
        thread::sleep(benign_time());
        over.store(true, Ordering::Relaxed);
    });
    assert!(service.ended().is_none(), "{work:?} lives");
    let burnt = schedstat_seconds(service.pid()).expect("it lives") - burnt;
    let share = burnt / benign_time().as_secs_f64();
    assert!(share >= BUSY, "{work:?} burnt {share} of a core");
    let mut miners = daemon.events_of("verdict");
    miners.retain(|it| it["pid"] == service.pid() && it["verdict"] == "miner");
    assert!(
        miners.is_empty(),
        "{work:?} was taken for a miner: {miners:?}"
    );
    served.into_inner()
}

/// One login, by turns right and wrong, is told apart by its answer.
fn login(address: SocketAddr) -> std::io::Result<()> {
    for (password, status) in [("hunter2", "200"), ("wrong", "403")] {
        let mut client = TcpStream::connect(address)?;
        write!(client, "GET /login?u=a&p={password} HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        client.read_to_string(&mut answer)?;
        if !answer.starts_with(&format!("HTTP/1.0 {status}")) {
            return Err(std::io::Error::other(answer));
        }
    }
    Ok(())
}

fn upload(address: SocketAddr) -> std::io::Result<()> {
    let piece = vec![0x5a; 1 << 20];
    let mut client = TcpStream::connect(address)?;
    for _ in 0..UPLOAD / piece.len() {
        client.write_all(&piece)?;
    }
    client.shutdown(Shutdown::Write)?;
    client.read_exact(&mut [0; 32])
}

#[test]
fn a_login_server_is_no_miner() {
    assert!(check(&["serve-login"], Some(login)) >= 10);
}

#[test]
fn a_server_that_digests_uploads_is_no_miner() {
    assert!(check(&["serve-upload"], Some(upload)) >= 10);
}

#[test]
fn a_proof_of_history_is_no_miner() {
    check(&["poh"], None);
}

#[test]
fn who_verifies_signatures_is_no_miner() {
    check(&["verify"], None);
}
