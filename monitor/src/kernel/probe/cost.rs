//! What the probes cost, by the kernel's own account: for the benchmark.
//!
//! The kernel's statistics cost something themselves, and so does the call
//! into a program. Empty programs on the same hooks, run in the same minute,
//! tell how much of a figure that is.

use std::{collections::BTreeMap, os::fd::OwnedFd};

use aya::{
    Btf, Ebpf, EbpfError, EbpfLoader,
    programs::BtfTracePoint,
    sys::{Stats, enable_stats},
};

use super::{ProbeError, SAMPLER, TRACEPOINTS, load::program, sampler::Sampler};

/// Names of the empty programs that stand beside [`TRACEPOINTS`].
const EMPTY: [&str; 4] = [
    "empty_sched_process_fork",
    "empty_sched_process_exec",
    "empty_sched_process_exit",
    "empty_sched_switch",
];
const EMPTY_SAMPLER: &str = "empty_sample";

/// How often a program ran and how long that took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Runs.
    pub runs: u64,
    /// Nanoseconds in all.
    pub ns: u64,
}

impl Cost {
    /// What was added since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            runs: self.runs.saturating_sub(before.runs),
            ns: self.ns.saturating_sub(before.ns),
        }
    }

    /// Nanoseconds a run; 0 if it did not run.
    #[must_use]
    pub fn ns_per_run(self) -> f64 {
        if self.runs == 0 {
            0.0
        } else {
            self.ns as f64 / self.runs as f64
        }
    }
}

/// Costs by name of the program.
pub type Costs = BTreeMap<String, Cost>;

/// The kernel's accounting of BPF programs, on while this lives.
#[derive(Debug)]
pub struct Accounting {
    _enabled: OwnedFd,
}

impl Accounting {
    /// Switches it on.
    ///
    /// # Errors
    /// The kernel's.
    pub fn begin() -> Result<Self, ProbeError> {
        let enabled = enable_stats(Stats::RunTime).map_err(|error| ProbeError::Io {
            what: "switching on the kernel's BPF statistics",
            source: error.io_error,
        })?;
        Ok(Self { _enabled: enabled })
    }
}

/// Empty programs on the same hooks as the probes.
pub struct Empty {
    ebpf: Ebpf,
    _sampler: Sampler,
}

impl Empty {
    /// Loads and attaches them; the sampler at `hz`. `object` is their object
    /// code, aligned to 32 bytes: this crate builds it and does not have it in
    /// itself, as nothing that is shipped needs it.
    ///
    /// # Errors
    /// The kernel lacks something or refuses.
    pub fn attach(object: &[u8], hz: u32) -> Result<Self, ProbeError> {
        let btf = Btf::from_sys_fs().map_err(EbpfError::from)?;
        let mut ebpf = EbpfLoader::new().load(object)?;
        for (name, hook) in EMPTY.into_iter().zip(TRACEPOINTS) {
            let tracepoint: &mut BtfTracePoint = program(&mut ebpf, name)?;
            let refused = |source| ProbeError::Program { name, source };
            tracepoint.load(hook, &btf).map_err(refused)?;
            tracepoint.attach().map_err(refused)?;
        }
        let sampler = Sampler::attach(program(&mut ebpf, EMPTY_SAMPLER)?, hz)?;
        Ok(Self {
            ebpf,
            _sampler: sampler,
        })
    }

    /// What each has cost so far, by the name of the probe it stands beside.
    #[must_use]
    pub fn costs(&self) -> Costs {
        let mut costs = of(&self.ebpf);
        let pairs = EMPTY
            .into_iter()
            .zip(TRACEPOINTS)
            .chain([(EMPTY_SAMPLER, SAMPLER)]);
        pairs
            .filter_map(|(empty, probe)| Some((probe.to_owned(), costs.remove(empty)?)))
            .collect()
    }
}

/// What every program of an object has cost so far.
pub(super) fn of(ebpf: &Ebpf) -> Costs {
    let cost = |program: &aya::programs::Program| {
        let info = program.info().ok()?;
        let ns = u64::try_from(info.run_time().as_nanos()).unwrap_or(u64::MAX);
        Some(Cost {
            runs: info.run_count(),
            ns,
        })
    };
    ebpf.programs()
        .filter_map(|(name, program)| Some((name.to_owned(), cost(program)?)))
        .collect()
}
