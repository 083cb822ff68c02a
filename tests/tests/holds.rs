//! What is throttled or frozen stays so, whatever its own user does; and no cgroup
//! of a neighbour is broken for it. Real miners of an ordinary user, judged by the CPU
//! time they get.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tests::evade::scope::Scope;
use tests::host::{eventually, schedstat_seconds, take_turn};
use tests::{Daemon, Workload};

/// From a miner's first hash to the action, at most.
const ACTED: Duration = Duration::from_mins(1);
/// How long CPU time is counted.
const WATCH: Duration = Duration::from_secs(5);
/// An ordinary user.
const USER: u32 = 65534;
/// Of a core: a twentieth is left to a throttled one, and what is left is an escape.
const MOST: f64 = 0.1;

struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    /// A folder that the user may execute programs in.
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(dir.path(), open).expect("the directory is ours");
        fs::copy(tests::host::workload(), dir.path().join("miner")).expect("a copy");
        Self { dir }
    }

    fn daemon(&self, flags: &[&str]) -> Daemon {
        let state = self.dir.path().join("state").display().to_string();
        let deny = format!("exe={}/*", self.dir.path().display());
        let mut all = vec!["--state-dir", &state, "--min-score", "1", "--deny", &deny];
        all.extend(flags);
        Daemon::start(&all)
    }

    /// A miner of the user's in this cgroup.
    fn miner(&self, scope: &Scope) -> Workload {
        let mut command = Command::new(self.dir.path().join("miner"));
        let miner = Workload::spawn(command.arg("sha256d").uid(USER).gid(USER));
        scope.take(miner.pid());
        let _ = miner.first_hash();
        miner
    }
}

/// A shell loop of the user's, ended when dropped.
struct Helper(std::process::Child);

impl Helper {
    fn new(script: &str) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &format!("while :; do {script}; sleep 0.05; done")]);
        let child = shell.uid(USER).gid(USER).stderr(Stdio::null()).spawn();
        Self(child.expect("a shell"))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// CPU time per second of a process.
fn burn(pid: u32) -> f64 {
    let seconds = || schedstat_seconds(pid).expect("it lives");
    let (before, began) = (seconds(), Instant::now());
    thread::sleep(WATCH);
    (seconds() - before) / began.elapsed().as_secs_f64()
}

#[track_caller]
fn is_held(daemon: &Daemon, miner: &Workload, action: &str) {
    let event = daemon.event_about("action", miner.pid(), ACTED);
    assert_eq!(event["action"], action, "{event}");
    assert_eq!(event["outcome"], "held", "{event}");
    let share = burn(miner.pid());
    assert!(share < MOST, "{action}: {share} of a core");
}

/// The cgroup of a process in the unified hierarchy.
fn unified(pid: u32) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it lives");
    let line = text.lines().find_map(|line| line.strip_prefix("0::"));
    line.expect("a unified hierarchy").to_owned()
}

fn is_let_go(mut daemon: Daemon, miner: &mut Workload) {
    assert!(daemon.stop(Signal::TERM).success());
    eventually("it burns as it did", ACTED, || match burn(miner.pid()) {
        free if free > 2.0 * MOST => Ok(()),
        free => Err(format!("{free} of a core")),
    });
    assert!(miner.ended().is_none(), "it lives");
}

#[test]
fn a_helper_that_moves_it_back_does_not_undo_a_throttle_or_a_freeze() {
    let _turn = take_turn();
    for action in ["throttle", "freeze"] {
        let home = Home::new();
        let scope = Scope::new("unjack-test.service");
        scope.delegate(USER);
        let daemon = home.daemon(&["--action", action]);
        let mut miner = home.miner(&scope);
        let (pid, list) = (miner.pid(), scope.dir().join("cgroup.procs"));
        let helper = Helper::new(&format!("echo {pid} >{}; kill -CONT {pid}", list.display()));
        is_held(&daemon, &miner, action);
        drop(helper);
        is_let_go(daemon, &mut miner);
        assert_eq!(
            unified(pid),
            "/unjack-test.service",
            "it is back where it was"
        );
    }
}

#[test]
fn a_folder_made_beforehand_is_not_used() {
    let _turn = take_turn();
    let home = Home::new();
    let scope = Scope::new("unjack-test.service");
    scope.delegate(USER);
    let mut miner = home.miner(&scope);
    let text = fs::read_to_string(format!("/proc/{}/stat", miner.pid())).expect("it lives");
    let start = text
        .rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().nth(19));
    let name = format!("unjack-{}-{}", miner.pid(), start.expect("a start time"));
    let folder: PathBuf = scope.dir().join(&name);
    fs::create_dir(&folder).expect("the cgroup is ours");
    let freeze = folder.join("cgroup.freeze");
    for path in [&folder, &freeze] {
        chown(path, Some(USER), Some(USER)).expect("root may");
    }
    let helper = Helper::new(&format!("echo 0 >{}", freeze.display()));
    let daemon = home.daemon(&["--action", "freeze"]);
    is_held(&daemon, &miner, "freeze");
    assert_ne!(
        unified(miner.pid()),
        format!("/unjack-test.service/{name}"),
        "it is in a folder of root's"
    );
    drop(helper);
    is_let_go(daemon, &mut miner);
    fs::remove_dir(&folder).expect("it is empty, and there");
}

#[test]
fn a_cgroup_that_has_others_below_it_is_not_broken() {
    let _turn = take_turn();
    for action in ["throttle", "freeze"] {
        let home = Home::new();
        let scope = Scope::new(&format!("libpod-{}", "0123456789abcdef".repeat(4)));
        let below = ["there", "later"].map(|name| scope.dir().join(name));
        fs::create_dir(&below[0]).expect("the cgroup is ours");
        let neighbour = Workload::spawn(Command::new("/bin/sleep").arg("600"));
        scope.take(neighbour.pid());
        let daemon = home.daemon(&["--action", action]);
        let mut miner = home.miner(&scope);
        is_held(&daemon, &miner, action);
        fs::create_dir(&below[1]).expect("the cgroup is ours");
        for dir in &below {
            let list = dir.join("cgroup.procs");
            fs::write(list, neighbour.pid().to_string()).expect("it takes processes");
        }
        is_let_go(daemon, &mut miner);
        drop(neighbour);
        for dir in below {
            eventually("it is empty", ACTED, || {
                fs::remove_dir(&dir).map_err(|error| error.to_string())
            });
        }
    }
}
