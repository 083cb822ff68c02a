//! What *is it hashing?* is answered from: each feature with its name in the model's
//! data, its value, and what it says to a person.

use std::ops::RangeInclusive;

use super::{
    signature::{Match, Numbers, Use},
    witness::Witness,
};
use crate::{isa::Class, profile::Summary};

/// Cache lines from which hot code is no tiny loop: a loop that does one thing to
/// a word is one or two, the smallest hash (`CryptoNight`'s) three.
const LOOP_LINES: f64 = 2.5;
/// Share of the samples from which mixing code is no accident: ordinary programs
/// have it in a few percent.
const MIXING_SHARE: f64 = 0.12;
/// Share of the instructions from which ciphers are no accident.
const CIPHER_SHARE: f64 = 0.01;
/// Distance at which a mix is as unlike a known miner's as ordinary code.
const UNLIKE: f64 = 0.25;
/// Bytes of a cache line.
const CACHE_LINE: f64 = 64.0;
/// Share of AES in `CryptoNight`: one instruction in some twenty.
const CRYPTONIGHT_AES: RangeInclusive<f64> = 0.01..=0.12;
/// Least share of multiplications in it: as many, or half as many.
const CRYPTONIGHT_MULTIPLY: f64 = 0.01;
/// Share of carry-less multiplications that shows AES-GCM instead.
const CRYPTONIGHT_CLMUL: f64 = 0.005;
/// Cache lines of its loop at the most.
const CRYPTONIGHT_LINES: f64 = 10.0;
/// Rounded context switches with which `RandomX` is certain, if they are of all modes.
const ROUNDED: f64 = 6.0;
/// Part of them that each mode must have: `RandomX` draws all alike, interval
/// arithmetic has one or two.
const EACH_MODE: f64 = 0.08;

/// A profile, and the known miner its mix is most like.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact by itself, and weighed by itself"
)]
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// The profile.
    pub summary: &'a Summary,
    /// Part of the instructions that would have to be of another class to be
    /// that miner's, 0 to 1.
    pub distance: f64,
    /// That miner's algorithm works on a scratchpad larger than a cache.
    pub memory_hard: bool,
    /// That miner's algorithm was made for mining and serves nothing else, and
    /// the mix is close enough to be it.
    pub mining_only: bool,
    /// It is `RandomX`.
    pub randomx: bool,
    /// That miner is `WebAssembly`.
    pub wasm: bool,
    /// The numbers in its code.
    pub numbers: Numbers,
    /// The hash whose numbers its code is signed with.
    pub signature: Option<Match>,
    /// What else those numbers may be: a generator, a hash for tables.
    pub other: Option<Match>,
}

impl<'a> View<'a> {
    /// A profile that was compared with nothing yet.
    #[must_use]
    pub fn alone(summary: &'a Summary) -> Self {
        let numbers = Numbers::of(&summary.marks);
        Self {
            summary,
            distance: 1.0,
            memory_hard: false,
            mining_only: false,
            randomx: false,
            wasm: false,
            signature: numbers.best(Use::Hash),
            other: numbers.best(Use::Other),
            numbers,
        }
    }

    /// KiB of data that are hashed, where that tells anything.
    pub(super) fn data_kib(&self) -> Option<f64> {
        let lines = self.summary.code.data_lines;
        (!self.memory_hard && lines > 0.0).then(|| lines * CACHE_LINE / 1024.0)
    }

    /// How well it is signed as a hash, and as something else.
    fn strengths(&self) -> [f64; 2] {
        [self.signature, self.other].map(|found| found.map_or(0.0, |found| found.strength))
    }
}

/// One number, and what it means.
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    /// Which it is; its name is that in the model's data.
    pub witness: Witness,
    /// Its value: of the order of 1 where it says anything.
    pub value: fn(&View<'_>) -> f64,
    /// Which way it may speak: a fit that says otherwise found a coincidence.
    pub sign: Sign,
    /// What it says to a person.
    pub text: fn(&View<'_>) -> String,
}

/// Which way a feature may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Only for.
    For,
    /// Only against.
    Against,
    /// Either.
    Any,
}

