//! What suspects send: the program that sees it, and whose it is.
//!
//! The program is loaded and attached while there is a socket to watch, and
//! gone when there is none. It hangs on a BPF link, which goes with this process.

use std::{collections::HashSet, fs::File, path::Path};

use aya::{
    Ebpf,
    maps::{HashMap, MapData, PerCpuArray},
    programs::{CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, ProgramError},
};
use monitor_ebpf::{WatchStats, Watched};
use zerocopy::IntoBytes;

use super::{
    ProbeError,
    load::{map, program},
    sum,
};

/// The program.
const PROGRAM: &str = "stratum_out";

/// The watched sockets in the kernel.
pub(super) struct Traffic {
    watched: HashMap<MapData, u64, [u8; size_of::<Watched>()]>,
    /// The cookies in it.
    cookies: HashSet<u64>,
    stats: PerCpuArray<MapData, [u8; size_of::<WatchStats>()]>,
}

impl Traffic {
    /// Watches nothing yet.
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, ProbeError> {
        Ok(Self {
            watched: map(ebpf, "WATCHED")?,
            cookies: HashSet::new(),
            stats: map(ebpf, "WATCH_STATS")?,
        })
    }

    /// Watches these sockets and no others, below the cgroup at `root`. If that
    /// fails, none.
    pub(super) fn watch(
        &mut self,
        ebpf: &mut Ebpf,
        root: &Path,
        wanted: &HashSet<u64>,
    ) -> Result<(), ProbeError> {
        if *wanted == self.cookies {
            return Ok(());
        }
        if self.cookies.is_empty() {
            attach(ebpf, root).or_else(|error| detach(ebpf).and(Err(error)))?;
        }
        let changed = self.change(wanted);
        if changed.is_err() {
            // Whatever is in the map, no program reads it.
            self.cookies.clear();
        }
        if self.cookies.is_empty() {
            detach(ebpf)?;
        }
        changed
    }

    fn change(&mut self, wanted: &HashSet<u64>) -> Result<(), ProbeError> {
        let failed = |source| ProbeError::Map {
            name: "WATCHED",
            source,
        };
        let stale: Vec<u64> = self.watched.keys().filter_map(Result::ok).collect();
        // First what goes, for there to be room.
        for cookie in stale.iter().filter(|cookie| !wanted.contains(cookie)) {
            self.watched.remove(cookie).map_err(failed)?;
        }
        for cookie in wanted.difference(&self.cookies) {
            let mut value = [0; size_of::<Watched>()];
            value.copy_from_slice(Watched::default().as_bytes());
            self.watched.insert(cookie, value, 0).map_err(failed)?;
        }
        self.cookies.clone_from(wanted);
        Ok(())
    }

    /// The counters, summed over all processors.
    pub(super) fn stats(&self) -> Result<WatchStats, ProbeError> {
        let per_cpu = self.stats.get(&0, 0).map_err(|source| ProbeError::Map {
            name: "WATCH_STATS",
            source,
        })?;
        Ok(sum(per_cpu.iter()))
    }
}

fn attach(ebpf: &mut Ebpf, root: &Path) -> Result<(), ProbeError> {
    let root = File::open(root).map_err(|source| ProbeError::Io {
        what: "open the root of the unified cgroup tree",
        source,
    })?;
    let program: &mut CgroupSkb = program(ebpf, PROGRAM)?;
    program.load().map_err(refused)?;
    // On a link others may be attached as well, whatever this says.
    let mode = CgroupAttachMode::Single;
    program
        .attach(&root, CgroupSkbAttachType::Egress, mode)
        .map_err(refused)?;
    Ok(())
}

fn detach(ebpf: &mut Ebpf) -> Result<(), ProbeError> {
    let program: &mut CgroupSkb = program(ebpf, PROGRAM)?;
    match program.unload() {
        Ok(()) | Err(ProgramError::NotLoaded) => Ok(()),
        Err(source) => Err(refused(source)),
    }
}

fn refused(source: ProgramError) -> ProbeError {
    ProbeError::Program {
        name: PROGRAM,
        source,
    }
}
