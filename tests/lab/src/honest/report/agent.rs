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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemons_own_account_is_read() {
        let text = "process_cpu_seconds_total 12.5\nprocess_resident_memory_bytes 34603008\n\
                    unjack_verdicts_total{verdict=\"miner\",family=\"x\"} 1\n\
                    unjack_verdicts_total{verdict=\"hashing\",family=\"x\"} 5\n\
                    unjack_actions_total{action=\"kill\",family=\"x\",outcome=\"gone\"} 2\n\
                    unjack_actions_total{action=\"observe\",family=\"x\",outcome=\"dry-run\"} 3\n";
        let agent = Agent::of(&Metrics::parse(text.to_owned()).expect("valid"));
        let told = [agent.cpu, agent.resident, agent.miners, agent.acted].map(|n| n.to_string());
        assert_eq!(told, ["12.5", "33", "1", "2"]);
        assert_eq!(
            peak("Name:\tx\nVmHWM:\t    2048 kB\n").map(|n| n.to_string()),
            Some("2".to_owned())
        );
    }
}
