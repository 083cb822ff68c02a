//! Keeps a thread busy for a share of the time.
//!
//! The share is of the thread's own CPU time, not of the clock on the wall, so
//! that a crowded machine does not change how much a thread asks for by more
//! than it takes away. Nothing here uses floating point: between two `RandomX`
//! hashes the processor's rounding mode is not the usual one.

use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

const PERIOD: Duration = Duration::from_millis(100);

/// The budget of one thread.
pub(super) struct Pacer {
    share: Duration,
    /// The thread's CPU time at which the present period's budget is used up.
    busy_until: Duration,
    period_end: Instant,
}

impl Pacer {
    /// A budget of `duty` percent; none, and no cost, at 100.
    pub(super) fn new(duty: u32) -> Option<Self> {
        (duty < 100).then(|| {
            let share = PERIOD * duty / 100;
            Self {
                share,
                busy_until: thread_cpu() + share,
                period_end: Instant::now() + PERIOD,
            }
        })
    }

    /// Called between two steps: returns when the next one may begin.
    pub(super) fn pause(&mut self) {
        loop {
            let spent = thread_cpu();
            let now = Instant::now();
            if now < self.period_end {
                if spent < self.busy_until {
                    return;
                }
                thread::sleep(self.period_end - now);
            }
            // A step that went over the budget is paid back in the periods
            // that follow; a budget that could not be used up is forfeit.
            self.busy_until = self.busy_until.min(spent) + self.share;
            self.period_end += PERIOD;
        }
    }
}

/// CPU time that the calling thread has used.
fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_nanos(nanos)
}
