//! The probes: load, attach, drain, detach. The only place that names `aya`.
//!
//! [`Probes`] owns everything in the kernel; dropping it detaches and unloads
//! all of it, as does the death of the process: nothing is pinned.

pub mod bans;
pub mod cost;
pub mod features;
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
    io,
    path::Path,
    sync::Arc,
    time::Duration,
};

use aya::{
    Btf, Ebpf, EbpfError, EbpfLoader, include_bytes_aligned,
    maps::{HashMap, Map, MapData, MapError, PerCpuArray, RingBuf},
    programs::{BtfTracePoint, ProgramError},
};
use aya_log::EbpfLogger;
use monitor_ebpf::{PoolPorts, PoolStats, ProbeStats, SPILL_ENTRIES, TaskSlot, WatchStats};
use zerocopy::{FromBytes, Immutable, IntoBytes};

pub use self::{features::Features, parents::Parents, sampler::Source};
use self::{pools::Pools, sampler::Sampler, stratum::Traffic, table::Table};
use crate::kernel::{
    btf::{BtfError, Offsets, VMLINUX},
    prefix::Prefix,
};
use unjack_core::profile::WINDOW_LOOKS;

/// The probes' object code, built by this crate's build script.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/unjack-probes"));

/// The same for kernels without atomic instructions.
static PLAIN: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/unjack-probes-plain"));

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

/// The probes could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The kernel's types.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// The object did not load.
    #[error("the kernel refuses the probes' maps: {}; run `unjack doctor` to see what this host lacks", chain(.0))]
    Load(#[from] EbpfError),
    /// A program did not load or attach.
    #[error("the kernel refuses probe {name}: {}; run `unjack doctor` to see what this host lacks", chain(.source))]
    Program {
        /// The program.
        name: &'static str,
        /// What the kernel said.
        source: ProgramError,
    },
    /// A map is not there or not of its type.
    #[error("map {name}: {}", chain(.source))]
    Map {
        /// The map.
        name: &'static str,
        /// What is wrong.
        source: MapError,
    },
    /// The object lacks something the collector expects.
    #[error("the probes' object has no {0}: probes and collector were not built together")]
    Mismatch(&'static str),
    /// Programs of the kernel's security hooks are not called.
    #[error(
        "--block-pools needs BPF LSM, which is not active here ({why}): boot the kernel with bpf \
         at the end of the list in lsm= (CONFIG_LSM has the present one), or leave the flag out"
    )]
    NoLsm {
        /// How that shows.
        why: String,
    },
    /// A system call.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl ProbeError {
    /// What was refused and why, without what to do about it.
    #[must_use]
    pub fn refusal(&self) -> String {
        match self {
            Self::Program { name, source } => format!("{name}: {}", chain(source)),
            Self::Load(source) => chain(source),
            other => other.to_string(),
        }
    }
}

/// An error with its sources, on one line each, without the verifier's log
/// beyond its last lines: the whole can be megabytes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    let lines: Vec<&str> = text.lines().collect();
    let skip = lines.len().saturating_sub(12);
    if skip == 0 {
        return text;
    }
    format!("{} […]\n{}", lines[0], lines[skip.max(1)..].join("\n"))
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

fn load(offsets: &Offsets, settings: Settings, features: Features) -> Result<Ebpf, ProbeError> {
    let Offsets {
        task_pid,
        task_tgid,
        task_flags,
        task_state,
        task_start,
        task_runtime,
        task_nvcsw,
        task_leader,
        task_signal,
        signal_live,
        task_nivcsw,
        task_min_flt,
        task_maj_flt,
        task_mm,
        mm_exe,
        file_inode,
        inode_number,
        inode_super,
        super_device,
        inode_ctime: _,
        bprm_file: _,
        task_parent: _,
        task_comm: _,
        task_rchar,
        task_wchar,
        rounding,
        sock,
    } = offsets;
    let cap = settings.sample_cap.div_ceil(8);
    features.make_room();
    let object = if features.atomics { OBJECT } else { PLAIN };
    Ok(EbpfLoader::new()
        .override_global("TASK_PID", task_pid, true)
        .override_global("TASK_TGID", task_tgid, true)
        .override_global("TASK_FLAGS", task_flags, true)
        .override_global("TASK_STATE", task_state, true)
        .override_global("TASK_START", task_start, true)
        .override_global("TASK_RUNTIME", task_runtime, true)
        .override_global("TASK_NVCSW", task_nvcsw, true)
        .override_global("TASK_LEADER", task_leader, true)
        .override_global("TASK_SIGNAL", task_signal, true)
        .override_global("SIGNAL_LIVE", signal_live, true)
        .override_global("TASK_NIVCSW", task_nivcsw, true)
        .override_global("TASK_MIN_FLT", task_min_flt, true)
        .override_global("TASK_MAJ_FLT", task_maj_flt, true)
        .override_global("TASK_MM", task_mm, true)
        .override_global("MM_EXE", mm_exe, true)
        .override_global("FILE_INODE", file_inode, true)
        .override_global("INODE_NUMBER", inode_number, true)
        .override_global("INODE_SUPER", inode_super, true)
        .override_global("SUPER_DEVICE", super_device, true)
        .override_global("TASK_RCHAR", task_rchar, true)
        .override_global("TASK_WCHAR", task_wchar, true)
        .override_global("TASK_ROUNDING", &rounding.from_task, true)
        .override_global("ROUNDING_IN_STATE", &rounding.in_state, true)
        .override_global("SOCK_FAMILY", &sock.family, true)
        .override_global("SOCK_ADDRESS4", &sock.address4, true)
        .override_global("SOCK_ADDRESS6", &sock.address6, true)
        .override_global("SOCK_PORT", &sock.port, true)
        .override_global("HAS_TASK_BTF", &u32::from(features.task_btf), true)
        .override_global("HAS_TASK_PT_REGS", &u32::from(features.task_pt_regs), true)
        .override_global("TARGET_TGID", &settings.target.unwrap_or(0), true)
        .override_global("SELF_TGID", &std::process::id(), true)
        .override_global("SAMPLE_CAP", &cap, true)
        .load(object)?)
}

fn program<'e, P>(ebpf: &'e mut Ebpf, name: &'static str) -> Result<&'e mut P, ProbeError>
where
    &'e mut P: TryFrom<&'e mut aya::programs::Program, Error = ProgramError>,
{
    ebpf.program_mut(name)
        .ok_or(ProbeError::Mismatch(name))?
        .try_into()
        .map_err(|source| ProbeError::Program { name, source })
}

fn map<M: TryFrom<Map, Error = MapError>>(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<M, ProbeError> {
    let map = ebpf.take_map(name).ok_or(ProbeError::Mismatch(name))?;
    M::try_from(map).map_err(|source| ProbeError::Map { name, source })
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
