//! A process stopped for a moment, so that what is read of it is not gone or
//! changed while it is read.

use super::{
    ActionRequest, Refusal, Signal, Signals, check,
    hold_manager::{HoldManager, RecordedStop},
    signals,
    transient_stop::TransientStop,
};
use crate::policy::guard::never_act_on;

/// A process that does not run as long as this lives. Dropping it lets it go
/// on, whatever happened meanwhile; if it was killed, that does nothing.
#[derive(Debug)]
pub struct StopGuard<'a, S: Signals> {
    signals: &'a S,
    held: S::Held,
    /// Over once it goes on.
    intents: RecordedStop<'a>,
}

impl<S: Signals> Drop for StopGuard<'_, S> {
    fn drop(&mut self) {
        // It may be gone; then there is no process to continue.
        self.intents
            .over(self.signals.send(&self.held, Signal::Continue));
    }
}

/// Stops a process that an order is about, as carefully as it would be killed.
/// `None` if it is stopped already, as the process that stopped it is to continue
/// it; or if the stop cannot be written down, as then it might never be continued.
///
/// # Errors
/// It must not be, or is not there any more.
pub fn stop_briefly<'a, S: Signals>(
    order: &ActionRequest,
    lineage: &[u32],
    signals: &'a S,
    hold_manager: &'a HoldManager,
) -> Result<Option<StopGuard<'a, S>>, Refusal> {
    never_act_on(order.process.tgid, false, lineage)?;
    let held = signals::hold(order.process.tgid, signals)?;
    if signals.is_cancelled() {
        return Err(Refusal::Cancelled);
    }
    check(order.judged(), order.image, signals)?;
    if signals.is_stopped(order.process.tgid) {
        return Ok(None);
    }
    let Some(intents) = hold_manager.note(TransientStop::Stopped(order.judged())) else {
        return Ok(None);
    };
    if let Err(refusal) = signals::send(&held, Signal::Stop, signals) {
        // It was never stopped.
        intents.over(Ok(()));
        return Err(refusal);
    }
    Ok(Some(StopGuard {
        signals,
        held,
        intents,
    }))
}
