//! An estimate of the energy that miners use.
//!
//! In: what the processors' packages have used so far ([`rapl`]), and CPU time.
//! Out: joules. All that the packages used, their idling included, is shared out by
//! CPU time, so it is an estimate: a hash that keeps vector units busy draws more
//! than its share, and memory and power supplies are left out. Pure, but for
//! [`rapl`].

pub mod rapl;

/// The counter of one package. It starts over at its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Microjoules.
    pub energy_uj: u64,
    /// The largest number of them it shows.
    pub range_uj: u64,
}

impl Counter {
    /// Microjoules since `before`. It is read far more often than it starts over:
    /// at a kilowatt a usual range lasts four minutes.
    #[must_use]
    pub fn since(self, before: Self) -> u64 {
        let Self {
            energy_uj,
            range_uj,
        } = self;
        match energy_uj.checked_sub(before.energy_uj) {
            Some(used) => used,
            // A counter that jumped back by itself counts as nothing.
            None => range_uj
                .checked_sub(before.energy_uj)
                .map_or(0, |rest| rest.saturating_add(energy_uj)),
        }
    }
}

/// Shares out energy among miners and others.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    /// The counters as of the last tick, if there was a miner then.
    before: Option<Vec<Counter>>,
}

impl Meter {
    /// A tick is over, in which miners burned `mined` and all processes `all` CPU
    /// seconds. `read` is only called while there are miners. Returns the joules
    /// that the miners used; 0 for the first tick in which they are known.
    pub fn tick(
        &mut self,
        mined: f64,
        all: f64,
        read: impl FnOnce() -> Option<Vec<Counter>>,
    ) -> f64 {
        if mined <= 0.0 {
            self.before = None;
            return 0.0;
        }
        let now = read();
        let used_uj: u64 = match (&self.before, &now) {
            (Some(before), Some(now)) if before.len() == now.len() => now
                .iter()
                .zip(before)
                .map(|(now, before)| now.since(*before))
                .fold(0, u64::saturating_add),
            _ => 0,
        };
        self.before = now;
        // Who left is not among the miners any more, and all are charged a little
        // later than they burn.
        used_uj as f64 / 1e6 * (mined / all.max(mined))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(energy_uj: u64) -> Counter {
        Counter {
            energy_uj,
            range_uj: 1000,
        }
    }

    #[test]
    fn a_counter_that_starts_over_goes_on() {
        for (before, now, used) in [
            (0, 0, 0),
            (10, 900, 890),
            (900, 100, 200),
            (1000, 0, 0),
            (999, 998, 999),
            // Beyond its own range: it cannot be told.
            (1200, 100, 0),
        ] {
            assert_eq!(counter(now).since(counter(before)), used, "{before} {now}");
        }
    }

    /// Joules of ticks: CPU seconds of miners, of all, and the packages' counters.
    fn joules(ticks: &[(f64, f64, Option<Vec<u64>>)]) -> Vec<f64> {
        let mut meter = Meter::default();
        let tick = |(mined, all, read): &(f64, f64, Option<Vec<u64>>)| {
            meter.tick(*mined, *all, || {
                let read = read.as_ref()?;
                Some(
                    read.iter()
                        .map(|uj| Counter {
                            energy_uj: uj * 1_000_000,
                            range_uj: 1000 * 1_000_000,
                        })
                        .collect(),
                )
            })
        };
        ticks.iter().map(tick).collect()
    }

    #[track_caller]
    fn check(ticks: &[(f64, f64, Option<Vec<u64>>)], expected: &[f64]) {
        let found = joules(ticks);
        let same = found
            .iter()
            .zip(expected)
            .all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(same && found.len() == expected.len(), "{found:?}");
    }

    #[test]
    fn energy_is_shared_out_by_cpu_time() {
        let at = |a, b| Some(vec![a, b]);
        check(
            &[
                (1.0, 2.0, at(10, 990)),
                // 20 J and, over its range, 30 J; a quarter of it.
                (0.5, 2.0, at(30, 20)),
                // More than all is all.
                (3.0, 2.0, at(40, 20)),
            ],
            &[0.0, 12.5, 10.0],
        );
    }

    #[test]
    fn what_was_used_without_miners_is_charged_to_none() {
        let at = |a| Some(vec![a]);
        check(
            &[
                (1.0, 1.0, at(10)),
                (0.0, 1.0, at(100)),
                (1.0, 1.0, at(300)),
                (1.0, 1.0, at(310)),
            ],
            &[0.0, 0.0, 0.0, 10.0],
        );
    }

    #[test]
    fn what_cannot_be_read_is_nothing() {
        check(
            &[
                (1.0, 1.0, Some(vec![1])),
                (1.0, 1.0, None),
                (1.0, 1.0, Some(vec![5])),
                (1.0, 1.0, Some(vec![6, 7])),
                (1.0, 1.0, Some(vec![8, 8])),
            ],
            &[0.0, 0.0, 0.0, 0.0, 3.0],
        );
    }
}
