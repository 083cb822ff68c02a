//! The daemon leaves nothing behind.

use std::net::TcpListener;
use std::time::Duration;

use rustix::process::Signal;
use tests::Daemon;
use tests::host::{eventually, loaded, take_turn};

/// The kernel frees programs and maps a moment after the last user let go.
const FREED: Duration = Duration::from_secs(10);

fn check_leaves_nothing(signal: Signal) {
    let _turn = take_turn();
    let kinds = ["prog", "map", "link"];
    let before = kinds.map(loaded);
    let mut daemon = Daemon::start::<&str>(&[]);
    for (kind, before) in kinds.iter().zip(&before) {
        assert!(&loaded(kind) != before, "bpftool sees the daemon's {kind}s");
    }

    let status = daemon.stop(signal);
    if signal != Signal::KILL {
        assert_eq!(status.code(), Some(0), "{status}");
    }
    for (kind, before) in kinds.iter().zip(&before) {
        eventually("everything is detached", FREED, || {
            let left: Vec<_> = loaded(kind).difference(before).copied().collect();
            if left.is_empty() {
                Ok(())
            } else {
                Err(format!("still loaded: {kind} {left:?}"))
            }
        });
    }
    TcpListener::bind(daemon.address).expect("the port is free again");
}

#[test]
fn sigterm_detaches_everything() {
    check_leaves_nothing(Signal::TERM);
}

#[test]
fn sigint_detaches_everything() {
    check_leaves_nothing(Signal::INT);
}

#[test]
fn sigkill_leaves_nothing_loaded() {
    check_leaves_nothing(Signal::KILL);
}
