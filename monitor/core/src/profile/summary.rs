//! What a set of looks amounts to: the one thing scores are computed from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DecodedSample, Place, data::data_lines, look::SLOTS, seconds};
use crate::{
    isa::{CLASSES, Mix, marks::Mark},
    shape::Shape,
};

const SECOND_NS: u64 = 1_000_000_000;
/// Instructions a thread must have been seen at to be compared with others.
const TWIN_SAMPLES: u32 = 5;
/// Part of the instructions that may be of another class in a twin.
const TWIN_DISTANCE: f64 = 0.15;
/// So many samples of mixing code show which algorithm it is.
const ESSENCE_SAMPLES: f64 = 15.0;
/// So many samples of mixing code show what it works on.
const DATA_SAMPLES: usize = 20;

/// A profile over one window of time. Everything a verdict is computed from,
/// and nothing that names a process or a user: what is recorded and replayed.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact by itself, and weighed by itself"
)]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Samples, in user and kernel mode.
    pub samples: u32,
    /// Instructions decoded from them.
    pub mix: Mix,
    /// Share of the user samples that are of mixing code, 0 to 1: each by itself
    /// looks like part of a hash, however much else goes on around it.
    pub mixing_share: f64,
    /// Instructions of these samples only.
    pub mixing: Mix,
    /// Share of these samples in each kind of memory; absent kinds have 0.
    pub mixing_places: BTreeMap<Place, f64>,
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
    #[serde(default)]
    pub hottest: Option<(u64, f64)>,
    /// Share of the user samples in each kind of memory; absent kinds have 0.
    pub places: BTreeMap<Place, f64>,
    /// How much data the code that mixes works through, in cache lines: what the
    /// most restless register, or word on top of the stack, points into. Hashing
    /// the same few bytes again and again takes a few, streaming a file or a
    /// scratchpad thousands. Of all code, where little of it mixes.
    pub data_lines: f64,
    /// Share of the window's seconds that have samples, 0 to 1: a burst has few.
    pub steadiness: f64,
    /// How alike the seconds of the window are in burn, 0 to 1.
    pub flatness: f64,
    /// Where the window begins, nanoseconds.
    pub since_ns: u64,
    /// Threads that were sampled.
    pub threads: u32,
    /// Of these, how many do what the busiest does.
    pub twins: u32,
    /// On-CPU time per wall time: 1 is one core.
    pub cores: f64,
    /// Nanoseconds the readings span.
    pub span_ns: u64,
    /// Seconds for which it has burned enough to be judged, without a pause.
    #[serde(default)]
    pub burning_seconds: f64,
    /// Voluntary context switches per on-CPU second.
    pub voluntary_per_cpu_second: f64,
    /// Bytes read and written per on-CPU second, if known.
    pub io_per_cpu_second: Option<f64>,
    /// Page faults per on-CPU second.
    pub faults_per_cpu_second: f64,
    /// Context switches after which the saved rounding mode was looked at.
    pub switches: u32,
    /// Of these, how many found another mode than to nearest.
    pub rounded: u32,
    /// The same by mode: down, up and towards zero, in the processor's own order.
    /// Interval arithmetic has one or two of them, `RandomX` all.
    #[serde(default)]
    pub rounding_modes: [u32; 3],
    /// How often each amount and constant was seen in the user samples' code.
    #[serde(default)]
    pub marks: BTreeMap<Mark, u32>,
    /// It is hidden from the host's `/proc`.
    pub hidden: bool,
    /// It shows as a kernel thread, and is none.
    pub poses: bool,
    /// It has connected, or tried to, to a pool on the operator's list.
    #[serde(default)]
    pub pool: bool,
    /// It spoke Stratum, as a miner does, on a connection of its own.
    #[serde(default)]
    pub stratum: bool,
    /// How its connections behaved.
    #[serde(default, skip_serializing_if = "Shape::is_unknown")]
    pub shape: Shape,
}

/// On-CPU time and what goes with it, over a window; where something is not
/// known for the whole, it is summed from the threads' own counters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Burn {
    /// On-CPU time per wall time.
    pub cores: f64,
    /// Nanoseconds this is known for.
    pub span_ns: u64,
    /// The end of the window.
    pub until_ns: u64,
    /// Voluntary context switches per on-CPU second.
    pub voluntary: Option<f64>,
    /// Bytes read and written per on-CPU second.
    pub io: Option<f64>,
    /// See [`Summary::flatness`].
    pub flatness: f64,
}

