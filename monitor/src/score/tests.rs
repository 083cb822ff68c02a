//! The mixes are measured ones, rounded to a percent: of the programs each test
//! is named for, on a Xeon with AVX-512 and SHA-NI.

use std::collections::BTreeMap;

use super::*;
use crate::isa::{CLASSES, Mix};

/// A full core of `mix` (class and percent), spread over 20 lines of a file.
fn summary(mix: &[(Class, u32)]) -> Summary {
    let mut counts = [0; CLASSES];
    for (class, percent) in mix {
        counts[*class as usize] = percent * 40;
    }
    Summary {
        samples: 400,
        mix: Mix::from_counts(counts),
        kernel_share: 0.0,
        undecodable_share: 0.0,
        concentration: 0.5,
        hot_lines: 20.0,
        hottest: Some((0x1000, 0.1)),
        places: BTreeMap::from([(Place::File, 1.0)]),
        steadiness: 1.0,
        since_ns: 0,
        threads: 1,
        cores: 1.0,
        span_ns: 5_000_000_000,
        voluntary_per_cpu_second: 0.0,
        io_per_cpu_second: Some(0.0),
        ..Summary::default()
    }
}

/// The same with all of it in code that mixes, as most of a hash's samples are.
fn mixing(mix: &[(Class, u32)]) -> Summary {
    let summary = summary(mix);
    Summary {
        mixing_share: 0.7,
        mixing: summary.mix,
        mixing_places: summary.places.clone(),
        ..summary
    }
}

fn assess(summary: &Summary) -> Assessment {
    Model::shipped().unwrap().assess(summary)
}

#[track_caller]
fn miner(family: &str, mix: &[(Class, u32)]) {
    let found = assess(&mixing(mix));
    assert!(found.score >= 0.8, "{found:?}");
    assert_eq!(found.family, family);
}

