//! A host in memory: processes with images and ancestry, a unified tree and one
//! of the cpu controller, whose files do what the kernel's do.

mod escape;
mod seat;
mod whole;

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::*;
use crate::{
    host::{
        Facts,
        cgroup::{Layout, Membership},
    },
    policy::{ancestry::Forks, config::Wanted},
    respond::action::{
        ProcSnapshot,
        hold::PREFIX,
        hold_manager::{Target as Released, release},
        store::Store,
    },
};

const HYBRID: &str = "1 0 0:1 / /cpu rw - cgroup cgroup rw,cpu\n\
                      2 0 0:2 / /v2 rw - cgroup2 cgroup2 rw\n";
const V2: &str = "2 0 0:2 / /v2 rw - cgroup2 cgroup2 rw\n";
const LINE: [u32; 2] = [900, 1];
const SHARE: f64 = 0.05;

#[derive(Clone, Debug)]
struct Proc {
    image: Image,
    exe: &'static str,
    signals: Vec<Signal>,
}

struct Host {
    layout: Layout,
    procs: RefCell<BTreeMap<u32, Proc>>,
    dirs: RefCell<BTreeSet<PathBuf>>,
    /// Contents of files that were written to.
    files: RefCell<BTreeMap<PathBuf, String>>,
    /// Where each process is, by the mount point.
    places: RefCell<BTreeMap<(PathBuf, u32), PathBuf>>,
    /// The cgroup files that the kernel refuses to write.
    broken: Option<&'static str>,
    /// What the kernel refuses to have written to which cgroup file.
    stuck: Option<(&'static str, &'static str)>,
    /// The cgroup file at which the daemon dies before it is written.
    deadly: Option<&'static str>,
    /// Has ended, and its parent has not noticed.
    zombie: Option<u32>,
    /// Executes another image as soon as it is moved.
    slippery: Option<u32>,
    /// Appears once anything is killed; then the order is called off.
    late: Cell<Option<u32>>,
    /// The process of whose end the kernel does not tell.
    untold: Option<u32>,
    /// The process that may not be signalled.
    denied: Option<u32>,
    forks: Forks,
    cancelled: Cell<bool>,
    /// Is moved back as soon as it is moved to a cgroup of ours.
    fugitive: Option<u32>,
    /// Cgroups of another user, and all below them.
    delegated: Vec<&'static str>,
    /// What systemd has marked as a unit's own.
    marked: Vec<&'static str>,
    /// Processes that were sent SIGKILL and have not ended.
    killed: RefCell<BTreeSet<u32>>,
    /// What is kept stopped by signals.
    paced: RefCell<Vec<Paced>>,
    /// How often which process was continued by another.
    continued: RefCell<Vec<(Member, u32)>>,
}

fn member(pid: u32) -> Member {
    Member {
        pid,
        start_time: crate::host::ticks(START_NS),
    }
}

