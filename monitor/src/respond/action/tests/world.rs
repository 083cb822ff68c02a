//! A host in memory: processes with images and ancestry, a unified tree and one
//! of the cpu controller, whose files do what the kernel's do.

mod escape;
mod hold;
mod processes;
mod scope;
mod seat;
mod tree;
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
        Cause, Facts, HostFile, Provenance, Uids,
        cgroup::{self, Layout, Membership},
    },
    policy::{ancestry::Forks, config::Wanted, guard::is_listed, only::Only},
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
/// The user of all that is not the host's.
const USER: u32 = 7;

#[derive(Clone, Debug)]
struct Proc {
    image: Image,
    exe: &'static str,
    /// Root for what is on the built-in list, else an ordinary user's.
    uid: u32,
    signals: Vec<Signal>,
}

impl Proc {
    fn new(exe: &'static str) -> Self {
        Self {
            image: IMAGE,
            exe,
            uid: if is_listed(exe) { 0 } else { USER },
            signals: Vec::new(),
        }
    }
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
    /// The process of which nothing but its identity can be read.
    hidden: Option<u32>,
    /// Reading about any process hangs.
    hangs: Cell<bool>,
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
            table.insert(*pid, Proc::new(exe));
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
            hidden: None,
            hangs: Cell::new(false),
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
        self.procs.borrow_mut().insert(pid, Proc::new(exe));
    }

    fn with_user(self, pid: u32, uid: u32) -> Self {
        self.procs.borrow_mut().get_mut(&pid).unwrap().uid = uid;
        self
    }

    fn end(&self, pid: u32) {
        self.procs.borrow_mut().remove(&pid);
        self.places.borrow_mut().retain(|(_, id), _| *id != pid);
    }
}

fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

const MINER: (u32, u32, &str) = (50, 40, "/tmp/miner");

fn guard() -> Guard {
    Guard {
        lineage: LINE.to_vec(),
        allow: Arc::default(),
        listed: Arc::default(),
        builtin: true,
        only: Only::default(),
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
    fallback: None,
};

fn ours(mount: &str) -> String {
    format!("{mount}/a.scope/{PREFIX}50-{}", member(50).start_time)
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
