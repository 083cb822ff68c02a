//! What the daemon shows on request.

use std::{
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use super::Daemon;
use crate::host::clock::monotonic_ns;
use crate::{
    policy::config::Config,
    telemetry::view::{Host, OpenBreaker, Probed, Setting, SnapshotCell, View, rows},
};

/// What does not change of it, and where it is shown.
pub(super) struct Show {
    snapshot: Arc<SnapshotCell>,
    policy: Vec<Setting>,
    begun: Instant,
}

impl Show {
    pub(super) fn new(snapshot: Arc<SnapshotCell>, config: &Config) -> Self {
        Self {
            snapshot,
            policy: config.settings(),
            begun: Instant::now(),
        }
    }
}

impl Daemon {
    /// Builds a view, if one is wanted.
    pub(super) fn show(&mut self) {
        let now_ns = monotonic_ns();
        if !self.show.snapshot.is_wanted(now_ns) {
            return;
        }
        let network = &self.pipeline.witnesses;
        let (mut processes, processes_left_out) = rows(
            &mut self.collector,
            self.pipeline.detector().model(),
            self.pipeline.detector().thresholds(),
            now_ns,
            |process, summary| {
                let heard = network.of(process);
                (summary.network.pool, summary.network.stratum) = (heard.pool, heard.stratum);
            },
        );
        let findings: Vec<_> = self.recent.findings().cloned().collect();
        for row in &mut processes {
            // A thread, or others like it, may have been found, and not this
            // process as a whole.
            let found = findings.iter().find(|finding| {
                (finding.pid, finding.start_time) == (row.pid, Some(row.start_time))
                    && finding.verdict == row.verdict
            });
            row.score = found.map_or(row.score, |finding| finding.score.max(row.score));
        }
        let probes = Probed::of(&self.probes, &self.collector).unwrap_or_else(|error| {
            tracing::warn!("the probes' counters cannot be read: {error}");
            Probed::default()
        });
        let (breaker, breaker_left_out) = OpenBreaker::all(self.breaker.open(now_ns), now_ns);
        let view = View {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            time: epoch(SystemTime::now()),
            host: Host::this(self.show.begun.elapsed()),
            health: self.health.shown(now_ns),
            stolen: self.metrics.stolen.by_family(),
            core_hour_cost: self.config.policy.core_hour_cost,
            processes,
            processes_left_out,
            findings,
            findings_forgotten: self.recent.forgotten(),
            breaker,
            breaker_left_out,
            probes,
            policy: self.show.policy.clone(),
        };
        self.show.snapshot.publish(view, now_ns);
    }
}

/// Seconds since the Unix epoch.
pub(super) fn epoch(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}
