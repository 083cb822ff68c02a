//! `unjack selftest`: all of it works on this kernel, and what does not is told.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::daemon::{Daemon, command, without_settings};
use tests::host::{output, take_turn, unjack};

/// A minute of patience for the verdict, and the rest.
const LIMIT: Duration = Duration::from_secs(90);

fn selftest(args: &[&str]) -> Output {
    let mut command = command(&unjack());
    output(command.arg("selftest").args(args))
}

fn report(answer: &Output) -> Value {
    serde_json::from_slice(&answer.stdout).unwrap_or_else(|error| {
        let (out, err) = (&answer.stdout, &answer.stderr);
        panic!("{error}: {}{}", out.escape_ascii(), err.escape_ascii())
    })
}

/// What came of each step.
fn statuses(report: &Value) -> BTreeMap<&str, &str> {
    let steps = report["steps"].as_array().expect("a list");
    let pairs = steps.iter().map(|step| {
        let text = |key: &str| step[key].as_str().expect("a string");
        (text("name"), text("status"))
    });
    pairs.collect()
}

/// Nobody executes what only the test executes any more.
fn assert_no_child() {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let left: Vec<_> = processes
        .filter(|process| {
            let image = fs::read_link(process.path().join("exe"));
            image.is_ok_and(|image| image.to_string_lossy().contains("memfd:unjack-selftest"))
        })
        .map(|process| process.file_name())
        .collect();
    assert!(left.is_empty(), "left: {left:?}");
}

#[test]
fn every_step_passes_and_nothing_is_left() {
    let _turn = take_turn();
    let begun = Instant::now();
    let answer = selftest(&["--json"]);
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
    let report = report(&answer);
    assert_eq!(answer.status.code(), Some(0), "{report:#}");
    let steps = [
        "accounting",
        "child",
        "decoding",
        "detach",
        "host",
        "kill",
        "probes",
        "sampling",
        "verdict",
    ];
    assert!(
        statuses(&report)
            .into_iter()
            .eq(steps.map(|step| (step, "pass"))),
        "{report:#}"
    );
    assert_eq!(report["passed"], true);
    for step in report["steps"].as_array().expect("a list") {
        assert!(step["seconds"].as_f64().is_some_and(|s| s >= 0.0), "{step}");
    }
    assert_no_child();
}

/// A program of the host's own may hash. The test is not excused by that, wherever
/// its program lies: it would fail as soon as it is installed.
#[test]
fn it_passes_where_the_hosts_own_programs_lie() {
    let _turn = take_turn();
    let path = format!("/usr/bin/unjack-selftest-{}", std::process::id());
    fs::copy(unjack(), &path).expect("a copy in /usr/bin");
    let mut installed = Command::new(&path);
    installed.args(["selftest", "--json"]);
    without_settings(&mut installed);
    let answer = installed.output();
    fs::remove_file(&path).expect("the copy is ours");
    let answer = answer.expect("it runs");
    let report = report(&answer);
    assert_eq!(answer.status.code(), Some(0), "{report:#}");
    assert_eq!(statuses(&report)["verdict"], "pass");
}

#[test]
fn a_daemon_that_kills_proves_the_same() {
    let _turn = take_turn();
    // It judges sooner than the test does.
    let daemon = Daemon::start(&["--action", "kill", "--window", "2s", "--ban", "1h"]);
    let answer = selftest(&["--json"]);
    let report = report(&answer);
    assert_eq!(answer.status.code(), Some(0), "{report:#}");
    assert_eq!(statuses(&report)["kill"], "other", "{report:#}");
    let kill = report["steps"].as_array().expect("a list");
    let kill = kill
        .iter()
        .find(|step| step["name"] == "kill")
        .expect("a step");
    let found = kill["found"].as_str().expect("a string");
    assert!(found.contains(&format!("pid {}", daemon.pid())), "{found}");
    // What was banned is the copy alone: the next test is not refused.
    let again = selftest(&[]);
    let text = String::from_utf8_lossy(&again.stdout);
    assert_eq!(again.status.code(), Some(0), "{text}");
    assert!(text.contains("which this test did not send"), "{text}");
    assert_no_child();
}

#[test]
fn what_the_host_lacks_is_told_with_the_remedy() {
    let _turn = take_turn();
    let mut unprivileged = Command::new("setpriv");
    unprivileged
        .args(["--bounding-set=-all", "--inh-caps=-all", "--"])
        .arg(unjack())
        .args(["selftest", "--json"]);
    without_settings(&mut unprivileged);
    let answer = output(&mut unprivileged);
    let report = report(&answer);
    assert_eq!(answer.status.code(), Some(3), "{report:#}");
    assert_eq!(statuses(&report), BTreeMap::from([("host", "lacks")]));
    let remedy = report["steps"][0]["remedy"].as_str().expect("a remedy");
    assert!(remedy.contains("run as root"), "{remedy}");
}
