//! What is counted of the traffic of suspects.

use monitor_ebpf::WatchStats;
use prometheus::{IntCounter, IntGauge};

use super::{
    registrar::{Mirror, Registrar},
    to_gauge,
};

/// Metrics of suspects' connections. Clones count in the same series.
#[derive(Clone, Debug)]
pub struct Traffic {
    sockets: IntGauge,
    packets: Mirror,
    dropped: Mirror,
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
                "Connections of suspects whose traffic is looked at now.",
            )?)?,
            packets: new.mirror(
                "unjack_stratum_packets_total",
                "Packets with a payload that they send on these connections.",
            )?,
            dropped: new.mirror(
                "unjack_stratum_packets_dropped_total",
                "Packets that begin as a message does and were not looked at: too many in a \
                 second, or the ring was full.",
            )?,
            unwatched: new.add(IntCounter::new(
                "unjack_stratum_sockets_unwatched_total",
                "Times a suspect's connections were not looked at: there were too many, or it took too long.",
            )?)?,
            heard: new.add(IntCounter::new(
                "unjack_stratum_heard_total",
                "Processes that spoke Stratum, as a miner does, on a connection of their own.",
            )?)?,
        })
    }

    /// Sets how many connections are watched.
    pub fn set_sockets(&self, sockets: usize) {
        self.sockets.set(to_gauge(sockets as u64));
    }

    /// Takes over the probes' counters.
    pub fn mirror(&self, stats: &WatchStats) {
        let WatchStats { packets, dropped } = stats;
        self.packets.set_total(*packets);
        self.dropped.set_total(*dropped);
    }
}
