//! How a process's network connections behave, whatever is said on them.
//!
//! A miner gets work from a pool and brings results back: on one connection that it
//! began, small messages arrive without being asked for (jobs) and small messages
//! leave without being asked for (shares), with CPU time between them. The kernel's own
//! counters of a TCP connection show that, encrypted or not.
//!
//! Pure: looks at the connections flow in as [`Observation`]s with the time and the
//! CPU time of the process; a [`Shape`] flows out, which is part of a
//! [`Summary`](crate::profile::Summary) and is recorded and replayed with it.
//!
//! A worker at a queue gets jobs and brings results, too. But it is idle when a job
//! comes, and a miner is not: only jobs that come while the process burns on count.
//!
//! What this does not see: a miner that asks for work by polling, or that answers
//! every job at once with a message of its own, has submissions but no pushes.

mod observer;
mod pace;
mod track;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

pub use self::observer::{MAX_CONNECTIONS, Observer};

/// How the connections of a process behaved so far; nothing at all by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shape {
    /// Looks at its connections that were made.
    pub looks: u32,
    /// Of the connection that is most like a miner's: small messages that came
    /// unasked, were not answered at once, and found the process at work, as jobs do.
    pub pushes: u32,
    /// Of the same: small messages that were sent unasked, as shares are.
    pub submissions: u32,
    /// Of the same: messages either way per second, lately.
    pub messages_per_second: f64,
    /// Seconds for which that connection has been seen.
    pub age_seconds: f64,
    /// That connection is not the process's own: a process that it shares a pipe or
    /// a socket with, or one of its session, has it.
    pub related: bool,
    /// The process that has it was started by this one.
    pub child: bool,
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
    /// That of a miner which talks to a pool, seen for half a minute: an example
    /// for tests.
    #[must_use]
    pub fn pool_like() -> Self {
        Self {
            looks: 20,
            pushes: 2,
            submissions: 4,
            messages_per_second: 0.5,
            age_seconds: 30.0,
            received_per_cpu_second: 100.0,
            sent_per_cpu_second: 100.0,
            peers: 1,
            ..Self::default()
        }
    }

    /// Whether anything is known.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.looks == 0
    }

    /// Whether a connection behaves as one to a pool does: jobs arrive and shares
    /// leave.
    #[must_use]
    pub fn is_pool_like(&self) -> bool {
        self.pushes > 0 && self.submissions > 0
    }
}

/// What the kernel says of one TCP connection at one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Its socket: no other socket of this kernel has the same number.
    pub cookie: u64,
    /// The other end.
    pub peer: SocketAddr,
    /// This side began it.
    pub outward: bool,
    /// Bytes of data sent so far, without what was sent again.
    pub sent: u64,
    /// Bytes of data received so far.
    pub received: u64,
    /// Data segments sent so far; wraps around.
    pub segments_out: u32,
    /// Data segments received so far; wraps around.
    pub segments_in: u32,
    /// Milliseconds since data was last sent, or since the connection began.
    pub since_sent_ms: u32,
    /// Milliseconds since data was last received, or since the connection began.
    pub since_received_ms: u32,
    /// Round-trip time, microseconds.
    pub rtt_us: u32,
}

#[cfg(test)]
mod tests;
