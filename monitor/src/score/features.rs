//! What the two questions of the model are answered from: each feature with its
//! name in the model's data, its value, and what it says to a person.

use crate::{
    isa::Class,
    profile::{Place, Summary},
};

/// Switches looked at before the rounding mode counts in full.
const ROUNDING_SWITCHES: f64 = 4.0;
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
/// What is hashed stands still if it lies in so many lines (32 KiB): lanes of
/// messages side by side take half of that.
const STILL_LINES: f64 = 512.0;
/// It streams if it lies in so many times two of that: 1 MiB.
const STREAM_DOUBLINGS: f64 = 5.0;
/// The same for generated code: scripts hash what they are given in pieces of some
/// 16 KiB, and have no lanes.
const SCRIPT_STILL_LINES: f64 = 64.0;
const SCRIPT_STREAM_DOUBLINGS: f64 = 2.0;
/// Bytes per CPU second below which no buffer is refilled as it is hashed: a
/// hundredth of what the slowest checksums take in.
const QUIET_IO: f64 = 1e6;

/// A profile, and the known miner its mix is most like.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact by itself, and read by another feature"
)]
#[derive(Clone, Copy, Debug)]
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
    /// That miner is `WebAssembly`.
    pub wasm: bool,
    /// It is, and itself memory-hard: its engine hands out new memory all the
    /// time.
    pub wasm_scratchpad: bool,
}

