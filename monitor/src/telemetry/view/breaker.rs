//! What the circuit breaker is open for.

use serde::{Deserialize, Serialize};

use crate::respond::action::breaker::{Level, Opened};

/// Open levels that are shown.
pub const MAX_OPEN_SHOWN: usize = 16;

/// Miners that are only reported for now. Text is cleaned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenBreaker {
    /// What kind of thing it is open for.
    pub level: Level,
    /// Which, in words.
    pub of: String,
    /// How many in a minute opened it.
    pub limit: u32,
    /// Seconds until it closes.
    pub seconds_left: u64,
    /// Miners that were not acted on because it is open.
    pub let_pass: u64,
}

impl OpenBreaker {
    /// Of what is open at a time, nanoseconds of the breaker's clock: the widest levels
    /// first, and how many more there are.
    #[must_use]
    pub fn all(open: Vec<Opened>, now_ns: u64) -> (Vec<Self>, usize) {
        let left_out = open.len().saturating_sub(MAX_OPEN_SHOWN);
        let shown = open.into_iter().rev().take(MAX_OPEN_SHOWN);
        let shown = shown.map(|opened| {
            let Opened {
                level,
                of,
                limit,
                until_ns,
                let_pass,
            } = opened;
            Self {
                level,
                of,
                limit,
                seconds_left: until_ns.saturating_sub(now_ns).div_ceil(1_000_000_000),
                let_pass,
            }
        });
        (shown.collect(), left_out)
    }
}
