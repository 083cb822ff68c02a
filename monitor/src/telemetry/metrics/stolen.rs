//! What miners took: CPU time, and what that was worth.

use prometheus::{Counter, CounterVec};

use super::{add, registrar::Registrar};
use crate::telemetry::view::Stolen;
use unjack_core::{profile::cost, score::Family};

/// Metrics of what miners took.
#[derive(Debug)]
pub struct StolenMetrics {
    cpu_seconds: CounterVec,
    allowed_cpu_seconds: CounterVec,
    /// What an hour of a core costs, and what miners cost so far.
    cost: Option<(f64, CounterVec)>,
    energy: Option<Counter>,
}

impl StolenMetrics {
    pub(super) fn new(new: &Registrar) -> prometheus::Result<Self> {
        let metrics = Self {
            cpu_seconds: new.counters(
                "unjack_stolen_cpu_seconds_total",
                "CPU time used by processes judged to be miners.",
                "family",
            )?,
            allowed_cpu_seconds: new.counters(
                "unjack_allowed_cpu_seconds_total",
                "CPU time used by miners that a rule allows.",
                "family",
            )?,
            cost: None,
            energy: None,
        };
        for family in Family::ALL {
            metrics.cpu_seconds.with_label_values(&[family.name()]);
            metrics
                .allowed_cpu_seconds
                .with_label_values(&[family.name()]);
        }
        Ok(metrics)
    }

    /// From now on also in money, where an hour of a core costs `rate`.
    pub(super) fn price(&mut self, new: &Registrar, rate: f64) -> prometheus::Result<()> {
        let cost = new.counters(
            "unjack_stolen_cost_total",
            "Cost of the CPU time of miners, in the currency of --core-hour-cost.",
            "family",
        )?;
        for family in Family::ALL {
            cost.with_label_values(&[family.name()]);
        }
        self.cost = Some((rate, cost));
        Ok(())
    }

    /// From now on also an estimate of the energy.
    pub(super) fn estimate_energy(&mut self, new: &Registrar) -> prometheus::Result<()> {
        self.energy = Some(new.add(Counter::new(
            "unjack_stolen_energy_joules_total",
            "Estimate: the processors' energy while there were miners, times their share of all CPU time.",
        )?)?);
        Ok(())
    }

    /// Adds CPU time burned by a miner of a family.
    pub fn add(&self, family: Family, seconds: f64) {
        add(
            &self.cpu_seconds.with_label_values(&[family.name()]),
            seconds,
        );
        if let Some((rate, stolen)) = &self.cost {
            add(
                &stolen.with_label_values(&[family.name()]),
                cost(seconds, *rate),
            );
        }
    }

    /// Adds an estimate of the energy that miners used.
    pub fn add_energy(&self, joules: f64) {
        if let Some(stolen) = &self.energy {
            add(stolen, joules);
        }
    }

    /// Adds CPU time burned by a miner of a family that a rule
    /// allows.
    pub fn add_allowed(&self, family: Family, seconds: f64) {
        add(
            &self.allowed_cpu_seconds.with_label_values(&[family.name()]),
            seconds,
        );
    }

    /// CPU seconds that miners burned and that a rule allows, by family, where
    /// there are any.
    #[must_use]
    pub fn by_family(&self) -> Vec<Stolen> {
        let families = Family::ALL.into_iter().map(|family| Stolen {
            family: family.name().to_owned(),
            stolen_seconds: self.cpu_seconds.with_label_values(&[family.name()]).get(),
            allowed_seconds: self
                .allowed_cpu_seconds
                .with_label_values(&[family.name()])
                .get(),
        });
        families
            .filter(|taken| taken.stolen_seconds + taken.allowed_seconds > 0.0)
            .collect()
    }
}
