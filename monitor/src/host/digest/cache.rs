//! Digests that were computed before.

use std::collections::{HashMap, VecDeque};

use super::{Digest, Key};

/// Digests remembered, of 80 bytes each.
pub const MAX_KNOWN: usize = 4096;

/// The newest digests.
#[derive(Debug, Default)]
pub struct Cache {
    known: HashMap<Key, Digest>,
    order: VecDeque<Key>,
}

impl Cache {
    /// The digest of a file, if it is remembered.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Digest> {
        self.known.get(key).copied()
    }

    /// Remembers one; the oldest makes room.
    pub fn put(&mut self, key: Key, digest: Digest) {
        if self.known.insert(key, digest).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > MAX_KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}
