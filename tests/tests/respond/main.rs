//! What is done with a miner short of ending it, and how far an action reaches:
//! real miners, real cgroups, judged by the CPU time they get.

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

fn check_throttled(work: &[&str]) {
    let _turn = crowd_turn();
    let home = Home::new();
    let mut daemon = home.daemon(&["--action", "throttle", "--throttle-to", "5"]);
    let mut miner = home.miner(work);
    let _ = miner.first_hash();
    let before = cgroups(miner.pid());
    acted(&daemon, miner.pid(), "throttle", "held");

    let share = burn(miner.pid(), WATCH);
    // It gets less where others want the processor as well, but some.
    assert!((0.001..0.075).contains(&share), "{share} of a core");
    let held = [("action", "throttle")];
    daemon.wait_metrics("it is counted", NOTICE, |metrics| {
        match metrics.sum("unjack_held", &held) {
            1.0 => Ok(()),
            held => Err(format!("{held} held")),
        }
    });

    assert!(daemon.stop(Signal::TERM).success());
    assert_eq!(cgroups(miner.pid()), before, "it is back where it was");
    eventually("it burns as it did", ACTED, || {
        match burn(miner.pid(), WATCH) {
            free if free > 0.1 && free > 2.0 * share => Ok(()),
            free => Err(format!("{free} of a core, throttled {share}")),
        }
    });
    assert!(miner.ended().is_none(), "it lives");
}

#[test]
fn a_randomx_miner_is_throttled_to_its_share_until_the_daemon_leaves() {
    check_throttled(&["randomx"]);
}

#[test]
fn a_sha256d_miner_of_two_threads_is_throttled_to_its_share() {
    check_throttled(&["--threads", "2", "sha256d"]);
}

#[test]
fn a_frozen_miner_burns_nothing_until_it_is_released() {
    let _turn = crowd_turn();
    let home = Home::new();
    let daemon = home.daemon(&["--action", "freeze"]);
    let mut miner = home.miner(&["sha256d"]);
    let _ = miner.first_hash();
    acted(&daemon, miner.pid(), "freeze", "held");
    assert!(burn(miner.pid(), WATCH) < 0.001);

    assert_eq!(home.release("4194304"), Some(4), "nobody has that id");
    let pid = miner.pid().to_string();
    assert_eq!(home.release(&pid), Some(0));
    assert!(burn(miner.pid(), WATCH) > 0.02);
    assert_eq!(home.release(&pid), Some(4), "it is no longer held");
    assert!(miner.ended().is_none(), "it lives");
    let actions = daemon.events_of("action");
    assert_eq!(actions.len(), 1, "let go is let go: {actions:?}");
}

/// Killed, the daemon undoes nothing; the next one does, or keeps.
#[test]
fn what_a_killed_daemon_held_is_kept_or_restored_by_the_next() {
    let _turn = crowd_turn();
    let home = Home::new();
    let mut daemon = home.daemon(&["--action", "freeze"]);
    let mut miner = home.miner(&["sha256d"]);
    let _ = miner.first_hash();
    acted(&daemon, miner.pid(), "freeze", "held");
    let _ = daemon.stop(Signal::KILL);
    assert!(burn(miner.pid(), Duration::from_secs(1)) < 0.001);

    let mut keeps = home.daemon(&["--keep"]);
    assert!(burn(miner.pid(), Duration::from_secs(2)) < 0.001);
    assert!(keeps.stop(Signal::TERM).success());
    assert!(burn(miner.pid(), Duration::from_secs(1)) < 0.001, "--keep");

    let _restores = home.daemon(&[]);
    assert!(burn(miner.pid(), WATCH) > 0.02);
    assert!(miner.ended().is_none(), "it lives");
}

/// Tries at an agent that is within a moment of a few milliseconds.
const TRIES: usize = 5;

