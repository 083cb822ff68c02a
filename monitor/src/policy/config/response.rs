//! How `--action` is carried out, and within which limits.

use std::path::PathBuf;

use clap::ValueEnum;

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
    /// Processes that keep escaping their throttle or freeze are ended.
    pub kill_escaped: bool,
    /// Where is written down what is held.
    pub state_dir: PathBuf,
    /// Processes acted on in a minute before the breaker opens.
    pub max_kills: u32,
    /// The same of one image.
    pub max_kills_per_image: u32,
    /// The built-in list of images and units is not protected.
    pub no_builtin_protection: bool,
}
