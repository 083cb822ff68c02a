//! Orders under way, each on a thread of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::MAX_ORDERS;
use crate::{
    action::{self, Order, Outcome, System},
    event::Process,
};

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

    /// Gives the order to end a process. `lineage` is this process and all it
    /// descends from.
    pub(super) fn give(&mut self, order: Order, lineage: Vec<u32>, family: &'static str) {
        self.under_way += 1;
        let sender = self.sender.clone();
        let system = System::new(Arc::clone(&self.cancelled));
        tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            let outcome = action::kill(&order, &lineage, &system);
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