impl Host {
    /// Processes by id, parent and path of the image, all in `/a.scope`.
    fn new(mounts: &str, procs: &[(u32, u32, &'static str)]) -> Self {
        let layout = Layout::parse(mounts.as_bytes());
        let mut forks = Forks::default();
        let mut places = BTreeMap::new();
        let mut table = BTreeMap::new();
        let mut dirs = BTreeSet::new();
        for mount in ["/cpu", "/v2"].map(PathBuf::from) {
            dirs.insert(mount.join("a.scope"));
            for (pid, ..) in procs {
                places.insert((mount.clone(), *pid), mount.join("a.scope"));
            }
        }
        for (pid, parent, exe) in procs {
            forks.add(member(*pid), member(*parent));
            let proc = Proc {
                image: IMAGE,
                exe,
                signals: Vec::new(),
            };
            table.insert(*pid, proc);
        }
        Self {
            layout,
            procs: RefCell::new(table),
            dirs: RefCell::new(dirs),
            files: RefCell::default(),
            places: RefCell::new(places),
            broken: None,
            stuck: None,
            deadly: None,
            zombie: None,
            slippery: None,
            late: Cell::new(None),
            untold: None,
            denied: None,
            forks,
            cancelled: Cell::new(false),
            fugitive: None,
            delegated: Vec::new(),
            marked: Vec::new(),
            killed: RefCell::default(),
            paced: RefCell::default(),
            continued: RefCell::default(),
        }
    }

    fn place(&self, mount: &str, pid: u32) -> String {
        let places = self.places.borrow();
        let place = &places[&(PathBuf::from(mount), pid)];
        place.to_string_lossy().into_owned()
    }

    fn is_threaded(&self, dir: &Path) -> bool {
        let files = self.files.borrow();
        files
            .get(&dir.join("cgroup.type"))
            .is_some_and(|kind| kind == "threaded")
    }

    /// As the kernel has it: a threaded cgroup makes the one above it, and what
    /// else is below that.
    fn kind(&self, dir: &Path) -> &'static str {
        let dirs = self.dirs.borrow();
        let has_threaded = |at: &Path| {
            let mut below = dirs.iter().filter(|below| below.parent() == Some(at));
            below.any(|below| self.is_threaded(below))
        };
        let above = dir.parent().filter(|above| *above != Path::new("/v2"));
        match above {
            _ if has_threaded(dir) => "domain threaded",
            Some(above) if has_threaded(above) => "domain invalid",
            _ => "domain",
        }
    }

    fn file(&self, path: &str) -> Option<String> {
        self.files.borrow().get(Path::new(path)).cloned()
    }

    fn signals(&self, pid: u32) -> Vec<Signal> {
        let procs = self.procs.borrow();
        procs.get(&pid).map_or(vec![], |proc| proc.signals.clone())
    }

    /// What is kept stopped by signals, and the share of a core each gets.
    fn paced(&self) -> Vec<(u32, f64)> {
        let paced = self.paced.borrow();
        let pairs = paced.iter().map(|one| (one.member.pid, one.share));
        pairs.collect()
    }

    fn set(&self, file: &str, text: &str) {
        self.write(Path::new(file), text).unwrap();
    }

    #[track_caller]
    fn reads(&self, file: &str, text: &str) {
        assert_eq!(self.read(Path::new(file)).unwrap().trim(), text, "{file}");
    }

    fn living(&self) -> Vec<u32> {
        self.procs.borrow().keys().copied().collect()
    }

    fn begin(&self, pid: u32, exe: &'static str) {
        let proc = Proc {
            image: IMAGE,
            exe,
            signals: Vec::new(),
        };
        self.procs.borrow_mut().insert(pid, proc);
    }

    fn end(&self, pid: u32) {
        self.procs.borrow_mut().remove(&pid);
        self.places.borrow_mut().retain(|(_, id), _| *id != pid);
    }
}

fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

impl Signals for Host {
    type Held = u32;

    fn hold(&self, pid: u32) -> io::Result<u32> {
        let known = self.procs.borrow().contains_key(&pid);
        known.then_some(pid).ok_or(errno(libc::ESRCH))
    }

    fn identify(&self, pid: u32) -> Result<Identity, LookError> {
        let procs = self.procs.borrow();
        let proc = procs.get(&pid).ok_or(LookError::Gone)?;
        Ok(is(proc.image))
    }

    fn is_stopped(&self, _: u32) -> bool {
        false
    }

    fn is_killed(&self, pid: u32) -> bool {
        self.killed.borrow().contains(&pid)
    }

    fn pace(&self, processes: &[Paced]) -> Vec<(Member, u32)> {
        *self.paced.borrow_mut() = processes.to_vec();
        self.continued.take()
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.get()
    }

    fn send(&self, pid: &u32, signal: Signal) -> io::Result<()> {
        if self.denied == Some(*pid) {
            return Err(errno(libc::EPERM));
        }
        let mut procs = self.procs.borrow_mut();
        let proc = procs.get_mut(pid).ok_or(errno(libc::ESRCH))?;
        proc.signals.push(signal);
        drop(procs);
        if signal == Signal::Kill {
            self.end(*pid);
            if let Some(late) = self.late.take() {
                self.begin(late, "/tmp/x");
                self.cancelled.set(true);
            }
        }
        Ok(())
    }

    fn wait(&self, pid: &u32, _: Duration) -> io::Result<bool> {
        if self.untold == Some(*pid) {
            return Err(errno(libc::ENOMEM));
        }
        Ok(!self.procs.borrow().contains_key(pid))
    }
}

impl Looks for Host {
    fn look(&self, pid: u32, _: Wanted) -> Result<ProcSnapshot, LookError> {
        let procs = self.procs.borrow();
        let proc = procs.get(&pid).ok_or(LookError::Gone)?;
        Ok(ProcSnapshot {
            start_time: member(pid).start_time,
            image: Some(proc.image),
            facts: Facts {
                uid: Some(7),
                cgroup: "/a.scope".to_owned(),
                ..Facts::default()
            },
            exe: Some(proc.exe.to_owned()),
            system: proc.exe.starts_with("/usr/"),
            running: self.zombie != Some(pid),
            ..ProcSnapshot::default()
        })
    }

