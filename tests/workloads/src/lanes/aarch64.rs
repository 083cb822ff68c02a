//! The functions of hashtree for Arm, each a miner of its own.

use std::arch::is_aarch64_feature_detected;

use anyhow::Result;

use super::sha256d;
use crate::{Make, Step};

// SAFETY: the types are those that hashtree.h declares.
unsafe extern "C" {
    fn hashtree_sha256_neon_x1(output: *mut u8, input: *const u8, count: u64);
    fn hashtree_sha256_neon_x4(output: *mut u8, input: *const u8, count: u64);
    fn hashtree_sha256_sha_x1(output: *mut u8, input: *const u8, count: u64);
}

/// Every driver by its name.
pub(crate) const DRIVERS: [(&str, Make); 3] = [
    ("sha256d-neon", neon),
    ("sha256d-neon4", neon4),
    ("sha256d-sha", sha),
];

/// One message at a time, its message schedule in vectors.
fn neon(thread: u32) -> Result<Step> {
    sha256d(thread, hashtree_sha256_neon_x1, true)
}

/// Four lanes.
fn neon4(thread: u32) -> Result<Step> {
    sha256d(thread, hashtree_sha256_neon_x4, true)
}

/// The processor's SHA instructions.
fn sha(thread: u32) -> Result<Step> {
    sha256d(
        thread,
        hashtree_sha256_sha_x1,
        is_aarch64_feature_detected!("sha2"),
    )
}
