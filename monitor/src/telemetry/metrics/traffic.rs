//! What is counted of the traffic of suspects.

use monitor_ebpf::WatchStats;
use prometheus::{IntCounter, IntGauge};

use super::{
    registrar::{Mirror, Registrar},
    to_gauge,
};
use crate::detect::counts::Counts;

/// Metrics of suspects' connections. Clones count in the same series.
#[derive(Clone, Debug)]
pub struct Traffic {
    sockets: IntGauge,
    packets: Mirror,
    dropped: Mirror,
    /// Looks at connections of suspects and their relatives, and searches for these.
    pub looks: IntCounter,
    /// Those that took too long or failed, and those there was no time for.
    pub looks_given_up: IntCounter,
    /// Suspects whose connections were not followed, or not any more.
    pub observers_dropped: IntCounter,
    /// Looks at which a suspect's socket could not be watched, there being too
    /// many.
    pub unwatched: IntCounter,
    /// Processes heard to speak Stratum.
    pub heard: IntCounter,
}

impl Traffic {
    pub(super) fn new(new: &Registrar) -> prometheus::Result<Self> {
        Ok(Self {
            sockets: new.add(IntGauge::new(
                "unjack_stratum_sockets",
                "Connections of suspects that are checked for Stratum now.",
            )?)?,
            packets: new.mirror(
                "unjack_stratum_packets_total",
                "Packets with payload that suspects sent on connections checked for Stratum.",
            )?,
            dropped: new.mirror(
                "unjack_stratum_packets_dropped_total",
                "Packets that begin like a Stratum message and were not checked: too many in a \
                 second, or the ring buffer was full.",
            )?,
            looks: new.add(IntCounter::new(
                "unjack_network_looks_total",
                "Readings of the connections of suspects, and of processes that may connect for them.",
            )?)?,
            looks_given_up: new.add(IntCounter::new(
                "unjack_network_looks_given_up_total",
                "Readings of connections that failed, timed out, or were skipped for lack of time.",
            )?)?,
            observers_dropped: new.add(IntCounter::new(
                "unjack_network_observers_dropped_total",
                "Times the connections of a suspect were not followed, or no longer, because \
                 there were too many.",
            )?)?,
            unwatched: new.add(IntCounter::new(
                "unjack_stratum_sockets_unwatched_total",
                "Times a suspect's connection was not checked for Stratum because there were too \
                 many.",
            )?)?,
            heard: new.add(IntCounter::new(
                "unjack_stratum_heard_total",
                "Processes that sent a miner's side of Stratum on a connection of their own.",
            )?)?,
        })
    }

    /// Takes over the probes' counters.
    pub fn mirror(&self, stats: &WatchStats) {
        let WatchStats { packets, dropped } = stats;
        self.packets.set_total(*packets);
        self.dropped.set_total(*dropped);
    }
}

impl Counts for Traffic {
    fn look(&self) {
        self.looks.inc();
    }

    fn look_given_up(&self) {
        self.looks_given_up.inc();
    }

    fn observer_dropped(&self) {
        self.observers_dropped.inc();
    }

    fn unwatched(&self) {
        self.unwatched.inc();
    }

    fn heard(&self) {
        self.heard.inc();
    }

    fn set_sockets(&self, sockets: usize) {
        self.sockets.set(to_gauge(sockets as u64));
    }
}
