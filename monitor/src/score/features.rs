//! What the two questions of the model are answered from: each feature with its
//! name in the model's data, its value, and what it says to a person.

use crate::{
    isa::Class,
    profile::{Place, Summary},
};

/// Switches looked at before the rounding mode counts in full.
const ROUNDING_SWITCHES: f64 = 4.0;
/// Cache lines from which hot code is no tiny loop: a cipher or hash is
/// unrolled over tens of them, a checksum or a bit trick is a loop of a few.
const LOOP_LINES: f64 = 8.0;

/// A profile, and the known miner its mix is most like.
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
pub const HASHING: [Feature; 3] = [
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
    },
    ROUNDING,
];

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
};

/// Is it mining? Asked of what hashes.
pub const MINING: [Feature; 9] = [
    Feature {
        name: "io",
        value: |view| (1.0 + view.summary.io_per_cpu_second.unwrap_or(0.0) / 1e6).log10(),
        sign: Sign::Against,
        text: |view| {
            let rate = view.summary.io_per_cpu_second?;
            Some(format!(
                "{:.1} MB read and written per CPU second",
                rate / 1e6
            ))
        },
    },
    Feature {
        name: "waits",
        value: |view| (1.0 + view.summary.voluntary_per_cpu_second / 100.0).log10(),
        sign: Sign::Against,
        text: |view| {
            let rate = view.summary.voluntary_per_cpu_second;
            Some(format!("waits {rate:.0} times per CPU second"))
        },
    },
    Feature {
        name: "faults",
        value: |view| (1.0 + view.summary.faults_per_cpu_second / 100.0).log10(),
        sign: Sign::Against,
        text: |view| {
            let rate = view.summary.faults_per_cpu_second;
            (rate >= 100.0).then(|| {
                format!("takes new memory, or maps files: {rate:.0} page faults per CPU second")
            })
        },
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
                view.summary.place(Place::System).powi(2)
            }
        },
        sign: Sign::Against,
        text: |view| {
            share(
                view.summary.place(Place::System),
                "of its code is a program or library of the host's own, put there by root",
            )
        },
    },
    // Java and JavaScript hash in code they generate. What a browser's or a
    // script's WebAssembly looks like is known, and what only mines is too.
    Feature {
        name: "generated",
        value: |view| {
            if view.mining_only || view.wasm {
                0.0
            } else {
                view.summary.place(Place::Anonymous)
            }
        },
        sign: Sign::Against,
        text: |_| None,
    },
    Feature {
        name: "kernel",
        value: |view| view.summary.kernel_share,
        sign: Sign::Against,
        text: |view| share(view.summary.kernel_share, "of its time is in the kernel"),
    },
    Feature {
        name: "streams",
        value: |view| {
            if view.memory_hard {
                0.0
            } else {
                view.summary.data_spread
            }
        },
        sign: Sign::Against,
        text: |view| {
            let spread = view.summary.data_spread;
            (!view.memory_hard && spread > 0.0).then(|| {
                if spread >= 0.5 {
                    format!("it hashes data that flows past (pointer spread {spread:.2})")
                } else {
                    format!("it hashes the same few cache lines again and again (pointer spread {spread:.2})")
                }
            })
        },
    },
    Feature {
        name: "strange",
        value: |view| view.distance,
        sign: Sign::Against,
        text: |_| None,
    },
    ROUNDING,
];

/// A class's share, in tenths, so that weights are of the order of 1.
#[must_use]
pub fn class(summary: &Summary, class: Class) -> f64 {
    10.0 * summary.mix.share(class)
}

fn share(share: f64, what: &str) -> Option<String> {
    (share > 0.1).then(|| format!("{:.0} % {what}", 100.0 * share))
}
