//! Orders under way, each on a thread of its own.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::MAX_ORDERS;
use crate::{
    action::{self, Order, Outcome, System},
    event::Process,
    host::Image,
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
    lineage: Vec<u32>,
    grace: Duration,
    under_way: usize,
    sender: mpsc::Sender<Report>,
    receiver: mpsc::Receiver<Report>,
}

impl Orders {
    pub(super) fn new(lineage: Vec<u32>, grace: Duration) -> Self {
        let (sender, receiver) = mpsc::channel(MAX_ORDERS);
        Self {
            lineage,
            grace,
            under_way: 0,
            sender,
            receiver,
        }
    }

    /// This daemon and all it descends from.
    pub(super) fn lineage(&self) -> &[u32] {
        &self.lineage
    }

    /// Whether no more orders can be given now.
    pub(super) fn full(&self) -> bool {
        self.under_way >= MAX_ORDERS
    }

    /// Gives the order to end a process.
    pub(super) fn give(&mut self, process: Process, image: Image, family: &'static str) {
        self.under_way += 1;
        let order = Order {
            process,
            image,
            grace: self.grace,
        };
        let (lineage, sender) = (self.lineage.clone(), self.sender.clone());
        tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            let outcome = action::kill(&order, &lineage, &System);
            let report = Report {
                process,
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
