//! Miners of a single digest, over whichever crate has it.

use anyhow::Result;
use sha2::Digest;

use crate::Step;
use crate::grind::{nonce_loop, word};

/// Hashes between two looks at the clock: some of these take 10 µs.
const BATCH: u64 = 64;

/// One digest of the header.
pub(super) fn once<D: Digest>(thread: u32) -> Result<Step> {
    miner(thread, |header| word(&D::digest(header)))
}

/// The digest of the header's digest.
pub(super) fn twice<D: Digest>(thread: u32) -> Result<Step> {
    after::<D, D>(thread)
}

/// `B` of the header's `A`.
pub(super) fn after<A: Digest, B: Digest>(thread: u32) -> Result<Step> {
    miner(thread, |header| word(&B::digest(A::digest(header))))
}

/// `BLAKE2b` with 32 bytes of output.
pub(super) fn blake2b(thread: u32) -> Result<Step> {
    once::<blake2::Blake2b256>(thread)
}

/// BLAKE2s with 32 bytes of output.
pub(super) fn blake2s(thread: u32) -> Result<Step> {
    once::<blake2::Blake2s256>(thread)
}

/// BLAKE-256 of fourteen rounds.
pub(super) fn blake256(thread: u32) -> Result<Step> {
    use blake_hash::Digest;
    miner(thread, |header| word(&blake_hash::Blake256::digest(header)))
}

/// BLAKE-512 of sixteen rounds.
pub(super) fn blake512(thread: u32) -> Result<Step> {
    use blake_hash::Digest;
    miner(thread, |header| word(&blake_hash::Blake512::digest(header)))
}

/// CubeHash16/32-512.
pub(super) fn cubehash(thread: u32) -> Result<Step> {
    miner(thread, |header| {
        word(&cubehash::CubeHash512::digest(header))
    })
}

/// Eaglesong with 32 bytes of output.
pub(super) fn eaglesong(thread: u32) -> Result<Step> {
    miner(thread, |header| {
        let mut digest = [0; 32];
        eaglesong::eaglesong(header, &mut digest);
        word(&digest)
    })
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "other drivers fail where the processor is too old"
)]
fn miner(thread: u32, hash: impl FnMut(&[u8; 80]) -> u32 + 'static) -> Result<Step> {
    Ok(nonce_loop(thread, BATCH, hash))
}
