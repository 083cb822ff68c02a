//! The event that the circuit breaker opened or closed.

use serde::Serialize;

use crate::respond::action::breaker::{Change, Level, Opened};
use unjack_core::text::Plain;

/// The breaker opened or closed for something.
#[derive(Clone, Debug, Serialize)]
pub struct BreakerEvent {
    /// `opened` or `closed`.
    pub state: &'static str,
    /// What kind of thing it opened for.
    pub level: Level,
    /// Which, in words.
    pub of: String,
    /// How many in a minute opened it.
    pub limit: u32,
    /// Miners that were not acted on because it was open; 0 when it opens.
    pub let_pass: u64,
}

impl From<&Change> for BreakerEvent {
    fn from(change: &Change) -> Self {
        let (state, opened) = match change {
            Change::Opened(opened) => ("opened", opened),
            Change::Closed(opened) => ("closed", opened),
        };
        let Opened {
            level,
            of,
            limit,
            until_ns: _,
            let_pass,
        } = opened;
        Self {
            state,
            level: *level,
            of: of.clone(),
            limit: *limit,
            let_pass: *let_pass,
        }
    }
}

pub(super) fn breaker_text(ts: &str, event: &BreakerEvent) -> String {
    let BreakerEvent {
        state,
        level,
        of,
        limit,
        let_pass,
    } = event;
    let of = Plain(of);
    let counted = match level {
        Level::Image => "processes",
        Level::User | Level::Cgroup | Level::Host => "new images",
    };
    match *state {
        "opened" => format!(
            "{ts} breaker opened for {of}: {limit} {counted} were acted on within a minute; for \
             a minute more are only reported"
        ),
        _ => format!("{ts} breaker closed for {of}: {let_pass} miners were not acted on"),
    }
}
