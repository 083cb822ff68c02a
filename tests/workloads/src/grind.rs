//! The loop of every miner: a block header whose nonce counts up.
//!
//! The winning test is the cheapest there is (a leading zero word, or one that is
//! small enough for the pool), as a miner's is.

use std::hint::black_box;

use crate::Step;
use crate::pool::{self, Pool, Work};

/// Hashes between two looks at the clock, for hashes of less than 1 µs.
pub(super) const BATCH: u64 = 512;

/// A block header in Bitcoin's layout: version, previous hash, merkle root,
/// time, bits and nonce.
pub(super) struct Header {
    bytes: [u8; 80],
    thread: u32,
    /// Where the header is from, and what it is worth there.
    pool: Option<(&'static Pool, Work)>,
}

impl Header {
    /// The thread's number goes where the merkle root is, as an extra nonce.
    pub(super) fn new(thread: u32) -> Self {
        let mut bytes = [0x5a; 80];
        bytes[36..40].copy_from_slice(&thread.to_le_bytes());
        bytes[76..].fill(0);
        let mut header = Self {
            bytes,
            thread,
            pool: None,
        };
        if let Some(pool) = pool::pool() {
            header.renew(pool);
        }
        header
    }

    /// Begins on the pool's newest work. One that says nonsense is left.
    fn renew(&mut self, pool: &'static Pool) {
        self.pool = pool.work(self.thread).ok().map(|work| {
            self.bytes = work.header;
            (pool, work)
        });
    }

    /// The next header to try.
    pub(super) fn advance(&mut self) -> &[u8; 80] {
        if let Some((pool, work)) = &self.pool
            && pool.generation() != work.generation
        {
            self.renew(pool);
        }
        self.next()
    }

    /// The next one of the same work: for those that hash several at once, after the
    /// first of them.
    pub(super) fn next(&mut self) -> &[u8; 80] {
        let nonce = self.nonce().wrapping_add(1);
        self.bytes[76..].copy_from_slice(&nonce.to_le_bytes());
        &self.bytes
    }

    fn nonce(&self) -> u32 {
        let mut nonce = [0; 4];
        nonce.copy_from_slice(&self.bytes[76..]);
        u32::from_le_bytes(nonce)
    }

    /// Looks whether the header's hash begins with a number that wins, and tells the
    /// pool if so.
    pub(super) fn judge(&self, top: u32) {
        self.judge_earlier(top, 0);
    }

    /// The same of the header that was given out this many before the last: by those
    /// that hash several at once.
    pub(super) fn judge_earlier(&self, top: u32, before: u32) {
        match &self.pool {
            None => _ = black_box(top == 0),
            Some((pool, work)) if top <= work.limit => {
                pool.share(work, self.nonce().wrapping_sub(before));
            }
            Some(_) => {}
        }
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
            let word = hash(header.advance());
            header.judge(word);
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
