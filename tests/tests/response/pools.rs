//! Connections to listed pools: a witness against a process that hashes, nothing
//! against any other, and refused where that is asked for.

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tests::daemon::{command, without_settings};
use tests::host::{output, take_turn, unjack, workload};
use tests::{Daemon, Workload};

use super::{NOTICE, home, wait_count};

/// A pool on this machine, at an address that no other test uses.
fn pool(last: u8) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::new(127, 66, 0, last), 0)).expect("a free port");
    let address = listener.local_addr().expect("is bound");
    (listener, address)
}

fn list(home: &TempDir, text: &str) -> PathBuf {
    let path = home.path().join("pools");
    fs::write(&path, text).expect("the directory is ours");
    path
}

/// A program that is connected there while it works.
fn connected(address: SocketAddr, work: &str) -> Workload {
    let script = format!(
        "exec 7<>/dev/tcp/{}/{}; exec {} {work}",
        address.ip(),
        address.port(),
        workload().display()
    );
    Workload::spawn(Command::new("bash").args(["-c", &script]))
}

#[test]
fn a_connection_to_a_listed_pool_is_a_witness() {
    let _turn = take_turn();
    let home = home();
    let (_listener, address) = pool(1);
    let list = list(&home, &format!("{address} xmr pool\n"));
    let daemon = Daemon::start(&["--pools", list.to_str().expect("is UTF-8")]);
    let miner = connected(address, "sha256d");
    let _ = miner.first_hash();
    let verdict = daemon.event_about("verdict", miner.pid(), NOTICE);
    let text = format!("connected to a pool on the list: {address} (xmr pool)");
    let evidence = verdict["evidence"].as_array().expect("a list");
    assert!(
        evidence.iter().any(|said| said["text"] == text.as_str()),
        "{verdict}"
    );
    wait_count(&daemon, "unjack_pool_connections_total", &[], 1.0);
}

#[test]
fn a_connection_alone_is_nothing_and_others_are_not_seen() {
    let _turn = take_turn();
    let home = home();
    let (_listener, address) = pool(2);
    let (_other, unlisted) = pool(3);
    let list = list(&home, &format!("{address}\n"));
    let daemon = Daemon::start(&["--pools", list.to_str().expect("is UTF-8")]);
    let burner = connected(address, "burn");
    let miner = connected(unlisted, "sha256d");
    let _ = (burner.first_hash(), miner.first_hash());
    let verdict = daemon.event_about("verdict", miner.pid(), NOTICE);
    assert!(!verdict.to_string().contains("on the list"), "{verdict}");
    wait_count(&daemon, "unjack_pool_connections_total", &[], 1.0);
    let judged = daemon.events_of("verdict");
    assert!(
        judged.iter().all(|event| event["pid"] != burner.pid()),
        "{judged:?}"
    );
    let begun = daemon.metrics().sum("unjack_pool_connections_total", &[]);
    assert!((begun - 1.0).abs() < 0.5, "{begun} connections");
}

/// The daemon says at the start whether this kernel lets programs refuse. If it
/// does not, that is told with what to do, and nothing is refused.
fn says_it_cannot_block(file: &str, pool: SocketAddr) -> bool {
    let mut run = Command::new("timeout");
    run.args(["20"]).arg(unjack());
    run.args(["run", "--web.listen-address", "127.0.0.1:0"]);
    without_settings(run.args(["--pools", file, "--block-pools"]));
    let answer = output(&mut run);
    let message = String::from_utf8_lossy(&answer.stderr);
    if answer.status.success() || answer.status.code() == Some(124) {
        return false;
    }
    assert_eq!(answer.status.code(), Some(3), "{message}");
    assert!(
        message.contains("BPF LSM") && message.contains("lsm="),
        "{message}"
    );
    assert!(TcpStream::connect(pool).is_ok());
    true
}

#[test]
fn blocked_pools_are_refused_others_not_and_the_end_lifts_it() {
    let _turn = take_turn();
    let home = home();
    let (_listener, address) = pool(4);
    let (_other, unlisted) = pool(5);
    let (_late, later) = pool(6);
    let path = list(&home, &format!("{address}\n"));
    let file = path.to_str().expect("is UTF-8");
    if says_it_cannot_block(file, address) {
        return;
    }
    let mut daemon = Daemon::start(&["--pools", file, "--block-pools"]);
    let refused = |address: SocketAddr| match TcpStream::connect(address) {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
            assert_eq!(error.raw_os_error(), Some(1), "{error}");
            true
        }
    };
    assert!(refused(address));
    assert!(!refused(unlisted));
    assert!(!refused(later));
    wait_count(&daemon, "unjack_pool_refusals_total", &[], 1.0);

    // A list that is read again is in force at once, and the old one no more.
    fs::write(&path, format!("{later}\n")).expect("it is ours");
    let pid = Pid::from_raw(i32::try_from(daemon.pid()).expect("is a pid"));
    kill_process(pid.expect("is a pid"), Signal::HUP).expect("it lives");
    let loaded = [("outcome", "loaded")];
    wait_count(&daemon, "unjack_list_reloads_total", &loaded, 1.0);
    assert!(refused(later));
    assert!(!refused(address));
    assert!(daemon.stop(Signal::TERM).success());
    assert!(!refused(later));
}

#[test]
fn a_bad_list_of_pools_is_a_bad_flag() {
    let _turn = take_turn();
    let home = home();
    let list = list(&home, "192.0.2.0/24\n192.0.2.0/99\n");
    let mut run = command(&unjack());
    let answer = output(run.args(["run", "--pools"]).arg(&list));
    let message = String::from_utf8_lossy(&answer.stderr);
    assert_eq!(answer.status.code(), Some(2), "{message}");
    assert!(
        message.contains("--pools") && message.contains("pools:2:"),
        "{message}"
    );
    let answer = output(command(&unjack()).args(["run", "--block-pools"]));
    let message = String::from_utf8_lossy(&answer.stderr);
    assert_eq!(answer.status.code(), Some(2), "{message}");
    assert!(message.contains("--block-pools"), "{message}");
}
