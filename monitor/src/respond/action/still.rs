//! A process stopped for a moment, so that what is read of it is not gone or
//! changed while it is read.

use super::{
    Order, Refusal, Signal, Signals, check,
    keeper::{Keeper, Noted},
    moment::Moment,
    signals,
};
use crate::policy::guard::sacred;

/// A process that does not run as long as this lives. Dropping it lets it go
/// on, whatever happened meanwhile; if it was killed, that does nothing.
#[derive(Debug)]
pub struct Still<'a, S: Signals> {
    signals: &'a S,
    held: S::Held,
    /// Over once it goes on.
    noted: Noted<'a>,
}

impl<S: Signals> Drop for Still<'_, S> {
    fn drop(&mut self) {
        // It may be gone; then there is no process to continue.
        self.noted
            .over(self.signals.send(&self.held, Signal::Continue));
    }
}

/// Stops a process that an order is about, as carefully as it would be killed.
/// `None` if it is stopped already, as the process that stopped it is to continue
/// it; or if the stop cannot be written down, as then it might never be continued.
///
/// # Errors
/// It must not be, or is not there any more.
pub fn still<'a, S: Signals>(
    order: &Order,
    lineage: &[u32],
    signals: &'a S,
    keeper: &'a Keeper,
) -> Result<Option<Still<'a, S>>, Refusal> {
    sacred(order.process.tgid, false, lineage)?;
    let held = signals::hold(order.process.tgid, signals)?;
    if signals.is_cancelled() {
        return Err(Refusal::Cancelled);
    }
    check(order.judged(), order.image, signals)?;
    if signals.is_stopped(order.process.tgid) {
        return Ok(None);
    }
    let Some(noted) = keeper.note(Moment::Stopped(order.judged())) else {
        return Ok(None);
    };
    if let Err(refusal) = signals::send(&held, Signal::Stop, signals) {
        // It was never stopped.
        noted.over(Ok(()));
        return Err(refusal);
    }
    Ok(Some(Still {
        signals,
        held,
        noted,
    }))
}
