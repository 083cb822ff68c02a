//! Flags that `unjack run` judges by, and `unjack replay` too.

use std::time::Duration;

use clap::Args;

use super::{accept, percent};
use crate::policy::config::{ActOn, ConfigError, ONLY, Policy, parse_rules};

/// Who is a miner, and who is spared.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Policy")]
pub struct PolicyArgs {
    /// CPU a process must use to be judged, in percent of one core
    ///
    /// 2 and 2% are the same. A process that uses little is sampled for longer than
    /// --window, up to --patience, until there are enough samples to judge by.
    /// A process on several cores can use more than 100, so this value can be above 100.
    /// It must be above 0.
    #[arg(long, env = "UNJACK_MIN_CPU", value_name = "PERCENT", default_value = "2", value_parser = percent, allow_negative_numbers = true)]
    pub min_cpu: f64,

    /// Score from which a process is a miner: 0 is ordinary work, 1 is certain
    #[arg(
        long,
        env = "UNJACK_MIN_SCORE",
        value_name = "0..1",
        default_value_t = 0.8,
        allow_negative_numbers = true
    )]
    pub min_score: f64,

    /// Time over which CPU use and instructions are judged, 1s to 60s
    ///
    /// Longer is more certain, shorter is sooner. Of each process at most a thousand
    /// samples are taken in a window.
    #[arg(long, env = "UNJACK_WINDOW", value_name = "DUR", default_value = "5s", value_parser = humantime::parse_duration)]
    pub window: Duration,

    /// How far back samples are used if the window has too few, up to 1h
    ///
    /// A process that uses a few percent of a core is sampled a few times a second,
    /// so a verdict takes longer. Longer finds processes that use less, at the cost
    /// of memory.
    #[arg(long, env = "UNJACK_PATIENCE", value_name = "DUR", default_value = "2m", value_parser = humantime::parse_duration)]
    pub patience: Duration,

    /// Which verdicts --action is for
    ///
    /// hashing acts on everything that hashes, whatever it is for: backups,
    /// checksums, password checks. For hosts on which no program should hash.
    #[arg(long, env = "UNJACK_ACT_ON", value_enum, default_value_t = ActOn::Miner)]
    pub act_on: ActOn,

    /// How long a process may hash without an explanation before that is
    /// reported
    ///
    /// From 10s to 24h, or 0 for never. An explanation is data that it reads or
    /// transfers and hashes, clients that it serves, or blocks that it verifies as a
    /// node. The report is a verdict event, a metric and an alert, once for each image
    /// that a process executes. The process is acted on only with --act-on hashing. A
    /// process that --allow matches is not reported. A pause, or an explanation
    /// meanwhile, restarts the time.
    #[arg(long, env = "UNJACK_UNEXPLAINED_AFTER", value_name = "DUR", default_value = "10m", value_parser = humantime::parse_duration)]
    pub unexplained_after: Duration,

    /// Never act on a process that matches; it is still reported (repeatable)
    ///
    /// Keys: exe, sha256, user, cgroup, unit, container, family; `unjack run
    /// --help` explains them.
    /// Several rules may be joined by commas. --allow wins over --deny.
    #[arg(long, env = "UNJACK_ALLOW", value_name = "KEY=VALUE")]
    pub allow: Vec<String>,

    /// Treat a matching process that uses --min-cpu as a miner, whatever its score (repeatable)
    ///
    /// Same keys and form as --allow. Pid 1, kernel threads, unjack itself
    /// and its ancestors are never acted on.
    #[arg(long, env = "UNJACK_DENY", value_name = "KEY=VALUE")]
    pub deny: Vec<String>,

    /// Act only on processes that match; others are only reported (repeatable)
    ///
    /// Same form as --allow, with two more keys: namespace=GLOB, the Kubernetes
    /// namespace, and image=GLOB, the image of the container, as the files of the
    /// runtime say. One rule that matches is enough. What is outside is reported as
    /// dry-run. docs/policy.md says what each key rests on.
    #[arg(long, env = "UNJACK_ONLY", value_name = "KEY=VALUE")]
    pub only: Vec<String>,

    /// What an hour of one core costs, to compute what miners cost
    ///
    /// A number from 0 to 1000000, in any currency. CPU time times this is
    /// `unjack_stolen_cost_total`; without it, that metric does not exist.
    #[arg(
        long,
        env = "UNJACK_CORE_HOUR_COST",
        value_name = "AMOUNT",
        allow_negative_numbers = true
    )]
    pub core_hour_cost: Option<f64>,
}

impl Policy {
    pub(crate) fn from_cli(args: &PolicyArgs, users: &[(&str, u32)]) -> Result<Self, ConfigError> {
        let PolicyArgs {
            min_cpu,
            min_score,
            window,
            patience,
            act_on,
            unexplained_after,
            allow,
            deny,
            only,
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
            only: parse_rules(ONLY, only, users)?,
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
}