    fn living(&self) -> Vec<Member> {
        self.procs.borrow().keys().map(|pid| member(*pid)).collect()
    }

    fn forks(&self) -> Forks {
        self.forks.clone()
    }
}

impl Folders for Host {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn membership(&self, pid: u32) -> io::Result<Membership> {
        if !self.procs.borrow().contains_key(&pid) {
            return Err(errno(libc::ESRCH));
        }
        let path = |mount: &str| {
            let place = self.place(mount, pid);
            place[mount.len()..].to_owned()
        };
        let text = format!("1:cpu:{}\n0::{}\n", path("/cpu"), path("/v2"));
        Ok(Membership::parse(text.as_bytes()))
    }

    fn read(&self, file: &Path) -> io::Result<String> {
        let dir = file.parent().unwrap().to_owned();
        let name = file.file_name().unwrap().to_str().unwrap();
        let unified = dir.starts_with("/v2");
        if !self.dirs.borrow().contains(&dir) && !["/v2", "/cpu"].map(Path::new).contains(&&*dir) {
            return Err(errno(libc::ENOENT));
        }
        if name == "cgroup.procs" && self.is_threaded(&dir) {
            return Err(errno(libc::EOPNOTSUPP));
        }
        if ["cgroup.procs", "cgroup.threads"].contains(&name) {
            let places = self.places.borrow();
            let is_in = |place: &Path| {
                let mut below = place.ancestors().take_while(|at| *at != dir);
                place.starts_with(&dir) && below.all(|at| self.is_threaded(at))
            };
            let inside = places.iter().filter(|(_, place)| is_in(place));
            let pids: Vec<_> = inside.map(|((_, pid), _)| pid.to_string()).collect();
            return Ok(pids.join("\n"));
        }
        if let Some(text) = self.files.borrow().get(file) {
            return Ok(text.clone());
        }
        match (name, unified) {
            ("cgroup.freeze", true) => Ok("0\n".to_owned()),
            ("cgroup.events", true) => Ok("frozen 1\n".to_owned()),
            ("cgroup.type", true) if dir == Path::new("/v2") => Err(errno(libc::ENOENT)),
            ("cgroup.type", true) => Ok(format!("{}\n", self.kind(&dir))),
            ("cgroup.subtree_control", true) => Ok(String::new()),
            ("cpu.max", true) => Ok("max 100000\n".to_owned()),
            ("cpu.cfs_quota_us", false) => Ok("-1\n".to_owned()),
            ("cpu.cfs_period_us", false) => Ok("100000\n".to_owned()),
            _ => Err(errno(libc::ENOENT)),
        }
    }

    fn write(&self, file: &Path, text: &str) -> io::Result<()> {
        let dir = file.parent().unwrap().to_owned();
        let name = file.file_name().unwrap().to_str().unwrap();
        assert_ne!(self.deadly, Some(name), "the daemon dies");
        if self.broken == Some(name) || self.stuck == Some((name, text)) {
            return Err(errno(libc::EBUSY));
        }
        if ["cgroup.procs", "cgroup.threads"].contains(&name) {
            let pid: u32 = text.parse().unwrap();
            let mount = if dir.starts_with("/v2") {
                "/v2"
            } else {
                "/cpu"
            };
            if !self.dirs.borrow().contains(&dir) && dir != Path::new(mount) {
                return Err(errno(libc::ENOENT));
            }
            if mount == "/v2" && !self.is_threaded(&dir) && dir != Path::new(mount) {
                if self.kind(&dir) == "domain invalid" {
                    return Err(errno(libc::EOPNOTSUPP));
                }
                let control = dir.join("cgroup.subtree_control");
                let hands = self.files.borrow().get(&control).cloned();
                if hands.is_some_and(|text| text == "+cpu") && self.kind(&dir) == "domain" {
                    return Err(errno(libc::EBUSY));
                }
            }
            let mut places = self.places.borrow_mut();
            let place = places
                .get_mut(&(mount.into(), pid))
                .ok_or(errno(libc::ESRCH))?;
            if self.fugitive != Some(pid) {
                *place = dir;
            }
            if self.slippery == Some(pid) {
                self.procs.borrow_mut().get_mut(&pid).unwrap().image = OTHER;
            }
            return Ok(());
        }
        if name == "cgroup.kill" {
            let places = self.places.borrow();
            let inside = places.iter().filter(|(_, place)| place.starts_with(&dir));
            let pids: Vec<u32> = inside.map(|((_, pid), _)| *pid).collect();
            drop(places);
            for pid in pids {
                self.end(pid);
            }
            return Ok(());
        }
        self.files
            .borrow_mut()
            .insert(file.to_owned(), text.to_owned());
        Ok(())
    }

