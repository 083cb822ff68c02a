//! CPU time by group, in a bounded number of series.
//!
//! A group gets a series when it first burns anything, as long as there is room;
//! what finds none is `other`. A group that burns nothing for
//! [`GroupLimits::timeout`] loses its series, and makes room. Should it come
//! back it begins at zero, as after a restart: while it has its series, that
//! never goes backwards.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use prometheus::{CounterVec, IntCounter};

use super::{add, registrar::Registrar};
use crate::{detect::collector::MAX_GROUP_CHARS, policy::config::GroupLimits};
use unjack_core::text;

/// The group of kernel threads. No process can name itself into it.
pub const GROUP_KERNEL: &str = "kernel";
/// The group of whatever has no series of its own.
pub const GROUP_OTHER: &str = "other";

/// When a group last burned, in nanoseconds.
#[derive(Clone, Copy, Debug)]
enum Burned {
    /// Since the last call of [`Groups::age`].
    Now,
    At(u64),
}

/// The series.
#[derive(Debug)]
pub(super) struct Groups {
    limits: GroupLimits,
    named: Mutex<HashMap<String, Burned>>,
    cpu: CounterVec,
    folded: IntCounter,
    removed: IntCounter,
}

impl Groups {
    pub(super) fn new(new: &Registrar) -> prometheus::Result<Self> {
        let groups = Self {
            limits: GroupLimits::DEFAULT,
            named: Mutex::default(),
            cpu: new.counters(
                "unjack_cpu_seconds_total",
                "CPU time of all processes by group, as the scheduler accounted it.",
                "group",
            )?,
            folded: new.add(IntCounter::new(
                "unjack_groups_folded_total",
                "Times CPU time was counted in the group other because --metrics.max-groups was reached.",
            )?)?,
            removed: new.add(IntCounter::new(
                "unjack_groups_removed_total",
                "Groups whose series were removed after --metrics.group-timeout without CPU use.",
            )?)?,
        };
        groups.cpu.with_label_values(&[GROUP_KERNEL]);
        groups.cpu.with_label_values(&[GROUP_OTHER]);
        Ok(groups)
    }

    pub(super) fn limit(&mut self, limits: GroupLimits) {
        self.limits = limits;
    }

    pub(super) fn add(&self, group: &str, seconds: f64) {
        // What burns nothing needs no series.
        if !seconds.is_finite() || seconds <= 0.0 {
            return;
        }
        let group = text::clean(group.as_bytes(), MAX_GROUP_CHARS);
        // Kept until the time is added, so that the series is not removed meanwhile.
        let mut named = self.named();
        let group = if group.is_empty() || group == GROUP_KERNEL || group == GROUP_OTHER {
            GROUP_OTHER
        } else if named.len() < self.limits.max || named.contains_key(&group) {
            named.insert(group.clone(), Burned::Now);
            &group
        } else {
            self.folded.inc();
            GROUP_OTHER
        };
        add(&self.cpu.with_label_values(&[group]), seconds);
    }

    pub(super) fn add_kernel(&self, seconds: f64) {
        add(&self.cpu.with_label_values(&[GROUP_KERNEL]), seconds);
    }

    pub(super) fn age(&self, now_ns: u64) {
        self.named().retain(|group, burned| {
            let at = match *burned {
                Burned::Now => now_ns,
                Burned::At(at) => at,
            };
            *burned = Burned::At(at);
            let keep = u128::from(now_ns.saturating_sub(at)) < self.limits.timeout.as_nanos();
            if !keep {
                // It is there: no other code removes any.
                let _removed = self.cpu.remove_label_values(&[group]);
                self.removed.inc();
            }
            keep
        });
    }

    fn named(&self) -> MutexGuard<'_, HashMap<String, Burned>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
