//! What is counted of bans.

use monitor_ebpf::bans::BanStats;
use prometheus::{IntCounterVec, IntGauge};

use super::{
    registrar::{Mirror, Registrar},
    to_gauge,
};
use crate::respond::action::ban::rule::Spared;

/// What can come of hashing an image: it is none of those that are banned, it is
/// one, it is one but may not be banned, it was too large, it could not be read
/// (most were gone by then), or others were being hashed and it is asked about
/// again.
pub const BAN_RESULTS: [&str; 6] = [
    "clean",
    "banned",
    "spared",
    "too-large",
    "unreadable",
    "deferred",
];

/// Metrics of bans.
#[derive(Debug)]
pub struct BanMetrics {
    images: IntCounterVec,
    refused: IntCounterVec,
    in_force: IntGauge,
    execs_refused: Mirror,
    events_lost: Mirror,
    signals_failed: Mirror,
}

impl BanMetrics {
    pub(super) fn new(new: &Registrar) -> prometheus::Result<Self> {
        let metrics = Self {
            images: new.int_counters(
                "unjack_ban_images_total",
                "Images that were new to the kernel while there were bans, by what came of it.",
                &["result"],
            )?,
            refused: new.int_counters(
                "unjack_bans_refused_total",
                "Images of miners that were not banned, or whose ban had to make room.",
                &["reason"],
            )?,
            in_force: new.add(IntGauge::new("unjack_bans", "Bans of images in force.")?)?,
            execs_refused: new.mirror(
                "unjack_execs_refused_total",
                "Execs of banned images that were refused.",
            )?,
            events_lost: new.mirror(
                "unjack_ban_events_lost_total",
                "Refused execs and questions about images that nobody was told of.",
            )?,
            signals_failed: new.mirror(
                "unjack_ban_signals_failed_total",
                "Signals to processes of banned images that the kernel would not send.",
            )?,
        };
        for result in BAN_RESULTS {
            metrics.images.with_label_values(&[result]);
        }
        for reason in Spared::ALL {
            metrics.refused.with_label_values(&[reason.name()]);
        }
        Ok(metrics)
    }

    /// Says that none is in force.
    pub fn clear(&self) {
        self.in_force.set(0);
    }

    /// Takes over how many bans there are, what their programs counted, and how many
    /// refused execs they told that were not told on.
    pub fn mirror(&self, bans: usize, stats: &BanStats, untold: u64) {
        let BanStats {
            refused,
            events_lost,
            signals_failed,
            checked: _,
        } = stats;
        self.in_force.set(to_gauge(bans as u64));
        self.execs_refused.set_total(*refused);
        self.events_lost
            .set_total(events_lost.saturating_add(untold));
        self.signals_failed.set_total(*signals_failed);
    }

    /// Counts an image that was hashed, or was to be: one of [`BAN_RESULTS`].
    pub fn count_image(&self, result: &'static str) {
        self.images.with_label_values(&[result]).inc();
    }

    /// Counts an image that was not banned.
    pub fn count_spared(&self, reason: Spared) {
        self.refused.with_label_values(&[reason.name()]).inc();
    }
}
