//! How often the probes are drained, and how many drains make a tick: the one owner of
//! these numbers.
//!
//! The kernel is drained four times a second rather than for every record: a wake-up
//! per exec would cost a busy host more than the answer is worth. All processes are
//! judged once a second.

use std::time::Duration;

/// Time between two drains of the ring buffer.
pub const DRAIN: Duration = Duration::from_millis(250);
/// Drains from one tick, at which all processes are judged, to the next: a second.
const DRAINS_A_TICK: u32 = 4;
/// Records taken in one drain: twice what the ring buffer holds of the smallest.
pub const DRAIN_LIMIT: usize = 200_000;

/// Counts drains, and tells when a tick is due. It reads no clock: after a stall one
/// drain makes up for all, and there is no burst of ticks.
#[derive(Clone, Copy, Debug)]
pub struct Cadence {
    drains: u32,
    drains_a_tick: u32,
}

impl Default for Cadence {
    /// A tick a second.
    fn default() -> Self {
        Self {
            drains: 0,
            drains_a_tick: DRAINS_A_TICK,
        }
    }
}

impl Cadence {
    /// One with so many ticks over `time`, or as many as there are drains in it, the
    /// first with the first drain.
    #[must_use]
    pub fn spread(ticks: u32, time: Duration) -> Self {
        let every = time / ticks.max(1);
        let drains = every.as_nanos().div_ceil(DRAIN.as_nanos()).max(1);
        let drains_a_tick = u32::try_from(drains).unwrap_or(u32::MAX);
        Self {
            drains: drains_a_tick - 1,
            drains_a_tick,
        }
    }

    /// The probes were drained. Whether a tick is due.
    pub fn drained(&mut self) -> bool {
        self.drains += 1;
        let due = self.drains >= self.drains_a_tick;
        if due {
            self.drains = 0;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(mut cadence: Cadence, drains: u32) -> Vec<u32> {
        (1..=drains).filter(|_| cadence.drained()).collect()
    }

    #[test]
    fn a_second_is_a_tick() {
        assert_eq!(DRAIN * DRAINS_A_TICK, Duration::from_secs(1));
        assert_eq!(ticks(Cadence::default(), 12), [4, 8, 12]);
    }

    #[test]
    fn ticks_that_are_spread_begin_at_once() {
        let check = |ticks_in_all, seconds, drains, expected: &[u32]| {
            let cadence = Cadence::spread(ticks_in_all, Duration::from_secs(seconds));
            assert_eq!(ticks(cadence, drains), expected, "{seconds} s");
        };
        check(60, 10, 4, &[1, 2, 3, 4]);
        check(60, 30, 6, &[1, 3, 5]);
        check(60, 600, 81, &[1, 41, 81]);
        check(0, 1, 9, &[1, 5, 9]);
        check(60, 0, 2, &[1, 2]);
    }
}
