//! The command line: flags, their environment variables and their help.
//!
//! A value that cannot be read at all (a duration without a unit, a word where a
//! number belongs) is refused by clap with exit code 2; one that makes no sense by
//! the `from_cli` beside its flags, which makes a [`crate::policy::config`] of them.

mod bans;
mod extras;
mod policy;
mod record;
mod replay;
mod response;
mod run;
mod top;
mod web;

use std::{fmt, time::Duration};

use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand};

pub use self::{
    bans::{BansArgs, BansCommand},
    extras::ExtrasArgs,
    policy::PolicyArgs,
    record::RecordArgs,
    replay::ReplayArgs,
    response::{ReleaseArgs, ResponseArgs},
    run::{Level, RunArgs},
    top::{Sort, TopArgs},
    web::WebArgs,
};
use crate::policy::config::{Action, ConfigError};

/// Largest pid Linux can ever give out (`PID_MAX_LIMIT`).
const MAX_PID: i64 = 1 << 22;

/// Finds cryptocurrency miners by the instructions they execute, and stops them.
///
/// unjack accounts the CPU time of every process in the kernel, samples the instructions
/// of those that use enough of it, and tells proof-of-work hashing from other work.
/// Names do not matter. By default it only observes: nothing on the host changes until
/// --action or --block-pools is set.
#[derive(Clone, Debug, Parser)]
#[command(name = "unjack", version, after_long_help = AFTER_HELP)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Exit status:
  0  success
  1  failure
  2  bad usage: an unknown flag, or a value that is not accepted
  3  this host lacks something needed; `unjack doctor` says what, and the remedy
  4  explain: there is no such process, or it ended; release: not throttled or frozen

Environment:
  Every flag can be given as UNJACK_ and its name in upper case, with dots and
  dashes as underscores: UNJACK_MIN_CPU=25, UNJACK_WEB_LISTEN_ADDRESS=[::1]:10066.
  UNJACK_ALLOW, UNJACK_DENY, UNJACK_ONLY and UNJACK_WEB_LISTEN_ADDRESS take several values,
  joined by commas; the variable of any other repeatable flag holds one.
  A flag on the command line wins over the environment.";

/// The subcommands.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one, from the start to the end"
)]
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Watch this host, report miners, and act on them if told to
    #[command(long_about = run::ABOUT)]
    Run(RunArgs),
    /// Profile one process and say why it would or would not be acted on
    ///
    /// Samples the process for a while, prints the mix of instructions it
    /// executes, its score, family and verdict at the default thresholds, and
    /// the evidence. Never changes anything.
    Explain(ExplainArgs),
    /// Show which processes use the CPU now, on a terminal
    ///
    /// Shows a list that can be sorted, and details of one process: its CPU use,
    /// verdict, score and what it executes. It loads probes of its own, takes no action
    /// and opens no endpoint, and does not affect a running daemon. Keys are on the last
    /// line; q quits. It uses no colours if `NO_COLOR` is set, and only ASCII if the
    /// locale is not UTF-8.
    Top(TopArgs),
    /// Record what processes execute, as numbers in a file
    ///
    /// Writes all that verdicts are computed from, as lines of JSON, for
    /// `unjack replay`: no code, no data, no environment. A COMMAND is started,
    /// recorded with all its descendants, and ended after --for.
    Record(RecordArgs),
    /// Show what a policy would have done on a recorded host
    ///
    /// Judges a recording (`unjack record`, `unjack run --record`) as `unjack
    /// run` would have with these flags: what would have been reported and
    /// acted on, when and why, and what that would have saved. Changes nothing
    /// and needs no rights. Of this host it reads only the lists and, for
    /// user=NAME, /etc/passwd.
    #[command(after_long_help = replay::UNKNOWN)]
    Replay(ReplayArgs),
    /// List and change which images are refused at exec
    ///
    /// Bans are kept in the kernel. They stay in force, whether or not `unjack run` is
    /// running, until they expire or the host is rebooted.
    Bans(BansArgs),
    /// Show what this host has and lacks, check by check, with the remedy
    ///
    /// Exits with 3 if a check failed that unjack cannot work without.
    Doctor(DoctorArgs),
    /// Prove on this kernel that miners are found and ended
    ///
    /// Starts a harmless hash loop of its own and attaches the probes. Accounts and
    /// samples the loop, judges it with the shipped model, kills it, and checks that
    /// nothing is left. Prints a line for each step, with its time. Takes some seconds,
    /// and acts only on that loop. Exits with 0 if all works, 1 if something does not, 3
    /// if this host lacks something.
    Selftest(SelftestArgs),
    /// Undo a throttle or a freeze
    ///
    /// Releases a process, a cgroup, or everything, also when no daemon is running. A
    /// running daemon does not act on a released process again until that process
    /// executes another image. --allow exempts it permanently.
    Release(ReleaseArgs),
}

/// Flags of `unjack explain`.
#[derive(Args, Clone, Debug)]
pub struct ExplainArgs {
    /// Process to profile
    #[arg(value_parser = clap::value_parser!(u32).range(1..=MAX_PID))]
    pub pid: u32,

    /// How long to sample, 1s to 1h
    #[arg(long = "for", env = "UNJACK_FOR", value_name = "DUR", default_value = "10s", value_parser = explain_duration)]
    pub duration: Duration,

    /// Print one JSON object
    #[arg(long, env = "UNJACK_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,
}

/// Flags of `unjack selftest`.
#[derive(Args, Clone, Debug)]
pub struct SelftestArgs {
    /// Print one JSON object
    #[arg(long, env = "UNJACK_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,

    /// What the test runs as its child.
    #[arg(value_parser = ["hash"], hide = true)]
    pub part: Option<String>,
}

/// Flags of `unjack doctor`.
#[derive(Args, Clone, Debug)]
pub struct DoctorArgs {
    /// Report what this --action of `unjack run` would apply to
    #[arg(long, env = "UNJACK_ACTION", value_enum, default_value_t = Action::Observe)]
    pub action: Action,

    /// Report what these --only rules of `unjack run` limit the action to (repeatable)
    #[arg(long, env = "UNJACK_ONLY", value_name = "KEY=VALUE")]
    pub only: Vec<String>,

    /// Print a JSON array, one object a check
    #[arg(long, env = "UNJACK_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,
}

fn accept<T>(
    flag: &'static str,
    value: T,
    shown: impl fmt::Display,
    problem: &str,
    accepted: impl Fn(&T) -> bool,
) -> Result<T, ConfigError> {
    if accepted(&value) {
        return Ok(value);
    }
    Err(ConfigError {
        flag,
        value: shown.to_string(),
        problem: problem.to_owned(),
    })
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    number
        .parse()
        .map_err(|_| "not a percentage; write for example 10 or 10%".to_owned())
}

fn explain_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|e| e.to_string())?;
    if (Duration::from_secs(1)..=Duration::from_hours(1)).contains(&duration) {
        Ok(duration)
    } else {
        Err("must be between 1s and 1h".to_owned())
    }
}

#[cfg(test)]
mod tests;
