//! The profile of a process: what it executes, how much, and from where.
//!
//! In: samples, each with the [`Place`] its code lies in, and a [`Reading`] of
//! the process's counters once a tick. Out: a [`Summary`] over the window, for
//! the process or for one of its threads. Pure: time comes in with the data.
//!
//! Bounds: a profile keeps [`MAX_LOOKS`] decoded samples and [`MAX_READINGS`]
//! readings, the newest, and the code of [`MAX_CODE`] samples: some 70 KiB.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    event::{Process, Sample},
    isa::{self, Arch, CLASSES, Class, Mix},
};

/// Decoded samples kept. The sampler's cap is set so that a whole window fits.
pub const MAX_LOOKS: usize = 1000;
/// Samples kept whole, with their code, to show what is executed.
pub const MAX_CODE: usize = 64;
/// Counter readings kept, one a second: the longest window, and one before.
pub const MAX_READINGS: usize = 62;
/// The longest window: what the readings span.
pub const MAX_WINDOW_NS: u64 = 60_000_000_000;
const SECOND_NS: u64 = 1_000_000_000;
/// Bytes of a cache line, the unit hot code is counted in.
const LINE: u64 = 64;

/// The kind of memory a piece of code lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A file that still has a name.
    File,
    /// A shared library of the host's own: another file than the program, which
    /// only root could have put there.
    System,
    /// A file that was deleted after it was mapped.
    Deleted,
    /// A file that only ever lived in memory.
    Memfd,
    /// Memory without a file: generated or unpacked code.
    Anonymous,
    /// Not looked up, or not found.
    Unknown,
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

/// One sample, decoded.
#[derive(Clone, Copy, Debug)]
struct Look {
    time_ns: u64,
    tid: u32,
    line: u64,
    kernel: bool,
    place: Place,
    undecodable: bool,
    /// A window holds at most 64 instructions, so a byte a class does.
    mix: [u8; CLASSES],
}

/// What one process was seen to do lately.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Whose it is.
    pub process: Process,
    looks: VecDeque<Look>,
    code: VecDeque<Sample>,
    readings: VecDeque<Reading>,
}

/// A profile over one window of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Samples, in user and kernel mode.
    pub samples: u32,
    /// Instructions decoded from them.
    pub mix: Mix,
    /// Share of the samples that were in the kernel, 0 to 1.
    pub kernel_share: f64,
    /// Share of the user samples whose bytes were not all instructions.
    pub undecodable_share: f64,
    /// How few cache lines the user samples hit: 1 if all hit one, 0 if each
    /// hit another.
    pub concentration: f64,
    /// The effective number of cache lines they hit: two to the power of the
    /// entropy. Grows with the samples where code is spread out.
    pub hot_lines: f64,
    /// The cache line hit most, and its share of the user samples.
    pub hottest: Option<(u64, f64)>,
    /// Share of the user samples in each kind of memory; absent kinds have 0.
    pub places: BTreeMap<Place, f64>,
    /// Share of the window's seconds that have samples, 0 to 1: a burst has few.
    pub steadiness: f64,
    /// Where the window begins, nanoseconds.
    pub since_ns: u64,
    /// Threads that were sampled.
    pub threads: u32,
    /// On-CPU time per wall time: 1 is one core.
    pub cores: f64,
    /// Nanoseconds the readings span.
    pub span_ns: u64,
    /// Voluntary context switches per on-CPU second.
    pub voluntary_per_cpu_second: f64,
    /// Bytes read and written per on-CPU second, if known.
    pub io_per_cpu_second: Option<f64>,
}

impl Summary {
    /// Share of the user samples that ran code from no named file.
    #[must_use]
    pub fn fileless_share(&self) -> f64 {
        let share = |place| self.places.get(&place).copied().unwrap_or(0.0);
        share(Place::Anonymous) + share(Place::Memfd) + share(Place::Deleted)
    }
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

