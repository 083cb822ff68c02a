//! Miners that hash several nonces at once, one in each lane of a vector.
//!
//! SHA-256 is that of hashtree, whose assembly is Intel's multi-buffer code for
//! messages of 64 bytes, and Arm's. It chooses for itself what the processor can do best;
//! the functions that it chooses from are called by name here, so that each is
//! a miner of its own.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use anyhow::{Result, ensure};
// Only for the assembly that comes with it.
use hashtree_rs as _;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::DRIVERS;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::DRIVERS;

use crate::Step;
use crate::grind::{Header, word};

/// Messages in a step: a multiple of the most lanes, sixteen.
const MESSAGES: usize = 256;
/// The number of the last of them.
const LAST: u32 = 255;
const _: () = assert!(LAST as usize + 1 == MESSAGES);

/// Hashes `count` messages of 64 bytes to digests of 32.
type Hash = unsafe extern "C" fn(output: *mut u8, input: *const u8, count: u64);

/// Grinds messages of 64 bytes, the last of a header, and once more the digests of each two: the
/// functions take no other length.
fn sha256d(thread: u32, hash: Hash, able: bool) -> Result<Step> {
    ensure!(able, "this processor lacks the instructions");
    let mut messages = vec![0x5a; MESSAGES * 64];
    let mut inner = vec![0; MESSAGES * 32];
    let mut outer = vec![0; MESSAGES * 16];
    let mut header = Header::new(thread);
    Ok(Box::new(move || {
        let tries = headers::<MESSAGES>(&mut header);
        for (message, header) in messages.chunks_exact_mut(64).zip(&tries) {
            message.copy_from_slice(&header[16..]);
        }
        let count = MESSAGES as u64;
        // SAFETY: input and output have the lengths that the counts ask for,
        // and the processor has the instructions.
        unsafe {
            hash(inner.as_mut_ptr(), messages.as_ptr(), count);
            hash(outer.as_mut_ptr(), inner.as_ptr(), count / 2);
        }
        // Each is of two messages; the nonce of the first is told.
        for (digest, before) in outer.chunks_exact(32).zip((1..=LAST).rev().step_by(2)) {
            header.judge_earlier(word(digest), before);
        }
        count
    }))
}

/// The next few headers.
fn headers<const N: usize>(header: &mut Header) -> [[u8; 80]; N] {
    std::array::from_fn(|number| *match number {
        0 => header.advance(),
        _ => header.next(),
    })
}

/// `blake2b_simd`: four lanes of AVX2.
#[expect(
    clippy::unnecessary_wraps,
    reason = "other drivers fail where the processor is too old"
)]
pub(super) fn blake2b(thread: u32) -> Result<Step> {
    use blake2b_simd::many::{HashManyJob, hash_many};
    let mut params = blake2b_simd::Params::new();
    params.hash_length(32);
    let mut header = Header::new(thread);
    Ok(Box::new(move || {
        for _ in 0..16 {
            let tries = headers::<16>(&mut header);
            let mut jobs = tries.each_ref().map(|one| HashManyJob::new(&params, one));
            hash_many(&mut jobs);
            for (job, before) in jobs.iter().zip((0..16).rev()) {
                header.judge_earlier(word(job.to_hash().as_bytes()), before);
            }
        }
        16 * 16
    }))
}

/// `blake2s_simd`: eight lanes of AVX2.
#[expect(
    clippy::unnecessary_wraps,
    reason = "other drivers fail where the processor is too old"
)]
pub(super) fn blake2s(thread: u32) -> Result<Step> {
    use blake2s_simd::many::{HashManyJob, hash_many};
    let params = blake2s_simd::Params::new();
    let mut header = Header::new(thread);
    Ok(Box::new(move || {
        for _ in 0..16 {
            let tries = headers::<16>(&mut header);
            let mut jobs = tries.each_ref().map(|one| HashManyJob::new(&params, one));
            hash_many(&mut jobs);
            for (job, before) in jobs.iter().zip((0..16).rev()) {
                header.judge_earlier(word(job.to_hash().as_bytes()), before);
            }
        }
        16 * 16
    }))
}
