//! Holds on the real kernel: for a machine of its own (pure version 1, hybrid or
//! version 2), as root.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::Instant,
};

use super::*;
use crate::{
    host::{self, ProcHandle, cgroup::Site},
    respond::action::{hold::PREFIX, store::Store},
};

/// An ordinary user.
const USER: u32 = 65534;
/// Time over which CPU time is measured.
const WHILE: Duration = Duration::from_secs(4);
/// Of a core, in that time: more is an escape. A twentieth is left to it; the quota of
/// two periods and a clock tick may be on top.
const MOST: f64 = 0.15;

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

impl Ended {
    fn shell(script: &str) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script]).uid(USER).gid(USER);
        shell.stderr(Stdio::null());
        Self(shell.spawn().unwrap())
    }

    fn seen(&self) -> ProcHandle {
        ProcHandle::open_pid(self.0.id()).unwrap()
    }

    /// The share of a core it gets.
    fn share(&self) -> f64 {
        let (begun, before) = (Instant::now(), self.seen().cpu_time().unwrap());
        thread::sleep(WHILE);
        let used = self.seen().cpu_time().unwrap().saturating_sub(before);
        used.as_secs_f64() / begun.elapsed().as_secs_f64()
    }
}

/// A cgroup for one test in the tree in which that is done, with all in it.
struct Place {
    site: Site,
    dir: PathBuf,
}

impl Place {
    fn new(name: &str, throttle: bool) -> Self {
        let system = System::new(Arc::default());
        let membership = system.membership(std::process::id()).unwrap();
        let layout = system.layout();
        let site = if throttle {
            layout.cpu(&membership)
        } else {
            layout.freezer(&membership)
        };
        let site = site.unwrap();
        let dir = site.mount.join(format!("test-of-{PREFIX}{name}"));
        fs::create_dir(&dir).unwrap();
        Self { site, dir }
    }

    /// As systemd delegates one, all files to the user.
    fn delegate(&self) {
        chown(&self.dir, Some(USER), Some(USER)).unwrap();
        for file in fs::read_dir(&self.dir).unwrap() {
            chown(file.unwrap().path(), Some(USER), Some(USER)).unwrap();
        }
    }