    fn make(&self, dir: &Path) -> io::Result<()> {
        let new = self.dirs.borrow_mut().insert(dir.to_owned());
        new.then_some(()).ok_or(errno(libc::EEXIST))
    }

    fn remove(&self, dir: &Path) -> io::Result<()> {
        if self.places.borrow().values().any(|place| place == dir) {
            return Err(errno(libc::EBUSY));
        }
        let was = self.dirs.borrow_mut().remove(dir);
        was.then_some(()).ok_or(errno(libc::ENOENT))
    }

    fn exists(&self, dir: &Path) -> bool {
        self.dirs.borrow().contains(dir)
    }

    fn is_roots(&self, dir: &Path) -> bool {
        !self.delegated.iter().any(|of| dir.starts_with(of))
    }

    fn is_delegated(&self, dir: &Path) -> bool {
        self.marked.iter().any(|marked| dir == Path::new(marked))
    }

    fn below(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let dirs = self.dirs.borrow();
        let below = dirs.iter().filter(|below| below.parent() == Some(dir));
        Ok(below.cloned().collect())
    }
}

const MINER: (u32, u32, &str) = (50, 40, "/tmp/miner");

fn guard() -> Guard {
    Guard {
        lineage: LINE.to_vec(),
        allow: Arc::default(),
        listed: Arc::default(),
        builtin: true,
    }
}

fn to(deed: ActionKind, scope: Scope) -> ActionRequest {
    ActionRequest {
        deed,
        scope,
        ..order(50, 0)
    }
}

const THROTTLE: ActionKind = ActionKind::Throttle { share: SHARE };
const KILL: ActionKind = ActionKind::Kill {
    grace: Duration::ZERO,
};

struct State {
    hold_manager: HoldManager,
    dir: tempfile::TempDir,
}

impl State {
    fn new(keep: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let hold_manager = HoldManager::new(Store::new(dir.path().join("state")), keep);
        Self { hold_manager, dir }
    }

    fn store(&self) -> Store {
        store_in(&self.dir)
    }

    fn done(&self, host: &Host, order: &ActionRequest) -> ActionResult {
        carry_out(order, &guard(), host, &self.hold_manager)
    }

