//! What is counted of evidence.

use std::fmt;

use super::Loss;

/// Counters of evidence, handed in by what shows them.
pub trait Counts: fmt::Debug + Send + Sync {
    /// A folder was kept.
    fn keep_evidence(&self);

    /// Old folders were removed to make room.
    fn prune_evidence(&self, folders: u64);

    /// Evidence was lost, all of it or a part.
    fn lose_evidence(&self, loss: Loss);
}
