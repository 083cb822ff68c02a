//! What protects a process, and what does not: the host's own programs, started by an
//! ordinary user, with a miner preloaded or beside one.

use std::fs;
use std::os::unix::{fs::PermissionsExt as _, process::CommandExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::evade::scope::Scope;
use tests::host::{eventually, output, take_turn};
use tests::{Daemon, Workload};

/// From a miner's first hash to the action, at most: also if what protects it has to be
/// read again.
const ACTED: Duration = Duration::from_secs(90);
/// For what follows at once from something that has happened.
const NOTICE: Duration = Duration::from_secs(10);
/// An ordinary user's id, in no use on any host that runs this.
const USER: u32 = 61_042;
/// An ordinary user that the host knows by name, without which no bus starts: `nobody`.
const NAMED_USER: u32 = 65_534;
/// A program of the host's own that any user may start.
const BUS: &str = "/usr/bin/dbus-daemon";

/// A folder that every user may read, with a library that mines.
struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let all = fs::Permissions::from_mode(0o755);
        fs::set_permissions(dir.path(), all).expect("the folder is ours");
        Self { dir }
    }

    fn library(&self) -> PathBuf {
        let (source, library) = (self.dir.path().join("p.c"), self.dir.path().join("p.so"));
        fs::write(&source, include_str!("preload.c")).expect("space");
        let mut compile = Command::new("cc");
        compile.args(["-O2", "-shared", "-fPIC", "-o"]);
        let built = output(compile.arg(&library).arg(&source));
        assert!(built.status.success(), "{built:?}");
        library
    }

    fn image(&self, name: &str) -> PathBuf {
        let image = self.dir.path().join(name);
        fs::copy(tests::host::workload(), &image).expect("a copy");
        image
    }

    /// A daemon that ends what hashes, if it is in this folder or the bus: how miners are
    /// told is not the question here, and other tests' are left alone.
    fn daemon(&self, flags: &[&str]) -> Daemon {
        let state = self.dir.path().join("state").display().to_string();
        let here = format!("exe={}/*", self.dir.path().display());
        let bus = format!("exe={BUS}");
        let mut all = vec![
            "--state-dir",
            &state,
            "--min-score",
            "1",
            "--action",
            "kill",
        ];
        all.extend(["--deny", &here, "--deny", &bus]);
        all.extend(flags);
        Daemon::start(&all)
    }
}

/// The bus of a user, which serves no client and burns nothing.
fn bus_arguments(home: &Home) -> Vec<String> {
    let address = format!("--address=unix:dir={}", home.dir.path().display());
    let plain = ["--session", "--nofork", "--nopidfile", "--nosyslog"];
    plain
        .map(str::to_owned)
        .into_iter()
        .chain([address])
        .collect()
}

fn acted(daemon: &Daemon, pid: u32) -> Value {
    let event = daemon.event_about("action", pid, ACTED);
    assert_eq!(event["outcome"], "gone", "{event}");
    event
}

/// The daemon says in which scope it acted, and why; and counts it.
#[track_caller]
fn fell_back(daemon: &Daemon, event: &Value, refused: &str) {
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

fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

fn check_preload(user: u32) {
    let _turn = take_turn();
    let home = Home::new();
    let library = home.library();
    let daemon = home.daemon(&[]);
    let mut command = Command::new(BUS);
    command
        .arg("--session")
        .env("LD_PRELOAD", &library)
        .uid(user);
    let mut bus = Workload::spawn_without_pool(&mut command);
    bus.wait_killed("the bus that mines", Instant::now() + ACTED);
    acted(&daemon, bus.pid());
}

/// It is the host's own file, and an ordinary user's process.
#[test]
fn a_users_preload_into_a_protected_program_is_ended() {
    check_preload(USER);
}

/// It is root's process, and does not do its own work.
#[test]
fn roots_preload_into_a_protected_program_is_ended() {
    check_preload(0);
}

fn in_scope(scope: &Scope, home: &Home, user: Option<u32>) -> Workload {
    let arguments = bus_arguments(home);
    let mut command = match user {
        None => scope.command(Path::new(BUS)),
        Some(user) => {
            let mut command = scope.command(Path::new("/usr/bin/setpriv"));
            command.args(["--reuid", &user.to_string(), "--clear-groups", BUS]);
            command
        }
    };
    let bus = Workload::spawn_without_pool(command.args(arguments));
    eventually("the bus is up", NOTICE, || {
        let exe = fs::read_link(format!("/proc/{}/exe", bus.pid()));
        match exe {
            Ok(exe) if exe == Path::new(BUS) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    bus
}

#[test]
fn with_scope_cgroup_a_users_own_bus_protects_nothing() {
    let _turn = take_turn();
    let home = Home::new();
    let world = fs::Permissions::from_mode(0o777);
    fs::set_permissions(home.dir.path(), world).expect("the folder is ours");
    let scope = Scope::new("unjack-test.scope");
    let daemon = home.daemon(&["--scope", "cgroup"]);
    let mut bus = in_scope(&scope, &home, Some(NAMED_USER));
    let mut miner = Workload::spawn(scope.command(&home.image("miner")).arg("sha256d"));
    let first = miner.first_hash();
    miner.wait_killed("the miner", first + ACTED);
    // It obeys SIGTERM, and says that it ended well.
    bus.wait_end("what is beside it", Instant::now() + NOTICE);
    let event = acted(&daemon, miner.pid());
    assert_eq!(event.get("scope"), None, "{event}");
    assert_eq!(event["others"], 1, "{event}");
}

#[test]
fn with_scope_cgroup_a_protected_process_lives_and_the_miner_beside_it_does_not() {
    let _turn = take_turn();
    let home = Home::new();
    let scope = Scope::new("unjack-test.scope");
    let daemon = home.daemon(&["--scope", "cgroup"]);
    let mut bus = in_scope(&scope, &home, None);
    let mut miner = Workload::spawn(scope.command(&home.image("miner")).arg("sha256d"));
    let first = miner.first_hash();
    miner.wait_killed("the miner", first + ACTED);
    let event = acted(&daemon, miner.pid());
    fell_back(&daemon, &event, "guarded");
    assert!(bus.ended().is_none(), "root's bus lives");
    assert!(is_running(bus.pid()));
}

/// k3s and RKE2 keep their runtimes below /var/lib/rancher, in units of their own.
#[test]
fn with_scope_cgroup_a_runtime_of_k3s_lives() {
    let _turn = take_turn();
    let home = Home::new();
    let data = Path::new("/var/lib/rancher/k3s/data/unjack-test");
    let bin = data.join("bin");
    fs::create_dir_all(&bin).expect("root may");
    let containerd = bin.join("containerd");
    fs::copy("/bin/sleep", &containerd).expect("a copy");
    let scope = Scope::new("k3s.service");
    let daemon = home.daemon(&["--scope", "cgroup"]);
    let mut runtime = Workload::spawn_without_pool(scope.command(&containerd).arg("600"));
    let mut miner = Workload::spawn(scope.command(&home.image("miner")).arg("sha256d"));
    let first = miner.first_hash();
    miner.wait_killed("the miner", first + ACTED);
    let event = acted(&daemon, miner.pid());
    let lives = runtime.ended().is_none();
    drop((runtime, miner));
    let removed = fs::remove_dir_all(data);
    for made in data.ancestors().skip(1).take(3) {
        // Only if it is empty: k3s may be installed here.
        let _ = fs::remove_dir(made);
    }
    assert!(lives, "the runtime lives");
    fell_back(&daemon, &event, "guarded");
    removed.expect("the folder is ours");
}
