//! The probes: load, attach, drain, detach. The only place that names `aya`.
//!
//! [`Probes`] owns everything in the kernel; dropping it detaches and unloads
//! all of it, as does the death of the process: nothing is pinned.

pub mod bans;
pub mod cost;
mod error;
pub mod features;
mod load;
mod parents;
mod pins;
mod pools;
mod sampler;
mod stratum;
mod table;
mod tables;
pub mod trial;

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use aya::{
    Btf, Ebpf, EbpfError,
    maps::{HashMap, MapData, PerCpuArray, RingBuf},
    programs::{BtfTracePoint, ProgramError},
};
use aya_log::EbpfLogger;
use monitor_ebpf::{PoolPorts, PoolStats, ProbeStats, SPILL_ENTRIES, TaskSlot, WatchStats};
use zerocopy::{FromBytes, Immutable, IntoBytes};

pub use self::{error::ProbeError, features::Features, parents::Parents, sampler::Source};
use self::{
    load::{load, map, program},
    pools::Pools,
    sampler::Sampler,
    stratum::Traffic,
    table::Table,
};
use crate::kernel::{
    btf::{Offsets, VMLINUX},
    prefix::Prefix,
};
use unjack_core::profile::WINDOW_LOOKS;

/// The tracepoint programs. Each has the name of its hook.
const TRACEPOINTS: [&str; 4] = [
    "sched_process_fork",
    "sched_process_exec",
    "sched_process_exit",
    "sched_switch",
];

/// The sampler's program.
const SAMPLER: &str = "sample";

/// What the probes are told before they are loaded.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Sample this process only, from its first instruction on.
    pub target: Option<u32>,
    /// Samples a second on every processor.
    pub sample_hz: u32,
    /// Samples a second of one process at the most, in round eighths.
    pub sample_cap: u32,
    /// Look out for connections to listed pools.
    pub pools: bool,
    /// And refuse them.
    pub block_pools: bool,
}

impl Settings {
    /// At `sample_hz`, with a cap that lets a whole window fit a profile. The least
    /// cap is one sample in an eighth of a second: of a window of more than eight
    /// minutes a profile loses the oldest.
    #[must_use]
    pub fn new(target: Option<u32>, sample_hz: u32, window: Duration) -> Self {
        let looks = u64::try_from(WINDOW_LOOKS).unwrap_or(u64::MAX);
        let fitting = looks / window.as_secs().max(1);
        let fitting = u32::try_from(fitting).unwrap_or(u32::MAX).max(1);
        let sample_cap = sample_hz.min(fitting);
        Self {
            target,
            sample_hz,
            sample_cap,
            pools: false,
            block_pools: false,
        }
    }
}

/// The loaded, attached probes.
pub struct Probes {
    ebpf: Ebpf,
    events: RingBuf<MapData>,
    table: Table<TaskSlot>,
    parents: Arc<Parents>,
    spill: HashMap<MapData, u32, [u8; size_of::<TaskSlot>()]>,
    stats: PerCpuArray<MapData, [u8; size_of::<ProbeStats>()]>,
    sampler: Sampler,
    pools: Pools,
    traffic: Traffic,
    logger: Option<EbpfLogger<&'static dyn log::Log>>,
}

impl Probes {
    /// Loads and attaches all probes.
    ///
    /// # Errors
    /// The kernel lacks something or refuses; the message says what to do.
    pub fn attach(settings: Settings) -> Result<Self, ProbeError> {
        let offsets = Offsets::read(Path::new(VMLINUX))?;
        let btf = Btf::from_sys_fs().map_err(EbpfError::from)?;
        let features = Features::detect();
        for lost in features.lost() {
            tracing::info!("this kernel: {lost}");
        }
        let mut ebpf = load(&offsets, settings, features)?;
        for name in TRACEPOINTS {
            let program: &mut BtfTracePoint = program(&mut ebpf, name)?;
            let refused = |source| ProbeError::Program { name, source };
            program.load(name, &btf).map_err(refused)?;
            program.attach().map_err(refused)?;
        }
        let pools = Pools::attach(&mut ebpf, &btf, settings)?;
        drop(btf);
        let sampler = Sampler::attach(program(&mut ebpf, SAMPLER)?, settings.sample_hz)?;
        let logger = EbpfLogger::init(&mut ebpf)
            .inspect_err(|error| tracing::warn!("the probes' own log is not available: {error}"))
            .ok();
        // Reading BTF took tens of megabytes for a moment; give them back.
        // SAFETY: malloc_trim has no preconditions.
        #[cfg(target_env = "gnu")]
        unsafe {
            libc::malloc_trim(0);
        }
        Ok(Self {
            events: map(&mut ebpf, "EVENTS")?,
            table: Table::map(&ebpf, "TASKS")?,
            parents: Arc::new(Parents::new(&ebpf)?),
            spill: map(&mut ebpf, "SPILL")?,
            stats: map(&mut ebpf, "STATS")?,
            traffic: Traffic::new(&mut ebpf)?,
            ebpf,
            sampler,
            pools,
            logger,
        })
    }

    /// Hands every waiting record to `sink` and the probes' own messages to
    /// the log. `limit` bounds the records of one call; whether more may wait
    /// is returned.
    pub fn drain(&mut self, limit: usize, mut sink: impl FnMut(&[u8])) -> bool {
        if let Some(logger) = &mut self.logger {
            logger.flush();
        }
        for _ in 0..limit {
            let Some(record) = self.events.next() else {
                return false;
            };
            sink(&record);
        }
        true
    }

