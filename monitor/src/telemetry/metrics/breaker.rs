//! What is counted of the circuit breaker, by the level that it opens for.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::{
    registrar::{Mirror, Registrar},
    to_gauge,
};
use crate::respond::action::breaker::{Breaker, Change, Level};

/// Metrics of the breaker, each series from the start.
#[derive(Debug)]
pub struct BreakerMetrics {
    open: IntGaugeVec,
    opened: IntCounterVec,
    let_pass: IntCounterVec,
    forgotten: Mirror,
}

impl BreakerMetrics {
    pub(super) fn new(new: &Registrar) -> prometheus::Result<Self> {
        let metrics = Self {
            open: new.int_gauges(
                "unjack_breaker_open",
                "Images, users and cgroups for which the breaker is open now; for the host 0 or 1.",
                &["level"],
            )?,
            opened: new.int_counters(
                "unjack_breaker_opened_total",
                "Times the breaker opened, by level.",
                &["level"],
            )?,
            let_pass: new.int_counters(
                "unjack_breaker_let_pass_total",
                "Miners not acted on because the breaker was open, by the level that was open.",
                &["level"],
            )?,
            forgotten: new.mirror(
                "unjack_breaker_forgotten_total",
                "Times the oldest entry of a breaker table was dropped because the table was full.",
            )?,
        };
        for level in Level::ALL.map(Level::name) {
            metrics.open.with_label_values(&[level]);
            metrics.opened.with_label_values(&[level]);
            metrics.let_pass.with_label_values(&[level]);
        }
        Ok(metrics)
    }

    /// Counts that it opened.
    pub fn count(&self, change: &Change) {
        if let Change::Opened(opened) = change {
            self.opened.with_label_values(&[opened.level.name()]).inc();
        }
    }

    /// Counts a miner that was not acted on because of a level.
    pub fn let_pass(&self, level: Level) {
        self.let_pass.with_label_values(&[level.name()]).inc();
    }

    /// Sets what is open now.
    pub fn set(&self, breaker: &Breaker) {
        for level in Level::ALL {
            let open = self.open.with_label_values(&[level.name()]);
            open.set(to_gauge(breaker.open_at(level) as u64));
        }
        self.forgotten.set_total(breaker.forgotten());
    }
}
