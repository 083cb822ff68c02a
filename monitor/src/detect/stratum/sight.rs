//! What is asked of processes, and how this host's are asked: within a time for each and
//! for all together.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use super::Stratum;
use crate::{
    detect::{collector::Collector, counts::Counts},
    host::{
        LookError, ProcHandle,
        cgroup::Layout,
        connections::{Connections, PATIENCE},
    },
    kernel::probe::Probes,
};
use unjack_core::event::Process;

/// How long all looks of a tick are waited for: a process can make one last.
pub(super) const TICK_PATIENCE: Duration = Duration::from_millis(400);
/// `ino` of the root of the unified tree: no other cgroup has it
/// (`kernfs_create_root`, fs/kernfs/dir.c).
const ROOT_INODE: u64 = 1;

/// What is asked of processes.
pub(super) trait Sight {
    /// Which of its images it executes, counted; `None` if it is gone.
    fn images(&self, process: Process) -> Option<u32>;
    /// CPU time it has used, nanoseconds.
    fn cpu_ns(&self, process: Process) -> u64;
    /// Its connections; `None` if it is gone or they could not be looked at.
    fn connections(&mut self, process: Process) -> Option<Connections>;
    /// Processes that may connect for it, the likeliest first.
    fn relatives(&mut self, process: Process) -> Vec<Process>;
}

/// The processes of this host.
struct Live<'a> {
    collector: &'a Collector,
    counts: Arc<dyn Counts>,
    /// What is left of [`TICK_PATIENCE`].
    left: Duration,
}

impl Live<'_> {
    /// Has a look at a process, if there is time left; counts it.
    fn look<T>(
        &mut self,
        process: Process,
        look: impl FnOnce(&ProcHandle, Duration) -> Result<T, LookError>,
    ) -> Option<T> {
        if self.left.is_zero() {
            self.counts.look_given_up();
            return None;
        }
        let begun = Instant::now();
        let found = ProcHandle::open(process).and_then(|seen| {
            self.counts.look();
            look(&seen, self.left.min(PATIENCE))
        });
        self.left = self.left.saturating_sub(begun.elapsed());
        if matches!(found, Err(LookError::CannotTell(_) | LookError::Other(_))) {
            self.counts.look_given_up();
        }
        found.ok()
    }
}

impl Sight for Live<'_> {
    fn images(&self, process: Process) -> Option<u32> {
        self.collector.images(process)
    }

    fn cpu_ns(&self, process: Process) -> u64 {
        self.collector.cpu_ns(process)
    }

    fn connections(&mut self, process: Process) -> Option<Connections> {
        self.look(process, ProcHandle::connections_within)
    }

    fn relatives(&mut self, process: Process) -> Vec<Process> {
        self.look(process, ProcHandle::relatives_within)
            .unwrap_or_default()
    }
}

impl Stratum {
    /// Looks at the connections of all that are suspected now, and of no others but
    /// their relatives'; watches what the suspects send on them.
    ///
    /// Called twice a tick with the same time: before processes are judged, so that they
    /// are judged by what is known now, and after, when some are suspected for the first
    /// time. The second call looks at those alone, and in what is left of
    /// [`TICK_PATIENCE`].
    pub(crate) fn listen(&mut self, now_ns: u64, probes: &mut Probes, collector: &Collector) {
        let allowed = now_ns >= self.again_ns;
        if std::mem::replace(&mut self.tick_ns, now_ns) != now_ns {
            self.left = TICK_PATIENCE;
        }
        let mut sight = Live {
            collector,
            counts: Arc::clone(&self.counts),
            left: self.left,
        };
        self.turn(now_ns, allowed, &mut sight);
        self.left = sight.left;
        let cookies = self.cookies();
        let root = if cookies.is_empty() {
            Ok(PathBuf::new())
        } else {
            root()
        };
        let watched = root.and_then(|root| {
            let watched = probes.watch_sockets(&root, &cookies);
            watched.map_err(|error| error.to_string())
        });
        if let Err(why) = watched {
            self.give_up(now_ns, &why);
        }
    }
}

/// The root of the unified cgroup tree, below which all sockets are.
fn root() -> Result<PathBuf, String> {
    let mounts = fs::read("/proc/self/mountinfo").map_err(|error| error.to_string())?;
    let point = Layout::parse(&mounts).unified_point().ok_or(
        "no unified cgroup tree is mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified",
    )?;
    let inode = fs::metadata(&point)
        .map_err(|error| error.to_string())?
        .ino();
    if inode == ROOT_INODE {
        Ok(point)
    } else {
        Err(format!(
            "{} is not the root of the unified cgroup tree: in a container, run with the host's \
             cgroup namespace (--cgroupns=host) and mount the host's /sys/fs/cgroup",
            point.display()
        ))
    }
}
