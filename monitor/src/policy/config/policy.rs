//! Who is a miner, and who is spared: what `unjack run` and `unjack replay` judge
//! by.

use std::time::Duration;

use super::{ActOn, Rule};
use unjack_core::verdict::Thresholds;

/// What is judged by, validated.
#[derive(Clone, Debug)]
pub struct Policy {
    /// CPU burn from which a process is judged, as a fraction of one core:
    /// above 0, and above 1 for more than one core.
    pub min_cpu: f64,
    /// Score from which it is a miner, 0 to 1.
    pub min_score: f64,
    /// Time over which it is judged, 1 s to 60 s.
    pub window: Duration,
    /// How far the window may reach back for samples enough, the window to 1 h.
    pub patience: Duration,
    /// Which verdicts are acted on.
    pub act_on: ActOn,
    /// How long a process may hash unexplained until that is reported, 10 s to 24 h; 0
    /// for never.
    pub unexplained_after: Duration,
    /// Who is never acted on.
    pub allow: Vec<Rule>,
    /// Who is a miner whatever the score; `allow` wins.
    pub deny: Vec<Rule>,
    /// Where the action is for; everywhere if there is none.
    pub only: Vec<Rule>,
    /// What an hour of one core costs, 0 to a million, if that is known.
    pub core_hour_cost: Option<f64>,
}

impl Policy {
    /// From what on a process is reported.
    #[must_use]
    pub fn thresholds(&self) -> Thresholds {
        let nanoseconds =
            |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Thresholds {
            min_cpu: self.min_cpu,
            min_score: self.min_score,
            window_ns: nanoseconds(self.window),
            patience_ns: nanoseconds(self.patience),
            unexplained_ns: nanoseconds(self.unexplained_after),
        }
    }
}
