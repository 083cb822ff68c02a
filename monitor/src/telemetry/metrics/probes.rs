//! What the probes counted.

use monitor_ebpf::ProbeStats;

use super::registrar::{Mirror, Registrar};

/// Metrics of the probes.
#[derive(Debug)]
pub(super) struct Probed {
    /// Samples handed to the collector.
    samples: Mirror,
    /// Samples lost because the ring was full.
    samples_lost: Mirror,
    /// Samples not taken because a process reached its cap for the second.
    samples_capped: Mirror,
    /// User samples whose code could not be read.
    sample_code_faults: Mirror,
    /// Exec and exit records lost because the ring was full.
    events_lost: Mirror,
    /// Times a task could not be tracked because the tables were full.
    tasks_untracked: Mirror,
    /// Records of the probes that could not be decoded.
    events_malformed: Mirror,
}

impl Probed {
    pub(super) fn new(new: &Registrar) -> prometheus::Result<Self> {
        Ok(Self {
            samples: new.mirror("unjack_samples_total", "Instruction samples received.")?,
            samples_lost: new.mirror(
                "unjack_samples_lost_total",
                "Samples lost because the ring buffer was full.",
            )?,
            samples_capped: new.mirror(
                "unjack_samples_capped_total",
                "Samples not taken because the process already had enough in that second.",
            )?,
            sample_code_faults: new.mirror(
                "unjack_sample_code_faults_total",
                "Samples whose instruction bytes could not be read.",
            )?,
            events_lost: new.mirror(
                "unjack_events_lost_total",
                "Exec and exit events lost because the ring buffer was full.",
            )?,
            tasks_untracked: new.mirror(
                "unjack_tasks_untracked_total",
                "Times a task could not be tracked because the tables were full.",
            )?,
            events_malformed: new.mirror(
                "unjack_events_malformed_total",
                "Records of the probes that could not be decoded.",
            )?,
        })
    }

    /// Takes over the probes' own counters, and the collector's of what it
    /// could not decode.
    pub(super) fn mirror(&self, stats: &ProbeStats, malformed: u64) {
        let ProbeStats {
            samples,
            samples_lost,
            samples_capped,
            code_faults,
            events_lost,
            tasks_lost,
            small_exit_ns: _,
            small_exits: _,
        } = stats;
        self.samples.set_total(*samples);
        self.samples_lost.set_total(*samples_lost);
        self.samples_capped.set_total(*samples_capped);
        self.sample_code_faults.set_total(*code_faults);
        self.events_lost.set_total(*events_lost);
        self.tasks_untracked.set_total(*tasks_lost);
        self.events_malformed.set_total(malformed);
    }
}
