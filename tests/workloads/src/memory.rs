//! Miners whose hash is slow because of the memory it needs.

use anyhow::{Result, anyhow};
use argon2::{Algorithm, Argon2, Block, Version};
use sha2::{Digest as _, Sha256};
use yescrypt::Mode;

use crate::Step;
use crate::grind::{Header, nonce_loop, word};

/// scrypt with N = 2^`LOG_N`, `R` blocks of 128 bytes and one lane.
pub(super) fn scrypt<const LOG_N: u8, const R: u32>(thread: u32) -> Result<Step> {
    let params = scrypt::Params::new(LOG_N, R, 1)
        .map_err(|error| anyhow!("scrypt refuses the parameters: {error}"))?;
    Ok(nonce_loop(thread, 1, move |header| {
        let mut digest = [0; 32];
        match scrypt::scrypt(header, header, &params, &mut digest) {
            Ok(()) => word(&digest),
            Err(error) => unreachable!("scrypt refuses 32 bytes of output: {error}"),
        }
    }))
}

/// Argon2id over `KIB` KiB, in `PASSES` passes and `LANES` lanes.
pub(super) fn argon2id<const KIB: u32, const PASSES: u32, const LANES: u32>(
    thread: u32,
) -> Result<Step> {
    argon2(thread, Algorithm::Argon2id, KIB, PASSES, LANES)
}

/// Argon2d, likewise.
pub(super) fn argon2d<const KIB: u32, const PASSES: u32, const LANES: u32>(
    thread: u32,
) -> Result<Step> {
    argon2(thread, Algorithm::Argon2d, KIB, PASSES, LANES)
}

/// The memory is the thread's own and kept, as miners do.
fn argon2(thread: u32, algorithm: Algorithm, kib: u32, passes: u32, lanes: u32) -> Result<Step> {
    let params = argon2::Params::new(kib, passes, lanes, Some(32))
        .map_err(|error| anyhow!("argon2 refuses the parameters: {error}"))?;
    let mut memory = vec![Block::default(); params.block_count()];
    let argon2 = Argon2::new(algorithm, Version::V0x13, params);
    Ok(nonce_loop(thread, 1, move |header| {
        let mut digest = [0; 32];
        match argon2.hash_password_into_with_memory(header, header, &mut digest, &mut memory) {
            Ok(()) => word(&digest),
            Err(error) => unreachable!("argon2 refuses its own memory: {error}"),
        }
    }))
}

/// yescrypt in its native mode, with one lane.
pub(super) fn yescrypt<const N: u64, const R: u32>(thread: u32) -> Result<Step> {
    let params = yescrypt::Params::new(Mode::Rw, N, R, 1)
        .map_err(|error| anyhow!("yescrypt refuses the parameters: {error}"))?;
    Ok(nonce_loop(thread, 1, move |header| {
        let mut digest = [0; 32];
        match yescrypt::yescrypt(header, header, &params, &mut digest) {
            Ok(()) => word(&digest),
            Err(error) => unreachable!("yescrypt refuses 32 bytes of output: {error}"),
        }
    }))
}

/// `Lyra2RE`: BLAKE-256, Keccak-256, Lyra2, Skein and Grøstl.
pub(super) fn lyra2re(thread: u32) -> Result<Step> {
    lyra2(thread, lyra2::lyra2re::sum)
}

/// `Lyra2REv2`: also `CubeHash` and BMW.
pub(super) fn lyra2rev2(thread: u32) -> Result<Step> {
    lyra2(thread, lyra2::lyra2rev2::sum)
}

/// `Lyra2REv3`: BLAKE-256, a changed Lyra2 twice, `CubeHash` and BMW.
pub(super) fn lyra2rev3(thread: u32) -> Result<Step> {
    lyra2(thread, lyra2::lyra2rev3::sum)
}

/// `Lyra2Z`: BLAKE-256 and Lyra2 with more passes.
pub(super) fn lyra2z(thread: u32) -> Result<Step> {
    lyra2(thread, lyra2::lyra2z::sum)
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "other drivers fail where the processor is too old"
)]
fn lyra2(thread: u32, sum: fn(Vec<u8>) -> Vec<u8>) -> Result<Step> {
    Ok(nonce_loop(thread, 1, move |header| {
        word(&sum(header.to_vec()))
    }))
}

/// Equihash 200,9 by Tromp's solver: seconds a nonce. What is compared with the
/// target is the SHA-256d of header and solution, as Zcash has it.
#[expect(
    clippy::unnecessary_wraps,
    reason = "other drivers fail where the processor is too old"
)]
pub(super) fn equihash(thread: u32) -> Result<Step> {
    let mut header = Header::new(thread);
    Ok(Box::new(move || {
        let mut nonce = Some([0; 32]);
        let input = *header.advance();
        for solution in equihash::tromp::solve_200_9(&input, || nonce.take()) {
            let once = Sha256::new_with_prefix(input).chain_update(&solution);
            header.judge(word(&Sha256::digest(once.finalize())));
        }
        1
    }))
}