    /// Calls `visit` with every tracked task's slot, and whether it had to
    /// spill.
    pub fn tasks(&self, mut visit: impl FnMut(bool, &TaskSlot)) {
        self.table.each(&mut |slot| visit(false, slot));
        // A table that changes under the iteration may show an entry twice,
        // but never more than it can hold.
        for entry in self.spill.iter().take(SPILL_ENTRIES as usize) {
            if let Ok((_, bytes)) = entry
                && let Ok(slot) = TaskSlot::read_from_bytes(&bytes)
            {
                visit(true, &slot);
            }
        }
    }

    /// The probes' counters, summed over all processors.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn stats(&self) -> Result<ProbeStats, ProbeError> {
        let per_cpu = self.stats.get(&0, 0).map_err(|source| ProbeError::Map {
            name: "STATS",
            source,
        })?;
        Ok(sum(per_cpu.iter()))
    }

    /// Samples processors that came online since, forgets those that left.
    ///
    /// # Errors
    /// A processor that is online cannot be sampled.
    pub fn follow_processors(&mut self) -> Result<(), ProbeError> {
        let program = program(&mut self.ebpf, SAMPLER)?;
        self.sampler.follow(program)
    }

    /// The record of forks, for as long as the caller keeps it.
    #[must_use]
    pub fn forks(&self) -> Arc<Parents> {
        Arc::clone(&self.parents)
    }

    /// Has the kernel look out for these pools, and no others.
    ///
    /// # Errors
    /// The kernel has no room for them, or lacks memory.
    pub fn list_pools(&mut self, listed: &[(Prefix, PoolPorts)]) -> Result<(), ProbeError> {
        self.pools.list(listed)
    }

    /// The counters of connections to pools, summed over all processors.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn pool_stats(&self) -> Result<PoolStats, ProbeError> {
        self.pools.stats()
    }

    /// Looks at the traffic of the sockets with these cookies and of no others,
    /// below the cgroup at `root`. While there are none, nothing is attached.
    ///
    /// # Errors
    /// The kernel refuses (it takes `CAP_NET_ADMIN`); then nothing is watched.
    pub fn watch_sockets(&mut self, root: &Path, cookies: &HashSet<u64>) -> Result<(), ProbeError> {
        self.traffic.watch(&mut self.ebpf, root, cookies)
    }

    /// The counters of packets on them, summed over all processors.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn watch_stats(&self) -> Result<WatchStats, ProbeError> {
        self.traffic.stats()
    }

    /// What drives the sampler.
    #[must_use]
    pub fn source(&self) -> Source {
        self.sampler.source()
    }

    /// What each program has cost so far, while [`cost::Accounting`] is on.
    #[must_use]
    pub fn costs(&self) -> cost::Costs {
        cost::of(&self.ebpf)
    }

    /// The programs by name, each with its kernel id.
    #[must_use]
    pub fn programs(&self) -> BTreeMap<String, u32> {
        self.ebpf
            .programs()
            .filter_map(|(name, program)| Some((name.to_owned(), program.info().ok()?.id())))
            .collect()
    }
}

/// Which of the programs with these kernel ids are loaded.
///
/// # Errors
/// The kernel does not list programs: it takes `CAP_SYS_ADMIN`.
pub fn still_loaded(programs: &[u32]) -> Result<Vec<u32>, ProbeError> {
    let mut loaded = Vec::new();
    for program in aya::programs::loaded_programs() {
        match program {
            Ok(program) => loaded.push(program.id()),
            // It was unloaded between being listed and being looked at.
            Err(ProgramError::SyscallError(error))
                if error.io_error.raw_os_error() == Some(libc::ENOENT) => {}
            Err(source) => {
                let name = "of any kind";
                return Err(ProbeError::Program { name, source });
            }
        }
    }
    loaded.retain(|id| programs.contains(id));
    Ok(loaded)
}

/// Counters of all processors, each a word, summed.
fn sum<'a, const BYTES: usize, T: FromBytes + IntoBytes + Immutable>(
    per_cpu: impl Iterator<Item = &'a [u8; BYTES]>,
) -> T {
    let mut sum = T::new_zeroed();
    for bytes in per_cpu {
        let totals = sum.as_mut_bytes().chunks_exact_mut(8);
        for (total, word) in totals.zip(bytes.chunks_exact(8)) {
            let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_ne_bytes);
            let new = number(total).wrapping_add(number(word));
            total.copy_from_slice(&new.to_ne_bytes());
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use unjack_core::profile::MAX_LOOKS;

    #[test]
    fn a_window_of_any_length_is_sampled_and_fits_a_profile_if_that_is_possible() {
        for seconds in 1..=3600_u32 {
            let window = Duration::from_secs(seconds.into());
            let cap = Settings::new(Some(1), 99, window).sample_cap;
            assert!((1..=99).contains(&cap), "{seconds} s: {cap}");
            let eighths = cap.div_ceil(8);
            let looks = eighths * 8 * seconds;
            assert!(eighths == 1 || looks as usize <= MAX_LOOKS, "{seconds} s");
        }
    }
}