    fn held(&self) -> usize {
        self.store()
            .with(|locked| locked.state.holds.len())
            .unwrap()
    }
}

fn store_in(dir: &tempfile::TempDir) -> Store {
    Store::new(dir.path().join("state"))
}

fn done(host: &Host, order: &ActionRequest) -> ActionResult {
    State::new(false).done(host, order)
}

const HELD: ActionResult = ActionResult {
    outcome: Outcome::Held,
    others: 0,
};

fn ours(mount: &str) -> String {
    format!("{mount}/a.scope/{PREFIX}50-{}", member(50).start_time)
}

#[test]
fn on_hybrid_a_throttle_is_a_quota_in_the_cpu_tree() {
    let host = Host::new(HYBRID, &[MINER, (60, 1, "/bin/x")]);
    let state = State::new(false);
    assert_eq!(state.done(&host, &to(THROTTLE, Scope::Process)), HELD);
    let dir = ours("/cpu");
    assert_eq!(host.place("/cpu", 50), dir);
    assert_eq!(host.place("/v2", 50), "/v2/a.scope");
    assert_eq!(host.place("/cpu", 60), "/cpu/a.scope");
    let quota = host.file(&format!("{dir}/cpu.cfs_quota_us"));
    assert_eq!(quota.as_deref(), Some("5000"));
    state.hold_manager.end(&host);
    assert_eq!(host.place("/cpu", 50), "/cpu/a.scope");
    assert!(!host.dirs.borrow().contains(Path::new(&dir)));
    assert_eq!(state.held(), 0);
}

#[test]
fn on_version_2_a_throttle_is_a_threaded_cgroup() {
    let host = Host::new(V2, &[MINER]);
    let state = State::new(false);
    assert_eq!(state.done(&host, &to(THROTTLE, Scope::Process)), HELD);
    let dir = ours("/v2");
    let file = |name: &str| host.file(&format!("{dir}/{name}"));
    assert_eq!(file("cgroup.type").as_deref(), Some("threaded"));
    assert_eq!(file("cpu.max").as_deref(), Some("5000 100000"));
    for above in ["/v2", "/v2/a.scope"] {
        let control = host.file(&format!("{above}/cgroup.subtree_control"));
        assert_eq!(control.as_deref(), Some("+cpu"), "{above}");
    }
}

#[test]
fn a_freeze_is_the_unified_trees() {
    let host = Host::new(HYBRID, &[MINER]);
    let state = State::new(false);
    assert_eq!(
        state.done(&host, &to(ActionKind::Freeze, Scope::Process)),
        HELD
    );
    let frozen = || host.file(&format!("{}/cgroup.freeze", ours("/v2")));
    assert_eq!(host.place("/v2", 50), ours("/v2"));
    assert_eq!(frozen().as_deref(), Some("1"));
    state.hold_manager.end(&host);
    assert_eq!(frozen().as_deref(), Some("0"));
    assert_eq!(host.place("/v2", 50), "/v2/a.scope");
    assert_eq!(host.signals(50), []);
}

#[test]
fn without_a_freezer_it_is_stopped_and_goes_on_later() {
    let nothing = Host::new("", &[MINER]);
    let broken = Host {
        broken: Some("cgroup.procs"),
        ..Host::new(HYBRID, &[MINER])
    };
    for host in [nothing, broken] {
        let state = State::new(false);
        assert_eq!(
            state.done(&host, &to(ActionKind::Freeze, Scope::Process)),
            HELD
        );
        assert_eq!(host.signals(50), [Signal::Stop]);
        state.hold_manager.end(&host);
        assert_eq!(host.signals(50), [Signal::Stop, Signal::Continue]);
    }
}

#[track_caller]
fn refused(host: &Host, order: &ActionRequest, refusal: Refusal) {
    let state = State::new(false);
    assert_eq!(state.done(host, order), ActionResult::from(refusal));
    assert_eq!(state.held(), 0, "it is written down");
    assert_eq!(host.signals(50), []);
    for mount in ["/cpu", "/v2"] {
        assert_eq!(host.place(mount, 50), format!("{mount}/a.scope"));
        assert!(!host.dirs.borrow().contains(Path::new(&ours(mount))));
    }
}

#[test]
fn what_the_kernel_refuses_is_undone_and_done_by_signals() {
    let broken = |file| Host {
        broken: Some(file),
        ..Host::new(HYBRID, &[MINER])
    };
    for host in [
        broken("cgroup.procs"),
        broken("cpu.cfs_quota_us"),
        Host::new("", &[MINER]),
    ] {
        let state = State::new(false);
        assert_eq!(state.done(&host, &to(THROTTLE, Scope::Process)), HELD);
        assert_eq!(host.place("/cpu", 50), "/cpu/a.scope");
        assert!(!host.dirs.borrow().contains(Path::new(&ours("/cpu"))));
        assert_eq!(host.paced(), [(50, SHARE)]);
        assert_eq!(state.hold_manager.keep_up(&host).unwrap().throttled, 1);
        state.hold_manager.end(&host);
        assert_eq!(host.paced(), []);
        assert_eq!(host.signals(50), [Signal::Continue]);
        assert_eq!(state.held(), 0);
    }
}

#[test]
fn one_that_executes_another_image_while_it_is_moved_is_put_back() {
    for deed in [THROTTLE, ActionKind::Freeze] {
        let host = Host {
            slippery: Some(50),
            ..Host::new(HYBRID, &[MINER])
        };
        refused(&host, &to(deed, Scope::Process), Refusal::Replaced);
    }
}

#[test]
fn one_that_executed_another_image_before_is_refused_everything() {
    for deed in [THROTTLE, ActionKind::Freeze, KILL] {
        for scope in [Scope::Process, Scope::Tree, Scope::Cgroup] {
            let host = Host::new(HYBRID, &[MINER, (60, 50, "/tmp/x")]);
            host.procs.borrow_mut().get_mut(&50).unwrap().image = OTHER;
            refused(&host, &to(deed, scope), Refusal::Replaced);
            assert_eq!(host.living(), [50, 60]);
        }
    }
}

#[test]
fn nothing_is_held_once_the_daemon_was_told_to_stop() {
    let host = Host {
        cancelled: Cell::new(true),
        ..Host::new(HYBRID, &[MINER])
    };
    refused(&host, &to(THROTTLE, Scope::Process), Refusal::Cancelled);
}

#[test]
fn what_is_kept_is_adopted_or_restored_by_the_next() {
    for keep in [true, false] {
        let host = Host::new(HYBRID, &[MINER]);
        let first = State::new(true);
        first.done(&host, &to(THROTTLE, Scope::Process));
        first.hold_manager.end(&host);
        assert_eq!(host.place("/cpu", 50), ours("/cpu"));
        // While it runs, it answers for them.
        HoldManager::new(first.store(), false).begin(&host);
        assert_eq!(host.place("/cpu", 50), ours("/cpu"));

        let store = first.store();
        drop(first.hold_manager);
        let second = HoldManager::new(store, keep);
        second.begin(&host);
        let kept = host.place("/cpu", 50) == ours("/cpu");
        let held = store_in(&first.dir).with(|locked| locked.state.holds.len());
        assert_eq!((kept, held.unwrap()), (keep, usize::from(keep)));
        assert_eq!(second.keep_up(&host).unwrap().throttled, usize::from(keep));
    }
}

#[test]
fn what_was_done_for_a_moment_ends_with_the_next_daemon_or_by_hand() {
    let moments = || {
        [
            TransientStop::Stopped(member(50)),
            TransientStop::Frozen("/v2/a.scope".into()),
        ]
    };
    for (keep, by_hand) in [(false, false), (true, false), (false, true)] {
        let host = Host::new(HYBRID, &[MINER]);
        let state = State::new(keep);
        for moment in moments() {
            // As a daemon that is killed leaves it.
            let _left = state.hold_manager.note(moment).unwrap();
        }
        if by_hand {
            assert_eq!(release(&state.store(), None, &host).unwrap(), (2, 0));
        } else {
            drop(state.hold_manager);
            HoldManager::new(store_in(&state.dir), keep).begin(&host);
        }
        assert_eq!(host.signals(50), [Signal::Continue]);
        let freeze = host.file("/v2/a.scope/cgroup.freeze");
        assert_eq!(freeze.as_deref(), Some("0"));
        let left = store_in(&state.dir).with(|locked| locked.state.moments.len());
        assert_eq!(left.unwrap(), 0);
    }
}

#[test]
fn a_throttled_process_that_leaves_is_moved_back_and_a_released_one_is_not() {
    let host = Host::new(HYBRID, &[MINER]);
    let state = State::new(false);
    state.done(&host, &to(THROTTLE, Scope::Process));
    let leave = || {
        host.places
            .borrow_mut()
            .insert(("/cpu".into(), 50), "/cpu/a.scope".into());
    };
    leave();
    let kept = state.hold_manager.keep_up(&host).unwrap();
    assert_eq!(kept.escapes.counts(), [1, 0, 0]);
    assert_eq!(host.place("/cpu", 50), ours("/cpu"));

    let released = release(&state.store(), Some(&Released::Pid(50)), &host);
    assert_eq!(released.unwrap(), (1, 0));
    assert_eq!(state.hold_manager.keep_up(&host).unwrap().throttled, 0);
    assert_eq!(host.place("/cpu", 50), "/cpu/a.scope");
}

#[test]
fn what_is_held_is_released_by_process_by_cgroup_and_altogether() {
    for (target, expected) in [
        (Some(Released::Pid(50)), 1),
        (Some(Released::Cgroup("/a.scope".to_owned())), 1),
        (None, 1),
        (Some(Released::Pid(51)), 0),
        (Some(Released::Cgroup("/b".to_owned())), 0),
    ] {
        let host = Host::new(HYBRID, &[MINER]);
        let state = State::new(false);
        state.done(&host, &to(ActionKind::Freeze, Scope::Process));
        let (found, left) = release(&state.store(), target.as_ref(), &host).unwrap();
        assert_eq!((found, left), (expected, 0), "{target:?}");
        assert_eq!(state.held(), 1 - expected);
    }
}

#[test]
fn a_hold_is_forgotten_with_its_process() {
    let host = Host::new(HYBRID, &[MINER]);
    let state = State::new(false);
    state.done(&host, &to(THROTTLE, Scope::Process));
    host.end(50);
    state.hold_manager.keep_up(&host);
    assert_eq!(state.held(), 0);
    assert!(!host.dirs.borrow().contains(Path::new(&ours("/cpu"))));
}

#[track_caller]
fn tree(procs: &[(u32, u32, &'static str)], left: &[u32]) {
    let host = Host::new(HYBRID, procs);
    let fate = done(&host, &to(KILL, Scope::Tree));
    assert_eq!(fate.outcome, Outcome::Gone);
    assert_eq!(fate.others as usize, procs.len() - left.len() - 1);
    assert_eq!(host.living(), left);
}

#[test]
fn a_tree_is_the_miner_its_children_and_the_shell_that_starts_it() {
    let shell = (40, 30, "/usr/bin/dash");
    let server = (30, 1, "/usr/sbin/nginx");
    tree(&[MINER, (60, 50, "/tmp/x"), shell, server], &[30]);
    // Another child of the shell's, not of the miner's.
    tree(&[MINER, (61, 40, "/srv/web"), shell, server], &[30, 40, 61]);
    // Not the host's own shell.
    tree(&[MINER, (40, 30, "/tmp/bash"), server], &[30, 40]);
}

#[test]
fn of_a_tree_the_guarded_are_left() {
    tree(
        &[MINER, (60, 50, "/usr/sbin/sshd"), (900, 50, "/x")],
        &[60, 900],
    );
}

/// Else its image would not be banned.
#[test]
fn of_a_tree_the_miner_is_gone_whatever_fails_at_others() {
    let procs = [MINER, (60, 50, "/tmp/x")];
    let gone = |others| ActionResult {
        outcome: Outcome::Gone,
        others,
    };
    let order = to(KILL, Scope::Tree);

    let late = Host::new(HYBRID, &procs);
    late.end(60);
    late.late.set(Some(60));
    assert_eq!(done(&late, &order), gone(0));
    assert_eq!(late.living(), [60], "the order was not called off");

    let untold = Host {
        untold: Some(60),
        ..Host::new(HYBRID, &procs)
    };
    assert_eq!(done(&untold, &order), gone(0));

    let denied = Host {
        denied: Some(60),
        ..Host::new(HYBRID, &procs)
    };
    assert_eq!(done(&denied, &order), gone(0));
}

/// One after the other, as there is no `cgroup.kill`.
#[test]
fn of_a_cgroup_the_miner_is_gone_whatever_fails_at_others() {
    let host = |denied| Host {
        denied: Some(denied),
        ..Host::new(
            "1 0 0:1 / /cpu rw - cgroup cgroup rw,cpu\n",
            &[MINER, (60, 1, "/srv/web")],
        )
    };
    let order = to(KILL, Scope::Cgroup);
    let gone = ActionResult {
        outcome: Outcome::Gone,
        others: 0,
    };
    assert_eq!(done(&host(60), &order), gone);
    let refused = ActionResult::from(Refusal::NoPermission);
    assert_eq!(done(&host(50), &order), refused);
}

#[test]
fn a_tree_is_throttled_together() {
    let host = Host::new(HYBRID, &[MINER, (60, 50, "/tmp/x")]);
    let held = done(&host, &to(THROTTLE, Scope::Tree));
    assert_eq!((held.outcome, held.others), (Outcome::Held, 1));
    assert_eq!(host.place("/cpu", 60), ours("/cpu"));
}

#[test]
fn a_cgroup_is_killed_whole() {
    for mounts in [HYBRID, "1 0 0:1 / /cpu rw - cgroup cgroup rw,cpu\n"] {
        let host = Host::new(mounts, &[MINER, (60, 1, "/srv/web")]);
        let fate = done(&host, &to(KILL, Scope::Cgroup));
        assert_eq!((fate.outcome, fate.others), (Outcome::Gone, 1));
        assert!(host.living().is_empty());
    }
}

#[test]
fn a_cgroup_is_throttled_and_frozen_as_it_is() {
    let host = Host::new(HYBRID, &[MINER, (60, 1, "/srv/web")]);
    for (deed, file, now, before) in [
        (THROTTLE, "/cpu/a.scope/cpu.cfs_quota_us", "5000", "-1"),
        (ActionKind::Freeze, "/v2/a.scope/cgroup.freeze", "1", "0"),
    ] {
        let state = State::new(false);
        let held = state.done(&host, &to(deed, Scope::Cgroup));
        assert_eq!((held.outcome, held.others), (Outcome::Held, 1));
        assert_eq!(host.file(file).as_deref(), Some(now));
        state.hold_manager.end(&host);
        assert_eq!(host.file(file).as_deref(), Some(before));
    }
}

/// A unit that was started anew has another cgroup of the same name, and an
/// administrator may have set another quota.
#[test]
fn what_others_set_since_is_left_to_them() {
    let host = Host::new(HYBRID, &[MINER]);
    let state = State::new(false);
    assert_eq!(state.done(&host, &to(THROTTLE, Scope::Cgroup)), HELD);
    let file = "/cpu/a.scope/cpu.cfs_quota_us";
    host.write(Path::new(file), "70000").unwrap();
    state.hold_manager.end(&host);
    assert_eq!(host.file(file).as_deref(), Some("70000"));
    assert_eq!(state.held(), 0);
}

/// What the first of them set is no state for the second to go back to.
#[test]
fn a_cgroup_that_is_held_twice_is_let_go_as_it_was() {
    for (deed, file, now, before) in [
        (THROTTLE, "/cpu/a.scope/cpu.cfs_quota_us", "5000", "-1"),
        (ActionKind::Freeze, "/v2/a.scope/cgroup.freeze", "1", "0"),
    ] {
        let host = Host::new(HYBRID, &[MINER, (60, 1, "/tmp/other")]);
        let state = State::new(false);
        for pid in [50, 60] {
            let order = ActionRequest {
                deed,
                scope: Scope::Cgroup,
                ..order(pid, 0)
            };
            assert_eq!(state.done(&host, &order).outcome, Outcome::Held);
        }
        assert_eq!(host.file(file).as_deref(), Some(now));
        state.hold_manager.end(&host);
        assert_eq!(host.file(file).as_deref(), Some(before));
        assert_eq!(state.held(), 0);
    }
}

/// Each is where its own hold has it, and is not moved to and fro.
#[test]
fn one_held_with_another_and_by_itself_stays_where_it_is() {
    let host = Host::new(HYBRID, &[MINER, (60, 50, "/tmp/x")]);
    let state = State::new(false);
    assert_eq!(
        state.done(&host, &to(THROTTLE, Scope::Tree)).outcome,
        Outcome::Held
    );
    let alone = ActionRequest {
        deed: THROTTLE,
        ..order(60, 0)
    };
    assert_eq!(state.done(&host, &alone).outcome, Outcome::Held);
    let place = host.place("/cpu", 60);
    let kept = state.hold_manager.keep_up(&host).unwrap();
    assert_eq!((kept.escapes.all(), kept.throttled), (0, 2));
    assert_eq!(host.place("/cpu", 60), place);
}

#[test]
fn a_cgroup_with_a_protected_process_in_it_is_left() {
    for deed in [KILL, THROTTLE, ActionKind::Freeze] {
        let order = to(deed, Scope::Cgroup);
        let guarded = Host::new(HYBRID, &[MINER, (60, 1, "/usr/sbin/sshd")]);
        refused(&guarded, &order, Refusal::Guarded);
        let ours = Host::new(HYBRID, &[MINER, (900, 1, "/x")]);
        refused(&ours, &order, Refusal::OwnCgroup);
        assert_eq!((guarded.living().len(), ours.living().len()), (2, 2));
    }
}

#[test]
fn a_cgroup_that_others_share_is_left() {
    let host = Host::new(HYBRID, &[MINER]);
    for mount in ["/cpu", "/v2"] {
        host.places
            .borrow_mut()
            .insert((mount.into(), 50), Path::new(mount).join("x.slice"));
    }
    let fate = done(&host, &to(KILL, Scope::Cgroup));
    assert_eq!(fate, ActionResult::from(Refusal::SharedCgroup));
}
