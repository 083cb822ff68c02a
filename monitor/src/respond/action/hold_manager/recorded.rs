//! What is done for a moment only, written down while it lasts.

use std::io;

use super::{HoldManager, report};
use crate::respond::action::{folders::is_gone, transient_stop::TransientStop};

impl HoldManager {
    /// Writes down what is about to be done for a moment; `None`, told, if that
    /// cannot be.
    #[must_use]
    pub fn note(&self, moment: TransientStop) -> Option<RecordedStop<'_>> {
        // Another daemon that starts meanwhile must not undo it.
        if !self.claim() {
            return None;
        }
        let intents = self.store.with(|mut locked| {
            locked.state.moments.push(moment.clone());
            locked.save()
        });
        match intents.and_then(|saved| saved) {
            Ok(()) => Some(RecordedStop {
                hold_manager: self,
                moment,
            }),
            Err(error) => {
                tracing::error!(
                    "a process or cgroup is not stopped, as that cannot be recorded: {error}"
                );
                None
            }
        }
    }

    /// A moment is over.
    fn forget(&self, moment: &TransientStop) {
        report(self.store.with(|mut locked| {
            let moments = &mut locked.state.moments;
            if let Some(index) = moments.iter().position(|intents| intents == moment) {
                moments.swap_remove(index);
            }
            locked.save()
        }));
    }
}

/// A moment that is written down until it is said to be over.
#[derive(Debug)]
#[must_use]
pub struct RecordedStop<'a> {
    hold_manager: &'a HoldManager,
    moment: TransientStop,
}

impl RecordedStop<'_> {
    /// It is forgotten once the stopped process or frozen cgroup runs again, or is
    /// gone; else it stays written down for the next attempt.
    pub(in crate::respond::action) fn over(&self, undone: io::Result<()>) {
        match undone {
            Err(error) if !is_gone(&error) && error.raw_os_error() != Some(libc::ESRCH) => {
                tracing::error!(
                    "{:?} cannot be released: {error}; `unjack release --all` tries again",
                    self.moment
                );
            }
            _ => self.hold_manager.forget(&self.moment),
        }
    }
}