    /// Adds a sample, its code decoded for `arch`.
    pub fn add(&mut self, arch: Arch, sample: &Sample, place: Place) {
        if self.looks.len() == MAX_LOOKS {
            self.looks.pop_front();
        }
        if !sample.code().is_empty() {
            if self.code.len() == MAX_CODE {
                self.code.pop_front();
            }
            self.code.push_back(*sample);
        }
        let arch = if sample.compat {
            arch.compat()
        } else {
            Some(arch)
        };
        let decoded = arch
            .map(|arch| isa::decode(arch, sample.ip, sample.code()))
            .unwrap_or_default();
        self.looks.push_back(Look {
            time_ns: sample.time_ns,
            tid: sample.tid,
            line: sample.ip / LINE * LINE,
            kernel: sample.kernel,
            place,
            undecodable: decoded.undecodable,
            mix: Class::ALL.map(|class| u8::try_from(decoded.mix.count(class)).unwrap_or(u8::MAX)),
        });
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
            self.readings.pop_front();
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

    /// From when on to judge: at least `window_ns` back, and further until there
    /// are `samples` to judge by, as far as the readings go ([`MAX_WINDOW_NS`]).
    /// What burns little is looked at for longer.
    #[must_use]
    pub fn since(&self, now_ns: u64, window_ns: u64, samples: u32) -> u64 {
        let enough = self
            .looks
            .iter()
            .rev()
            .nth(samples.saturating_sub(1) as usize);
        let far = now_ns.saturating_sub(MAX_WINDOW_NS);
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

    /// Summarizes what is not older than `since_ns`, of all threads.
    #[must_use]
    pub fn summary(&self, since_ns: u64) -> Summary {
        let looks = self.looks.iter().filter(|look| look.time_ns >= since_ns);
        self.summarize(looks, since_ns)
    }

    /// Summarizes each thread by itself, those with the most samples first;
    /// counters stay the process's.
    #[must_use]
    pub fn threads(&self, since_ns: u64) -> Vec<(u32, Summary)> {
        let mut by_thread: BTreeMap<u32, Vec<&Look>> = BTreeMap::new();
        for look in self.looks.iter().filter(|look| look.time_ns >= since_ns) {
            by_thread.entry(look.tid).or_default().push(look);
        }
        let mut threads: Vec<(u32, Summary)> = by_thread
            .into_iter()
            .map(|(tid, looks)| (tid, self.summarize(looks.into_iter(), since_ns)))
            .collect();
        threads.sort_by_key(|(_, summary)| std::cmp::Reverse(summary.samples));
        threads
    }

    fn summarize<'a>(&self, looks: impl Iterator<Item = &'a Look>, since_ns: u64) -> Summary {
        let mut counts = [0_u32; CLASSES];
        let mut places: BTreeMap<Place, f64> = BTreeMap::new();
        let (mut lines, mut tids, mut times) = (Vec::new(), Vec::new(), Vec::new());
        let (mut samples, mut undecodable) = (0_u32, 0_u32);
        for look in looks {
            samples += 1;
            tids.push(look.tid);
            times.push(look.time_ns.saturating_sub(since_ns) / SECOND_NS);
            if look.kernel {
                continue;
            }
            lines.push(look.line);
            undecodable += u32::from(look.undecodable);
            *places.entry(look.place).or_default() += 1.0;
            for (sum, count) in counts.iter_mut().zip(look.mix) {
                *sum += u32::from(count);
            }
        }
        let user = lines.len() as f64;
        for count in places.values_mut() {
            *count /= user;
        }
        tids.sort_unstable();
        tids.dedup();
        let Spread {
            concentration,
            hot_lines,
            hottest,
        } = Spread::of(&mut lines);
        times.dedup();
        let rates = self.rates(since_ns);
        let window_ns = self
            .readings
            .back()
            .map_or(0, |newest| newest.time_ns.saturating_sub(since_ns));
        Summary {
            samples,
            mix: Mix::from_counts(counts),
            kernel_share: share(f64::from(samples) - user, samples.into()),
            undecodable_share: share(undecodable.into(), user),
            concentration,
            hot_lines,
            hottest,
            places,
            steadiness: share(times.len() as f64, window_ns.div_ceil(SECOND_NS) as f64).min(1.0),
            since_ns,
            threads: u32::try_from(tids.len()).unwrap_or(u32::MAX),
            cores: rates.cores,
            span_ns: rates.span_ns,
            voluntary_per_cpu_second: rates.voluntary,
            io_per_cpu_second: rates.io,
        }
    }

    /// Rates between the newest reading and the last one before the window.
    fn rates(&self, since_ns: u64) -> Rates {
        let newest = self.readings.back();
        let oldest = self
            .readings
            .iter()
            .rev()
            .find(|reading| reading.time_ns <= since_ns);
        let (Some(to), Some(from)) = (newest, oldest.or(self.readings.front())) else {
            return Rates::default();
        };
        let span_ns = to.time_ns.saturating_sub(from.time_ns);
        let burned = seconds(to.cpu_ns.saturating_sub(from.cpu_ns));
        let voluntary = to.voluntary.saturating_sub(from.voluntary) as f64;
        let io = to
            .io_bytes
            .zip(from.io_bytes)
            .map(|(to, from)| to.saturating_sub(from) as f64);
        Rates {
            cores: share(burned, seconds(span_ns)),
            span_ns,
            voluntary: share(voluntary, burned),
            io: io.map(|bytes| share(bytes, burned)),
        }
    }
}

#[derive(Default)]
struct Rates {
    cores: f64,
    span_ns: u64,
    voluntary: f64,
    io: Option<f64>,
}

/// Nanoseconds as seconds.
#[must_use]
pub fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// A part of a whole, 0 if there is no whole.
fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// How samples are spread over cache lines.
struct Spread {
    concentration: f64,
    hot_lines: f64,
    hottest: Option<(u64, f64)>,
}

impl Spread {
    /// Sorts its argument.
    fn of(lines: &mut [u64]) -> Self {
        let total = lines.len() as f64;
        lines.sort_unstable();
        let runs = || lines.chunk_by(|a, b| a == b);
        let bits = |run: &[u64]| {
            let p = run.len() as f64 / total;
            -p * p.log2()
        };
        let entropy: f64 = runs().map(bits).sum();
        Self {
            concentration: if lines.len() < 2 {
                0.0
            } else {
                1.0 - entropy / total.log2()
            },
            hot_lines: entropy.exp2(),
            hottest: runs()
                .max_by_key(|run| run.len())
                .map(|run| (run[0], run.len() as f64 / total)),
        }
    }
}

#[cfg(test)]
mod tests;
