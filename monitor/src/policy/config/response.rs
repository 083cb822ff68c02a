//! How `--action` is carried out, and within which limits.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{ConfigError, accept};
use crate::commands::cli::ResponseArgs;

/// How far an action reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scope {
    /// The process.
    Process,
    /// It, what it started, and what keeps starting it.
    Tree,
    /// Everything in its container, service or scope.
    Cgroup,
}

/// How an action is carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// How far it reaches.
    pub scope: Scope,
    /// What is left to a throttled miner, as a fraction of one core: 0.01 to 10.
    pub throttle_to: f64,
    /// Throttled and frozen processes stay so when the daemon leaves.
    pub keep: bool,
    /// Where is written down what is held.
    pub state_dir: PathBuf,
    /// Processes acted on in a minute before the breaker opens.
    pub max_kills: u32,
    /// The same of one image.
    pub max_kills_per_image: u32,
    /// The built-in list of images and units is not spared.
    pub allow_none: bool,
}

impl Response {
    pub(super) fn from_cli(args: &ResponseArgs) -> Result<Self, ConfigError> {
        let ResponseArgs {
            scope,
            throttle_to,
            keep,
            state_dir,
            max_kills,
            max_kills_per_image,
            allow_none,
        } = args;
        Ok(Self {
            scope: *scope,
            throttle_to: throttle(*throttle_to)?,
            keep: *keep,
            state_dir: accept(
                "--state-dir",
                state_dir.clone(),
                state_dir.display(),
                "must be an absolute path, such as /run/unjack",
                |dir| dir.is_absolute(),
            )?,
            max_kills: kills("--max-kills", *max_kills)?,
            max_kills_per_image: kills("--max-kills-per-image", *max_kills_per_image)?,
            allow_none: *allow_none,
        })
    }
}

/// A number of processes to be acted on.
pub(super) fn kills(flag: &'static str, count: u32) -> Result<u32, ConfigError> {
    accept(flag, count, count, "must be from 1 to 10000", |n| {
        (1..=10_000).contains(n)
    })
}

/// A share of a core, as a fraction.
pub(super) fn throttle(percent: f64) -> Result<f64, ConfigError> {
    // Below a hundredth the kernel's least quota is more than the share.
    let accepted = accept(
        "--throttle-to",
        percent,
        percent,
        "must be a percentage of one core from 1 to 1000",
        |p| (1.0..=1000.0).contains(p),
    )?;
    Ok(accepted / 100.0)
}
