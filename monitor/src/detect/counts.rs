//! What is counted of looks at connections.

use std::fmt;

/// Counters of looks at connections, handed in by what shows them.
pub trait Counts: fmt::Debug + Send + Sync {
    /// A look at the connections of a suspect or one of its relatives, or a search
    /// for these.
    fn look(&self);

    /// Such a look took too long or failed, or there was no time for it.
    fn look_given_up(&self);

    /// A suspect's connections were not followed, or not any more.
    fn observer_dropped(&self);

    /// A suspect's socket could not be watched: there were too many.
    fn unwatched(&self);

    /// A process was heard to speak Stratum.
    fn heard(&self);

    /// How many sockets are watched now.
    fn set_sockets(&self, sockets: usize);
}

/// Counts nothing.
impl Counts for () {
    fn look(&self) {}

    fn look_given_up(&self) {}

    fn observer_dropped(&self) {}

    fn unwatched(&self) {}

    fn heard(&self) {}

    fn set_sockets(&self, _: usize) {}
}
