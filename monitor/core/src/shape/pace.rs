//! Whether a process went on burning while it had nothing to do.
//!
//! A worker at a queue is given the next job unasked only after it has been idle, and
//! burns from a job to its result. A miner burns on, whether jobs come or not. In: time
//! and CPU time of each look. Bound: the newest [`LOOKS`] of them.

use std::collections::VecDeque;

/// Looks that are remembered: shares and jobs are seconds apart. Longer ago it may have
/// burned with more threads.
const LOOKS: usize = 16;
/// Share of its rate from which a process works: one that waits for a message has a
/// hundredth, for its heartbeats. A miner that is stopped four seconds in five has a fifth.
const LEAST_WORK: f64 = 0.1;
/// Nanoseconds between two looks from which they show a rate.
const LEAST_NS: u64 = 500_000_000;

/// How much CPU time the process had used at each of the last looks.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    /// Nanoseconds of the clock and of CPU time.
    looks: VecDeque<(u64, u64)>,
}

impl Pace {
    /// Adds a look.
    pub(super) fn add(&mut self, now_ns: u64, cpu_ns: u64) {
        if self.looks.len() == LOOKS {
            self.looks.pop_front();
        }
        self.looks.push_back((now_ns, cpu_ns));
    }

    /// Whether it burned on between its last message and the one it received. Both in
    /// nanoseconds of the looks' clock. `false` if no two looks show it.
    pub(super) fn went_on(&self, sent_ns: u64, received_ns: u64) -> bool {
        let looks = || self.looks.iter();
        let after = looks().find(|(at_ns, _)| *at_ns >= sent_ns);
        let until = looks().rfind(|(at_ns, _)| *at_ns <= received_ns);
        if let (Some(after), Some(until)) = (after, until)
            && let Some((_, cores)) = between(*after, *until)
        {
            return cores >= LEAST_WORK * self.rate();
        }
        // No two looks lie in between: it did if it used more CPU time around it than it
        // could have, had it rested for half of the time in between.
        let before = looks().rfind(|(at_ns, _)| *at_ns <= sent_ns);
        let (Some(before), Some(last)) = (before, self.looks.back()) else {
            return false;
        };
        let Some((span_ns, cores)) = between(*before, *last) else {
            return false;
        };
        let rest = received_ns.saturating_sub(sent_ns) as f64 / 2.0 / span_ns as f64;
        cores >= self.rate() * (1.0 - rest)
    }

    /// The most cores that it used between two looks.
    fn rate(&self) -> f64 {
        let steps = self.looks.iter().zip(self.looks.iter().skip(1));
        steps
            .filter_map(|(before, now)| between(*before, *now))
            .map(|(_, cores)| cores)
            .fold(0.0, f64::max)
    }
}

/// Nanoseconds between two looks, and the cores used meanwhile; `None` if they are too
/// close to show that.
fn between(before: (u64, u64), now: (u64, u64)) -> Option<(u64, f64)> {
    let span_ns = now.0.saturating_sub(before.0);
    let cpu_ns = now.1.saturating_sub(before.1);
    (span_ns >= LEAST_NS).then(|| (span_ns, cpu_ns as f64 / span_ns as f64))
}
