//! The probes as they are shown: what is attached, and what they counted.

use monitor_ebpf::ProbeStats;
use serde::{Deserialize, Serialize};

use crate::{
    detect::collector::Collector,
    kernel::probe::{ProbeError, Probes},
};

/// The probes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Probed {
    /// What drives the sampler, such as `cpu-clock`.
    pub sampler: String,
    /// The programs in the kernel.
    pub programs: Vec<Program>,
    /// What they and the collector counted; all zero if the kernel does not say.
    pub counts: Counts,
}

/// A program in the kernel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Nanoseconds a run; `None` while the kernel does not account for it (sysctl
    /// `kernel.bpf_stats_enabled`).
    pub ns_per_run: Option<f64>,
}

/// Numbers since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Samples handed to the collector.
    pub samples: u64,
    /// Samples lost because the ring was full.
    pub samples_lost: u64,
    /// Samples not taken because a process had enough in that second.
    pub samples_capped: u64,
    /// Samples whose instructions could not be read.
    pub code_faults: u64,
    /// Samples forgotten early because there were too many to keep.
    pub samples_forgotten: u64,
    /// Exec and exit events lost because the ring was full.
    pub events_lost: u64,
    /// Records that could not be decoded.
    pub malformed: u64,
    /// Times a task could not be tracked because the tables were full.
    pub tasks_untracked: u64,
    /// Profiles dropped because too many processes were profiled at once.
    pub profiles_dropped: u64,
}

impl Probed {
    /// Asks the kernel.
    ///
    /// # Errors
    /// The counters cannot be read.
    pub fn of(probes: &Probes, collector: &Collector) -> Result<Self, ProbeError> {
        let ProbeStats {
            samples,
            samples_lost,
            samples_capped,
            code_faults,
            events_lost,
            tasks_lost,
            small_exit_ns: _,
            small_exits: _,
        } = probes.stats()?;
        let programs = probes.costs().into_iter().map(|(name, cost)| Program {
            name,
            ns_per_run: (cost.runs > 0).then(|| cost.ns_per_run()),
        });
        Ok(Self {
            sampler: probes.source().to_string(),
            programs: programs.collect(),
            counts: Counts {
                samples,
                samples_lost,
                samples_capped,
                code_faults,
                samples_forgotten: collector.forgotten,
                events_lost,
                malformed: collector.malformed,
                tasks_untracked: tasks_lost,
                profiles_dropped: collector.dropped,
            },
        })
    }
}
