//! What is counted of evidence, lists and hooks.

use monitor_ebpf::PoolStats;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec};

use super::{
    registrar::{Mirror, Registrar},
    to_gauge,
};
use crate::{
    detect::reputation::List,
    host::{container::Lookup, digest},
    respond::{
        evidence::{self, Loss},
        hook,
    },
};

/// Seconds. A process is held for a quarter of a second at the most.
const HELD_BUCKETS: [f64; 9] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25];

/// Metrics of the response. Clones count in the same series.
#[derive(Clone, Debug)]
pub struct Response {
    evidence_kept: IntCounter,
    evidence_pruned: IntCounter,
    evidence_lost: IntCounterVec,
    evidence_held: Histogram,
    hooks: IntCounterVec,
    list_entries: IntGaugeVec,
    list_reloads: IntCounterVec,
    images: IntCounterVec,
    containers: IntCounterVec,
    pool_connections: Mirror,
    pool_refusals: Mirror,
    pool_untold: Mirror,
    /// Processes forgotten that had connected to a pool.
    pub contacts_forgotten: IntCounter,
}

impl Response {
    pub(super) fn new(new: &Registrar) -> prometheus::Result<Self> {
        let response = Self {
            evidence_kept: new.add(IntCounter::new(
                "unjack_evidence_kept_total",
                "Folders of evidence that were kept.",
            )?)?,
            evidence_pruned: new.add(IntCounter::new(
                "unjack_evidence_pruned_total",
                "Old folders of evidence that were deleted to stay within the limits.",
            )?)?,
            evidence_lost: new.int_counters(
                "unjack_evidence_lost_total",
                "Evidence that was lost, in part or whole, by reason.",
                &["reason"],
            )?,
            evidence_held: new.add(Histogram::with_opts(
                HistogramOpts::new(
                    "unjack_evidence_held_seconds",
                    "Time for which an action waited for evidence while the process was stopped.",
                )
                .buckets(HELD_BUCKETS.to_vec()),
            )?)?,
            hooks: new.int_counters(
                "unjack_hooks_total",
                "Runs of --on-verdict, by outcome.",
                &["outcome"],
            )?,
            list_entries: new.int_gauges(
                "unjack_list_entries",
                "Entries of the lists in force.",
                &["list"],
            )?,
            list_reloads: new.int_counters(
                "unjack_list_reloads_total",
                "Times the lists were read again; kept-old if one was bad.",
                &["outcome"],
            )?,
            images: new.int_counters(
                "unjack_images_hashed_total",
                "Images whose SHA-256 was requested, by outcome.",
                &["outcome"],
            )?,
            containers: new.int_counters(
                "unjack_containers_looked_up_total",
                "Containers of processes with a verdict whose name was looked up, by outcome.",
                &["outcome"],
            )?,
            pool_connections: new.mirror(
                "unjack_pool_connections_total",
                "Connections opened to listed pools.",
            )?,
            pool_refusals: new.mirror(
                "unjack_pool_refusals_total",
                "Connections to listed pools that were refused.",
            )?,
            pool_untold: new.mirror(
                "unjack_pool_connections_untold_total",
                "Connections to listed pools that were not reported: the process made another in that second, or the ring buffer was full.",
            )?,
            contacts_forgotten: new.add(IntCounter::new(
                "unjack_pool_contacts_forgotten_total",
                "Processes that connected to a listed pool and were forgotten because there were \
                 too many.",
            )?)?,
        };
        for loss in Loss::ALL {
            response.evidence_lost.with_label_values(&[loss.name()]);
        }
        for outcome in hook::Outcome::ALL {
            response.hooks.with_label_values(&[outcome.name()]);
        }
        for list in List::ALL {
            response.list_entries.with_label_values(&[list.name()]);
        }
        for outcome in ["loaded", "kept-old"] {
            response.list_reloads.with_label_values(&[outcome]);
        }
        for outcome in digest::OUTCOMES {
            response.images.with_label_values(&[outcome]);
        }
        for lookup in Lookup::ALL {
            response.containers.with_label_values(&[lookup.name()]);
        }
        Ok(response)
    }

    /// Counts what came of looking up a container's name.
    pub fn count_container(&self, lookup: Lookup) {
        self.containers.with_label_values(&[lookup.name()]).inc();
    }

    /// Records how long an action waited for evidence, in seconds.
    pub fn hold_for_evidence(&self, seconds: f64) {
        self.evidence_held.observe(seconds);
    }

    /// Sets how long a list is.
    pub fn set_list(&self, list: List, entries: usize) {
        self.list_entries
            .with_label_values(&[list.name()])
            .set(to_gauge(entries as u64));
    }

    /// Counts a reading of the lists after the first.
    pub fn count_reload(&self, loaded: bool) {
        let outcome = if loaded { "loaded" } else { "kept-old" };
        self.list_reloads.with_label_values(&[outcome]).inc();
    }

    /// Takes over the probes' counters of connections to pools.
    pub fn mirror_pools(&self, stats: &PoolStats) {
        let PoolStats {
            begun,
            refused,
            untold,
            checked: _,
        } = stats;
        self.pool_connections.set_total(*begun);
        self.pool_refusals.set_total(*refused);
        self.pool_untold.set_total(*untold);
    }

    /// Takes over what came of hashing images.
    pub fn mirror_images(&self) {
        for (outcome, total) in digest::counts() {
            let counter = self.images.with_label_values(&[outcome]);
            counter.inc_by(total.saturating_sub(counter.get()));
        }
    }
}

impl evidence::Counts for Response {
    fn keep_evidence(&self) {
        self.evidence_kept.inc();
    }

    fn prune_evidence(&self, folders: u64) {
        self.evidence_pruned.inc_by(folders);
    }

    fn lose_evidence(&self, loss: Loss) {
        self.evidence_lost.with_label_values(&[loss.name()]).inc();
    }
}

impl hook::Counts for Response {
    fn count_hook(&self, outcome: hook::Outcome) {
        self.hooks.with_label_values(&[outcome.name()]).inc();
    }
}
