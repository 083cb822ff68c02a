//! The profile of a process: what it executes, how much, and from where.
//!
//! In: samples, each with the [`Place`] its code lies in, and a [`Reading`] of
//! the process's counters once a tick. Out: a [`Summary`] over the window, for
//! the process or for one of its threads. Pure: time comes in with the data.
//!
//! Bounds: a profile keeps [`MAX_LOOKS`] decoded samples, [`MAX_READINGS`]
//! readings, and the code of [`MAX_CODE`] samples: at most some 1.9 MiB, which
//! only a process that keeps several cores busy ever has. All profiles together
//! are bounded by the collector.

mod data;
mod look;
mod summary;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use self::{look::LINE, summary::share};
pub use self::{
    look::{DecodedSample, Row},
    summary::{Burn, Code, CpuTime, Disguise, Network, Rounding, Summary, SystemUse, Threads},
};
use crate::{
    event::{Process, Sample},
    isa::Arch,
};

/// Samples a second on each processor, unless a flag says otherwise. No round number,
/// so as not to run in step with periodic timers.
pub const SAMPLE_HZ: u32 = 99;
/// Decoded samples kept: what the sampler takes of one process in 40 s.
pub const MAX_LOOKS: usize = 4000;
/// Samples of one process in a window at the most: the probes' settings see to it.
pub const WINDOW_LOOKS: usize = 1000;
/// Samples kept whole, with their code, to show what is executed.
pub const MAX_CODE: usize = 64;
/// Counter readings kept. When there are more, the older half is thinned out, so
/// that they span any time: a second apart lately, further apart before.
pub const MAX_READINGS: usize = 128;

/// The kind of memory a piece of code lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// A file that still has a name.
    File,
    /// A program or library of the host's own: where the system keeps its own,
    /// and only root could have put it there.
    System,
    /// A file that was deleted after it was mapped.
    Deleted,
    /// A file that only ever lived in memory.
    Memfd,
    /// Memory without a file: generated or unpacked code.
    Anonymous,
    /// Looked up and not found.
    Unknown,
    /// Not looked up yet: a look at it is still to come, or lasts.
    Unread,
}

impl Place {
    /// Every one there is. Recordings have their numbers: add to the end.
    pub const ALL: [Self; 7] = [
        Self::File,
        Self::System,
        Self::Deleted,
        Self::Memfd,
        Self::Anonymous,
        Self::Unknown,
        Self::Unread,
    ];
}

/// The process's counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// When, nanoseconds of a clock that does not jump.
    pub time_ns: u64,
    /// On-CPU nanoseconds of the process so far.
    pub cpu_ns: u64,
    /// Voluntary context switches of its threads so far.
    pub voluntary: u64,
    /// Bytes moved by its read and write calls so far, if that could be had.
    pub io_bytes: Option<u64>,
}

/// What one process was seen to do lately.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Whose it is.
    pub process: Process,
    looks: VecDeque<DecodedSample>,
    code: VecDeque<Sample>,
    readings: VecDeque<Reading>,
}

impl Profile {
    /// An empty one.
    #[must_use]
    pub fn new(process: Process) -> Self {
        Self {
            process,
            looks: VecDeque::new(),
            code: VecDeque::new(),
            readings: VecDeque::new(),
        }
    }

    /// Adds a sample, its code decoded for `arch`. Returns what it was cut
    /// down to.
    pub fn add(&mut self, arch: Arch, sample: &Sample, place: Place) -> &DecodedSample {
        if !sample.code().is_empty() {
            if self.code.len() == MAX_CODE {
                self.code.pop_front();
            }
            self.code.push_back(*sample);
        }
        self.recall(DecodedSample::new(arch, sample, place));
        &self.looks[self.looks.len() - 1]
    }

    /// Adds a sample that was cut down before; its code is not known.
    pub fn recall(&mut self, look: DecodedSample) {
        if self.looks.len() == MAX_LOOKS {
            self.looks.pop_front();
        }
        self.looks.push_back(look);
    }

