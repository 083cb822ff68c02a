//! What is told of a process that was judged.

use serde::Serialize;

use crate::host::container::Home;
use unjack_core::score::Evidence;

/// A process was judged.
#[derive(Clone, Debug, Serialize)]
pub struct VerdictEvent {
    /// Its id in the initial pid namespace.
    pub pid: u32,
    /// The thread that was judged, if it was one alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<u32>,
    /// Its start in clock ticks since boot: field 22 of `/proc/PID/stat`.
    pub start_time: u64,
    /// Path of its image; `None` if it could not be read.
    pub exe: Option<String>,
    /// The name it gave itself.
    pub comm: String,
    /// Its unit, container and pod: `unit`, `container` and `pod`, where it has any.
    #[serde(flatten)]
    pub home: Home,
    /// `miner` or `hashing`.
    pub verdict: &'static str,
    /// It has been hashing for `--unexplained-after` and nothing explains it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unexplained: bool,
    /// Family of hash algorithm.
    pub family: &'static str,
    /// 0 to 1.
    pub score: f64,
    /// CPU burn, in percent of one core.
    pub cpu_percent: f64,
    /// How long it had burned when judged, in seconds.
    pub burn_seconds: f64,
    /// Why: what each line adds to the score.
    pub evidence: Vec<Evidence>,
    /// The code it executes most: where it lies and how it begins, a line a piece. Empty
    /// if its bytes were not kept.
    pub code: Vec<String>,
}