    fn take(&self, process: &Ended) {
        fs::write(self.dir.join("cgroup.procs"), process.0.id().to_string()).unwrap();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let below = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        for dir in below.filter(|entry| entry.path().is_dir()) {
            let _gone = fs::remove_dir(dir.path());
        }
        // A process leaves its cgroup a moment after it has ended.
        for _ in 0..100 {
            if fs::remove_dir(&self.dir).is_ok() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

struct Machine {
    system: System,
    manager: hold_manager::HoldManager,
    guard: Guard,
    _home: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        assert!(rustix::process::geteuid().is_root(), "this test needs root");
        let home = tempfile::tempdir().unwrap();
        let store = Store::new(home.path().join("state"));
        Self {
            system: System::new(Arc::default()),
            manager: hold_manager::HoldManager::new(store, false).killing_escaped(true),
            guard: Guard {
                lineage: host::lineage(),
                allow: Arc::default(),
                listed: Arc::default(),
                builtin: true,
                only: crate::policy::only::Only::default(),
            },
            _home: home,
        }
    }

    #[track_caller]
    fn holds(&self, process: &Ended, deed: ActionKind) {
        let seen = process.seen();
        let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second();
        let order = ActionRequest {
            process: Process {
                tgid: process.0.id(),
                start_ns: seen.start_ticks().unwrap() * tick,
            },
            image: seen.image().unwrap(),
            deed,
            scope: Scope::Process,
        };
        let done = carry_out(&order, &self.guard, &self.system, &self.manager);
        assert_eq!(done.outcome, Outcome::Held);
    }
}

const DEEDS: [ActionKind; 2] = [ActionKind::Throttle { share: 0.05 }, ActionKind::Freeze];

const LOOP: &str = "while :; do :; done";

#[test]
#[ignore = "needs root, cgroups and a machine of its own"]
fn a_helper_that_moves_it_back_does_not_undo_it() {
    for deed in DEEDS {
        let throttle = deed != ActionKind::Freeze;
        let place = Place::new("back", throttle);
        place.delegate();
        let mut miner = Ended::shell(LOOP);
        place.take(&miner);
        let unheld = miner.share();
        assert!(unheld > 0.3, "{unheld}");
        let list = place.dir.join("cgroup.procs");
        let (pid, file) = (miner.0.id(), list.display());
        let _helper = Ended::shell(&format!(
            "while :; do echo {pid} >{file}; kill -CONT {pid}; sleep 0.05; done"
        ));
        let machine = Machine::new();
        machine.holds(&miner, deed);
        let share = miner.share();
        let kept = machine.manager.keep_up(&machine.system).unwrap();
        println!(
            "KERNEL {:?} {deed:?}: {unheld:.2} -> {share:.3} of a core, {kept:?}",
            place.site.kind
        );
        // Version 1 asks only for the cgroup that a process is moved to, which is the
        // user's own here, and SIGCONT is the user's to send: it escapes, and is killed in
        // the end, as that is allowed.
        if place.site.kind != crate::host::cgroup::Kind::Unified {
            let deadline = Instant::now() + Duration::from_secs(30);
            while miner.0.try_wait().unwrap().is_none() {
                assert!(Instant::now() < deadline, "it escapes");
                machine.manager.keep_up(&machine.system);
                thread::sleep(Duration::from_millis(200));
            }
            continue;
        }
        assert!(share < MOST, "{share}");
        assert_eq!(kept.escapes.all(), 0);
        machine.manager.end(&machine.system);
        let free = miner.share();
        assert!(free > 0.3, "it is let go: {free}");
        let membership = machine.system.membership(pid).unwrap();
        let layout = machine.system.layout();
        let site = if throttle {
            layout.cpu(&membership)
        } else {
            layout.freezer(&membership)
        };
        assert_eq!(site.unwrap().dir, place.dir);
    }
}

#[test]
#[ignore = "needs root, cgroups and a machine of its own"]
fn a_folder_made_beforehand_is_not_used() {
    for deed in DEEDS {
        let place = Place::new("before", deed != ActionKind::Freeze);
        let miner = Ended::shell(LOOP);
        place.take(&miner);
        let start = miner.seen().start_ticks().unwrap();
        let name = format!("{PREFIX}{}-{start}", miner.0.id());
        let folders = [place.dir.join(&name), place.site.mount.join(&name)];
        for folder in &folders {
            fs::create_dir(folder).unwrap();
            chown(folder, Some(USER), Some(USER)).unwrap();
        }
        let machine = Machine::new();
        machine.holds(&miner, deed);
        let share = miner.share();
        println!(
            "KERNEL {:?} {deed:?}: {share:.3} of a core",
            place.site.kind
        );
        assert!(share < MOST, "{share}");
        for folder in &folders {
            let inside = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            assert_eq!(inside, "");
        }
        machine.manager.end(&machine.system);
        for folder in &folders {
            fs::remove_dir(folder).unwrap();
        }
    }
}

#[test]
#[ignore = "needs root, cgroups and a machine of its own"]
fn a_cgroup_that_has_others_below_it_is_not_broken() {
    for (alone, deed) in [(true, DEEDS[0]), (false, DEEDS[0]), (false, DEEDS[1])] {
        let place = Place::new("child", deed != ActionKind::Freeze);
        let miner = Ended::shell(LOOP);
        place.take(&miner);
        let neighbour = Ended::shell("sleep 100");
        let child = place.dir.join("child");
        fs::create_dir(&child).unwrap();
        if !alone {
            place.take(&neighbour);
        }
        let machine = Machine::new();
        machine.holds(&miner, deed);
        let share = miner.share();
        println!(
            "KERNEL {:?} {deed:?}, alone: {alone}: {share:.3} of a core",
            place.site.kind
        );
        assert!(share < MOST, "{share}");
        // What a container's own init does: it moves to cgroups below.
        let later = place.dir.join("later");
        fs::create_dir(&later).unwrap();
        for dir in [&child, &later] {
            fs::write(dir.join("cgroup.procs"), neighbour.0.id().to_string()).unwrap();
        }
        machine.manager.end(&machine.system);
        drop(neighbour);
        let free = miner.share();
        assert!(free > 0.3, "it is let go: {free}");
    }
}

#[test]
#[ignore = "needs root, cgroups and a machine of its own"]
fn a_frozen_process_that_is_killed_ends() {
    let place = Place::new("killed", false);
    let mut miner = Ended::shell(LOOP);
    place.take(&miner);
    let machine = Machine::new();
    machine.holds(&miner, ActionKind::Freeze);
    miner.0.kill().unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while miner.0.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "SIGKILL is pending still");
        machine.manager.keep_up(&machine.system);
        thread::sleep(Duration::from_millis(50));
    }
    machine.manager.keep_up(&machine.system);
    let name = Path::new(&place.dir);
    assert_eq!(
        fs::read_dir(name)
            .unwrap()
            .flatten()
            .filter(|e| e.path().is_dir())
            .count(),
        0
    );
}

#[test]
#[ignore = "needs root, cgroups and a machine of its own"]
fn without_a_cgroup_it_is_paced() {
    let miner = Ended::shell(LOOP);
    let machine = Machine::new();
    let seen = miner.seen();
    let paced = Paced {
        member: Member {
            pid: miner.0.id(),
            start_time: seen.start_ticks().unwrap(),
        },
        image: seen.image().unwrap(),
        share: 0.1,
    };
    assert!(machine.system.pace(&[paced]).is_empty());
    let share = miner.share();
    println!("KERNEL paced to 0.1: {share:.3} of a core");
    assert!((0.02..0.2).contains(&share), "{share}");
    machine.system.pace(&[]);
    let free = miner.share();
    assert!(free > 0.3, "it is let go: {free}");
}
