//! What a person is shown: one moment of the daemon, cleaned and bounded.
//!
//! In: what the loop knows. Out: a [`View`], which the page at `/`, its JSON
//! and `unjack top` draw from. No decision is made by it, and nothing keeps it but
//! the [`SnapshotCell`], which has the newest. It is built when a client asks for it, at
//! most once a second: while none does, it costs nothing.
//!
//! | bound | value |
//! |---|---|
//! | processes | [`MAX_ROWS`]: all that have a verdict or are suspected, then those that burn most |
//! | seconds of a process's history | [`HISTORY`] |
//! | findings, and deeds of each | [`MAX_FINDINGS`], [`MAX_DEEDS`]: the oldest go first, and miners last |
//! | what the breaker is open for | [`MAX_OPEN_SHOWN`]: the host first, then what is wide |
//! | lines of evidence, and of code | [`MAX_LINES`] each: the last has the sum of those left out |
//!
//! What does not fit is counted, and shown as a number.

mod breaker;
mod host;
mod probed;
mod recent;
mod row;
mod snapshot_cell;

use serde::{Deserialize, Serialize};

pub use self::{
    breaker::{MAX_OPEN_SHOWN, OpenBreaker},
    host::Host,
    probed::{Counts, Probed, Program},
    recent::{ActionTaken, Finding, Kept, MAX_DEEDS, MAX_FINDINGS, Recent},
    row::{HISTORY, MAX_ROWS, Part, Row, rows},
    snapshot_cell::SnapshotCell,
};
pub use crate::policy::config::Setting;

/// Lines of evidence of one process or finding.
pub const MAX_LINES: usize = 16;

/// All that is shown. Every text of a process's own is cleaned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Version of unjack.
    pub version: String,
    /// When, in seconds since the Unix epoch.
    pub time: f64,
    /// Where.
    pub host: Host,
    /// Whether the daemon sees what it is there to see.
    pub health: Health,
    /// What miners took, by family; families of which there is nothing are absent.
    pub stolen: Vec<Stolen>,
    /// What an hour of one core costs, if that is known.
    pub core_hour_cost: Option<f64>,
    /// Who burns now: suspects first, then by burn.
    pub processes: Vec<Row>,
    /// How many more burn and are not among them.
    pub processes_left_out: usize,
    /// Verdicts and what followed, the newest first.
    pub findings: Vec<Finding>,
    /// How many older ones were forgotten.
    pub findings_forgotten: u64,
    /// What the circuit breaker is open for, the host first.
    pub breaker: Vec<OpenBreaker>,
    /// How much more it is open for.
    pub breaker_left_out: usize,
    /// The probes.
    pub probes: Probed,
    /// The effective policy.
    pub policy: Vec<Setting>,
}

/// Whether the daemon sees what it is there to see.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Why it does not; `None` if it does.
    pub not_ready: Option<String>,
    /// For how many seconds it has been so.
    pub for_seconds: f64,
}

/// What miners of one family took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stolen {
    /// The family of hash algorithm.
    pub family: String,
    /// CPU seconds.
    pub stolen_seconds: f64,
    /// CPU seconds that a rule allows.
    pub allowed_seconds: f64,
}
