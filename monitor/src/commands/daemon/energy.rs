//! The energy that miners use, where the host tells what its processors do.

use std::path::Path;

use super::Daemon;
use crate::host::energy::{
    Meter,
    rapl::{POWERCAP, Rapl},
};
use unjack_core::{profile::seconds, verdict::Verdict};

/// What is read, and what it was a second ago.
pub(super) struct Energy {
    rapl: Option<Rapl>,
    meter: Meter,
}

impl Energy {
    /// Looks whether this host has such counters.
    pub(super) fn find() -> Self {
        let rapl = Rapl::find(Path::new(POWERCAP));
        if let Some(rapl) = &rapl {
            tracing::info!(
                "energy is estimated from the counters of {} processor packages",
                rapl.packages()
            );
        }
        Self {
            rapl,
            meter: Meter::default(),
        }
    }

    /// Whether there is anything to be read.
    pub(super) fn is_known(&self) -> bool {
        self.rapl.is_some()
    }
}

impl Daemon {
    /// Charges miners with energy for this tick, in which all processes burned
    /// `all` CPU seconds.
    pub(super) fn charge_energy(&mut self, all: f64) {
        let Energy {
            rapl: Some(rapl),
            meter,
        } = &mut self.energy
        else {
            return;
        };
        let mined = |subject: &crate::detect::collector::Subject| {
            let case = &subject.case;
            case.judgement.verdict() == Verdict::Miner && !case.allowed
        };
        let mined_ns = self
            .collector
            .subjects()
            .filter(|subject| mined(subject))
            .map(|subject| subject.profile.latest_burn_ns())
            .sum();
        let joules = meter.tick(seconds(mined_ns), all, || rapl.read());
        self.metrics.stolen.add_energy(joules);
    }
}
