//! Flags of `unjack replay`.

use std::path::PathBuf;

use clap::{Args, builder::FalseyValueParser};

use super::{
    PolicyArgs, percent,
    response::{breaker, throttle},
};
use crate::{
    detect::reputation::Files,
    policy::config::{Action, ConfigError, Policy, Replay, parse_passwd},
};

/// What it cannot know.
pub(super) const UNKNOWN: &str = "\
What a recording does not have:
  A recording by `unjack record` has no connections to pools and no SHA-256 of
  images: sha256= rules and lists match nothing. A recording by `unjack run
  --record` has those that the daemon knew. No recording has the namespace of a pod
  or the image of a container: these rules of --only match nothing. With
  --no-network-evidence, a recording has no Stratum and no behaviour of connections.
  No recording has descendants: only the process itself is acted on, as with
  --scope process. Nor does it have what was lost or not sampled, or what would have
  been started again. Kills are assumed to succeed at once, and throttles to last.
  If more than 512 processes were sampled at once, a replay can drop other profiles
  than the daemon dropped.";

/// Flags of `unjack replay`.
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    /// Recording to judge, or - for standard input
    pub file: PathBuf,

    /// What would have been done with a miner
    #[arg(long, env = "UNJACK_ACTION", value_enum, default_value_t = Action::Kill)]
    pub action: Action,

    /// Who is a miner, and who is spared
    #[command(flatten)]
    pub policy: PolicyArgs,

    /// What --action throttle leaves a miner, in percent of one core, 1 to 1000
    #[arg(long, env = "UNJACK_THROTTLE_TO", value_name = "PERCENT", default_value = "5", value_parser = percent, allow_negative_numbers = true)]
    pub throttle_to: f64,

    /// Images acted on in a minute before the breaker opens for the host, 1 to 10000
    ///
    /// So many different miners at once are more likely a mistake: for the next minute,
    /// miners are only reported. Only new images count: each once for a user, and not
    /// again for an hour.
    #[arg(
        long,
        env = "UNJACK_MAX_KILLS",
        value_name = "N",
        default_value_t = 30,
        allow_negative_numbers = true
    )]
    pub max_kills: u32,

    /// The same for one user, and for one cgroup; by default a third of --max-kills
    ///
    /// For the next minute, other new images of that user, or in that container, pod or
    /// unit, are only reported. The lower this limit, the more users it takes to open
    /// the breaker for the whole host. If it equals --max-kills, one user can.
    #[arg(
        long,
        env = "UNJACK_MAX_KILLS_PER_USER",
        value_name = "N",
        allow_negative_numbers = true
    )]
    pub max_kills_per_user: Option<u32>,

    /// Processes of one image of one user acted on in a minute, 1 to 10000
    ///
    /// For the next minute, only that image of that user is exempt. Processes that
    /// --scope adds and copies of a banned image do not count.
    #[arg(
        long,
        env = "UNJACK_MAX_KILLS_PER_IMAGE",
        value_name = "N",
        default_value_t = 20,
        allow_negative_numbers = true
    )]
    pub max_kills_per_image: u32,

    /// Also act on programs that are protected by default: the host's own init, sshd, login,
    /// cron, bus, udev, container runtimes, kubelet, and the daemons of systemd, disks and the
    /// network, while they do the host's work
    #[arg(long, env = "UNJACK_NO_BUILTIN_PROTECTION", value_parser = FalseyValueParser::new())]
    pub no_builtin_protection: bool,

    /// Treat a program with a SHA-256 in this file as a miner (repeatable)
    #[arg(long, env = "UNJACK_DENY_FILE", value_name = "FILE")]
    pub deny_file: Vec<PathBuf>,

    /// Never act on a program with a SHA-256 in this file (repeatable)
    #[arg(long, env = "UNJACK_ALLOW_FILE", value_name = "FILE")]
    pub allow_file: Vec<PathBuf>,

    /// Print one JSON object
    #[arg(long, env = "UNJACK_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,
}

impl Replay {
    /// Validates the flags of `unjack replay`. `passwd` is the content of
    /// `/etc/passwd`, for rules that name a user; it may be empty.
    ///
    /// # Errors
    /// Names the flag, its value and what is accepted.
    pub fn from_cli(args: &ReplayArgs, passwd: &str) -> Result<Self, ConfigError> {
        let ReplayArgs {
            file: _,
            action,
            policy,
            throttle_to,
            max_kills,
            max_kills_per_user,
            max_kills_per_image,
            no_builtin_protection,
            deny_file,
            allow_file,
            json: _,
        } = args;
        Ok(Self {
            action: *action,
            policy: Policy::from_cli(policy, &parse_passwd(passwd))?,
            throttle_to: throttle(*throttle_to)?,
            breaker: breaker(*max_kills, *max_kills_per_user, *max_kills_per_image)?,
            no_builtin_protection: *no_builtin_protection,
            lists: Files {
                deny: deny_file.clone(),
                allow: allow_file.clone(),
                ..Files::default()
            },
        })
    }
}
