//! The record of forks on this host: what the probes recorded, and what `/proc`
//! showed before.

use std::sync::Arc;

use crate::{
    host,
    kernel::probe::Parents,
    policy::ancestry::{Forks, Record},
};

/// The record of forks.
pub struct Recorded {
    kin: Arc<Parents>,
    /// Of processes that are older than the probes: their parents then. One that was
    /// adopted before that has an unknown parent, or process 1.
    before: Forks,
}

impl Recorded {
    /// To be called once the probes are attached: what is forked later is in their
    /// table.
    #[must_use]
    pub fn new(kin: Arc<Parents>) -> Self {
        Self {
            kin,
            before: host::parents().into_iter().collect(),
        }
    }
}

impl Record for Recorded {
    fn forks(&self) -> Forks {
        let mut forks = self.before.clone();
        self.kin
            .each(&mut |child, parent| forks.add(child.into(), parent.into()));
        forks
    }
}
