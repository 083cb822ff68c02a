//! How `--action` is carried out, and within which limits.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::Serialize;

/// How far an action reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The process.
    Process,
    /// It, what it started, and what keeps starting it.
    Tree,
    /// Everything in its container, service or scope.
    Cgroup,
}

impl Scope {
    /// Its name in events and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Tree => "tree",
            Self::Cgroup => "cgroup",
        }
    }
}

/// How much is acted on in a minute before the breaker opens, 1 to 10,000 each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerLimits {
    /// Images that are new to their users, on the whole host.
    pub host: u32,
    /// The same of one user, and in one cgroup.
    pub user: u32,
    /// Processes of one user with one image.
    pub image: u32,
}

impl BreakerLimits {
    /// The limit of a user if none is given, for a limit of the host: three users who
    /// reach theirs open it for all, and two do not.
    #[must_use]
    pub const fn user_of(host: u32) -> u32 {
        let third = host / 3;
        if third == 0 { 1 } else { third }
    }
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
    /// How much is acted on in a minute before the breaker opens.
    pub breaker: BreakerLimits,
    /// The built-in list of the host's own programs is not protected.
    pub no_builtin_protection: bool,
}
