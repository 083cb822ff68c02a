//! Miners of several digests, one over the other.

use anyhow::Result;
use cubehash::CubeHash512;
use groestl::Groestl512;
use jh::Jh512;
use ripemd::Ripemd160;
use sha2::{Digest, Sha256, Sha512};
use sha3::Keccak512;
use skein::Skein512_512;

use crate::Step;
use crate::grind::{nonce_loop, word};

/// Hashes between two looks at the clock: one takes about 10 µs.
const BATCH: u64 = 32;

/// What links of a chain pass on.
type Link = [u8; 64];

/// One link by a digest of 64 bytes.
fn link<D: Digest>(input: &[u8]) -> Link {
    let mut output = [0; 64];
    output.copy_from_slice(&D::digest(input));
    output
}

/// BLAKE-512, whose crate is of an older generation.
fn blake(input: &[u8]) -> Link {
    use blake_hash::Digest;
    let mut output = [0; 64];
    output.copy_from_slice(&blake_hash::Blake512::digest(input));
    output
}

/// All five finalists of the SHA-3 competition.
fn finalists(input: &[u8]) -> Link {
    let output = link::<Groestl512>(&blake(input));
    let output = link::<Keccak512>(&link::<Jh512>(&output));
    link::<Skein512_512>(&output)
}

/// NIST5: BLAKE, Grøstl, JH, Keccak and Skein.
pub(super) fn nist5(thread: u32) -> Result<Step> {
    miner(thread, |header| word(&finalists(header)))
}

/// X11 without the five for which there is no crate (BMW, Luffa, `SHAvite`, SIMD
/// and ECHO): BLAKE, Grøstl, Skein, JH, Keccak and `CubeHash`.
pub(super) fn x11_like(thread: u32) -> Result<Step> {
    miner(thread, |header| {
        let output = link::<Skein512_512>(&link::<Groestl512>(&blake(header)));
        let output = link::<Keccak512>(&link::<Jh512>(&output));
        word(&CubeHash512::digest(&output))
    })
}

/// JHA: Keccak, then three times one of two digests, by the lowest bit of what
/// came before.
pub(super) fn jackpot(thread: u32) -> Result<Step> {
    miner(thread, |header| {
        let mut output = link::<Keccak512>(header);
        for _ in 0..3 {
            output = if output[0] & 1 == 1 {
                link::<Groestl512>(&output)
            } else {
                link::<Skein512_512>(&output)
            };
            output = if output[0] & 1 == 1 {
                blake(&output)
            } else {
                link::<Jh512>(&output)
            };
        }
        word(&output)
    })
}

/// LBRY: SHA-256 twice, SHA-512, RIPEMD-160 of both halves, SHA-256 twice.
pub(super) fn lbry(thread: u32) -> Result<Step> {
    miner(thread, |header| {
        let inner = Sha512::digest(Sha256::digest(Sha256::digest(header)));
        let (left, right) = inner.split_at(32);
        let outer = Sha256::new()
            .chain_update(Ripemd160::digest(left))
            .chain_update(Ripemd160::digest(right))
            .finalize();
        word(&Sha256::digest(outer))
    })
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "other drivers fail where the processor is too old"
)]
fn miner(thread: u32, hash: impl FnMut(&[u8; 80]) -> u32 + 'static) -> Result<Step> {
    Ok(nonce_loop(thread, BATCH, hash))
}
