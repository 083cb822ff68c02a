//! What is counted of miners that are throttled or frozen.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::{registrar::Registrar, to_gauge};
use crate::respond::action::{
    hold::{Escapes, Rung},
    hold_manager::Kept,
};

/// Metrics of what is held, each series from the start.
#[derive(Debug)]
pub struct HeldMetrics {
    now: IntGaugeVec,
    escapes: IntCounterVec,
    escalations: IntCounterVec,
}

impl HeldMetrics {
    pub(super) fn new(new: &Registrar) -> prometheus::Result<Self> {
        let metrics = Self {
            now: new.int_gauges(
                "unjack_held",
                "Processes and cgroups throttled or frozen now.",
                &["action"],
            )?,
            escapes: new.int_counters(
                "unjack_held_escapes_total",
                "Escapes from a throttle or freeze that were corrected: the process left its \
                 cgroup, the limit or freeze was reset, or it was continued.",
                &["kind"],
            )?,
            escalations: new.int_counters(
                "unjack_held_escalations_total",
                "Escalations against processes that kept escaping from a throttle or freeze; \
                 escaped if nothing further is allowed.",
                &["to"],
            )?,
        };
        metrics.set(&Kept::default());
        for rung in Rung::ALL {
            metrics.escalations.with_label_values(&[rung.name()]);
        }
        Ok(metrics)
    }

    /// Sets how many miners are held, and adds how often they escaped.
    pub fn set(&self, kept: &Kept) {
        let Kept {
            throttled,
            frozen,
            escapes,
            escalations,
        } = kept;
        for (action, count) in [("throttle", throttled), ("freeze", frozen)] {
            self.now
                .with_label_values(&[action])
                .set(to_gauge(*count as u64));
        }
        for (kind, count) in Escapes::NAMES.into_iter().zip(escapes.counts()) {
            let counter = self.escapes.with_label_values(&[kind]);
            counter.inc_by(u64::from(count));
        }
        for escalation in escalations {
            let to = escalation.rung.name();
            self.escalations.with_label_values(&[to]).inc();
        }
    }
}
