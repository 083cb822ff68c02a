//! Who is a miner, and who is spared: what `unjack run` and `unjack replay` judge
//! by.

use std::time::Duration;

use super::{ActOn, ConfigError, Rule, accept, rules::parse_rules};
use crate::commands::cli::PolicyArgs;
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
    /// What an hour of one core costs, 0 to a million, if that is known.
    pub core_hour_cost: Option<f64>,
}

impl Policy {
    pub(super) fn from_cli(args: &PolicyArgs, users: &[(&str, u32)]) -> Result<Self, ConfigError> {
        let PolicyArgs {
            min_cpu,
            min_score,
            window,
            patience,
            act_on,
            unexplained_after,
            allow,
            deny,
            core_hour_cost,
        } = args;
        let seconds = |n| Duration::from_secs(n);
        Ok(Self {
            // The ceiling is beyond any machine, and keeps out "inf".
            min_cpu: accept(
                "--min-cpu",
                *min_cpu,
                min_cpu,
                "must be a percentage of one core above 0, such as 10, or 250 for two and a half cores",
                |p| *p > 0.0 && *p <= 1e6,
            )? / 100.0,
            min_score: accept(
                "--min-score",
                *min_score,
                min_score,
                "must be from 0 to 1",
                |s| (0.0..=1.0).contains(s),
            )?,
            window: accept(
                "--window",
                *window,
                humantime::format_duration(*window),
                "must be from 1s to 60s",
                |d| (seconds(1)..=seconds(60)).contains(d),
            )?,
            patience: accept(
                "--patience",
                *patience,
                humantime::format_duration(*patience),
                "must be at least --window, and at most 1h",
                |d| (*window..=seconds(3600)).contains(d),
            )?,
            act_on: *act_on,
            // Less than two windows is hardly a verdict; a day is longer than any alert
            // should wait.
            unexplained_after: accept(
                "--unexplained-after",
                *unexplained_after,
                humantime::format_duration(*unexplained_after),
                "must be 0, or from 10s to 24h",
                |d| d.is_zero() || (seconds(10)..=Duration::from_hours(24)).contains(d),
            )?,
            allow: parse_rules("--allow", allow, users)?,
            deny: parse_rules("--deny", deny, users)?,
            core_hour_cost: core_hour_cost
                .map(|cost| {
                    accept(
                        "--core-hour-cost",
                        cost,
                        cost,
                        "must be an amount from 0 to 1000000, such as 0.04",
                        |cost| (0.0..=1e6).contains(cost),
                    )
                })
                .transpose()?,
        })
    }

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
