//! What the code itself says: where it lies, how large its loop is, how it rounds.

use super::*;

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
        code: Code {
            mixing_share: 0.2,
            mix: summary(&interpreter).code.mix,
            ..mixing(&SHA256_SCALAR).code
        },
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
        code: Code {
            hot_lines: 2.0,
            ..mixing(&crc).code
        },
        ..mixing(&crc)
    };
    assert!(assess(&tiny).hashing < 0.8, "{:?}", assess(&tiny));
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
            for places in [&mut there.code.places, &mut there.code.mixing_places] {
                *places = BTreeMap::from([(place, 1.0)]);
            }
            if connected {
                (here.network.shape, there.network.shape) =
                    (Shape::pool_like(), Shape::pool_like());
            }
            assert_eq!(assess(&here), assess(&there), "{place:?}");
        }
    }
}

/// Its loop is a few cache lines, and a miner spends its time at a load or two of it.
#[test]
fn cryptonight_is_known_by_single_rounds_of_aes_and_products() {
    let of = |aes, multiply, clmul, hot_lines| Summary {
        code: Code {
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
            .code
        },
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
    let data: ModelData = serde_json::from_str(include_str!("../../../model/model.json")).unwrap();
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
        code: Code {
            hot_lines,
            mix,
            mixing: mix,
            ..unconnected(&mixing(&[])).code
        },
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

/// Interval arithmetic rounds up, or up and down; only `RandomX` does all.
#[test]
fn rounding_is_randomx_only_in_all_modes() {
    let rounds = |modes: [u32; 3]| {
        let rounded = modes.iter().sum();
        assess(&Summary {
            rounding: Rounding {
                switches: rounded + 20,
                rounded,
                modes,
            },
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