/// Killed while it reads a miner that it has stopped for that, the agent leaves
/// it stopped; the next one lets it go on.
#[test]
fn what_a_killed_daemon_had_stopped_to_look_at_goes_on_with_the_next() {
    let _turn = take_turn();
    let home = Home::new();
    let evidence = home.dir.path().join("evidence").display().to_string();
    let mut left = None;
    // Two processors, one of them the miner's: it must not wait for its turn.
    setpriority_process(None, -20).expect("root may");
    for _ in 0..TRIES {
        let mut daemon = home.daemon(&["--action", "kill", "--evidence-dir", &evidence]);
        let miner = home.miner(&["sha256d"]);
        let _ = miner.first_hash();
        let held = Path::new(&home.state()).join("held.json");
        let deadline = Instant::now() + ACTED;
        // Not `eventually`: the moment is shorter than its pauses.
        while !fs::read_to_string(&held).is_ok_and(|text| text.contains("stopped")) {
            assert!(Instant::now() < deadline, "it was never stopped");
        }
        let _ = daemon.stop(Signal::KILL);
        if is_stopped(miner.pid()) {
            left = Some(miner);
            break;
        }
    }
    setpriority_process(None, 0).expect("root may");
    let mut miner = left.expect("one was caught while it was looked at");
    let _next = home.daemon(&["--keep"]);
    assert!(!is_stopped(miner.pid()), "it goes on");
    assert!(burn(miner.pid(), WATCH) > 0.02);
    assert!(miner.ended().is_none(), "it lives");
}

fn is_stopped(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status"));
    status.is_ok_and(|text| text.contains("\nState:\tT"))
}

/// A shell that starts it again and again, from a process in between that has
/// ended; and one that has other things to do.
#[test]
fn with_scope_tree_the_shell_that_respawns_a_miner_ends_too() {
    let _turn = crowd_turn();
    let home = Home::new();
    let image = home.image("miner");
    let daemon = home.daemon(&["--action", "kill", "--scope", "tree"]);
    // The subshell ends at once: what it leaves is adopted.
    let script =
        r#"(sh -c 'echo $$; while :; do "$0" sha256d >/dev/null; done' "$0" &); exec sleep 600"#;
    let mut top = Workload::spawn(Command::new("/bin/sh").args(["-c", script]).arg(&image));
    let shell: u32 = eventually("the shell tells its id", NOTICE, || {
        let lines = top.stdout.lines();
        let first = lines.first().ok_or("nothing yet")?;
        let text = String::from_utf8_lossy(&first.raw).trim().to_owned();
        text.parse().map_err(|_| text)
    });
    let event = daemon.wait_event("a kill", ACTED, |event| {
        event["event"] == "action" && event["outcome"] == "gone"
    });
    assert_eq!(event["others"], 1, "{event}");
    eventually("the shell is gone", NOTICE, || {
        let stat = fs::read_to_string(format!("/proc/{shell}/stat"));
        match stat {
            Ok(stat) if !stat.contains(") Z ") => Err(stat),
            _ => Ok(()),
        }
    });
    assert!(top.ended().is_none(), "what did not start it lives");
    thread::sleep(WATCH);
    assert_eq!(running(&image), Vec::<u32>::new(), "nobody starts it again");
}

