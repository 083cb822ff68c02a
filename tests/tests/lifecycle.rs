//! The daemon leaves nothing behind.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tests::Daemon;
use tests::host::{eventually, output, take_turn};

/// The kernel frees programs and maps a moment after the last user let go.
const FREED: Duration = Duration::from_secs(10);

/// Ids of everything of this kind ("prog", "map", "link") that is loaded.
fn loaded(kind: &str) -> BTreeSet<u64> {
    let answer = output(Command::new("bpftool").args([kind, "list", "-j"]));
    assert!(
        answer.status.success(),
        "bpftool: {}",
        answer.stderr.escape_ascii()
    );
    let list: Value = serde_json::from_slice(&answer.stdout).expect("bpftool prints JSON");
    list.as_array()
        .expect("a list")
        .iter()
        .map(|entry| entry["id"].as_u64().expect("every entry has an id"))
        .collect()
}

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