/// Is it hashing? Besides the shares of all classes, in tenths.
pub const HASHING: [Feature; 8] = [
    Feature {
        witness: Witness::Mixing,
        value: mixing,
        sign: Sign::For,
        text: |view| {
            format!(
                "{} of its samples are code that mixes data as a hash does",
                percent(view.summary.code.mixing_share)
            )
        },
    },
    Feature {
        witness: Witness::Known,
        value: |view| mixing(view) * (1.0 - view.distance / UNLIKE).max(0.0),
        sign: Sign::For,
        text: |view| {
            format!(
                "the instruction mix is {} like that of a known miner",
                percent(1.0 - view.distance)
            )
        },
    },
    Feature {
        // What is signed as a generator as well as a hash is no hash.
        witness: Witness::Signature,
        value: |view| {
            let [hash, other] = view.strengths();
            (hash - other).max(0.0)
        },
        sign: Sign::For,
        text: |view| {
            view.signature.map_or_else(String::new, |found| {
                format!(
                    "its code has the rotations and constants of {} ({} of all rotations)",
                    found.signature.algorithm,
                    percent(found.own)
                )
            })
        },
    },
    Feature {
        witness: Witness::OtherSignature,
        value: |view| {
            let [hash, other] = view.strengths();
            (other - hash).max(0.0)
        },
        sign: Sign::Against,
        text: |view| {
            view.other.map_or_else(String::new, |found| {
                format!(
                    "its code has the rotations and constants of {}, which no miner uses",
                    found.signature.algorithm
                )
            })
        },
    },
    Feature {
        witness: Witness::TinyLoop,
        value: |view| {
            if is_cryptonight(view.summary) {
                0.0
            } else {
                (1.0 - view.summary.code.hot_lines / LOOP_LINES).max(0.0)
            }
        },
        sign: Sign::Against,
        text: |view| {
            format!(
                "its hot code is only {:.1} cache lines, a tiny loop",
                view.summary.code.hot_lines
            )
        },
    },
    Feature {
        // Encoders move and add in wide registers as memory-hard hashes do.
        witness: Witness::Plain,
        value: plain,
        sign: Sign::Against,
        text: |view| {
            format!(
                "only {} of its samples are code that mixes data, and hardly any instruction is \
                 a cipher's",
                percent(view.summary.code.mixing_share)
            )
        },
    },
    Feature {
        witness: Witness::Undecodable,
        value: |view| view.summary.code.undecodable_share,
        sign: Sign::Against,
        text: |view| {
            format!(
                "{} of its samples cannot be decoded",
                percent(view.summary.code.undecodable_share)
            )
        },
    },
    Feature {
        // `RandomX` changes the rounding mode all the time (its specification, 5.4.1,
        // `CFROUND`), to each mode alike; next to nothing else does.
        witness: Witness::RoundingMode,
        value: |view| rounding(view.summary),
        sign: Sign::For,
        text: |view| {
            format!(
                "its floating-point rounding mode was not the default at {} of {} context \
                 switches, and all three others occurred, as in RandomX",
                view.summary.rounding.rounded, view.summary.rounding.switches
            )
        },
    },
];

/// How much of the code looks like part of a hash, each sample by itself.
fn mixing(view: &View<'_>) -> f64 {
    (view.summary.code.mixing_share / MIXING_SHARE).min(1.0)
}

/// How much it lacks what hashes are made of: mixing code, or the processor's own
/// instructions for ciphers and hashes (all of `CryptoNight` that is not loads and
/// stores). `WebAssembly` has neither where its engine compiled in haste.
fn plain(view: &View<'_>) -> f64 {
    if view.wasm {
        return 0.0;
    }
    let made = [Class::Aes, Class::Sha, Class::Clmul];
    let ciphers: f64 = made
        .map(|class| view.summary.code.mix.share(class))
        .iter()
        .sum();
    (1.0 - mixing(view)) * (1.0 - ciphers / CIPHER_SHARE).max(0.0)
}

/// Whether it is `CryptoNight` of any kind by what its loop is made of: single rounds of
/// AES and multiplications of 64 bits in turn (its specification, section 5), in a few
/// cache lines of code. Ciphers do many rounds for each block, and no such product.
pub(super) fn is_cryptonight(summary: &Summary) -> bool {
    let share = |class| summary.code.mix.share(class);
    CRYPTONIGHT_AES.contains(&share(Class::Aes))
        && share(Class::Multiply) >= CRYPTONIGHT_MULTIPLY
        && share(Class::Clmul) < CRYPTONIGHT_CLMUL
        && summary.code.hot_lines <= CRYPTONIGHT_LINES
}

/// How sure `RandomX` is by the rounding modes that were saved, 0 to 1.
pub(super) fn rounding(summary: &Summary) -> f64 {
    let rounded = f64::from(summary.rounding.rounded);
    let each = EACH_MODE * rounded;
    let all = summary.rounding.modes.iter().all(|count| {
        let count = f64::from(*count);
        count >= 1.0 && count >= each
    });
    if all {
        (rounded / ROUNDED).min(1.0)
    } else {
        0.0
    }
}

/// A class's share, in tenths, so that weights are of the order of 1.
#[must_use]
pub fn class(summary: &Summary, class: Class) -> f64 {
    10.0 * summary.code.mix.share(class)
}

/// A share of 0 to 1, for a person.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}