/// A cipher mixes as a hash does; the data that flows through it tells.
#[track_caller]
fn cipher(mix: &[(Class, u32)]) {
    let flowing = Summary {
        io_per_cpu_second: Some(300e6),
        data_lines: 16384.0,
        ..mixing(mix)
    };
    let found = assess(&flowing);
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

#[test]
fn randomx_light() {
    miner(
        "randomx",
        &[
            (Rotate, 3),
            (Shift, 3),
            (Xor, 32),
            (Logic, 4),
            (Add, 17),
            (Multiply, 22),
            (Float, 3),
            (Prefetch, 3),
            (Branch, 1),
            (Move, 13),
        ],
    );
}

#[test]
fn randomx_full() {
    miner(
        "randomx",
        &[
            (Rotate, 6),
            (Xor, 51),
            (Logic, 11),
            (Add, 3),
            (Multiply, 1),
            (Float, 3),
            (Prefetch, 6),
            (Branch, 1),
            (Move, 18),
        ],
    );
}

#[test]
fn sha256d_by_the_processors_own_instructions() {
    miner(
        "sha256d",
        &[
            (Shift, 1),
            (Add, 15),
            (Sha, 23),
            (Shuffle, 22),
            (Branch, 3),
            (Move, 34),
            (Other, 2),
        ],
    );
}

#[test]
fn sha256d_scalar() {
    miner("sha256d", &SHA256_SCALAR);
}

#[test]
fn scrypt() {
    miner(
        "scrypt",
        &[
            (Shift, 22),
            (Xor, 13),
            (Logic, 12),
            (Add, 14),
            (Shuffle, 10),
            (Branch, 2),
            (Move, 26),
            (Other, 2),
        ],
    );
}

#[test]
fn argon2() {
    miner(
        "argon2",
        &[
            (Shift, 23),
            (Xor, 10),
            (Logic, 10),
            (Add, 29),
            (Multiply, 11),
            (Shuffle, 8),
            (Move, 9),
        ],
    );
}

#[test]
fn keccak() {
    miner(
        "keccak",
        &[
            (Rotate, 10),
            (Xor, 27),
            (Logic, 19),
            (Add, 1),
            (Branch, 1),
            (Move, 42),
        ],
    );
}

#[test]
fn rsa() {
    ordinary(&[
        (Shift, 4),
        (Xor, 1),
        (Logic, 3),
        (Add, 17),
        (Multiply, 40),
        (Shuffle, 10),
        (Branch, 3),
        (Move, 20),
        (Other, 2),
    ]);
}

#[test]
fn xz() {
    ordinary(&[
        (Shift, 1),
        (Logic, 4),
        (Add, 10),
        (Branch, 16),
        (Move, 49),
        (Other, 19),
    ]);
}

#[test]
fn aes_gcm() {
    cipher(&[
        (Shift, 5),
        (Xor, 15),
        (Logic, 1),
        (Add, 10),
        (Aes, 2),
        (Clmul, 2),
        (Shuffle, 8),
        (Branch, 15),
        (Move, 38),
        (Other, 6),
    ]);
}

#[test]
fn chacha20() {
    cipher(&[
        (Rotate, 6),
        (Shift, 3),
        (Xor, 6),
        (Logic, 3),
        (Add, 20),
        (Multiply, 2),
        (Shuffle, 9),
        (Branch, 8),
        (Move, 41),
        (Other, 3),
    ]);
}

#[test]
fn python() {
    ordinary(&[
        (Shift, 3),
        (Logic, 4),
        (Add, 9),
        (Branch, 19),
        (Move, 53),
        (Other, 11),
    ]);
}

#[test]
fn node() {
    ordinary(&[
        (Shift, 9),
        (Add, 11),
        (Float, 7),
        (Branch, 36),
        (Move, 19),
        (Other, 19),
    ]);
}

#[test]
fn matrix_product() {
    ordinary(&[(Add, 30), (Float, 28), (Branch, 17), (Move, 7), (Other, 17)]);
}

#[test]
fn nothing_sampled_is_nothing() {
    let found = assess(&summary(&[]));
    assert_eq!((found.hashing, found.score, found.family), (0.0, 0.0, ""));
}

#[test]
fn hashing_a_file_is_not_mining() {
    let reading = Summary {
        io_per_cpu_second: Some(337e6),
        ..mixing(&SHA256_SCALAR)
    };
    let found = assess(&reading);
    assert!(found.hashing > 0.9 && found.score < 0.1, "{found:?}");
    let evidence = Model::shipped().unwrap().evidence(&reading);
    assert!(
        evidence
            .iter()
            .any(|e| e.log_odds < 0.0 && e.text.contains("337.0 MB")),
        "{evidence:?}"
    );
}

/// Checks whether the evidence says `words`, and on which side.
#[track_caller]
fn check_said(summary: &Summary, words: &str, expected: Option<bool>) {
    let evidence = Model::shipped().unwrap().evidence(summary);
    let said = evidence.iter().find(|e| e.text.contains(words));
    assert_eq!(said.map(|e| e.log_odds > 0.0), expected, "{evidence:?}");
}

/// What `sha256sum` reads with is as small as what miners hash.
#[test]
fn a_read_buffer_is_not_the_same_data_again() {
    let again = "again and again";
    let mut hashing = Summary {
        data_lines: 504.0,
        ..mixing(&SHA256_SCALAR)
    };
    check_said(&hashing, again, Some(true));
    hashing.io_per_cpu_second = None;
    check_said(&hashing, again, Some(true));
    hashing.io_per_cpu_second = Some(50e3);
    check_said(&hashing, again, Some(true));
    hashing.io_per_cpu_second = Some(387e6);
    check_said(&hashing, again, None);
    check_said(&hashing, "387.0 MB", Some(false));
}

#[test]
fn data_is_not_said_to_be_the_same_where_its_spread_speaks_against() {
    let wide = Summary {
        data_lines: 1024.0,
        ..mixing(&SHA256_SCALAR)
    };
    check_said(&wide, "again and again", None);
    check_said(&wide, "spread over 64 KiB", Some(false));
}

/// An algorithm that only mines is not excused by lying in the host's own
/// library; nor does that speak for mining.
#[test]
fn what_excuses_is_never_said_for() {
    let mut library = Summary {
        mixing_places: BTreeMap::from([(Place::System, 1.0)]),
        ..mixing(&SHA256_SCALAR)
    };
    check_said(&library, "the host's own", Some(false));
    (library.rounded, library.switches) = (90, 100);
    check_said(&library, "the host's own", None);
    check_said(&library, "as RandomX does", Some(true));
}

#[test]
fn no_io_is_said_for() {
    check_said(&mixing(&SHA256_SCALAR), "0.0 MB read", Some(true));
}

#[test]
fn a_pools_few_bytes_do_not_excuse_a_miner() {
    let talking = Summary {
        io_per_cpu_second: Some(50e3),
        voluntary_per_cpu_second: 5.0,
        ..mixing(&SHA256_SCALAR)
    };
    assert!(assess(&talking).score >= 0.8);
}

#[test]
fn unknown_io_does_not_excuse_a_miner() {
    let unknown = Summary {
        io_per_cpu_second: None,
        ..mixing(&SHA256_SCALAR)
    };
    assert!(assess(&unknown).score >= 0.8);
}

#[test]
fn data_that_flows_past_explains_hashing() {
    let score = |data_lines| {
        assess(&Summary {
            data_lines,
            ..mixing(&SHA256_SCALAR)
        })
        .score
    };
    // Lanes of messages side by side, and a buffer of a megabyte.
    assert!(score(300.0) >= 0.8);
    assert!(score(16384.0) < 0.5);
}

#[test]
fn new_memory_for_every_hash_is_a_password_check() {
    let fresh = Summary {
        faults_per_cpu_second: 20e3,
        ..mixing(&SHA256_SCALAR)
    };
    assert!(assess(&fresh).score < 0.5);
}

#[test]
fn hashing_is_seen_through_an_interpreter_around_it() {
    // What Python does around a hash that takes a fifth of the time.
    let interpreter = [(Move, 42), (Branch, 18), (Add, 12), (Other, 10), (Xor, 5)];
    let thin = Summary {
        mixing_share: 0.2,
        ..mixing(&SHA256_SCALAR)
    };
    let thin = Summary {
        mix: summary(&interpreter).mix,
        ..thin
    };
    assert!(assess(&thin).score >= 0.8, "{:?}", assess(&thin));
}

#[test]
fn a_checksum_in_a_tiny_loop_is_not_a_miner() {
    let crc = [
        (Rotate, 1),
        (Shift, 20),
        (Xor, 20),
        (Logic, 8),
        (Branch, 3),
        (Move, 40),
        (Other, 8),
    ];
    let tiny = Summary {
        hot_lines: 2.0,
        ..mixing(&crc)
    };
    assert!(assess(&tiny).score < 0.8, "{:?}", assess(&tiny));
}

#[test]
fn generated_code_is_said() {
    let jit = Summary {
        places: BTreeMap::from([(Place::Anonymous, 1.0)]),
        ..mixing(&SHA256_SCALAR)
    };
    let evidence = Model::shipped().unwrap().evidence(&jit);
    assert!(
        evidence
            .iter()
            .any(|e| e.kind == EvidenceKind::Place && e.text.contains("without a file")),
        "{evidence:?}"
    );
}

#[test]
fn the_hosts_own_library_explains_hashing() {
    let library = Summary {
        mixing_places: BTreeMap::from([(Place::System, 1.0)]),
        ..mixing(&SHA256_SCALAR)
    };
    let found = assess(&library);
    assert!(found.hashing > 0.9 && found.score < 0.5, "{found:?}");
}

#[test]
fn nobody_is_condemned_for_want_of_a_look() {
    let of = |places: &[(Place, f64)]| Summary {
        mixing_places: places.iter().copied().collect(),
        ..mixing(&SHA256_SCALAR)
    };
    let score = |places| assess(&of(places)).score;
    assert!(score(&[(Place::Unknown, 1.0)]) > 0.9);
    assert!(score(&[(Place::Unread, 1.0)]) < 0.5);
    // The first seconds of who calls the host's own library.
    assert!(score(&[(Place::Unread, 0.5), (Place::System, 0.5)]) < 0.5);
    check_said(
        &of(&[(Place::Unread, 1.0)]),
        "not be looked up yet",
        Some(false),
    );
}

/// With and without a connection to a listed pool.
fn with_pool(summary: Summary) -> (Assessment, Assessment) {
    let without = assess(&summary);
    let pool = Summary {
        pool: true,
        ..summary
    };
    (without, assess(&pool))
}

#[test]
fn a_pool_is_a_witness_against_who_hashes() {
    let (without, with) = with_pool(Summary {
        places: BTreeMap::from([(Place::System, 1.0)]),
        ..summary(&SHA256_SCALAR)
    });
    assert!(with.score > without.score, "{without:?} {with:?}");
    let pool = Summary {
        pool: true,
        ..summary(&SHA256_SCALAR)
    };
    let evidence = Model::shipped().unwrap().evidence(&pool);
    assert!(
        evidence
            .iter()
            .any(|e| e.kind == EvidenceKind::Pool && e.text == POOL_TEXT)
    );
}

#[test]
fn a_pool_alone_is_nothing() {
    let (without, with) = with_pool(summary(&[(Add, 30), (Float, 28), (Branch, 17), (Move, 25)]));
    assert_eq!(with, without);
    let (_, with) = with_pool(summary(&[]));
    assert_eq!((with.hashing, with.score), (0.0, 0.0));
}

#[test]
fn who_speaks_stratum_is_not_excused_by_the_hosts_library() {
    let library = Summary {
        mixing_places: BTreeMap::from([(Place::System, 1.0)]),
        ..mixing(&SHA256_SCALAR)
    };
    let speaks = Summary {
        stratum: true,
        ..library.clone()
    };
    let (without, with) = (assess(&library), assess(&speaks));
    assert!(without.score < 0.5, "{without:?}");
    assert!(with.score >= 0.8, "{with:?}");
    let evidence = Model::shipped().unwrap().evidence(&speaks);
    assert!(
        evidence
            .iter()
            .any(|e| e.kind == EvidenceKind::Stratum && e.text == STRATUM_TEXT)
    );
    // A file that streams through the library is still one.
    let streams = Summary {
        io_per_cpu_second: Some(337e6),
        data_lines: 16384.0,
        ..speaks
    };
    assert!(assess(&streams).score < 0.8, "{:?}", assess(&streams));
}

#[test]
fn stratum_alone_is_nothing() {
    let ordinary = summary(&[(Add, 30), (Float, 28), (Branch, 17), (Move, 25)]);
    let speaks = Summary {
        stratum: true,
        ..ordinary.clone()
    };
    let found = assess(&speaks);
    assert!(found.hashing < 0.5 && found.score < 0.5, "{found:?}");
    // No sample says what it does.
    let nothing = Summary {
        stratum: true,
        ..summary(&[])
    };
    assert!(assess(&nothing).hashing < f64::EPSILON);
}

#[test]
fn who_speaks_stratum_hashes_if_its_mix_is_a_little_like_it() {
    let strange = summary(&[(Add, 32), (Shift, 32), (Move, 25), (Xor, 10), (Rotate, 1)]);
    let speaks = Summary {
        stratum: true,
        ..strange.clone()
    };
    let (without, with) = (assess(&strange), assess(&speaks));
    assert!(without.hashing < 0.5, "{without:?}");
    assert!(with.hashing > 0.8, "{with:?}");
}

/// VP9 by libvpx, for a moment, as it was recorded: it moves and adds in wide
/// registers as `CryptoNight` v4 does. This one is not the system's own.
#[test]
fn an_encoder_of_ones_own_is_no_miner() {
    let mix = [0, 14, 0, 4, 0, 95, 29, 0, 0, 0, 50, 0, 0, 0, 51, 204, 45];
    let mut encoder = Summary {
        samples: 41,
        mix: Mix::from_counts(mix),
        mixing_share: 0.05,
        places: BTreeMap::from([(Place::File, 1.0)]),
        ..mixing(&SHA256_SCALAR)
    };
    encoder.mixing = Mix::default();
    let judged = assess(&encoder);
    assert!(judged.score < 0.5, "{judged:?}");
    check_said(&encoder, "only 5 % of its samples", Some(false));
    // A few of the processor's own instructions for ciphers among them are no
    // accident.
    for aes in [0, 10] {
        let mut mix = mix;
        (mix[Class::Aes as usize], mix[Class::Move as usize]) = (aes, 204 - aes);
        encoder.mix = Mix::from_counts(mix);
        let said = (aes == 0).then_some(false);
        check_said(&encoder, "only 5 % of its samples", said);
    }
}
