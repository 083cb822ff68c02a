//! The policy of `unjack run`, validated.
//!
//! A [`Config`] is made of flags by the command line, which sees that every field
//! is in its stated range, with `/etc/passwd` as text (nothing is read here).
//! [`Rule`]s match a [`Subject`]. A rule never looks at what a
//! process says about itself: not its `comm`, not its argv.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use crate::kernel::probe::bans::With;

mod address;
mod extras;
mod policy;
mod replay;
mod response;
mod rules;
mod settings;
mod web;

pub(crate) use self::rules::{ONLY, parse_rules};
pub use self::{
    address::{Address, MAX_SOCKETS},
    extras::{EvidenceLimits, Extras, HookPolicy},
    policy::Policy,
    replay::Replay,
    response::{BreakerLimits, Response, Scope},
    rules::{Rule, RuleKey, Subject, Wanted},
    settings::Setting,
    web::{GroupLimits, Web},
};

/// What to do with a miner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Report it.
    Observe,
    /// Slow it down to a share of a core.
    Throttle,
    /// Stop it, so that it can continue later.
    Freeze,
    /// End it.
    Kill,
}

/// Which verdicts are acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ActOn {
    /// Mining.
    Miner,
    /// Hashing too, whatever it is for.
    Hashing,
}

impl Action {
    /// Its name in flags, events and labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Throttle => "throttle",
            Self::Freeze => "freeze",
            Self::Kill => "kill",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The validated policy.
#[derive(Clone, Debug)]
pub struct Config {
    /// What is done with a miner.
    pub action: Action,
    /// How, and within which limits.
    pub response: Response,
    /// Who is a miner, and who is spared.
    pub policy: Policy,
    /// Time between SIGTERM and SIGKILL, 0 to 60 s.
    pub grace: Duration,
    /// What is banned, and how.
    pub ban: BanPolicy,
    /// Evidence, lists and the hook.
    pub extras: Extras,
    /// Where what is judged is recorded, and in how many bytes.
    pub record: Option<(PathBuf, u64)>,
    /// Samples a second on every processor, 1 to 999.
    pub sample_hz: u32,
    /// Where metrics are served.
    pub web: Web,
}

/// What is to be banned, and how.
#[derive(Clone, Debug)]
pub struct BanPolicy {
    /// How long a ban lasts; with none nothing new is banned.
    pub ttl: Duration,
    /// How execs are refused.
    pub with: With,
    /// Where bans are pinned.
    pub dir: PathBuf,
    /// Whether anything may be changed, or else only told.
    pub enforce: bool,
    /// What may be executed whatever is found: no ban applies to it.
    pub allow: Vec<Rule>,
    /// Where miners are acted on: the kernel refuses an image everywhere.
    pub only: Vec<Rule>,
}

/// A flag's value that is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid value '{value}' for '{flag}': {problem}")]
pub struct ConfigError {
    /// The flag, dashes included.
    pub flag: &'static str,
    /// Its value, or the part of it that is wrong.
    pub value: String,
    /// What is wrong with it, and what is accepted.
    pub problem: String,
}

/// Names and uids in the text of `/etc/passwd`; lines that are not entries are
/// skipped.
#[must_use]
pub fn parse_passwd(text: &str) -> Vec<(&str, u32)> {
    let entries = text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let uid = fields.nth(1)?.parse().ok()?;
        Some((name, uid))
    });
    entries.collect()
}
