//! Algorithms by the numbers that sign their code: published facts, nothing fitted.

use super::{Algorithm, Signature, Use};
use crate::isa::constants::Group;

const fn hash(
    algorithm: Algorithm,
    width: u32,
    rotations: &'static [u32],
    constants: &'static [Group],
) -> Signature {
    Signature {
        algorithm,
        purpose: Use::Hash,
        width,
        rotations,
        constants,
    }
}

const fn other(
    algorithm: Algorithm,
    width: u32,
    rotations: &'static [u32],
    constants: &'static [Group],
) -> Signature {
    Signature {
        algorithm,
        purpose: Use::Other,
        width,
        rotations,
        constants,
    }
}

/// Every algorithm that is known by its numbers. Sources: FIPS 180-4, FIPS 202,
/// RFC 1321, RFC 7693 (BLAKE2), RFC 7914 (scrypt), RFC 8439 (`ChaCha`), RFC 9106
/// (Argon2), the submissions to the SHA-3 competition, GB/T 32905 (SM3), the
/// RIPEMD-160 paper, and the authors' sources of those that are no cryptography.
///
/// SHA-2 is there twice. Fast implementations rotate by the differences of the
/// standard's amounts instead, in a chain: `x ^ (x >>> 5) ^ (x >>> 19)`, rotated by 6, is
/// the standard's sum of 6, 11 and 25 (Gulley et al., "Fast SHA-256 Implementations on
/// Intel Architecture Processors", 2012).
pub static SIGNATURES: [Signature; 26] = [
    hash(
        Algorithm::Sha256,
        32,
        &[2, 13, 22, 6, 11, 25, 7, 18, 17, 19],
        &[Group::Sha256],
    ),
    hash(
        Algorithm::Sha512,
        64,
        &[28, 34, 39, 14, 18, 41, 1, 8, 19, 61],
        &[Group::Sha512],
    ),
    hash(
        Algorithm::Sha256,
        32,
        &[14, 5, 6, 9, 11, 2, 7, 18, 17, 19],
        &[Group::Sha256],
    ),
    hash(
        Algorithm::Sha512,
        64,
        &[23, 4, 14, 5, 6, 28, 1, 8, 19, 61],
        &[Group::Sha512],
    ),
    hash(Algorithm::Sha1, 32, &[27, 2, 31], &[]),
    hash(
        Algorithm::Md5,
        32,
        &[
            25, 20, 15, 10, 27, 23, 18, 12, 28, 21, 16, 9, 26, 22, 17, 11,
        ],
        &[Group::Md5],
    ),
    hash(
        Algorithm::Ripemd160,
        32,
        &[27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17],
        &[],
    ),
    hash(Algorithm::Blake2b, 64, &[32, 24, 16, 63], &[Group::Start64]),
    hash(Algorithm::Blake512, 64, &[32, 25, 16, 11], &[]),
    hash(Algorithm::Blake32, 32, &[16, 12, 8, 7], &[Group::Start32]),
    hash(Algorithm::ChaCha, 32, &[16, 20, 24, 25], &[Group::Sigma]),
    hash(Algorithm::Salsa20, 32, &[25, 23, 19, 14], &[]),
    hash(
        Algorithm::Keccak,
        64,
        &[
            63, 61, 58, 54, 49, 43, 36, 28, 19, 9, 62, 50, 37, 23, 8, 56, 39, 21, 2, 46, 25, 3, 44,
            20,
        ],
        &[Group::Keccak],
    ),
    hash(
        Algorithm::Skein512,
        64,
        &[
            18, 28, 45, 27, 31, 37, 50, 22, 47, 15, 25, 20, 55, 10, 8, 34, 30, 40, 51, 14, 54, 39,
            35, 21, 56, 29, 42,
        ],
        &[Group::Skein],
    ),
    hash(Algorithm::CubeHash, 32, &[25, 21], &[]),
    hash(Algorithm::Luffa, 32, &[30, 18, 22, 31], &[]),
    hash(
        Algorithm::Simd,
        32,
        &[29, 9, 15, 5, 4, 13, 10, 25, 28, 23, 3],
        &[],
    ),
    hash(
        Algorithm::Bmw,
        64,
        &[59, 53, 37, 32, 27, 21, 11, 60, 51, 45, 31, 7],
        &[],
    ),
    hash(Algorithm::Shabal, 32, &[17, 31, 15], &[]),
    hash(Algorithm::Sm3, 32, &[25, 20, 23, 13, 17, 9], &[Group::Sm3]),
    hash(Algorithm::SipHash, 64, &[51, 48, 47, 43, 32], &[]),
    hash(
        Algorithm::Eaglesong,
        32,
        &[24, 8, 19, 28, 30, 10, 13, 22, 27],
        &[],
    ),
    other(
        Algorithm::Xoshiro,
        64,
        &[19, 57, 40, 27, 41, 36, 47],
        &[Group::Random],
    ),
    other(
        Algorithm::XxHash,
        64,
        &[33, 37, 57, 63, 52, 46, 53, 41],
        &[Group::Table],
    ),
    other(Algorithm::MurmurHash, 32, &[17, 19], &[Group::Table]),
    other(
        Algorithm::Philox,
        64,
        &[48, 50, 12, 43, 52, 7, 27, 32, 42, 24, 33],
        &[Group::Random],
    ),
];