impl Summary {
    /// Summarizes looks, which come in order of time within a thread, of a
    /// window that begins at `since_ns`.
    #[must_use]
    pub fn of<'a>(
        looks: impl Iterator<Item = &'a DecodedSample>,
        since_ns: u64,
        burn: &Burn,
    ) -> Self {
        let mut sums = Sums::default();
        for look in looks {
            sums.add(look, since_ns);
        }
        sums.finish(since_ns, burn)
    }

    /// Share of the user samples that ran code from no named file.
    #[must_use]
    pub fn fileless_share(&self) -> f64 {
        self.place(Place::Anonymous) + self.place(Place::Memfd) + self.place(Place::Deleted)
    }

    /// Samples of mixing code.
    #[must_use]
    fn mixing_samples(&self) -> f64 {
        f64::from(self.samples) * (1.0 - self.kernel_share) * self.mixing_share
    }

    /// The mix that tells algorithms apart: of the code that mixes, if enough of
    /// it was seen, whatever goes on around it; else of all code.
    #[must_use]
    pub fn essence(&self) -> &Mix {
        if self.mixing_samples() < ESSENCE_SAMPLES {
            &self.mix
        } else {
            &self.mixing
        }
    }

    /// Share of the same samples in a kind of memory.
    #[must_use]
    pub fn essence_place(&self, place: Place) -> f64 {
        if self.mixing_samples() < ESSENCE_SAMPLES {
            self.place(place)
        } else {
            self.mixing_places.get(&place).copied().unwrap_or(0.0)
        }
    }

    /// Share of the user samples in a kind of memory.
    #[must_use]
    pub fn place(&self, place: Place) -> f64 {
        self.places.get(&place).copied().unwrap_or(0.0)
    }
}

/// What is summed up over looks.
#[derive(Default)]
struct Sums {
    samples: u32,
    undecodable: u32,
    counts: [u32; CLASSES],
    mixing_counts: [u32; CLASSES],
    places: BTreeMap<Place, f64>,
    mixing_places: BTreeMap<Place, f64>,
    lines: Vec<u64>,
    /// With their threads, of code that mixes, and of all other.
    mixing: Vec<(u32, [u32; SLOTS])>,
    other: Vec<(u32, [u32; SLOTS])>,
    times: Vec<u64>,
    threads: BTreeMap<u32, Thread>,
    marks: BTreeMap<Mark, u32>,
}

/// What is summed up over the looks at one thread.
struct Thread {
    first: DecodedSample,
    last: DecodedSample,
    samples: u32,
    counts: [u32; CLASSES],
    switches: u32,
    /// By mode.
    rounded: [u32; 4],
}

impl Sums {
    fn add(&mut self, look: &DecodedSample, since_ns: u64) {
        self.samples += 1;
        self.times
            .push(look.time_ns.saturating_sub(since_ns) / SECOND_NS);
        let thread = self
            .threads
            .entry(look.tid)
            .or_insert_with(|| Thread::new(look));
        thread.add(look);
        if look.kernel {
            return;
        }
        self.lines.push(look.line);
        self.undecodable += u32::from(look.undecodable);
        for mark in look.marks.iter() {
            *self.marks.entry(mark).or_default() += 1;
        }
        *self.places.entry(look.place).or_default() += 1.0;
        for (sum, count) in self.counts.iter_mut().zip(look.mix) {
            *sum += u32::from(count);
        }
        if look.mixing {
            self.mixing.push((look.tid, look.data));
            *self.mixing_places.entry(look.place).or_default() += 1.0;
            for (sum, count) in self.mixing_counts.iter_mut().zip(look.mix) {
                *sum += u32::from(count);
            }
        } else {
            self.other.push((look.tid, look.data));
        }
    }

    fn finish(mut self, since_ns: u64, burn: &Burn) -> Summary {
        let user = self.lines.len() as f64;
        for count in self.places.values_mut() {
            *count /= user;
        }
        for count in self.mixing_places.values_mut() {
            *count /= self.mixing.len() as f64;
        }
        self.times.sort_unstable();
        self.times.dedup();
        let code = Spread::of(&mut self.lines);
        let mixing_share = share(self.mixing.len() as f64, user);
        if self.mixing.len() < DATA_SAMPLES {
            self.mixing.append(&mut self.other);
        }
        let data_lines = data_lines(&self.mixing);
        let rates = Rates::of(self.threads.values());
        // What is younger than the window is not restless for that.
        let window_ns = burn.until_ns.saturating_sub(since_ns).min(burn.span_ns);
        let of_threads = |count: fn(&Thread) -> u32| self.threads.values().map(count).sum();
        Summary {
            samples: self.samples,
            mix: Mix::from_counts(self.counts),
            mixing_share,
            mixing: Mix::from_counts(self.mixing_counts),
            mixing_places: self.mixing_places,
            kernel_share: share(f64::from(self.samples) - user, self.samples.into()),
            undecodable_share: share(self.undecodable.into(), user),
            concentration: code.concentration,
            hot_lines: code.effective,
            hottest: code.most,
            data_lines,
            steadiness: share(
                self.times.len() as f64,
                window_ns.div_ceil(SECOND_NS) as f64,
            )
            .min(1.0),
            flatness: burn.flatness,
            since_ns,
            threads: u32::try_from(self.threads.len()).unwrap_or(u32::MAX),
            twins: twins(&self.threads),
            cores: burn.cores,
            span_ns: burn.span_ns,
            voluntary_per_cpu_second: burn.voluntary.unwrap_or(rates.voluntary),
            io_per_cpu_second: burn.io.or(rates.io),
            faults_per_cpu_second: rates.faults,
            switches: of_threads(|thread| thread.switches),
            rounded: of_threads(|thread| thread.rounded[1..].iter().sum()),
            rounding_modes: [1, 2, 3].map(|mode| {
                self.threads
                    .values()
                    .map(|thread| thread.rounded[mode])
                    .sum()
            }),
            marks: self.marks,
            places: self.places,
            hidden: false,
            poses: false,
            pool: false,
            stratum: false,
            shape: Shape::default(),
            burning_seconds: 0.0,
        }
    }
}

