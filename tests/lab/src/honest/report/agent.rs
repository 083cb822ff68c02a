//! What the daemon says of itself.

use ::tests::{Daemon, Metrics};

/// What the daemon says of itself.
#[derive(Debug, Default)]
pub(in super::super) struct Agent {
    /// CPU seconds.
    pub(super) cpu: f64,
    /// MiB resident, now and at most.
    pub(super) resident: f64,
    pub(super) most: f64,
    pub(super) samples: f64,
    pub(super) lost: f64,
    /// Verdicts of the kind miner, and actions that were more than a report.
    pub(super) miners: f64,
    pub(super) acted: f64,
}

impl Agent {
    /// Asks it.
    pub(in super::super) fn ask(daemon: &Daemon) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid()));
        Self {
            most: peak(&status.unwrap_or_default()).unwrap_or_default(),
            ..Self::of(&daemon.metrics())
        }
    }

    fn of(metrics: &Metrics) -> Self {
        let actions = "unjack_actions_total";
        let sum = |name| metrics.sum(name, &[]);
        Self {
            cpu: sum("process_cpu_seconds_total"),
            resident: sum("process_resident_memory_bytes") / f64::from(1 << 20),
            most: 0.0,
            samples: sum("unjack_samples_total"),
            lost: sum("unjack_samples_lost_total"),
            miners: metrics.sum("unjack_verdicts_total", &[("verdict", "miner")]),
            acted: sum(actions) - metrics.sum(actions, &[("outcome", "dry-run")]),
        }
    }
}

/// Peak resident memory, in MiB, from `/proc/PID/status`.
fn peak(status: &str) -> Option<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024.0)
}
