//! What is counted of bans.

use monitor_ebpf::bans::BanStats;
use prometheus::{IntCounterVec, IntGauge};

use super::{
    Metrics,
    registrar::{Mirror, Registrar},
    to_gauge,
};
use crate::respond::action::ban::{
    counts::{BAN_RESULTS, Counts},
    rule::Spared,
};

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
                "Images executed while bans were in force that the kernel did not know yet, by \
                 result of the check.",
                &["result"],
            )?,
            refused: new.int_counters(
                "unjack_bans_refused_total",
                "Images of miners that were not banned, or whose ban was dropped because there were too many.",
                &["reason"],
            )?,
            in_force: new.add(IntGauge::new("unjack_bans", "Bans of images in force.")?)?,
            execs_refused: new.mirror(
                "unjack_execs_refused_total",
                "Execs of banned images that were refused.",
            )?,
            events_lost: new.mirror(
                "unjack_ban_events_lost_total",
                "Ban events dropped: refused execs that were not reported, and new images that were not checked.",
            )?,
            signals_failed: new.mirror(
                "unjack_ban_signals_failed_total",
                "Signals to processes of banned images that the kernel failed to send.",
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
}

impl Counts for Metrics {
    fn clear(&self) {
        self.bans.in_force.set(0);
    }

    fn mirror(&self, bans: usize, stats: &BanStats, untold: u64) {
        let BanStats {
            refused,
            events_lost,
            signals_failed,
            checked: _,
        } = stats;
        self.bans.in_force.set(to_gauge(bans as u64));
        self.bans.execs_refused.set_total(*refused);
        self.bans
            .events_lost
            .set_total(events_lost.saturating_add(untold));
        self.bans.signals_failed.set_total(*signals_failed);
    }

    fn count_image(&self, result: &'static str) {
        self.bans.images.with_label_values(&[result]).inc();
    }

    fn count_spared(&self, reason: Spared) {
        self.bans.refused.with_label_values(&[reason.name()]).inc();
    }
}