/// Processes with this image.
fn running(image: &Path) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("a /proc").flatten();
    entries
        .filter(|entry| fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == image))
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Of the name that Podman gives a container's.
#[test]
fn with_scope_cgroup_everything_in_it_ends() {
    let _turn = crowd_turn();
    let home = Home::new();
    let scope = Scope::new(&format!("libpod-{}", "0123456789abcdef".repeat(4)));
    let daemon = home.daemon(&["--action", "kill", "--scope", "cgroup"]);
    let mut miner = Workload::spawn(scope.command(&home.image("miner")).arg("sha256d"));
    let mut beside = Workload::spawn(scope.command(Path::new("/bin/sleep")).arg("600"));
    let mut outside = Workload::spawn(Command::new("/bin/sleep").arg("600"));
    let first = miner.first_hash();
    miner.wait_killed("the miner", first + ACTED);
    beside.wait_killed("what is beside it", Instant::now() + NOTICE);
    assert!(outside.ended().is_none(), "what is elsewhere lives");
    let event = acted(&daemon, miner.pid(), "kill", "gone");
    assert_eq!(event["others"], 1, "{event}");
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

/// The scope is refused, and the miner in it is not spared for that.
fn check_narrower(daemon: &Daemon, miner: &mut Workload, refused: &str) {
    let first = miner.first_hash();
    miner.wait_killed("the miner", first + ACTED);
    let event = acted(daemon, miner.pid(), "kill", "gone");
    assert_eq!(event["scope"], "tree", "{event}");
    assert_eq!(event["scope_requested"], "cgroup", "{event}");
    assert_eq!(event["scope_refused"], refused, "{event}");
    daemon.wait_metrics(
        "the narrower scope is counted",
        NOTICE,
        |metrics| match metrics.sum("unjack_scope_fallbacks_total", &[("scope", "tree")]) {
            0.0 => Err("not yet".to_owned()),
            _ => Ok(()),
        },
    );
}

#[test]
fn with_scope_cgroup_a_cgroup_that_others_share_is_left_and_its_miner_is_not() {
    let _turn = crowd_turn();
    let home = Home::new();
    let daemon = home.daemon(&["--action", "kill", "--scope", "cgroup"]);
    let shared = Scope::new("unjack-test.slice");
    let mut beside = Workload::spawn(shared.command(Path::new("/bin/sleep")).arg("600"));
    let mut miner = Workload::spawn(shared.command(&home.image("miner")).arg("sha256d"));
    check_narrower(&daemon, &mut miner, "shared-cgroup");
    assert!(beside.ended().is_none(), "what is beside it lives");
}

#[test]
fn with_scope_cgroup_the_daemons_own_is_left_and_the_miner_in_it_is_not() {
    let _turn = crowd_turn();
    let home = Home::new();
    let daemon = home.daemon(&["--action", "kill", "--scope", "cgroup"]);
    let scope = Scope::new("unjack-test.scope");
    scope.take(daemon.pid());
    let mut miner = Workload::spawn(scope.command(&home.image("miner")).arg("sha256d"));
    check_narrower(&daemon, &mut miner, "own-cgroup");
    drop(miner);
    drop(daemon);
}

/// Of one image no more than the limit in a minute, and of another still.
#[test]
fn the_breaker_opens_for_an_image_and_is_told() {
    let _turn = crowd_turn();
    let home = Home::new();
    let daemon = home.daemon(&["--action", "kill", "--max-kills-per-image", "1"]);
    let image = home.image("common");
    let mut first = Workload::spawn(Command::new(&image).arg("sha256d"));
    let began = first.first_hash();
    first.wait_killed("the first", began + ACTED);
    daemon.wait_metrics("the breaker is open", NOTICE, |metrics| {
        match metrics.sum("unjack_breaker_open", &[]) {
            1.0 => Ok(()),
            open => Err(format!("{open}")),
        }
    });
    let mut second = Workload::spawn(Command::new(&image).arg("sha256d"));
    let mut other = Workload::spawn(Command::new(home.image("other")).arg("sha256d"));
    check_refused(&daemon, &mut second, "breaker");
    let began = other.first_hash();
    other.wait_killed("one of another image", began + ACTED);
    assert!(second.ended().is_none(), "it lives");
}

#[test]
fn one_allowed_by_its_digest_is_measured_as_allowed() {
    let _turn = crowd_turn();
    let home = Home::new();
    let image = home.image("own");
    let sum = output(Command::new("sha256sum").arg(&image));
    let digest = String::from_utf8_lossy(&sum.stdout[..64]).into_owned();
    let allow = format!("sha256={digest}");
    let daemon = home.daemon(&["--action", "kill", "--allow", &allow]);
    let mut miner = Workload::spawn(Command::new(&image).arg("sha256d"));
    check_refused(&daemon, &mut miner, "allowed");
    let burnt = schedstat_seconds(miner.pid()).expect("it lives");
    let family = [("family", "sha256d")];
    daemon.wait_metrics("its CPU time is told", NOTICE, |metrics| {
        let allowed = metrics.sum("unjack_allowed_cpu_seconds_total", &family);
        let stolen = metrics.sum("unjack_stolen_cpu_seconds_total", &family);
        if allowed > 0.5 * burnt && stolen == 0.0 {
            Ok(())
        } else {
            Err(format!(
                "{allowed} s allowed, {stolen} s stolen of {burnt} s"
            ))
        }
    });
}

/// A miner that no rule of `--only` is about is reported, counted, and lives.
#[track_caller]
fn check_outside(daemon: &Daemon, miner: &mut Workload) {
    let _ = miner.first_hash();
    let event = acted(daemon, miner.pid(), "kill", "dry-run");
    assert_eq!(event["reason"], "not-only", "{event}");
    daemon.wait_metrics("it is counted", NOTICE, |metrics| {
        let labels = [("action", "kill"), ("outcome", "dry-run")];
        match metrics.sum("unjack_actions_total", &labels) {
            0.0 => Err("not yet".to_owned()),
            _ => Ok(()),
        }
    });
}

#[test]
fn with_only_a_unit_a_miner_outside_of_it_is_reported_and_lives() {
    let _turn = take_turn();
    let home = Home::new();
    let inside = Scope::new("unjack-runner.service");
    let outside = Scope::new("unjack-database.service");
    for rule in ["unit=unjack-runner*", "cgroup=/unjack-runner.service"] {
        let daemon = home.daemon(&["--action", "kill", "--only", rule]);
        let mut spared = Workload::spawn(outside.command(&home.image("other")).arg("sha256d"));
        check_outside(&daemon, &mut spared);
        let mut miner = Workload::spawn(inside.command(&home.image("miner")).arg("sha256d"));
        let began = miner.first_hash();
        miner.wait_killed("the one inside", began + ACTED);
        assert!(spared.ended().is_none(), "{rule}: it lives");
        let told = daemon.events_of("action");
        let of = |event: &&Value| event["pid"] == spared.pid();
        assert_eq!(
            told.iter().filter(of).count(),
            1,
            "it is told once: {told:?}"
        );
    }
}

/// A process of the user that runs under another id, in a user namespace of its own.
#[test]
fn with_only_a_user_its_user_namespaces_are_inside() {
    use std::os::unix::{fs::PermissionsExt as _, process::CommandExt as _};
    const USER: u32 = 61_234;
    let _turn = take_turn();
    let home = Home::new();
    fs::set_permissions(home.dir.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let only = format!("user={USER}");
    let daemon = home.daemon(&["--action", "kill", "--only", &only]);
    let mut roots = home.miner(&["sha256d"]);
    check_outside(&daemon, &mut roots);
    let image = home.image("shifted");
    let mut command = Command::new("unshare");
    command.arg("--user").arg(&image).arg("sha256d").uid(USER);
    let mut shifted = Workload::spawn(&mut command);
    let began = shifted.first_hash();
    shifted.wait_killed("the one in a user namespace", began + ACTED);
    assert!(roots.ended().is_none(), "root's lives");
}

/// Two processes in one cgroup, of which one is outside: the scope is not extended to it.
#[test]
fn with_only_a_scope_ends_where_the_rules_do() {
    let _turn = take_turn();
    let home = Home::new();
    let scope = Scope::new("unjack-shared.service");
    let image = home.image("miner");
    let only = format!("exe={}", image.display());
    let flags = ["--action", "kill", "--scope", "cgroup", "--only", &only];
    let daemon = home.daemon(&flags);
    let mut beside = Workload::spawn(scope.command(Path::new("/bin/sleep")).arg("600"));
    let mut miner = Workload::spawn(scope.command(&image).arg("sha256d"));
    check_refused(&daemon, &mut miner, "not-only");
    assert!(beside.ended().is_none(), "what is beside it lives");
}
