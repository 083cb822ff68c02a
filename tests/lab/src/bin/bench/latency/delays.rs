//! The delays of a program's runs: their percentiles, what was promised of them,
//! and the row they make. Pure.
//!
//! A run without a verdict is a delay longer than all others: it moves the median
//! and the percentiles like one, and a percentile that falls on it is unknown.

use std::time::Duration;

/// The table's head, over what [`Delays::row`] makes.
pub(super) const HEADER: &str =
    "   duty   program       runs   not judged   median      p95      max    had   promised";

/// Delays, and what share of a core was had meanwhile.
#[derive(Clone, Debug, Default)]
pub(super) struct Delays {
    /// In order, `None` for runs that were not judged last.
    sorted: Vec<Option<Duration>>,
    cores: Vec<f64>,
}

impl Delays {
    /// Adds a run; `None` if it was not judged.
    pub(super) fn add(&mut self, delay: Option<Duration>, cores: Option<f64>) {
        self.sorted.push(delay);
        self.sorted
            .sort_by_key(|delay| (delay.is_none(), delay.unwrap_or_default()));
        self.cores.extend(cores);
    }

    /// Adds all runs of another.
    pub(super) fn extend(&mut self, other: &Self) {
        for delay in &other.sorted {
            self.add(*delay, None);
        }
        self.cores.extend(&other.cores);
    }

    /// The least delay that this many percent of the runs do not exceed (the
    /// nearest rank). `None` if that is of a run without a verdict, or there are
    /// no runs.
    pub(super) fn percentile(&self, percent: usize) -> Option<Duration> {
        let rank = (percent * self.sorted.len()).div_ceil(100).max(1);
        self.sorted.get(rank - 1).copied().flatten()
    }

    /// Runs without a verdict.
    pub(super) fn missed(&self) -> usize {
        self.sorted.iter().filter(|delay| delay.is_none()).count()
    }

    /// A row of the table.
    pub(super) fn row(&self, duty: u32, name: &str) -> String {
        let seconds = |percent| {
            self.percentile(percent).map_or_else(
                || "-".to_owned(),
                |delay| format!("{:.1}", delay.as_secs_f64()),
            )
        };
        let had = if self.cores.is_empty() {
            "-".to_owned()
        } else {
            let mean = self.cores.iter().sum::<f64>() / self.cores.len() as f64;
            format!("{:.1} %", 100.0 * mean)
        };
        format!(
            "{duty:>5} %   {name:<11} {:>6} {:>12} {:>8} {:>8} {:>8} {had:>7}",
            self.sorted.len(),
            self.missed(),
            seconds(50),
            seconds(95),
            seconds(100),
        )
    }
}

/// What is promised of all runs with one share of a core.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promise {
    /// Of the 50th percentile.
    pub(super) median: Option<Duration>,
    /// Of the 95th percentile.
    pub(super) p95: Option<Duration>,
    /// Of the slowest.
    pub(super) most: Option<Duration>,
}

impl Promise {
    /// The promise, and whether it is kept.
    pub(super) fn judge(&self, delays: &Delays) -> String {
        let parts = [
            ("median", 50, self.median),
            ("p95", 95, self.p95),
            ("max", 100, self.most),
        ];
        let parts = parts.into_iter().filter_map(|(name, percent, limit)| {
            let limit = limit?;
            let kept = delays
                .percentile(percent)
                .is_some_and(|delay| delay <= limit);
            let kept = if kept { "kept" } else { "NOT KEPT" };
            Some(format!("{name} <= {} s: {kept}", limit.as_secs()))
        });
        parts.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs of so many seconds; 0 is one that was not judged.
    fn delays(seconds: &[u64]) -> Delays {
        let mut delays = Delays::default();
        for seconds in seconds {
            delays.add((*seconds > 0).then(|| Duration::from_secs(*seconds)), None);
        }
        delays
    }

    fn check_percentile(seconds: &[u64], percent: usize, expected: Option<u64>) {
        let found = delays(seconds).percentile(percent);
        assert_eq!(found, expected.map(Duration::from_secs), "{seconds:?}");
    }

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        check_percentile(&[9, 1, 5], 50, Some(5));
    }

    #[test]
    fn the_median_of_an_even_number_is_the_lower_of_two() {
        check_percentile(&[4, 3, 2, 1], 50, Some(2));
    }

    #[test]
    fn the_95th_of_twenty_leaves_one_above() {
        let seconds: Vec<u64> = (1..=20).collect();
        check_percentile(&seconds, 95, Some(19));
    }

    #[test]
    fn the_95th_of_few_is_the_slowest() {
        check_percentile(&[1, 2, 3], 95, Some(3));
    }

    #[test]
    fn the_100th_is_the_slowest() {
        check_percentile(&[7, 3], 100, Some(7));
    }

    #[test]
    fn one_run_is_every_percentile() {
        check_percentile(&[4], 1, Some(4));
        check_percentile(&[4], 100, Some(4));
    }

    #[test]
    fn no_runs_have_none() {
        check_percentile(&[], 50, None);
    }

    #[test]
    fn a_run_without_a_verdict_is_the_slowest() {
        check_percentile(&[0, 1, 2], 50, Some(2));
        check_percentile(&[0, 1, 2], 100, None);
    }

    #[test]
    fn where_most_have_none_there_is_no_median() {
        check_percentile(&[0, 0, 1], 50, None);
    }

    #[test]
    fn those_without_a_verdict_stay_counted_when_summed_up() {
        let mut all = delays(&[0, 3]);
        all.extend(&delays(&[0, 1, 2]));
        assert_eq!((all.sorted.len(), all.missed()), (5, 2));
        assert_eq!(all.percentile(50), Some(Duration::from_secs(3)));
    }

    fn check_promise(seconds: &[u64], expected: &str) {
        let promise = Promise {
            median: Some(Duration::from_secs(6)),
            p95: None,
            most: Some(Duration::from_mins(1)),
        };
        assert_eq!(promise.judge(&delays(seconds)), expected);
    }

    #[test]
    fn a_promise_is_kept_up_to_its_limit() {
        check_promise(&[5, 6, 60], "median <= 6 s: kept, max <= 60 s: kept");
    }

    #[test]
    fn a_promise_is_broken_beyond_it() {
        check_promise(&[7, 8, 60], "median <= 6 s: NOT KEPT, max <= 60 s: kept");
    }

    #[test]
    fn a_run_without_a_verdict_breaks_the_promise_of_the_slowest() {
        check_promise(&[1, 2, 0], "median <= 6 s: kept, max <= 60 s: NOT KEPT");
    }

    #[test]
    fn a_row_says_what_was_missed_and_had() {
        let mut delays = delays(&[2, 0]);
        delays.cores.extend([0.10, 0.11]);
        let expected =
            "   10 %   scrypt           2            1      2.0        -        -  10.5 %";
        assert_eq!(delays.row(10, "scrypt"), expected);
    }
}
