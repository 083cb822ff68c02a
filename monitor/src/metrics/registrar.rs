//! Makes metrics and registers them.

use prometheus::core::Collector;
use prometheus::{CounterVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};

/// A counter that follows a total kept elsewhere, such as in the kernel.
#[derive(Clone, Debug)]
pub struct Mirror(IntCounter);

impl Mirror {
    /// Sets the counter to `total`. It never goes backwards: a smaller total
    /// than before changes nothing.
    pub fn set_total(&self, total: u64) {
        self.0.inc_by(total.saturating_sub(self.0.get()));
    }

    /// The total it was last set to.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.get()
    }
}

/// Makes metrics and registers them.
pub(super) struct Registrar(pub(super) Registry);

impl Registrar {
    pub(super) fn add<C: Collector + Clone + 'static>(&self, metric: C) -> prometheus::Result<C> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    pub(super) fn mirror(&self, name: &str, help: &str) -> prometheus::Result<Mirror> {
        self.add(IntCounter::new(name, help)?).map(Mirror)
    }

    pub(super) fn counters(
        &self,
        name: &str,
        help: &str,
        label: &str,
    ) -> prometheus::Result<CounterVec> {
        self.add(CounterVec::new(Opts::new(name, help), &[label])?)
    }

    pub(super) fn int_counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn int_gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntGaugeVec> {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }
}