    /// Samples kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.looks.len()
    }

    /// Whether no sample is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.looks.is_empty()
    }

    /// The newest sample.
    #[must_use]
    pub fn last(&self) -> Option<&DecodedSample> {
        self.looks.back()
    }

    /// Forgets samples that are older than `since_ns`.
    pub fn forget_before(&mut self, since_ns: u64) {
        let old = self.looks.partition_point(|look| look.time_ns < since_ns);
        self.looks.drain(..old);
    }

    /// Forgets the older half of the samples.
    pub fn halve(&mut self) {
        let half = self.looks.len().div_ceil(2);
        self.looks.drain(..half);
        self.looks.shrink_to_fit();
    }

    /// The samples that are not older than `since_ns`.
    pub fn looks(&self, since_ns: u64) -> impl Iterator<Item = &DecodedSample> {
        let old = self.looks.partition_point(|look| look.time_ns < since_ns);
        self.looks.range(old..)
    }

    /// Adds a reading of the counters. One that runs backwards (a process that
    /// was lost and found again) starts anew.
    pub fn read(&mut self, reading: Reading) {
        if self
            .readings
            .back()
            .is_some_and(|last| reading.cpu_ns < last.cpu_ns || reading.time_ns <= last.time_ns)
        {
            self.readings.clear();
        }
        if self.readings.len() == MAX_READINGS {
            let mut place = 0;
            self.readings.retain(|_| {
                place += 1;
                place > MAX_READINGS / 2 || place % 2 == 1
            });
        }
        self.readings.push_back(reading);
    }

    /// Forgets everything: the process executes another image now.
    pub fn reset(&mut self) {
        self.looks.clear();
        self.code.clear();
        self.readings.clear();
    }

    /// The newest sample of the code in a cache line, if it is still kept.
    #[must_use]
    pub fn code(&self, line: u64) -> Option<&Sample> {
        self.code
            .iter()
            .rev()
            .find(|sample| sample.ip / LINE * LINE == line)
    }

    /// The samples whose code is kept, in order.
    pub fn codes(&self) -> impl Iterator<Item = &Sample> {
        self.code.iter()
    }

    /// From when on to judge: at least `window_ns` back, and further until there
    /// are `samples` to judge by, but no further than `patience_ns`. What burns
    /// little is looked at for longer.
    #[must_use]
    pub fn since(&self, now_ns: u64, window_ns: u64, patience_ns: u64, samples: u32) -> u64 {
        let enough = self
            .looks
            .iter()
            .rev()
            .nth(samples.saturating_sub(1) as usize);
        let far = now_ns.saturating_sub(patience_ns);
        let needed = enough.map_or(far, |look| look.time_ns);
        needed.max(far).min(now_ns.saturating_sub(window_ns))
    }

    /// When the last sample was taken; `None` if there is none.
    #[must_use]
    pub fn last_sample_ns(&self) -> Option<u64> {
        self.looks.back().map(|look| look.time_ns)
    }

    /// The newest reading.
    #[must_use]
    pub fn latest(&self) -> Option<&Reading> {
        self.readings.back()
    }

    /// On-CPU nanoseconds between the last two readings.
    #[must_use]
    pub fn latest_burn_ns(&self) -> u64 {
        let mut newest = self.readings.iter().rev().map(|reading| reading.cpu_ns);
        let (to, from) = (newest.next(), newest.next());
        to.zip(from).map_or(0, |(to, from)| to.saturating_sub(from))
    }

    /// Summarizes what is not older than `since_ns`, of all threads.
    #[must_use]
    pub fn summary(&self, since_ns: u64) -> Summary {
        Summary::of(self.looks(since_ns), since_ns, &self.burn(since_ns))
    }

    /// Summarizes each thread with at least `samples` samples by itself, those
    /// with the most first. Burn, waiting and I/O are the thread's own.
    #[must_use]
    pub fn threads(&self, since_ns: u64, samples: u32) -> Vec<(u32, Summary)> {
        let mut by_thread: BTreeMap<u32, Vec<&DecodedSample>> = BTreeMap::new();
        for look in self.looks(since_ns) {
            by_thread.entry(look.tid).or_default().push(look);
        }
        let burn = self.burn(since_ns);
        let mut threads: Vec<(u32, Summary)> = by_thread
            .into_iter()
            .filter(|(_, looks)| looks.len() >= samples as usize)
            .map(|(tid, looks)| {
                let (first, last) = (looks[0], looks[looks.len() - 1]);
                let ran_ns = last.counters.run_ns.saturating_sub(first.counters.run_ns);
                let span_ns = last.time_ns.saturating_sub(first.time_ns);
                let burn = Burn {
                    // Of all the time that is looked at: a thread whose samples lie
                    // close together may have idled before and after.
                    cores: share(ran_ns as f64, span_ns.max(burn.span_ns) as f64),
                    voluntary: None,
                    io: None,
                    ..burn
                };
                (tid, Summary::of(looks.into_iter(), since_ns, &burn))
            })
            .collect();
        threads.sort_by_key(|(_, summary)| std::cmp::Reverse(summary.samples));
        threads
    }

    /// Burn between the last reading before the window and the newest.
    #[must_use]
    pub fn burn(&self, since_ns: u64) -> Burn {
        let newest = self.readings.back();
        let first = self
            .readings
            .iter()
            .rposition(|reading| reading.time_ns <= since_ns)
            .unwrap_or(0);
        let (Some(to), Some(from)) = (newest, self.readings.get(first)) else {
            return Burn::default();
        };
        let span_ns = to.time_ns.saturating_sub(from.time_ns);
        let burned = seconds(to.cpu_ns.saturating_sub(from.cpu_ns));
        let voluntary = to.voluntary.saturating_sub(from.voluntary) as f64;
        Burn {
            cores: share(burned, seconds(span_ns)),
            span_ns,
            until_ns: to.time_ns,
            voluntary: Some(share(voluntary, burned)),
            io: self.io(first),
            flatness: self.flatness(first),
        }
    }

    /// Bytes read and written per on-CPU second, between the first and the last of the
    /// readings from `first` on that know them: in the others that could not be told.
    fn io(&self, first: usize) -> Option<f64> {
        let known = |reading: &Reading| Some((reading.io_bytes?, reading.cpu_ns));
        let mut readings = self.readings.range(first..).filter_map(known);
        let from = readings.next()?;
        // A window of a single reading has no time in which anything was moved.
        let single = first + 1 == self.readings.len();
        let to = readings.next_back().or(single.then_some(from))?;
        let burned = seconds(to.1.saturating_sub(from.1));
        Some(share(to.0.saturating_sub(from.0) as f64, burned))
    }

    /// The process's burn from each of the newest readings to the next, in cores,
    /// the oldest first; at most `count`.
    #[must_use]
    pub fn rates(&self, count: usize) -> Vec<f64> {
        let first = self.readings.len().saturating_sub(count.saturating_add(1));
        self.rates_from(first)
    }

    fn rates_from(&self, first: usize) -> Vec<f64> {
        let readings = || self.readings.range(first..);
        readings()
            .zip(readings().skip(1))
            .map(|(from, to)| {
                let burned = to.cpu_ns.saturating_sub(from.cpu_ns) as f64;
                share(burned, to.time_ns.saturating_sub(from.time_ns) as f64)
            })
            .collect()
    }

    /// 1 less the standard deviation of the burn from reading to reading, over
    /// its mean; not below 0.
    fn flatness(&self, first: usize) -> f64 {
        let rates = self.rates_from(first);
        let mean = share(rates.iter().sum(), rates.len() as f64);
        let squares = rates.iter().map(|rate| (rate - mean).powi(2)).sum();
        let deviation = share(squares, rates.len() as f64).sqrt();
        if mean > 0.0 {
            (1.0 - deviation / mean).max(0.0)
        } else {
            0.0
        }
    }
}

/// Nanoseconds as seconds.
#[must_use]
pub fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// The sum; 0 of nothing, where `Iterator::sum` has -0, which is printed as such.
#[must_use]
pub fn total(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(0.0, |sum, value| sum + value)
}

/// What `seconds` of CPU time cost, of which an hour costs `rate`.
#[must_use]
pub fn cost(seconds: f64, rate: f64) -> f64 {
    seconds / 3600.0 * rate
}

#[cfg(test)]
mod tests;