impl Thread {
    fn new(look: &DecodedSample) -> Self {
        Self {
            first: *look,
            last: *look,
            samples: 0,
            counts: [0; CLASSES],
            switches: 0,
            rounded: [0; 4],
        }
    }

    fn add(&mut self, look: &DecodedSample) {
        let switches = |look: &DecodedSample| {
            look.counters
                .voluntary
                .wrapping_add(look.counters.involuntary)
        };
        // The same saved state is not counted twice.
        let fresh = self.samples == 0 || switches(look) != switches(&self.last);
        if let (true, Some(mode)) = (fresh, look.rounding) {
            self.switches += 1;
            self.rounded[usize::from(mode & 3)] += 1;
        }
        self.samples += 1;
        self.last = *look;
        for (sum, count) in self.counts.iter_mut().zip(look.mix) {
            *sum += u32::from(count);
        }
    }
}

/// Rates per on-CPU second, between the first and the last look at each thread.
struct Rates {
    voluntary: f64,
    io: Option<f64>,
    faults: f64,
}

impl Rates {
    fn of<'a>(threads: impl Iterator<Item = &'a Thread>) -> Self {
        let (mut run_ns, mut voluntary, mut io, mut faults) = (0, 0, Some(0_u64), 0);
        // A recording may say anything.
        let add = |sum: &mut u64, to: u64, from: u64| {
            *sum = sum.saturating_add(to.saturating_sub(from));
        };
        for Thread { first, last, .. } in threads {
            let (from, to) = (first.counters, last.counters);
            add(&mut run_ns, to.run_ns, from.run_ns);
            add(&mut voluntary, to.voluntary, from.voluntary);
            add(&mut faults, to.faults, from.faults);
            io = io
                .zip(to.io_bytes.zip(from.io_bytes))
                .map(|(sum, (to, from))| to.saturating_sub(from).saturating_add(sum));
        }
        let rate = |count: u64| share(count as f64, seconds(run_ns));
        Self {
            voluntary: rate(voluntary),
            io: io.filter(|_| run_ns > 0).map(rate),
            faults: rate(faults),
        }
    }
}

/// How many threads do what the busiest one does.
fn twins(threads: &BTreeMap<u32, Thread>) -> u32 {
    let sampled = || threads.values().filter(|t| t.samples >= TWIN_SAMPLES);
    let Some(busiest) = sampled().max_by_key(|thread| thread.samples) else {
        return 0;
    };
    let busiest = Mix::from_counts(busiest.counts);
    let like =
        |thread: &&Thread| Mix::from_counts(thread.counts).distance(&busiest) <= TWIN_DISTANCE;
    u32::try_from(sampled().filter(like).count()).unwrap_or(u32::MAX)
}

/// A part of a whole, 0 if there is no whole.
pub(super) fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// How values are spread.
struct Spread<T> {
    concentration: f64,
    effective: f64,
    most: Option<(T, f64)>,
}

impl<T: Ord + Copy> Spread<T> {
    /// Sorts its argument.
    fn of(values: &mut [T]) -> Self {
        let total = values.len() as f64;
        values.sort_unstable();
        let runs = || values.chunk_by(|a, b| a == b);
        let bits = |run: &[T]| {
            let p = run.len() as f64 / total;
            -p * p.log2()
        };
        let entropy: f64 = runs().map(bits).sum();
        Self {
            concentration: if values.len() < 2 {
                0.0
            } else {
                1.0 - entropy / total.log2()
            },
            effective: entropy.exp2(),
            most: runs()
                .max_by_key(|run| run.len())
                .map(|run| (run[0], run.len() as f64 / total)),
        }
    }
}
