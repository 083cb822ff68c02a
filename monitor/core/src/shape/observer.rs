//! All connections of a process from look to look.

use std::{collections::HashSet, net::SocketAddr};

use super::{
    Observation, Shape,
    pace::Pace,
    track::{Flow, LEAST_CPU_SECONDS, Track},
};

/// Connections that are followed: a miner has one, or one a thread. A look tells of
/// no more.
pub const MAX_CONNECTIONS: usize = 16;
/// Peers that are told apart; more are counted as so many. Nodes of a network and
/// crawlers have more than any miner long before that.
const MAX_PEERS: usize = 64;
/// How long a connection that was closed is remembered: miners connect again within
/// seconds, or minutes if a pool is down.
const REMEMBER_NS: u64 = 600_000_000_000;

/// The connections of one process, from the first look on.
#[derive(Clone, Debug, Default)]
pub struct Observer {
    tracks: Vec<Track>,
    peers: HashSet<SocketAddr>,
    looks: u32,
    accepted: u32,
    listens: bool,
    flow: Flow,
    pace: Pace,
    first_cpu_ns: u64,
    last_ns: u64,
    last_cpu_ns: u64,
}

impl Observer {
    /// Takes in a look at `now_ns`, when the process had used `cpu_ns` of CPU time.
    /// `listens` says that it listens on a socket.
    pub fn look(&mut self, now_ns: u64, cpu_ns: u64, found: &[Observation], listens: bool) {
        let first = self.looks == 0;
        if first {
            self.first_cpu_ns = cpu_ns;
        }
        self.pace.add(now_ns, cpu_ns);
        self.tracks
            .retain(|track| now_ns.saturating_sub(track.last_ns()) < REMEMBER_NS);
        for connection in found.iter().take(MAX_CONNECTIONS) {
            let flow = self.take(now_ns, cpu_ns, connection, found, first);
            let all = &mut self.flow;
            all.sent = all.sent.saturating_add(flow.sent);
            all.received = all.received.saturating_add(flow.received);
            if connection.outward && self.peers.len() < MAX_PEERS {
                self.peers.insert(connection.peer);
            }
        }
        self.looks = self.looks.saturating_add(1);
        self.listens |= listens;
        self.last_ns = now_ns;
        self.last_cpu_ns = cpu_ns;
    }

    /// Takes in one connection of a look; what flowed on it since the last.
    fn take(
        &mut self,
        now_ns: u64,
        cpu_ns: u64,
        connection: &Observation,
        all: &[Observation],
        first: bool,
    ) -> Flow {
        let known = |track: &Track| track.cookie == connection.cookie;
        if let Some(track) = self.tracks.iter_mut().find(|track| known(track)) {
            let had_data = track.has_data;
            let flow = track.look(now_ns, connection, &self.pace);
            let since_ns = now_ns.saturating_sub(self.last_ns);
            track.recent.add(flow.segments, since_ns as f64 / 1e9);
            if !track.outward && track.has_data && !had_data {
                self.accepted = self.accepted.saturating_add(1);
            }
            return flow;
        }
        // One to the same peer that is gone goes on as this one.
        let gone = |track: &Track| all.iter().all(|found| found.cookie != track.cookie);
        let before = connection
            .outward
            .then(|| {
                let mut tracks = self.tracks.iter_mut();
                tracks.find(|track| track.outward && track.peer == connection.peer && gone(track))
            })
            .flatten();
        if let Some(track) = before {
            return track.reopened(now_ns, connection);
        }
        if !connection.outward && connection.received > 0 {
            self.accepted = self.accepted.saturating_add(1);
        }
        let mut track = Track::new(now_ns, cpu_ns, connection);
        let flow = if first {
            // It may be much older than what is known of the CPU time.
            Flow::default()
        } else {
            track.begins_with(connection)
        };
        if self.tracks.len() == MAX_CONNECTIONS {
            // A look has no more than that: one of them is closed.
            let closed = self.tracks.iter().enumerate().filter(|(_, it)| gone(it));
            let oldest = closed.min_by_key(|(_, it)| it.last_ns()).map(|(at, _)| at);
            let Some(oldest) = oldest else { return flow };
            self.tracks.swap_remove(oldest);
        }
        self.tracks.push(track);
        flow
    }

    /// What it amounts to so far.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let seconds = |since_ns: u64| self.last_cpu_ns.saturating_sub(since_ns) as f64 / 1e9;
        let rate =
            |count: u64, since_ns: u64| count as f64 / seconds(since_ns).max(LEAST_CPU_SECONDS);
        let most = self
            .tracks
            .iter()
            .filter(|track| track.may_be_a_pools(seconds(track.first_cpu_ns)))
            .max_by_key(|track| (track.pushes, track.submissions, track.last_ns()));
        Shape {
            looks: self.looks,
            pushes: most.map_or(0, |track| track.pushes),
            submissions: most.map_or(0, |track| track.submissions),
            messages_per_second: most.map_or(0.0, |track| track.recent.rate()),
            age_seconds: most.map_or(0.0, Track::age_seconds),
            related: false,
            child: false,
            received_per_cpu_second: rate(self.flow.received, self.first_cpu_ns),
            sent_per_cpu_second: rate(self.flow.sent, self.first_cpu_ns),
            accepted: self.accepted,
            peers: u32::try_from(self.peers.len()).unwrap_or(u32::MAX),
            listens: self.listens,
        }
    }

    /// When it was last looked at, nanoseconds; 0 if it was not.
    #[must_use]
    pub fn looked_ns(&self) -> u64 {
        self.last_ns
    }

    #[cfg(test)]
    pub(super) fn followed(&self) -> usize {
        self.tracks.len()
    }
}
