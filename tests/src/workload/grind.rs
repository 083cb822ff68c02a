//! The loop of every miner: a block header whose nonce counts up.
//!
//! The winning test is the cheapest there is (a leading zero word), as a
//! miner's is.

use std::hint::black_box;

use super::Step;

/// Hashes between two looks at the clock, for hashes of less than 1 µs.
pub(super) const BATCH: u64 = 512;

/// A block header in Bitcoin's layout: version, previous hash, merkle root,
/// time, bits and nonce.
pub(super) struct Header([u8; 80]);

impl Header {
    /// The thread's number goes where the merkle root is, as an extra nonce.
    pub(super) fn new(thread: u32) -> Self {
        let mut header = [0x5a; 80];
        header[36..40].copy_from_slice(&thread.to_le_bytes());
        header[76..].fill(0);
        Self(header)
    }

    /// The next header to try.
    pub(super) fn advance(&mut self) -> &[u8; 80] {
        let mut nonce = [0; 4];
        nonce.copy_from_slice(&self.0[76..]);
        let nonce = u32::from_le_bytes(nonce).wrapping_add(1);
        self.0[76..].copy_from_slice(&nonce.to_le_bytes());
        &self.0
    }
}

/// A loop that hashes one header after the other, `batch` in a step.
pub(super) fn nonce_loop(
    thread: u32,
    batch: u64,
    mut hash: impl FnMut(&[u8; 80]) -> u32 + 'static,
) -> Step {
    let mut header = Header::new(thread);
    Box::new(move || {
        for _ in 0..batch {
            black_box(hash(header.advance()) == 0);
        }
        batch
    })
}

/// The word that a miner compares with its target first.
pub(super) fn word(digest: &[u8]) -> u32 {
    digest
        .first_chunk()
        .map_or(u32::MAX, |word| u32::from_le_bytes(*word))
}
