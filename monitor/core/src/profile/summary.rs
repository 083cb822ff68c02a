//! What a set of looks amounts to: the one thing scores are computed from.
//!
//! In a recording a summary is one flat object: the parts are here only, so that what
//! belongs together is read together.

mod sums;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::sums::Sums;
pub(super) use self::sums::share;
use super::{DecodedSample, Place};
use crate::{
    isa::{Mix, marks::Mark},
    shape::Shape,
};

/// So many samples of mixing code show which algorithm it is.
const ESSENCE_SAMPLES: f64 = 15.0;

/// A profile over one window of time. Everything a verdict is computed from,
/// and nothing that names a process or a user: what is recorded and replayed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Samples, in user and kernel mode.
    pub samples: u32,
    /// What it executes, and what that works on.
    #[serde(flatten)]
    pub code: Code,
    /// When it ran, and how much.
    #[serde(flatten)]
    pub time: CpuTime,
    /// Its threads.
    #[serde(flatten)]
    pub threads: Threads,
    /// What it asks of the kernel.
    #[serde(flatten)]
    pub system: SystemUse,
    /// How it rounds.
    #[serde(flatten)]
    pub rounding: Rounding,
    /// How often each amount and constant was seen in the user samples' code. Not in
    /// [`Code`]: as members of a flattened struct its numbers could not be read.
    #[serde(default)]
    pub marks: BTreeMap<Mark, u32>,
    /// What it hides.
    #[serde(flatten)]
    pub disguise: Disguise,
    /// Its connections.
    #[serde(flatten)]
    pub network: Network,
}

/// The code that the samples were of, and the data that it works on. All shares are of 0
/// to 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Code {
    /// Instructions decoded from the samples.
    pub mix: Mix,
    /// Share of the user samples that are of mixing code: each by itself looks like part
    /// of a hash, however much else goes on around it.
    pub mixing_share: f64,
    /// Instructions of these samples only.
    pub mixing: Mix,
    /// Share of these samples in each kind of memory; absent kinds have 0.
    pub mixing_places: BTreeMap<Place, f64>,
    /// Share of the samples that were in the kernel.
    pub kernel_share: f64,
    /// Share of the user samples whose bytes were not all instructions.
    pub undecodable_share: f64,
    /// How few cache lines the user samples hit: 1 if all hit one, 0 if each
    /// hit another.
    pub concentration: f64,
    /// The effective number of cache lines they hit: two to the power of the
    /// entropy. Grows with the samples where code is spread out.
    pub hot_lines: f64,
    /// The cache line hit most (its address), and its share of the user samples.
    #[serde(default)]
    pub hottest: Option<(u64, f64)>,
    /// Share of the user samples in each kind of memory; absent kinds have 0.
    pub places: BTreeMap<Place, f64>,
    /// How much data the code that mixes works through, in cache lines: what the
    /// most restless register, or word on top of the stack, points into. Hashing
    /// the same few bytes again and again takes a few, streaming a file or a
    /// scratchpad thousands. Of all code, where little of it mixes.
    pub data_lines: f64,
}

/// The window, and the CPU time that was used in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CpuTime {
    /// Share of the window's seconds that have samples, 0 to 1: a burst has few.
    pub steadiness: f64,
    /// How alike the seconds of the window are in burn, 0 to 1.
    pub flatness: f64,
    /// Where the window begins, nanoseconds.
    pub since_ns: u64,
    /// On-CPU time per wall time: 1 is one core.
    pub cores: f64,
    /// Nanoseconds the readings span.
    pub span_ns: u64,
    /// Seconds for which it has burned enough to be judged, without a pause.
    #[serde(default)]
    pub burning_seconds: f64,
}

/// How many threads take part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Threads {
    /// Threads that were sampled.
    #[serde(rename = "threads")]
    pub sampled: u32,
    /// Of these, how many do what the busiest does.
    pub twins: u32,
}

/// How often it waits, and what it has the kernel do, per on-CPU second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SystemUse {
    /// Voluntary context switches per on-CPU second.
    #[serde(rename = "voluntary_per_cpu_second")]
    pub voluntary: f64,
    /// Bytes read and written per on-CPU second, if known.
    #[serde(rename = "io_per_cpu_second")]
    pub io: Option<f64>,
    /// Page faults per on-CPU second.
    #[serde(rename = "faults_per_cpu_second")]
    pub faults: f64,
}

/// The saved rounding mode of floating-point numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rounding {
    /// Context switches after which the saved rounding mode was looked at.
    pub switches: u32,
    /// Of these, how many found another mode than to nearest.
    pub rounded: u32,
    /// The same by mode: down, up and towards zero, in the processor's own order.
    /// Interval arithmetic has one or two of them, `RandomX` all.
    #[serde(default, rename = "rounding_modes")]
    pub modes: [u32; 3],
}

/// How it keeps from being seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disguise {
    /// It is hidden from the host's `/proc`.
    pub hidden: bool,
    /// It shows as a kernel thread, and is none.
    pub poses: bool,
}

/// What is known of its connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Network {
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
    /// See [`CpuTime::flatness`].
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
        f64::from(self.samples) * (1.0 - self.code.kernel_share) * self.code.mixing_share
    }

    /// The mix that tells algorithms apart: of the code that mixes, if enough of
    /// it was seen, whatever goes on around it; else of all code.
    #[must_use]
    pub fn essence(&self) -> &Mix {
        if self.mixing_samples() < ESSENCE_SAMPLES {
            &self.code.mix
        } else {
            &self.code.mixing
        }
    }

    /// Share of the same samples in a kind of memory.
    #[must_use]
    pub fn essence_place(&self, place: Place) -> f64 {
        if self.mixing_samples() < ESSENCE_SAMPLES {
            self.place(place)
        } else {
            self.code.mixing_places.get(&place).copied().unwrap_or(0.0)
        }
    }

    /// Share of the user samples in a kind of memory.
    #[must_use]
    pub fn place(&self, place: Place) -> f64 {
        self.code.places.get(&place).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests;
