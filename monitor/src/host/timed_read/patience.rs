//! How long a thread waits for reads that hang, each and in all. Pure: the time is given.

use std::time::{Duration, Instant};

/// The longest wait for one read. A read takes some 70 µs on another thread, where it
/// is 3 µs without; on a busy host more, until that thread runs.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// The longest wait for a read of a process of an owner that already has reads which
/// hang: long enough for the reading thread to run on a busy host, and so short that the
/// other reads of that owner, [`super::places::SHARE`] at the most, are no second stall.
pub(super) const SUSPECT_PATIENCE: Duration = Duration::from_millis(100);
/// The time that a thread waits in one [`SPELL`] before it waits only [`LEAST_PATIENCE`]:
/// the judging loop waits here, and the watchdog (30 s) for it.
const ALLOWANCE: Duration = Duration::from_secs(4);
/// The time that a thread waits in one [`SPELL`] at the most: no read is begun after it.
const LIMIT: Duration = Duration::from_secs(5);
/// The time after which the waiting is counted from zero again.
const SPELL: Duration = Duration::from_secs(10);
/// The wait for one read after [`ALLOWANCE`]: enough for a read that does not hang.
const LEAST_PATIENCE: Duration = Duration::from_millis(10);

/// How long one thread has waited for reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waited {
    /// The begin of the spell.
    since: Option<Instant>,
    /// In this spell.
    time: Duration,
}

impl Waited {
    pub(super) const fn new() -> Self {
        Self {
            since: None,
            time: Duration::ZERO,
        }
    }

    /// How long the next read is waited for; `None` if no more time may be spent now.
    /// `most` is the longest wait for this one.
    pub(super) fn patience(&mut self, now: Instant, most: Duration) -> Option<Duration> {
        if (self.since).is_none_or(|since| now.saturating_duration_since(since) >= SPELL) {
            (self.since, self.time) = (Some(now), Duration::ZERO);
        }
        if self.time >= LIMIT {
            return None;
        }
        let left = ALLOWANCE.saturating_sub(self.time);
        Some(left.max(LEAST_PATIENCE).min(most))
    }

    /// How much of `most` may be spent on one read of many processes, as long as it gets on.
    pub(super) fn left(&self, most: Duration) -> Duration {
        LIMIT.saturating_sub(self.time).min(most)
    }

    /// A read took so long.
    pub(super) fn add(&mut self, time: Duration) {
        self.time = self.time.saturating_add(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether each read ends just before it is given up, or never.
    #[test]
    fn all_reads_of_a_spell_take_no_longer_than_the_limit() {
        for most in [PATIENCE, SUSPECT_PATIENCE] {
            let mut waited = Waited::new();
            let begun = Instant::now();
            let (mut now, mut refused) = (begun, 0);
            for _ in 0..10_000 {
                match waited.patience(now, most) {
                    Some(patience) => {
                        waited.add(patience);
                        now += patience;
                    }
                    None => refused += 1,
                }
            }
            assert!(now - begun <= LIMIT + LEAST_PATIENCE, "{:?}", now - begun);
            assert!(refused > 0, "reads after the limit are not begun");
            // There is patience again in the next spell.
            assert_eq!(waited.patience(begun + SPELL, most), Some(most));
        }
    }

    #[test]
    fn reads_that_answer_at_once_are_never_refused() {
        let mut waited = Waited::new();
        let begun = Instant::now();
        for read in 0..10_000_u32 {
            let now = begun + Duration::from_millis(1) * read;
            assert_eq!(waited.patience(now, PATIENCE), Some(PATIENCE));
            waited.add(Duration::from_micros(70));
        }
    }
}
