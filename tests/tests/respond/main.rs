//! What is done with a miner short of ending it, and how far an action reaches:
//! real miners, real cgroups, judged by the CPU time they get.

mod held;
mod limits;
mod scope;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, setpriority_process};
use serde_json::Value;
use tests::evade::scope::Scope;
use tests::host::{crowd_turn, eventually, output, schedstat_seconds, take_turn, unjack};
use tests::{Daemon, Workload};

/// From a miner's first hash to the action, at most.
const ACTED: Duration = Duration::from_mins(1);
/// For what follows at once from something that has happened.
const NOTICE: Duration = Duration::from_secs(10);
/// How long CPU time is counted.
const WATCH: Duration = Duration::from_secs(5);

/// A folder of its own for what is held, and a daemon that uses it.
struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self { dir }
    }

    fn state(&self) -> String {
        self.dir.path().join("state").display().to_string()
    }

    /// A copy of the workload program.
    fn image(&self, name: &str) -> PathBuf {
        let image = self.dir.path().join(name);
        fs::copy(tests::host::workload(), &image).expect("a copy");
        image
    }

    fn miner(&self, args: &[&str]) -> Workload {
        Workload::spawn(Command::new(self.image("miner")).args(args))
    }

    /// A daemon for whom only what is in this folder is a miner: how miners are
    /// told is not the question here, and other tests' are left alone.
    fn daemon(&self, flags: &[&str]) -> Daemon {
        let (state, deny) = (self.state(), format!("exe={}/*", self.dir.path().display()));
        let mut all = vec!["--state-dir", &state, "--min-score", "1", "--deny", &deny];
        all.extend(flags);
        Daemon::start(&all)
    }

    fn release(&self, what: &str) -> Option<i32> {
        let mut command = Command::new(unjack());
        command.args(["release", "--state-dir", &self.state(), what]);
        output(&mut command).status.code()
    }
}

/// CPU time per second of a process.
fn burn(pid: u32, time: Duration) -> f64 {
    let seconds = || schedstat_seconds(pid).expect("it lives");
    let (before, began) = (seconds(), Instant::now());
    thread::sleep(time);
    (seconds() - before) / began.elapsed().as_secs_f64()
}

fn acted(daemon: &Daemon, pid: u32, action: &str, outcome: &str) -> Value {
    let event = daemon.event_about("action", pid, ACTED);
    assert_eq!(event["action"], action, "{event}");
    assert_eq!(event["outcome"], outcome, "{event}");
    event
}

/// Where a process is, in all trees.
fn cgroups(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it lives")
}

fn check_refused(daemon: &Daemon, miner: &mut Workload, reason: &str) {
    let _ = miner.first_hash();
    let event = acted(daemon, miner.pid(), "kill", "refused");
    assert_eq!(event["reason"], reason, "{event}");
    daemon.wait_metrics("the refusal is counted", NOTICE, |metrics| {
        match metrics.sum("unjack_actions_refused_total", &[("reason", reason)]) {
            0.0 => Err("not yet".to_owned()),
            _ => Ok(()),
        }
    });
    assert!(miner.ended().is_none(), "it lives");
}
