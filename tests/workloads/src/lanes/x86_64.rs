//! The functions of hashtree for x86-64, each a miner of its own.

use anyhow::Result;

use super::sha256d;
use crate::{Make, Step};

// SAFETY: the types are those that hashtree.h declares.
unsafe extern "C" {
    fn hashtree_sha256_sse_x1(output: *mut u8, input: *const u8, count: u64);
    fn hashtree_sha256_avx_x4(output: *mut u8, input: *const u8, count: u64);
    fn hashtree_sha256_avx2_x8(output: *mut u8, input: *const u8, count: u64);
    fn hashtree_sha256_avx512_x16(output: *mut u8, input: *const u8, count: u64);
    fn hashtree_sha256_shani_x2(output: *mut u8, input: *const u8, count: u64);
}

/// Every driver by its name.
pub(crate) const DRIVERS: [(&str, Make); 5] = [
    ("sha256d-sse", sse),
    ("sha256d-avx4", avx4),
    ("sha256d-avx2", avx2),
    ("sha256d-avx512", avx512),
    ("sha256d-shani2", shani2),
];

/// SSE, one message at a time, its message schedule in vectors.
fn sse(thread: u32) -> Result<Step> {
    sha256d(
        thread,
        hashtree_sha256_sse_x1,
        is_x86_feature_detected!("sse4.1"),
    )
}

/// AVX, four lanes.
fn avx4(thread: u32) -> Result<Step> {
    sha256d(
        thread,
        hashtree_sha256_avx_x4,
        is_x86_feature_detected!("avx"),
    )
}

/// AVX2, eight lanes.
fn avx2(thread: u32) -> Result<Step> {
    sha256d(
        thread,
        hashtree_sha256_avx2_x8,
        is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2"),
    )
}

/// AVX-512, sixteen lanes.
fn avx512(thread: u32) -> Result<Step> {
    sha256d(
        thread,
        hashtree_sha256_avx512_x16,
        is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("bmi2"),
    )
}

/// The processor's SHA instructions, two messages interleaved.
fn shani2(thread: u32) -> Result<Step> {
    sha256d(
        thread,
        hashtree_sha256_shani_x2,
        is_x86_feature_detected!("sha") && is_x86_feature_detected!("ssse3"),
    )
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_lanes_are_sha256() {
        let able = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2");
        if !able {
            return;
        }
        let mut messages = [0; 16 * 64];
        for (message, value) in messages.chunks_exact_mut(64).zip(0_u8..) {
            message.fill(value);
        }
        let mut digests = [0; 16 * 32];
        // SAFETY: sixteen messages and as many digests; the processor is able.
        unsafe { hashtree_sha256_avx2_x8(digests.as_mut_ptr(), messages.as_ptr(), 16) };
        for (message, digest) in messages.chunks_exact(64).zip(digests.chunks_exact(32)) {
            assert_eq!(digest, Sha256::digest(message).as_slice());
        }
    }
}
