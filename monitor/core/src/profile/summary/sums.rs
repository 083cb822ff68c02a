//! The sums over looks that a summary is made of.

use std::collections::BTreeMap;

use super::{Burn, Code, CpuTime, Disguise, Network, Rounding, Summary, SystemUse, Threads};
use crate::{
    isa::{CLASSES, Mix, marks::Mark},
    profile::{DecodedSample, Place, data::data_lines, look::SLOTS, seconds},
};

const SECOND_NS: u64 = 1_000_000_000;
/// Instructions a thread must have been seen at to be compared with others.
const TWIN_SAMPLES: u32 = 5;
/// Part of the instructions that may be of another class in a twin.
const TWIN_DISTANCE: f64 = 0.15;
/// So many samples of mixing code show what it works on.
const DATA_SAMPLES: usize = 20;

/// What is summed up over looks.
#[derive(Default)]
pub(super) struct Sums {
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
    pub(super) fn add(&mut self, look: &DecodedSample, since_ns: u64) {
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

    pub(super) fn finish(mut self, since_ns: u64, burn: &Burn) -> Summary {
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
            code: Code {
                mix: Mix::from_counts(self.counts),
                mixing_share,
                mixing: Mix::from_counts(self.mixing_counts),
                mixing_places: self.mixing_places,
                kernel_share: share(f64::from(self.samples) - user, self.samples.into()),
                undecodable_share: share(self.undecodable.into(), user),
                concentration: code.concentration,
                hot_lines: code.effective,
                hottest: code.most,
                places: self.places,
                data_lines,
            },
            time: CpuTime {
                steadiness: share(
                    self.times.len() as f64,
                    window_ns.div_ceil(SECOND_NS) as f64,
                )
                .min(1.0),
                flatness: burn.flatness,
                since_ns,
                cores: burn.cores,
                span_ns: burn.span_ns,
                burning_seconds: 0.0,
            },
            threads: Threads {
                sampled: u32::try_from(self.threads.len()).unwrap_or(u32::MAX),
                twins: twins(&self.threads),
            },
            system: SystemUse {
                voluntary: burn.voluntary.unwrap_or(rates.voluntary),
                io: burn.io.or(rates.io),
                faults: rates.faults,
            },
            rounding: Rounding {
                switches: of_threads(|thread| thread.switches),
                rounded: of_threads(|thread| thread.rounded[1..].iter().sum()),
                modes: [1, 2, 3].map(|mode| {
                    self.threads
                        .values()
                        .map(|thread| thread.rounded[mode])
                        .sum()
                }),
            },
            marks: self.marks,
            disguise: Disguise::default(),
            network: Network::default(),
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
pub(in super::super) fn share(part: f64, whole: f64) -> f64 {
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
