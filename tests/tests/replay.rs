//! A recording is judged as the host was: by the daemon that made it to the
//! digit, by another recorder at the same time by the same verdicts.

use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tests::{
    Daemon, Workload, daemon,
    host::{observe_turn, output, unjack},
};

/// From a miner's first hash to the verdict, at most.
const FOUND: Duration = Duration::from_secs(30);
/// How far two recorders' samples may put a verdict apart: a few judgements.
const APART: f64 = 6.0;

/// A replay's object; the flags are those of a policy.
fn replay(file: &Path, flags: &[&str]) -> Value {
    let mut command = daemon::command(&unjack());
    command.arg("replay").arg(file).arg("--json").args(flags);
    let answer = output(&mut command);
    let stderr = answer.stderr.escape_ascii();
    assert!(answer.status.success(), "{flags:?}: {stderr}");
    serde_json::from_slice(&answer.stdout).expect("an object")
}

/// What a verdict comes down to, by process, and the same with all its digits.
fn verdicts(all: &[Value]) -> BTreeMap<u64, (String, Value)> {
    let of = |verdict: &Value| {
        let kind = format!("{} {}", verdict["verdict"], verdict["family"]);
        // Not `code`: a recording has none.
        let told = array(&verdict["evidence"]).iter();
        let parts = ["score", "burn_seconds", "cpu_percent"];
        let digits = parts.iter().map(|part| &verdict[*part]).chain(told);
        (
            verdict["pid"].as_u64().expect("a pid"),
            (kind, digits.cloned().collect()),
        )
    };
    all.iter().map(of).collect()
}

fn array(value: &Value) -> &Vec<Value> {
    value.as_array().expect("a list")
}

#[test]
fn a_recording_is_judged_as_the_host_was() {
    let _turn = observe_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let (live, other) = (home.path().join("live"), home.path().join("other"));
    let mut daemon = Daemon::start(&["--record", live.to_str().expect("UTF-8")]);
    let mut recorder = daemon::command(&unjack());
    recorder.arg("record").arg(&other).args(["--for", "60s"]);
    let mut recorder = Workload::spawn(&mut recorder);
    let miner = Workload::start_as(&home.path().join("nginx"), &["sha256d"]);
    let hashing = Workload::spawn(
        Command::new("/bin/sh").args(["-c", "exec sha256sum < /dev/zero > /dev/null"]),
    );
    let honest = Workload::spawn(
        Command::new("/usr/bin/python3").args(["-c", "while True: sum(range(1000))"]),
    );
    let _ = miner.first_hash();
    for (pid, verdict) in [(miner.pid(), "miner"), (hashing.pid(), "hashing")] {
        daemon.wait_event(verdict, FOUND, |event| {
            event["event"] == "verdict" && event["pid"] == pid && event["verdict"] == verdict
        });
    }
    // The other recorder began later, and may see it later.
    std::thread::sleep(Duration::from_secs(5));
    let pid = Pid::from_raw(i32::try_from(recorder.pid()).expect("a pid")).expect("not zero");
    kill_process(pid, Signal::INT).expect("it is there");
    recorder.wait_end("the recorder", Instant::now() + FOUND);
    assert!(daemon.stop(Signal::TERM).success());

    // By the daemon itself, to the digit.
    let told = verdicts(&daemon.events_of("verdict"));
    let mode = |file| std::fs::metadata(file).expect("it is there").mode() & 0o777;
    assert_eq!((mode(&live), mode(&other)), (0o600, 0o600));
    let replayed = replay(&live, &["--action", "observe"]);
    assert_eq!(verdicts(array(&replayed["verdicts"])), told);
    assert!(!told.contains_key(&u64::from(honest.pid())), "{told:?}");

    // By another recorder: the same of those that ran all the while.
    let second = replay(&other, &["--action", "observe"]);
    let kinds = verdicts(array(&second["verdicts"]));
    for pid in [miner.pid(), hashing.pid(), honest.pid()].map(u64::from) {
        let kind = |all: &BTreeMap<u64, (String, Value)>| all.get(&pid).map(|it| it.0.clone());
        assert_eq!(kind(&kinds), kind(&told), "{second}");
    }
    let when = |all: &Value, pid: u32| {
        let verdict = array(&all["verdicts"]).iter().find(|it| it["pid"] == pid);
        verdict.and_then(|it| it["t"].as_f64()).expect("a time")
    };
    let pid = miner.pid();
    assert!((when(&replayed, pid) - when(&second, pid)).abs() < APART);

    // Other policies.
    let acted = |flags: &[&str]| {
        let report = replay(&live, flags);
        let of = |it: &&Value| it["pid"] == pid && it["action"]["outcome"] == "gone";
        array(&report["verdicts"]).iter().find(of).cloned()
    };
    let killed = acted(&["--action", "kill"]).expect("it would be killed");
    assert!(killed["saved_cpu_seconds"].as_f64() > Some(1.0), "{killed}");
    assert!(acted(&["--action", "kill", "--allow", "user=0"]).is_none());
    let strict = verdicts(array(&replay(&live, &["--min-score", "1"])["verdicts"]));
    assert!(
        strict
            .get(&u64::from(pid))
            .is_none_or(|it| !it.0.contains("miner"))
    );
}
