//! Evidence: what the verdicts knew, until a process is acted on.

use std::{collections::HashMap, sync::mpsc::Receiver, time::Instant};

use super::DaemonError;
use crate::{
    host::Image,
    policy::config,
    respond::{
        action::{self, ActionKind, ActionRequest, ActionResult, Signals},
        evidence::{Counts, EvidenceEvent, EvidenceWriter, HOLD, Incident, Loss},
    },
    telemetry::metrics::Response,
};
use unjack_core::event::Process;

/// Evidence that is wanted before an order is carried out.
#[derive(Debug)]
pub(super) struct Wanted {
    writer: EvidenceWriter,
    incident: Incident,
    metrics: Response,
}

/// Evidence of the daemon.
#[derive(Debug)]
pub(super) struct Incidents {
    writer: Option<(EvidenceWriter, Receiver<EvidenceEvent>)>,
    /// One for each process with a verdict that was not acted on yet: at most
    /// as many as there are subjects.
    open: HashMap<Process, Incident>,
    metrics: Response,
}

impl Incidents {
    pub(super) fn new(policy: &config::Extras, metrics: Response) -> Result<Self, DaemonError> {
        let open = |(directory, limits): &(std::path::PathBuf, _)| {
            EvidenceWriter::open(directory, *limits, metrics.clone()).map_err(|source| {
                DaemonError::Evidence {
                    directory: directory.clone(),
                    source,
                }
            })
        };
        Ok(Self {
            writer: policy.evidence.as_ref().map(open).transpose()?,
            open: HashMap::new(),
            metrics,
        })
    }

    /// Whether any evidence is kept.
    pub(super) fn wanted(&self) -> bool {
        self.writer.is_some()
    }

    /// Remembers what a verdict knows.
    pub(super) fn add(&mut self, process: Process, incident: Incident) {
        self.open.insert(process, incident);
    }

    /// Forgets processes that are not there any more.
    pub(super) fn retain(&mut self, mut there: impl FnMut(Process) -> bool) {
        self.open.retain(|process, _| there(*process));
    }

    /// What is to be taken before this process is acted on; nothing if it was
    /// taken before.
    pub(super) fn take(&mut self, process: Process) -> Option<Wanted> {
        let incident = self.open.remove(&process)?;
        let (writer, _) = self.writer.as_ref()?;
        Some(Wanted {
            writer: writer.clone(),
            incident,
            metrics: self.metrics.clone(),
        })
    }

    /// What was kept since this was last asked.
    pub(super) fn kept(&self) -> Vec<EvidenceEvent> {
        let told = self.writer.as_ref().map(|(_, told)| told.try_iter());
        told.into_iter().flatten().collect()
    }

    /// Waits a moment for what is still being kept.
    pub(super) fn finish(&self) {
        if let Some((writer, _)) = &self.writer {
            writer.finish();
        }
    }
}

impl Wanted {
    /// Takes evidence without touching the process.
    pub(super) fn observe(self, process: Process, image: Image) {
        let _unwaited = self.writer.take(process, image, self.incident);
    }

    /// Stops the process, waits until everything that goes with it was read,
    /// for [`HOLD`] at the most, and has the order carried out by `act`. It goes
    /// on before it is asked to end, before it is throttled or frozen, and where
    /// it is not ended.
    pub(super) fn before<S: Signals>(
        self,
        order: &ActionRequest,
        lineage: &[u32],
        signals: &S,
        store: &action::hold_manager::HoldManager,
        act: impl FnOnce() -> ActionResult,
    ) -> ActionResult {
        let begun = Instant::now();
        let still = match action::stop_briefly(order, lineage, signals, store) {
            Ok(still) => still,
            Err(refusal) => {
                self.metrics.lose_evidence(Loss::Gone);
                return refusal.into();
            }
        };
        if let Some(taking) = self.writer.take(order.process, order.image, self.incident) {
            taking.wait(HOLD.saturating_sub(begun.elapsed()));
        }
        self.metrics
            .hold_for_evidence(begun.elapsed().as_secs_f64());
        // One that is stopped heeds no SIGTERM; and letting go on afterwards
        // would undo a freeze by SIGSTOP.
        let at_once = matches!(order.deed, ActionKind::Kill { grace } if grace.is_zero());
        let still = still.filter(|_| at_once);
        let done = act();
        drop(still);
        done
    }
}

#[cfg(test)]
mod tests;
