//! `unjack selftest`: all of it works on this kernel, and what does not is told.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::daemon::{Daemon, command, without_settings};
use tests::host::{output, take_turn, unjack};
use tests::pins::Pins;

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

/// Who executes what only the test executes.
fn children() -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    processes
        .filter(|process| {
            let image = fs::read_link(process.path().join("exe"));
            image.is_ok_and(|image| image.to_string_lossy().contains("memfd:unjack-selftest"))
        })
        .map(|process| process.file_name().to_string_lossy().into_owned())
        .collect()
}

fn assert_no_child() {
    let left = children();
    assert!(left.is_empty(), "left: {left:?}");
}

fn starting() -> Child {
    let mut command = command(&unjack());
    command.args(["selftest", "--json"]).stdout(Stdio::piped());
    command.spawn().expect("it runs")
}

/// The pid of the child that was started, once it has burned so many ticks of CPU
/// time.
fn child(ticks: u64) -> String {
    let until = Instant::now() + LIMIT;
    loop {
        assert!(Instant::now() < until, "no child burns");
        thread::sleep(Duration::from_millis(20));
        let [pid] = &children()[..] else { continue };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let user = after_name.split_whitespace().nth(11);
        if user.and_then(|text| text.parse().ok()) >= Some(ticks) {
            return pid.clone();
        }
    }
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
    let home = tempfile::tempdir().expect("a temporary directory");
    let pins = Pins::beside(&home);
    // The test waits for `miner`; this acts on the weaker verdict, by a shorter window.
    let sooner = ["--action", "kill", "--act-on", "hashing", "--window", "2s"];
    let daemon = Daemon::start(&[&sooner[..], &["--ban", "1h", "--pin-dir", pins.arg()]].concat());
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
fn a_daemon_that_observes_ended_no_process() {
    let _turn = take_turn();
    let daemon = Daemon::start(&["--action", "observe"]);
    let running = starting();
    let child = child(1);
    assert!(
        output(Command::new("kill").args(["-KILL", &child]))
            .status
            .success()
    );
    let answer = running.wait_with_output().expect("it ends");
    let report = report(&answer);
    assert_eq!(answer.status.code(), Some(1), "{report:#}");
    assert_eq!(statuses(&report)["kill"], "fail", "{report:#}");
    let text = report.to_string();
    assert!(
        text.contains(&format!("`unjack run` (pid {}) has", daemon.pid())),
        "{text}"
    );
}

/// A freezer of version 1 holds its own even after SIGKILL.
struct Freezer(PathBuf);

impl Freezer {
    /// `None` where there is none of version 1.
    fn around(pid: &str) -> Option<Self> {
        let root = Path::new("/sys/fs/cgroup/freezer");
        if !root.join("tasks").exists() {
            return None;
        }
        let folder = root.join(format!("unjack-test-{}", std::process::id()));
        fs::create_dir(&folder).expect("a cgroup");
        let freezer = Self(folder);
        freezer.write("cgroup.procs", pid);
        freezer.write("freezer.state", "FROZEN");
        Some(freezer)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).expect("a file of the cgroup");
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        self.write("freezer.state", "THAWED");
        let until = Instant::now() + Duration::from_secs(5);
        while fs::remove_dir(&self.0).is_err() && Instant::now() < until {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_child_that_is_held_is_not_waited_for_without_end() {
    let _turn = take_turn();
    let begun = Instant::now();
    // Before there can be a verdict, after which the child is ended: on a busy
    // machine that comes with less CPU time.
    let mut running = starting();
    let Some(freezer) = Freezer::around(&child(250)) else {
        eprintln!("left out: no freezer of version 1 here");
        running.kill().expect("it is ours");
        running.wait().expect("it is ours");
        return;
    };
    let answer = running.wait_with_output().expect("it ends");
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
    let report = report(&answer);
    assert_eq!(answer.status.code(), Some(1), "{report:#}");
    let statuses = statuses(&report);
    assert_eq!(
        (statuses["end"], statuses["detach"]),
        ("fail", "pass"),
        "{report:#}"
    );
    drop(freezer);
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
