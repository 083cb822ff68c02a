//! How a process's network connections behave, whatever is said on them.
//!
//! A miner gets work from somebody else and brings results back: on one connection
//! that it began, small messages come unasked (jobs) and small messages go out
//! unasked (shares), minutes of CPU time apart from any of them. The kernel's own
//! counters of a TCP connection show that, encrypted or not.
//!
//! Pure: looks at the connections flow in as [`Observation`]s with the moment and the
//! CPU time of the process; a [`Shape`] flows out, which is part of a
//! [`Summary`](crate::profile::Summary) and is recorded and replayed with it.

use serde::{Deserialize, Serialize};

/// How the connections of a process behaved so far; nothing at all by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shape {
    /// Looks at its connections that were made.
    pub looks: u32,
    /// Of the connection that is most like a miner's: small messages that came
    /// unasked and were not answered at once, as jobs do.
    pub pushes: u32,
    /// Of the same: small messages that were sent unasked, as shares are.
    pub submissions: u32,
    /// Of the same: messages either way per CPU second of the process.
    pub messages_per_cpu_second: f64,
    /// Seconds for which that connection has been seen.
    pub age_seconds: f64,
    /// That connection is not the process's own: a process that it shares a pipe or
    /// a socket with, or one of its session, has it.
    pub related: bool,
    /// Bytes received on all connections of its own, per CPU second.
    pub received_per_cpu_second: f64,
    /// Bytes sent on all connections of its own, per CPU second.
    pub sent_per_cpu_second: f64,
    /// Connections that others began with it and on which data came.
    pub accepted: u32,
    /// Peers that it began a connection with.
    pub peers: u32,
    /// It listens on a socket.
    pub listens: bool,
}

impl Shape {
    /// Whether anything is known.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.looks == 0
    }
}
