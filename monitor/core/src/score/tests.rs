//! The mixes are measured ones, rounded to a percent: of the programs each test
//! is named for, on a Xeon with AVX-512 and SHA-NI.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{
    isa::{CLASSES, Mix, marks::Mark},
    profile::Place,
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

/// The same that is looked at, and has no connection.
fn unconnected(summary: &Summary) -> Summary {
    Summary {
        shape: Shape {
            looks: 20,
            ..Shape::default()
        },
        ..summary.clone()
    }
}

fn connected(summary: &Summary) -> Summary {
    Summary {
        shape: Shape::pool_like(),
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

#[test]
fn randomx_light() {
    only_mines(
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
    only_mines(
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
    assert_eq!((found.hashing, found.score, found.family), (0.0, 0.0, None));
}

#[test]
fn hashing_is_seen_through_an_interpreter_around_it() {
    // What Python does around a hash that takes a fifth of the time.
    let interpreter = [(Move, 42), (Branch, 18), (Add, 12), (Other, 10), (Xor, 5)];
    let thin = Summary {
        mixing_share: 0.2,
        mix: summary(&interpreter).mix,
        ..mixing(&SHA256_SCALAR)
    };
    assert!(assess(&thin).hashing >= 0.5, "{:?}", assess(&thin));
}

#[test]
fn a_checksum_in_a_tiny_loop_is_no_hash() {
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
    assert!(assess(&tiny).hashing < 0.8, "{:?}", assess(&tiny));
}

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

/// What lies in a home directory or a container is judged as what the host has.
#[test]
fn where_code_lies_changes_nothing() {
    for connected in [false, true] {
        for place in [
            Place::File,
            Place::System,
            Place::Memfd,
            Place::Deleted,
            Place::Unknown,
        ] {
            let mut here = mixing(&SHA256_SCALAR);
            let mut there = here.clone();
            for places in [&mut there.places, &mut there.mixing_places] {
                *places = BTreeMap::from([(place, 1.0)]);
            }
            if connected {
                (here.shape, there.shape) = (Shape::pool_like(), Shape::pool_like());
            }
            assert_eq!(assess(&here), assess(&there), "{place:?}");
        }
    }
}

#[test]
fn what_a_connection_says_depends_on_how_it_behaves() {
    let with = |change: fn(&mut Shape)| {
        let mut summary = connected(&mixing(&SHA256_SCALAR));
        change(&mut summary.shape);
        said(&summary, EvidenceKind::Connections).map_or(0.0, |(log_odds, _)| log_odds)
    };
    let full = with(|_| ());
    assert!(full >= 5.0, "{full}");
    // A web server that is asked something every few seconds: nothing comes unasked.
    assert!(with(|shape| shape.pushes = 0).abs() < f64::EPSILON);
    // One push, and nothing that is brought back.
    assert!(with(|shape| (shape.pushes, shape.submissions) = (1, 0)) < full / 2.0);
    // Notices come unasked, too: they are not enough to be a miner.
    let notices = with(|shape| (shape.pushes, shape.submissions) = (50, 0));
    assert!(notices <= 3.0, "{notices}");
    // As many messages as a login server gets, each of which it hashes for.
    assert!(with(|shape| shape.messages_per_second = 10.0).abs() < f64::EPSILON);
    // The runner of a CI job has it.
    assert!(with(|shape| shape.related = true) <= 2.0);
}

#[test]
fn a_listening_socket_is_no_excuse() {
    let mut summary = connected(&mixing(&SHA256_SCALAR));
    let before = assess(&summary);
    summary.shape.listens = true;
    assert_eq!(assess(&summary), before);
    // Nor is one that it sends itself a little on.
    summary.shape.accepted = 3;
    assert!(assess(&summary).score >= 0.8, "{:?}", assess(&summary));
}

#[test]
fn data_that_flows_excuses_only_where_it_is_hashed() {
    let flow = |data_lines| Summary {
        data_lines,
        io_per_cpu_second: Some(300e6),
        ..connected(&mixing(&SHA256_SCALAR))
    };
    assert!(assess(&flow(1000.0)).score < 0.8);
    assert!(log_odds(&flow(1000.0), Witness::Flows) < 0.0);
    // Read for show: the code goes on hashing the same lines.
    assert!(assess(&flow(3.0)).score >= 0.8);
    // However it comes in.
    let received = Summary {
        data_lines: 1000.0,
        shape: Shape {
            received_per_cpu_second: 300e6,
            ..Shape::pool_like()
        },
        ..mixing(&SHA256_SCALAR)
    };
    assert!(log_odds(&received, Witness::Flows) < 0.0);
}

#[test]
fn page_faults_are_no_excuse() {
    let before = connected(&mixing(&SHA256_SCALAR));
    let after = Summary {
        faults_per_cpu_second: 344e3,
        ..before.clone()
    };
    assert_eq!(assess(&before), assess(&after));
}

#[test]
fn long_hashing_alone_is_no_mining() {
    let hours = Summary {
        burning_seconds: 7200.0,
        ..unconnected(&mixing(&SHA256_SCALAR))
    };
    assert!(assess(&hours).score < 0.8, "{:?}", assess(&hours));
    assert!(log_odds(&hours, Witness::Long) > 0.0);
    let minute = Summary {
        burning_seconds: 60.0,
        ..hours
    };
    assert!(log_odds(&minute, Witness::Long).abs() < f64::EPSILON);
}

/// `RandomX` as a node has it, which verifies blocks.
fn verifying() -> Summary {
    let light = [
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
    ];
    let mut node = unconnected(&mixing(&light));
    node.shape.received_per_cpu_second = 4e3;
    node
}

#[test]
fn a_node_that_verifies_is_no_miner() {
    let found = assess(&verifying());
    assert!(found.mining_only && found.score < 0.5, "{found:?}");
    // A pool sends a hundredth of that.
    let mut miner = verifying();
    miner.shape.received_per_cpu_second = 40.0;
    assert!(assess(&miner).score >= 0.8);
}

/// Its loop is a few cache lines, and a miner spends its time at a load or two of it.
#[test]
fn cryptonight_is_known_by_single_rounds_of_aes_and_products() {
    let of = |aes, multiply, clmul, hot_lines| Summary {
        hot_lines,
        ..unconnected(&mixing(&[
            (Move, 48),
            (Add, 8),
            (Branch, 8),
            (Shift, 7),
            (Xor, 7),
            (Shuffle, 7),
            (Aes, aes),
            (Multiply, multiply),
            (Clmul, clmul),
        ]))
    };
    let found = assess(&of(4, 4, 0, 1.6));
    assert!(
        found.score >= 0.8 && found.family == Some(Family::CryptoNight),
        "{found:?}"
    );
    // AES-CBC, AES-GCM, AES-CTR, and a cipher with a product somewhere else.
    for (aes, multiply, clmul, hot_lines) in [
        (6, 0, 0, 1.1),
        (8, 2, 2, 9.0),
        (30, 2, 0, 9.0),
        (4, 4, 0, 18.0),
    ] {
        let found = assess(&of(aes, multiply, clmul, hot_lines));
        assert!(!found.mining_only && found.score < 0.5, "{found:?}");
    }
}

/// A mix as close as its own recording's, at a loop of this size.
fn like_a_recording(variant: &str, hot_lines: f64) -> Summary {
    let data: ModelData = serde_json::from_str(include_str!("../../model/model.json")).unwrap();
    let mut prototypes = data.prototypes.iter();
    let recorded = prototypes.find(|prototype| prototype.variant == variant);
    let mut counts = [0; CLASSES];
    for (name, share) in &recorded.expect("it was recorded").mix {
        let class = Class::ALL.into_iter().find(|class| class.name() == name);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of 0 to 1"
        )]
        let count = (4000.0 * share).round() as u32;
        counts[class.expect("a class") as usize] = count;
    }
    let mix = Mix::from_counts(counts);
    Summary {
        hot_lines,
        mix,
        mixing: mix,
        ..unconnected(&mixing(&[]))
    }
}

/// Hashes that look up tables have the mix of `CryptoNight` without AES instructions, in
/// much more code. `RandomX` executes other code for each program.
#[test]
fn a_mix_is_cryptonights_in_a_small_loop_alone_and_randomx_anywhere() {
    let only = |variant, lines| assess(&like_a_recording(variant, lines)).mining_only;
    assert!(only("cryptonight 0 soft", 12.0));
    assert!(!only("cryptonight 0 soft", 60.0));
    assert!(only("randomx light", 300.0));
}

#[test]
fn a_few_samples_are_no_algorithm_that_only_mines() {
    let of = |samples| Summary {
        samples,
        ..like_a_recording("cryptonight 0 soft", 12.0)
    };
    assert!(assess(&of(40)).mining_only);
    assert!(!assess(&of(39)).mining_only);
}

#[test]
fn data_clients_and_blocks_explain_a_hash_and_nothing_else_does() {
    let explained = |summary: &Summary| assess(summary).explained;
    let hash = unconnected(&mixing(&SHA256_SCALAR));
    assert!(!explained(&hash));
    assert!(!explained(&connected(&hash)));
    let flow = |data_lines| Summary {
        data_lines,
        io_per_cpu_second: Some(300e6),
        ..hash.clone()
    };
    assert!(explained(&flow(1000.0)));
    assert!(!explained(&flow(3.0)), "read for show");
    let clients = |accepted, received| {
        let mut server = hash.clone();
        server.shape.listens = true;
        server.shape.accepted = accepted;
        server.shape.received_per_cpu_second = received;
        server
    };
    assert!(explained(&clients(3, 1000.0)));
    assert!(!explained(&clients(0, 0.0)), "nothing but listens");
    assert!(explained(&verifying()));
    // What explains a hash of general use does not explain one that only mines.
    let mut miner = verifying();
    miner.shape.received_per_cpu_second = 40.0;
    miner.shape.accepted = 3;
    assert!(!explained(&miner));
}

/// Interval arithmetic rounds up, or up and down; only `RandomX` does all.
#[test]
fn rounding_is_randomx_only_in_all_modes() {
    let rounds = |modes: [u32; 3]| {
        let rounded = modes.iter().sum();
        assess(&Summary {
            switches: rounded + 20,
            rounded,
            rounding_modes: modes,
            ..summary(&[(Add, 30), (Float, 28), (Branch, 17), (Move, 25)])
        })
    };
    assert!(rounds([0, 90, 0]).hashing < 0.5);
    assert!(rounds([45, 45, 0]).hashing < 0.5);
    let all = rounds([20, 25, 22]);
    assert!(
        all.score >= 0.8 && all.family == Some(Family::RandomX),
        "{all:?}"
    );
}

#[test]
fn a_pool_on_the_list_alone_is_nothing() {
    let ordinary = summary(&[(Add, 30), (Float, 28), (Branch, 17), (Move, 25)]);
    let pool = Summary {
        pool: true,
        stratum: true,
        shape: Shape::pool_like(),
        ..ordinary
    };
    assert!(assess(&pool).score < 0.8, "{:?}", assess(&pool));
    let nothing = Summary {
        pool: true,
        ..summary(&[])
    };
    assert_eq!(assess(&nothing), Assessment::default());
}

#[test]
fn stratum_and_a_listed_pool_each_make_a_miner_of_a_hash() {
    let hashing = unconnected(&mixing(&SHA256_SCALAR));
    let stratum = Summary {
        stratum: true,
        ..hashing.clone()
    };
    let pool = Summary {
        pool: true,
        ..hashing
    };
    assert!(assess(&stratum).score >= 0.8);
    assert!(assess(&pool).score >= 0.8);
    assert!(said(&stratum, EvidenceKind::Stratum).is_some());
    assert!(said(&pool, EvidenceKind::Pool).is_some());
}

/// VP9 by libvpx, for a moment, as it was recorded: it moves and adds in wide
/// registers as `CryptoNight` v4 does.
#[test]
fn an_encoder_is_no_hash() {
    let mix = [0, 14, 0, 4, 0, 95, 29, 0, 0, 0, 50, 0, 0, 0, 51, 204, 45];
    let encoder = Summary {
        samples: 41,
        mix: Mix::from_counts(mix),
        mixing_share: 0.05,
        mixing: Mix::default(),
        ..mixing(&SHA256_SCALAR)
    };
    let judged = assess(&encoder);
    assert!(judged.hashing < 0.5, "{judged:?}");
    assert!(log_odds(&encoder, Witness::Plain) < 0.0);
}

fn any_summary() -> impl Strategy<Value = Summary> {
    let code = (
        prop::array::uniform17(0_u32..500),
        prop::array::uniform17(0_u32..200),
        0.0..1.0,
        1.0..100.0,
        prop::collection::btree_map(any_mark(), 1_u32..200, 0..30),
    );
    let shape = (
        0_u32..5,
        0_u32..9,
        0.0..20.0,
        any::<bool>(),
        0.0..1e9,
        0_u32..3,
    );
    let rest = (
        0.0..5000.0,
        prop::option::of(0.0..1e9),
        prop::array::uniform3(0_u32..50),
        0.0..7200.0,
        any::<[bool; 4]>(),
        prop::sample::select(Place::ALL.to_vec()),
    );
    (code, shape, rest).prop_map(|(code, shape, rest)| {
        let (mix, mixing, mixing_share, hot_lines, marks) = code;
        let (pushes, submissions, messages, related, received, accepted) = shape;
        let (data_lines, io, rounding_modes, burning_seconds, flags, place) = rest;
        let [pool, stratum, hidden, poses] = flags;
        let rounded = rounding_modes.iter().sum();
        Summary {
            mix: Mix::from_counts(mix),
            mixing: Mix::from_counts(mixing),
            mixing_share,
            hot_lines,
            marks,
            shape: Shape {
                looks: 3,
                pushes,
                submissions,
                messages_per_second: messages,
                related,
                received_per_cpu_second: received,
                accepted,
                ..Shape::default()
            },
            data_lines,
            io_per_cpu_second: io,
            rounding_modes,
            rounded,
            switches: rounded + 10,
            burning_seconds,
            pool,
            stratum,
            hidden,
            poses,
            places: BTreeMap::from([(place, 1.0)]),
            mixing_places: BTreeMap::from([(place, 1.0)]),
            ..summary(&[])
        }
    })
}

fn any_mark() -> impl Strategy<Value = Mark> {
    prop_oneof![
        (1_u32..64).prop_filter_map("moves nothing", |by| Mark::rotate_right(64, by)),
        (1_u32..32).prop_filter_map("moves nothing", |by| Mark::rotate_right(32, by)),
        (1_u8..18).prop_map(Mark::constant),
    ]
}

proptest! {
    /// Every number that moves the score is a line that a person sees.
    #[test]
    fn the_lines_add_up_to_the_score(summary in any_summary()) {
        let model = Model::shipped().unwrap();
        let (found, evidence) = model.explain(&summary);
        prop_assert_eq!(found, model.assess(&summary));
        let sum: f64 = evidence.iter().map(|line| line.log_odds).sum();
        prop_assert!((sum - found.log_odds).abs() < 1e-9, "{sum} {found:?} {evidence:?}");
        prop_assert!((logistic(sum) - found.score).abs() < 1e-9);
        for line in &evidence {
            prop_assert!(!line.text.is_empty(), "{evidence:?}");
        }
    }

    /// No hash is a miner without a connection, a list or hiding, unless it only mines.
    #[test]
    fn without_a_way_out_nothing_mines(summary in any_summary()) {
        let alone = Summary {
            shape: Shape { looks: 3, ..Shape::default() },
            pool: false,
            stratum: false,
            hidden: false,
            poses: false,
            ..summary
        };
        let found = assess(&alone);
        prop_assert!(found.score < 0.8 || found.mining_only, "{found:?}");
    }
}