/// One number, and what it means.
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    /// Its name in the model's data.
    pub name: &'static str,
    /// Its value: of the order of 1 where it says anything.
    pub value: fn(&View<'_>) -> f64,
    /// Which way it may speak: a fit that says otherwise found a coincidence.
    pub sign: Sign,
    /// What it says to a person; `None` where there is nothing to say.
    pub text: fn(&View<'_>) -> Option<String>,
    /// What a witness against that found nothing says for mining instead, if that
    /// is worth a sentence.
    pub absence: fn(&View<'_>) -> Option<String>,
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
pub const HASHING: [Feature; 6] = [
    MIXING,
    Feature {
        name: "known",
        value: |view| (MIXING.value)(view) * (1.0 - view.distance / UNLIKE).max(0.0),
        sign: Sign::For,
        text: |_| None,
        absence: |_| None,
    },
    Feature {
        name: "tiny-loop",
        value: |view| (1.0 - view.summary.hot_lines / LOOP_LINES).max(0.0),
        sign: Sign::Against,
        text: |view| {
            (view.summary.hot_lines < LOOP_LINES).then(|| {
                format!(
                    "its hot code is only {:.1} cache lines, a tiny loop",
                    view.summary.hot_lines
                )
            })
        },
        absence: |_| None,
    },
    Feature {
        // Encoders move and add in wide registers as memory-hard hashes do.
        name: "plain",
        value: plain,
        sign: Sign::Against,
        text: |view| {
            (plain(view) > 0.3).then(|| {
                format!(
                    "only {:.0} % of its samples are of code that mixes, and hardly an instruction \
                     is a cipher's",
                    100.0 * view.summary.mixing_share
                )
            })
        },
        absence: |_| None,
    },
    Feature {
        name: "undecodable",
        value: |view| view.summary.undecodable_share,
        sign: Sign::Against,
        text: |view| {
            (view.summary.undecodable_share > 0.05).then(|| {
                format!(
                    "{:.0} % of its samples hold bytes that are no instructions",
                    100.0 * view.summary.undecodable_share
                )
            })
        },
        absence: |_| None,
    },
    ROUNDING,
];

/// How much of the code looks like part of a hash, each sample by itself.
const MIXING: Feature = Feature {
    name: "mixing",
    value: |view| (view.summary.mixing_share / MIXING_SHARE).min(1.0),
    sign: Sign::For,
    text: |view| {
        share(
            view.summary.mixing_share,
            "of its samples are of code that mixes as a hash does",
        )
    },
    absence: |_| None,
};

/// How much it lacks what hashes are made of: mixing code, or the processor's own
/// instructions for ciphers and hashes (all of `CryptoNight` that is not loads and
/// stores). `WebAssembly` has neither where its engine compiled in haste, and of who
/// speaks Stratum it is known without.
fn plain(view: &View<'_>) -> f64 {
    if view.wasm || view.summary.stratum {
        return 0.0;
    }
    let made = [Class::Aes, Class::Sha, Class::Clmul];
    let ciphers: f64 = made.map(|class| view.summary.mix.share(class)).iter().sum();
    (1.0 - (MIXING.value)(view)) * (1.0 - ciphers / CIPHER_SHARE).max(0.0)
}

/// `RandomX` changes the rounding mode all the time (its specification, 5.4.1,
/// `CFROUND`); next to nothing else does.
const ROUNDING: Feature = Feature {
    name: "rounding-mode",
    value: |view| {
        f64::from(view.summary.rounded) / (f64::from(view.summary.switches) + ROUNDING_SWITCHES)
    },
    sign: Sign::For,
    text: |view| {
        (view.summary.rounded > 0).then(|| {
            format!(
                "its saved floating-point state rounds another way than to nearest at {} of {} \
                 context switches, as RandomX does",
                view.summary.rounded, view.summary.switches
            )
        })
    },
    absence: |_| None,
};

/// Is it mining? Asked of what hashes.
pub const MINING: [Feature; 7] = [
    Feature {
        name: "io",
        value: |view| (1.0 + view.summary.io_per_cpu_second.unwrap_or(0.0) / 1e6).log10(),
        sign: Sign::Against,
        text: io_text,
        // How little it is, in the same words.
        absence: io_text,
    },
    Feature {
        // Passwords, checksums and ciphers are the business of the host's own
        // programs. An algorithm that only mines is nobody's.
        name: "system",
        value: |view| {
            if view.mining_only {
                0.0
            } else {
                // Everybody calls the C library: only most of the code is an excuse.
                // What was not looked up yet may be the host's own.
                let places = [Place::System, Place::Unread];
                let excused: f64 = places
                    .map(|place| view.summary.essence_place(place))
                    .iter()
                    .sum();
                excused.powi(2)
            }
        },
        sign: Sign::Against,
        text: |view| {
            let place = |place| view.summary.essence_place(place);
            share(
                place(Place::Unread),
                "of the code that hashes could not be looked up yet: it may be the host's own",
            )
            .or_else(|| {
                share(
                    place(Place::System),
                    "of the code that hashes is a program or library of the host's own, put there \
                     by root",
                )
            })
        },
        absence: |_| None,
    },
    // Java and JavaScript hash in code they generate. What a browser's or a
    // script's WebAssembly looks like is known, and what only mines is too.
    Feature {
        name: "generated",
        value: |view| {
            if view.mining_only || view.wasm {
                0.0
            } else {
                view.summary.essence_place(Place::Anonymous)
            }
        },
        sign: Sign::Against,
        text: |_| None,
        absence: |_| None,
    },
    Feature {
        // New memory for every hash, as a password check takes, or a mapped file. A
        // miner keeps its scratchpad.
        name: "faults",
        value: |view| {
            if view.mining_only || view.wasm_scratchpad {
                0.0
            } else {
                (1.0 + view.summary.faults_per_cpu_second / 100.0).log10()
            }
        },
        sign: Sign::Against,
        text: |view| {
            let rate = view.summary.faults_per_cpu_second;
            (rate >= 100.0).then(|| {
                format!("takes new memory, or maps files: {rate:.0} page faults per CPU second")
            })
        },
        absence: |_| None,
    },
    Feature {
        name: "streams",
        value: streams,
        sign: Sign::Against,
        text: |view| {
            let size = data_kib(view)?;
            Some(if streams(view) >= 0.5 {
                format!("it hashes data that flows past: {size:.0} KiB")
            } else {
                format!("what it hashes is spread over {size:.0} KiB")
            })
        },
        // A checksum tool's buffer stands as still as a block header, and what is
        // in it is new each time.
        absence: |view| {
            let quiet = view.summary.io_per_cpu_second.unwrap_or(0.0) < QUIET_IO;
            let size = data_kib(view).filter(|_| quiet)?;
            Some(format!("it hashes the same {size:.1} KiB again and again"))
        },
    },
    Feature {
        name: "strange",
        value: |view| view.distance,
        sign: Sign::Against,
        text: |_| None,
        absence: |_| None,
    },
    ROUNDING,
];

/// Whether data flows past: 0 for what fits a processor's nearest cache, 1 for a
/// megabyte and more. Of memory-hard algorithms nothing is known: theirs does.
fn streams(view: &View<'_>) -> f64 {
    if view.memory_hard {
        return 0.0;
    }
    let (still, doublings) = if view.summary.essence_place(Place::Anonymous) > 0.5 {
        (SCRIPT_STILL_LINES, SCRIPT_STREAM_DOUBLINGS)
    } else {
        (STILL_LINES, STREAM_DOUBLINGS)
    };
    ((view.summary.data_lines.max(1.0) / still).log2() / doublings).clamp(0.0, 1.0)
}

/// What moves through its read and write calls.
fn io_text(view: &View<'_>) -> Option<String> {
    let rate = view.summary.io_per_cpu_second?;
    Some(format!(
        "{:.1} MB read and written per CPU second",
        rate / 1e6
    ))
}

/// KiB of data that are hashed, where that tells anything.
fn data_kib(view: &View<'_>) -> Option<f64> {
    let lines = view.summary.data_lines;
    (!view.memory_hard && lines > 0.0).then(|| lines * CACHE_LINE / 1024.0)
}

/// A class's share, in tenths, so that weights are of the order of 1.
#[must_use]
pub fn class(summary: &Summary, class: Class) -> f64 {
    10.0 * summary.mix.share(class)
}

fn share(share: f64, what: &str) -> Option<String> {
    (share > 0.1).then(|| format!("{:.0} % {what}", 100.0 * share))
}
