//! What was judged: verdicts, the time to them, and hashing that nothing explains.

use prometheus::{Histogram, HistogramOpts, IntCounterVec};

use super::registrar::Registrar;
use unjack_core::{score::Family, verdict::Verdict};

/// Seconds. The default window is 5 s and a miner should be dead within 15 s,
/// so the steps are finest there.
const DELAY_BUCKETS: [f64; 13] = [
    1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0,
];

/// Metrics of verdicts, each series from the start.
#[derive(Debug)]
pub(super) struct Verdicts {
    all: IntCounterVec,
    unexplained: IntCounterVec,
    delay: Histogram,
}

impl Verdicts {
    pub(super) fn new(new: &Registrar) -> prometheus::Result<Self> {
        let metrics = Self {
            all: new.int_counters(
                "unjack_verdicts_total",
                "Verdicts on processes: miner or hashing.",
                &["verdict", "family"],
            )?,
            unexplained: new.int_counters(
                "unjack_unexplained_total",
                "Processes that hashed for --unexplained-after without an explanation.",
                &["family"],
            )?,
            delay: new.add(Histogram::with_opts(
                HistogramOpts::new(
                    "unjack_verdict_delay_seconds",
                    "Time from the start of a process's CPU use to the verdict.",
                )
                .buckets(DELAY_BUCKETS.to_vec()),
            )?)?,
        };
        for family in Family::ALL {
            for verdict in [Verdict::Miner, Verdict::Hashing] {
                metrics
                    .all
                    .with_label_values(&[verdict.name(), family.name()]);
            }
            metrics.unexplained.with_label_values(&[family.name()]);
        }
        Ok(metrics)
    }

    pub(super) fn count(&self, verdict: Verdict, family: Family, delay: f64) {
        self.all
            .with_label_values(&[verdict.name(), family.name()])
            .inc();
        self.delay.observe(delay);
    }

    pub(super) fn count_unexplained(&self, family: Family) {
        self.unexplained.with_label_values(&[family.name()]).inc();
    }
}
