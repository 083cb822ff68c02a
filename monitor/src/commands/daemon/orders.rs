//! Orders under way, each on a thread of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{MAX_ORDERS, incidents::Wanted};
use crate::{
    detect::{collector::ActionState, detector::RETRY_NS},
    host::Image,
    policy::{ancestry::Record, guard::Guard, refusal::Refusal},
    respond::action::{
        self, ActionRequest, ActionResult, Outcome, System, ban::Note, hold_manager::HoldManager,
    },
};
use unjack_core::{event::Process, score::Family};

/// Time after which the digest of a process in the scope is known, or is no longer
/// waited for, or what protects a process is read again.
const UNDECIDED_NS: u64 = 5_000_000_000;

/// What is to be done about a process after `outcome`, where `action_state` is what
/// was to be done until now. A process that executed another image meanwhile
/// has a new case, and an order that was given, if it was, was not about that.
pub(super) fn after(
    action_state: ActionState,
    outcome: Outcome,
    given: bool,
    now_ns: u64,
) -> ActionState {
    match outcome {
        _ if given && action_state != ActionState::UnderWay => action_state,
        Outcome::Refused(Refusal::Undecided | Refusal::ProtectionUnknown) => {
            ActionState::Again(now_ns + UNDECIDED_NS)
        }
        Outcome::Survived
        | Outcome::Refused(
            Refusal::NoPidfd | Refusal::Unreadable | Refusal::NoState | Refusal::Replaced,
        ) => ActionState::Again(now_ns + RETRY_NS),
        // When the breaker closes is told by what was to be done until now.
        Outcome::Refused(Refusal::Breaker) => action_state,
        Outcome::Gone | Outcome::Held | Outcome::Refused(_) => ActionState::Settled,
    }
}

/// What came of an order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub(super) process: Process,
    pub(super) family: Option<Family>,
    /// The image it was judged by, if it is known.
    pub(super) image: Option<Image>,
    pub(super) done: ActionResult,
    /// How long it took.
    pub(super) time: Duration,
}

/// The orders of the daemon.
pub(super) struct Orders {
    cancelled: Arc<AtomicBool>,
    under_way: usize,
    sender: mpsc::Sender<Report>,
    receiver: mpsc::Receiver<Report>,
    record: Arc<dyn Record>,
    pub(super) hold_manager: Arc<HoldManager>,
}

impl Orders {
    /// With `record` of who forked whom.
    pub(super) fn new(hold_manager: HoldManager, record: Arc<dyn Record>) -> Self {
        let (sender, receiver) = mpsc::channel(MAX_ORDERS);
        Self {
            cancelled: Arc::default(),
            under_way: 0,
            sender,
            receiver,
            record,
            hold_manager: Arc::new(hold_manager),
        }
    }

    /// No signal is sent from now on: the daemon was told to stop.
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether no more orders can be given now.
    pub(super) fn full(&self) -> bool {
        self.under_way >= MAX_ORDERS
    }

    /// The host, for what is done without an order.
    pub(super) fn host(&self) -> System {
        System::new(Arc::default()).with_forks(Arc::clone(&self.record))
    }

    /// Gives an order on a miner of this family, to be carried out after
    /// evidence was taken if that is wanted, and its image is held if that is to
    /// be banned.
    pub(super) fn give(
        &mut self,
        order: ActionRequest,
        guard: Guard,
        family: Option<Family>,
        evidence: Option<Wanted>,
        note: Option<Note>,
    ) {
        self.under_way += 1;
        let sender = self.sender.clone();
        let system = System::new(Arc::clone(&self.cancelled)).with_forks(Arc::clone(&self.record));
        let hold_manager = Arc::clone(&self.hold_manager);
        tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            if let Some(note) = note {
                note.take();
            }
            let act = || action::carry_out(&order, &guard, &system, &hold_manager);
            let done = match evidence {
                Some(wanted) => wanted.before(&order, &guard.lineage, &system, &hold_manager, act),
                None => act(),
            };
            let report = Report {
                process: order.process,
                family,
                image: Some(order.image),
                done,
                time: begun.elapsed(),
            };
            // An error means that the daemon is on its way out.
            let _sent = sender.blocking_send(report);
        });
    }

    /// The next order that was carried out.
    pub(super) async fn next(&mut self) -> Report {
        match self.receiver.recv().await {
            Some(report) => {
                self.under_way = self.under_way.saturating_sub(1);
                report
            }
            // Cannot be: this holds a sender.
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGAIN: ActionState = ActionState::Again(5 + RETRY_NS);

    /// Of an order that was given.
    #[track_caller]
    fn check(action_state: ActionState, outcome: Outcome, expected: ActionState) {
        assert_eq!(after(action_state, outcome, true, 5), expected);
    }

    /// Of a refusal on the spot.
    #[track_caller]
    fn refused(action_state: ActionState, refusal: Refusal, expected: ActionState) {
        let outcome = Outcome::Refused(refusal);
        assert_eq!(after(action_state, outcome, false, 5), expected);
    }

    #[test]
    fn an_image_that_came_after_the_order_is_still_to_be_acted_on() {
        for outcome in [
            Outcome::Refused(Refusal::Replaced),
            Outcome::Refused(Refusal::Guarded),
            Outcome::Survived,
        ] {
            check(ActionState::Open, outcome, ActionState::Open);
        }
    }

    #[test]
    fn failures_that_may_pass_are_tried_again() {
        let under_way = ActionState::UnderWay;
        check(under_way, Outcome::Survived, AGAIN);
        check(under_way, Outcome::Refused(Refusal::Replaced), AGAIN);
        refused(ActionState::Open, Refusal::Unreadable, AGAIN);
        let soon = ActionState::Again(5 + UNDECIDED_NS);
        check(under_way, Outcome::Refused(Refusal::Undecided), soon);
        refused(ActionState::Open, Refusal::ProtectionUnknown, soon);
    }

    #[test]
    fn what_the_breaker_spares_is_acted_on_once_it_closes() {
        let closes = ActionState::Again(60);
        refused(closes, Refusal::Breaker, closes);
    }

    #[test]
    fn all_else_is_settled() {
        check(ActionState::UnderWay, Outcome::Gone, ActionState::Settled);
        check(ActionState::UnderWay, Outcome::Held, ActionState::Settled);
        refused(ActionState::Open, Refusal::Allowed, ActionState::Settled);
    }
}
