//! What is counted of reads that hang.

use prometheus::{IntCounterVec, IntGauge};

use super::{registrar::Registrar, to_gauge};
use crate::host::{Cause, timed_read};

/// Metrics of reads about processes that hang, each series from the start.
#[derive(Debug)]
pub struct ReadMetrics {
    unanswered: IntCounterVec,
    hanging: IntGauge,
}

impl ReadMetrics {
    pub(super) fn new(new: &Registrar) -> prometheus::Result<Self> {
        let metrics = Self {
            unanswered: new.int_counters(
                "unjack_reads_unanswered_total",
                "Reads about a process that timed out, or were not tried because others hang.",
                &["cause"],
            )?,
            hanging: new.add(IntGauge::new(
                "unjack_reads_hanging",
                "Reads about processes that timed out and still hang, each on a thread of its own.",
            )?)?,
        };
        for cause in Cause::ALL {
            metrics.unanswered.with_label_values(&[cause.name()]);
        }
        Ok(metrics)
    }

    /// Brings them up to date.
    pub fn mirror(&self) {
        for (cause, total) in timed_read::unanswered() {
            let counter = self.unanswered.with_label_values(&[cause.name()]);
            counter.inc_by(total.saturating_sub(counter.get()));
        }
        self.hanging.set(to_gauge(timed_read::hanging() as u64));
    }
}
