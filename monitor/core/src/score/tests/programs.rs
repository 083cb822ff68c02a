//! Programs by their mixes: which mine, which hash, and which do neither.

use super::*;

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

/// VP9 by libvpx, for a moment, as it was recorded: it moves and adds in wide
/// registers as `CryptoNight` v4 does.
#[test]
fn an_encoder_is_no_hash() {
    let mix = [0, 14, 0, 4, 0, 95, 29, 0, 0, 0, 50, 0, 0, 0, 51, 204, 45];
    let encoder = Summary {
        samples: 41,
        code: Code {
            mix: Mix::from_counts(mix),
            mixing_share: 0.05,
            mixing: Mix::default(),
            ..mixing(&SHA256_SCALAR).code
        },
        ..mixing(&SHA256_SCALAR)
    };
    let judged = assess(&encoder);
    assert!(judged.hashing < 0.5, "{judged:?}");
    assert!(log_odds(&encoder, Witness::Plain) < 0.0);
}

/// What is unpacked into memory is not WebAssembly for that: engines have no use for the
/// processor's own hash instructions.
#[test]
fn an_unpacked_sha256d_is_not_called_webassembly() {
    let by_instructions = [(Add, 15), (Sha, 23), (Shuffle, 22), (Move, 40)];
    for (mix, family) in [
        (&by_instructions[..], Family::Sha256d),
        (&SHA256_SCALAR[..], Family::WasmSha256d),
    ] {
        let mut generated = mixing(mix);
        generated.code.places = BTreeMap::from([(Place::Anonymous, 1.0)]);
        generated
            .code
            .mixing_places
            .clone_from(&generated.code.places);
        assert_eq!(assess(&generated).family, Some(family));
    }
}
