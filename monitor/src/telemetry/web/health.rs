//! Whether the daemon sees what it is there to see.
//!
//! The loop writes once a tick, the endpoint reads from a thread of its own: so
//! a loop that hangs is told of.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use crate::telemetry::view;
use unjack_core::profile::seconds;

/// How long the loop may be silent, or the probes account nothing, before the
/// daemon is not ready: ten ticks. The daemon itself burns CPU in every tick,
/// so probes that work always have something to account.
const STALE: Duration = Duration::from_secs(10);

/// What the daemon's loop last did. Times are nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Debug, Default)]
pub struct Health {
    attached: AtomicBool,
    ticked_ns: AtomicU64,
    accounted_ns: AtomicU64,
    /// Since when it has been ready, if it is.
    ready_ns: AtomicU64,
}

impl Health {
    /// Sets whether the probes are attached.
    pub fn attach(&self, attached: bool) {
        self.attached.store(attached, Ordering::Relaxed);
    }

    /// The loop ran, and the probes accounted CPU time since it ran before, or
    /// did not.
    pub fn tick(&self, now_ns: u64, accounted: bool) {
        if self.not_ready(now_ns).is_some() {
            self.ready_ns.store(now_ns, Ordering::Relaxed);
        }
        self.ticked_ns.store(now_ns, Ordering::Relaxed);
        if accounted {
            self.accounted_ns.store(now_ns, Ordering::Relaxed);
        }
    }

    /// Whether it is ready, as it is shown.
    #[must_use]
    pub fn shown(&self, now_ns: u64) -> view::Health {
        let since = |at: &AtomicU64| now_ns.saturating_sub(at.load(Ordering::Relaxed));
        let not_ready = self.not_ready(now_ns);
        let for_ns = if not_ready.is_some() {
            since(&self.ticked_ns).max(since(&self.accounted_ns))
        } else {
            since(&self.ready_ns)
        };
        let reason = |why: &str| why.trim_start_matches("not ready: ").trim_end().to_owned();
        view::Health {
            not_ready: not_ready.map(reason),
            for_seconds: seconds(for_ns),
        }
    }

    /// Why the daemon is not ready; `None` if it is.
    #[must_use]
    pub fn not_ready(&self, now_ns: u64) -> Option<&'static str> {
        let stale = |at: &AtomicU64| {
            let silence = now_ns.saturating_sub(at.load(Ordering::Relaxed));
            u128::from(silence) > STALE.as_nanos()
        };
        if !self.attached.load(Ordering::Relaxed) {
            Some("not ready: the probes are not attached\n")
        } else if stale(&self.ticked_ns) {
            Some("not ready: the daemon's loop has not run for ten seconds\n")
        } else if stale(&self.accounted_ns) {
            Some("not ready: the probes have accounted no CPU time for ten seconds\n")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[track_caller]
    fn check(health: &Health, second: u64, expected: Option<&str>) {
        let why = health.not_ready(second * SECOND);
        match expected {
            None => assert_eq!(why, None),
            Some(part) => assert!(why.is_some_and(|why| why.contains(part)), "{why:?}"),
        }
    }

    #[test]
    fn ready_while_the_loop_runs_and_the_probes_account() {
        let health = Health::default();
        health.tick(100 * SECOND, true);
        check(&health, 100, Some("not attached"));
        health.attach(true);
        check(&health, 100, None);
        check(&health, 110, None);
        check(&health, 111, Some("loop"));
        health.tick(111 * SECOND, false);
        check(&health, 111, Some("no CPU time"));
        health.tick(112 * SECOND, true);
        check(&health, 112, None);
        health.attach(false);
        check(&health, 112, Some("not attached"));
    }
}
