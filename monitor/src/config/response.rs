//! How `--action` is carried out, and within which limits.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{ConfigError, accept};
use crate::cli::ResponseArgs;

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
        let count = |flag, count: u32| {
            accept(flag, count, count, "must be from 1 to 10000", |n| {
                (1..=10_000).contains(n)
            })
        };
        Ok(Self {
            scope: *scope,
            // Below a hundredth the kernel's least quota is more than the share.
            throttle_to: accept(
                "--throttle-to",
                *throttle_to,
                throttle_to,
                "must be a percentage of one core from 1 to 1000",
                |p| (1.0..=1000.0).contains(p),
            )? / 100.0,
            keep: *keep,
            state_dir: accept(
                "--state-dir",
                state_dir.clone(),
                state_dir.display(),
                "must be an absolute path, such as /run/unjack",
                |dir| dir.is_absolute(),
            )?,
            max_kills: count("--max-kills", *max_kills)?,
            max_kills_per_image: count("--max-kills-per-image", *max_kills_per_image)?,
            allow_none: *allow_none,
        })
    }
}
