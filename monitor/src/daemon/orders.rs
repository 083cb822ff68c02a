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
    action::{self, Order, Outcome, Refusal, System},
    collector::Standing,
    event::Process,
};

/// After a failure that may pass, an order is given again.
const RETRY_NS: u64 = 30_000_000_000;

/// What is to be done about a process after `outcome`, where `standing` is what
/// was to be done until now. A process that executed another image meanwhile
/// has a new case, and the order was not about that.
pub(super) fn after(standing: Standing, outcome: Outcome, now_ns: u64) -> Standing {
    match outcome {
        // Refused on the spot: no order was given.
        Outcome::Refused(Refusal::NoPidfd | Refusal::Unreadable) => {
            Standing::Again(now_ns + RETRY_NS)
        }
        Outcome::Survived | Outcome::Refused(Refusal::Replaced)
            if standing == Standing::UnderWay =>
        {
            Standing::Again(now_ns + RETRY_NS)
        }
        Outcome::Survived | Outcome::Refused(Refusal::Replaced) => standing,
        Outcome::Gone | Outcome::Refused(_) => Standing::Settled,
    }
}

/// What came of an order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub(super) process: Process,
    pub(super) family: &'static str,
    pub(super) outcome: Outcome,
    /// How long it took.
    pub(super) time: Duration,
}

/// The orders of the daemon.
pub(super) struct Orders {
    cancelled: Arc<AtomicBool>,
    under_way: usize,
    sender: mpsc::Sender<Report>,
    receiver: mpsc::Receiver<Report>,
}

impl Orders {
    pub(super) fn new() -> Self {
        let (sender, receiver) = mpsc::channel(MAX_ORDERS);
        Self {
            cancelled: Arc::default(),
            under_way: 0,
            sender,
            receiver,
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

    /// Gives the order to end a process, after evidence was taken if that is
    /// wanted. `lineage` is this process and all it descends from.
    pub(super) fn give(
        &mut self,
        order: Order,
        lineage: Vec<u32>,
        family: &'static str,
        evidence: Option<Wanted>,
    ) {
        self.under_way += 1;
        let sender = self.sender.clone();
        let system = System::new(Arc::clone(&self.cancelled));
        tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            let outcome = match evidence {
                Some(wanted) => wanted.before(&order, &lineage, &system),
                None => action::kill(&order, &lineage, &system),
            };
            let report = Report {
                process: order.process,
                family,
                outcome,
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

    const AGAIN: Standing = Standing::Again(5 + RETRY_NS);

    #[track_caller]
    fn check(standing: Standing, outcome: Outcome, expected: Standing) {
        assert_eq!(after(standing, outcome, 5), expected);
    }

    #[test]
    fn an_image_that_came_after_the_order_is_still_to_be_acted_on() {
        check(
            Standing::Open,
            Outcome::Refused(Refusal::Replaced),
            Standing::Open,
        );
        check(Standing::Open, Outcome::Survived, Standing::Open);
    }

    #[test]
    fn failures_that_may_pass_are_tried_again() {
        check(Standing::UnderWay, Outcome::Survived, AGAIN);
        check(
            Standing::UnderWay,
            Outcome::Refused(Refusal::Replaced),
            AGAIN,
        );
        check(Standing::Open, Outcome::Refused(Refusal::Unreadable), AGAIN);
    }

    #[test]
    fn all_else_is_settled() {
        check(Standing::UnderWay, Outcome::Gone, Standing::Settled);
        check(
            Standing::Open,
            Outcome::Refused(Refusal::Allowed),
            Standing::Settled,
        );
    }
}
