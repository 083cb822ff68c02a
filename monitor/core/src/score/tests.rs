//! The mixes are measured ones, rounded to a percent: of the programs each test
//! is named for, on a Xeon with AVX-512 and SHA-NI.

mod code;
mod mining;
mod programs;
mod properties;

use std::collections::BTreeMap;

use super::*;
use crate::{
    isa::{CLASSES, Mix, marks::Mark},
    profile::{Code, CpuTime, Disguise, Network, Place, Rounding, SystemUse, Threads},
    shape::Shape,
};

/// A full core of `mix` (class and percent), spread over 20 lines of a file.
fn summary(mix: &[(Class, u32)]) -> Summary {
    let mut counts = [0; CLASSES];
    for (class, percent) in mix {
        counts[*class as usize] = percent * 40;
    }
    Summary {
        samples: 400,
        code: Code {
            mix: Mix::from_counts(counts),
            kernel_share: 0.0,
            undecodable_share: 0.0,
            concentration: 0.5,
            hot_lines: 20.0,
            hottest: Some((0x1000, 0.1)),
            places: BTreeMap::from([(Place::File, 1.0)]),
            ..Code::default()
        },
        time: CpuTime {
            steadiness: 1.0,
            since_ns: 0,
            cores: 1.0,
            span_ns: 5_000_000_000,
            ..CpuTime::default()
        },
        threads: Threads {
            sampled: 1,
            ..Threads::default()
        },
        system: SystemUse {
            voluntary: 0.0,
            io: Some(0.0),
            ..SystemUse::default()
        },
        ..Summary::default()
    }
}

/// The same with all of it in code that mixes, as most of a hash's samples are.
fn mixing(mix: &[(Class, u32)]) -> Summary {
    let summary = summary(mix);
    Summary {
        code: Code {
            mixing_share: 0.7,
            mixing: summary.code.mix,
            mixing_places: summary.code.places.clone(),
            ..summary.code
        },
        ..summary
    }
}

fn assess(summary: &Summary) -> Assessment {
    Model::shipped().unwrap().assess(summary)
}

/// The same that is looked at, and has no connection.
fn unconnected(summary: &Summary) -> Summary {
    Summary {
        network: Network {
            shape: Shape {
                looks: 20,
                ..Shape::default()
            },
            ..summary.network
        },
        ..summary.clone()
    }
}

fn connected(summary: &Summary) -> Summary {
    Summary {
        network: Network {
            shape: Shape::pool_like(),
            ..summary.network
        },
        ..summary.clone()
    }
}

/// A hash that serves much else: mining with a connection that is like one to a pool.
#[track_caller]
fn miner(family: &str, mix: &[(Class, u32)]) {
    let alone = assess(&unconnected(&mixing(mix)));
    assert!(alone.hashing >= 0.8 && alone.score < 0.5, "{alone:?}");
    let found = assess(&connected(&mixing(mix)));
    assert!(found.score >= 0.8, "{found:?}");
    assert_eq!(Family::name_or_empty(found.family), family);
}

/// A hash that serves nothing but mining.
#[track_caller]
fn only_mines(family: &str, mix: &[(Class, u32)]) {
    let found = assess(&unconnected(&mixing(mix)));
    assert!(found.score >= 0.8 && found.mining_only, "{found:?}");
    assert_eq!(Family::name_or_empty(found.family), family);
}

/// A cipher may mix as a hash does; without a connection like a miner's it is none, nor
/// with one through which its data flows.
#[track_caller]
fn cipher(mix: &[(Class, u32)]) {
    let found = assess(&unconnected(&mixing(mix)));
    assert!(found.score < 0.5, "{found:?}");
}

#[track_caller]
fn ordinary(mix: &[(Class, u32)]) {
    let found = assess(&summary(mix));
    assert!(found.hashing < 0.8, "{found:?}");
}

use Class::{
    Add, Aes, Branch, Clmul, Float, Logic, Move, Multiply, Other, Prefetch, Rotate, Sha, Shift,
    Shuffle, Xor,
};

const SHA256_SCALAR: [(Class, u32); 6] = [
    (Rotate, 16),
    (Shift, 2),
    (Xor, 20),
    (Logic, 6),
    (Add, 19),
    (Move, 35),
];

/// The evidence of a kind; its log-odds, and its words.
fn said(summary: &Summary, kind: EvidenceKind) -> Option<(f64, String)> {
    let evidence = Model::shipped().unwrap().evidence(summary);
    let line = evidence.into_iter().find(|line| line.kind == kind);
    line.map(|line| (line.log_odds, line.text))
}

#[track_caller]
fn log_odds(summary: &Summary, witness: Witness) -> f64 {
    said(summary, EvidenceKind::Witness(witness)).map_or(0.0, |(log_odds, _)| log_odds)
}
