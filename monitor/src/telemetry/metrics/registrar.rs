//! Makes metrics and registers them.

use std::{cell::RefCell, collections::BTreeSet};

use prometheus::core::Collector;
use prometheus::proto::MetricType;
use prometheus::{CounterVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};

/// What a metric is, for its reference page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Its labels, and the values each has by now.
    pub labels: Vec<(String, BTreeSet<String>)>,
    /// What it counts.
    pub help: String,
}

/// A counter that follows a total kept elsewhere, such as in the kernel.
#[derive(Clone, Debug)]
pub struct Mirror(IntCounter);

impl Mirror {
    /// Sets the counter to `total`. It never goes backwards: a smaller total
    /// than before changes nothing.
    pub fn set_total(&self, total: u64) {
        self.0.inc_by(total.saturating_sub(self.0.get()));
    }
}

/// Makes metrics and registers them.
#[derive(Default)]
pub(super) struct Registrar {
    pub(super) registry: Registry,
    /// All of them, also those that have no series yet.
    pub(super) described: RefCell<Vec<Described>>,
}

impl Registrar {
    pub(super) fn add<C: Collector + Clone + 'static>(&self, metric: C) -> prometheus::Result<C> {
        self.registry.register(Box::new(metric.clone()))?;
        let families = metric.collect();
        for (desc, family) in metric.desc().into_iter().zip(&families) {
            let labels = desc.variable_labels.iter();
            self.described.borrow_mut().push(Described {
                name: desc.fq_name.clone(),
                kind: match family.get_field_type() {
                    MetricType::COUNTER => "counter",
                    MetricType::HISTOGRAM => "histogram",
                    _ => "gauge",
                },
                labels: labels
                    .map(|label| (label.clone(), BTreeSet::new()))
                    .collect(),
                help: desc.help.clone(),
            });
        }
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
