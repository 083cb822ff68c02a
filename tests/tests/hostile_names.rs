//! What a process calls itself reaches no terminal, log or scrape raw.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tests::daemon::Format;
use tests::host::{assert_clean, take_turn, unjack};
use tests::{Daemon, Workload, daemon};

/// From a miner's first hash to its end, at most, with a hash that serves much else: its
/// pool sends a job every ten seconds, and it takes up to three until two have counted, as
/// one that arrives in the same reading as a share does not. How soon it is in the middle,
/// the benchmark says (`cargo xtask bench -- latency`).
const DEATH: Duration = Duration::from_mins(1);

/// A new line, a terminal's escape sequences, quotes, a backslash, bytes that
/// are no UTF-8, a C1 control and a DEL; and an event of the daemon's own, for
/// a program that reads it line by line.
const FILE: &[u8] = b"mi\n{\"event\":\"ready\"}\n\x1b[31m\"'\\n\xff\xc2\x9b31m\x7f";
/// The same within the 15 bytes of a thread's name.
const COMM: &[u8] = b"e\n\x1b]0;x\x07\"\\\xff\xc2\x9b{";

/// A miner of that name, killed by a daemon: and the daemon's output, whole.
fn judge(format: Format) -> (u32, Daemon) {
    let home = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start_with(format, &["--action", "kill", "--log.level", "debug"]);
    let path = home.path().join(OsStr::from_bytes(FILE));
    let title = OsString::from(OsStr::from_bytes(COMM));
    let mut miner = Workload::start_as(&path, &["--title".into(), title, "sha256d".into()]);
    let first = miner.first_hash();
    miner.wait_killed("the miner with a hostile name", first + DEATH);
    (miner.pid(), daemon)
}

#[test]
fn json_events_and_metrics_stay_clean() {
    let _turn = take_turn();
    let (pid, mut daemon) = judge(Format::Json);
    let verdict = daemon.event_about("verdict", pid, DEATH);
    for field in ["exe", "comm"] {
        assert!(
            verdict[field].as_str().is_some_and(|text| !text.is_empty()),
            "{verdict}"
        );
    }
    let _ = daemon.event_about("action", pid, DEATH);
    assert_clean("the scrape", daemon.metrics().text.as_bytes());
    assert!(daemon.stop(Signal::TERM).success());
    assert_clean("stdout", &daemon.stdout.bytes());
    assert_clean("stderr", &daemon.stderr.bytes());
    for line in daemon.stdout.lines() {
        assert!(
            line.json
                .as_ref()
                .is_some_and(|event| event["event"].is_string()),
            "no event: {}",
            line.raw.escape_ascii()
        );
    }
    let ready = daemon.events_of("ready");
    assert_eq!(ready.len(), 1, "a process has forged an event: {ready:?}");
}

#[test]
fn text_events_stay_clean() {
    let _turn = take_turn();
    let (pid, mut daemon) = judge(Format::Text);
    let told = daemon.stdout.wait(DEATH, |line| {
        String::from_utf8_lossy(&line.raw).contains(&pid.to_string())
    });
    assert!(told.is_some(), "the lines for people tell of process {pid}");
    assert!(daemon.stop(Signal::TERM).success());
    assert_clean("stdout", &daemon.stdout.bytes());
    assert_clean("stderr", &daemon.stderr.bytes());
    for line in daemon.stdout.lines() {
        assert!(
            !line.raw.starts_with(b"{\"event\":\"ready\"}"),
            "a process has begun a line of its own"
        );
    }
}

#[test]
fn explain_stays_clean() {
    let _turn = take_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let path = home.path().join(OsStr::from_bytes(FILE));
    let title = OsString::from(OsStr::from_bytes(COMM));
    let miner = Workload::start_as(&path, &["--title".into(), title, "sha256d".into()]);
    let _ = miner.first_hash();
    for json in [true, false] {
        let mut explain = daemon::command(&unjack());
        explain.args(["explain", &miner.pid().to_string(), "--for", "3s"]);
        if json {
            explain.arg("--json");
        }
        let answer = tests::host::output(&mut explain);
        assert!(answer.status.success(), "{}", answer.stderr.escape_ascii());
        assert_clean("stdout", &answer.stdout);
        assert_clean("stderr", &answer.stderr);
        if json {
            let answer: Value = serde_json::from_slice(&answer.stdout).expect("one object");
            assert_eq!(answer["pid"], miner.pid());
        }
    }
}
