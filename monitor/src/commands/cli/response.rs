//! Flags of how a miner is acted on.

use std::path::PathBuf;

use clap::{ArgGroup, Args, builder::FalseyValueParser};

use super::{MAX_PID, accept, percent};
use crate::{
    policy::config::{BreakerLimits, ConfigError, Response, Scope},
    respond::action::hold_manager::Target,
};

/// Where is written down what is held, unless a flag says otherwise.
const STATE_DIR: &str = "/run/unjack";

/// How a miner is acted on.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Response")]
pub struct ResponseArgs {
    /// How far an action reaches
    ///
    /// process is only the miner. tree adds all its descendants, and the shells
    /// and launchers above it that only start it. cgroup is everything in its
    /// container, service or scope. If there is none, or if it contains unjack or
    /// a protected process, the miner is acted on in the scope tree, or else
    /// process, and the event says so.
    #[arg(long, env = "UNJACK_SCOPE", value_enum, default_value_t = Scope::Process)]
    pub scope: Scope,

    /// What --action throttle leaves a miner, in percent of one core, 1 to 1000
    #[arg(long, env = "UNJACK_THROTTLE_TO", value_name = "PERCENT", default_value = "5", value_parser = percent, allow_negative_numbers = true)]
    pub throttle_to: f64,

    /// Keep processes throttled or frozen on exit, and adopt those that an earlier
    /// unjack kept
    ///
    /// Without it, both are undone. `unjack release` undoes them any time.
    #[arg(long, env = "UNJACK_KEEP", value_parser = FalseyValueParser::new())]
    pub keep: bool,

    /// Kill a process that keeps escaping its throttle or freeze
    ///
    /// If a process leaves its cgroup or is continued more than five times, unjack
    /// throttles or freezes its whole cgroup, provided that no other process is in it.
    /// If it escapes again, unjack uses SIGSTOP. With this flag, SIGKILL follows.
    /// Without it, the process is reported.
    #[arg(long, env = "UNJACK_KILL_ESCAPED", value_parser = FalseyValueParser::new())]
    pub kill_escaped: bool,

    /// Folder in which unjack records what is throttled and frozen
    #[arg(
        long,
        env = "UNJACK_STATE_DIR",
        value_name = "DIR",
        default_value = STATE_DIR
    )]
    pub state_dir: PathBuf,

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

    /// Also act on programs that are protected by default: the host's own init, sshd,
    /// login, cron, bus, udev, container runtimes, kubelet, and the daemons of systemd,
    /// disks and the network, while they do the host's work
    #[arg(long, env = "UNJACK_NO_BUILTIN_PROTECTION", value_parser = FalseyValueParser::new())]
    pub no_builtin_protection: bool,
}

/// Flags of `unjack release`.
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("what").required(true))]
pub struct ReleaseArgs {
    /// Process, or path of the cgroup, to release
    #[arg(group = "what", value_name = "PID|CGROUP", value_parser = target)]
    pub target: Option<Target>,

    /// Release everything that is throttled or frozen
    #[arg(long, env = "UNJACK_ALL", group = "what", value_parser = FalseyValueParser::new())]
    pub all: bool,

    /// Folder in which unjack records what is throttled and frozen
    #[arg(
        long,
        env = "UNJACK_STATE_DIR",
        value_name = "DIR",
        default_value = STATE_DIR
    )]
    pub state_dir: PathBuf,
}

fn target(text: &str) -> Result<Target, String> {
    if text.starts_with('/') {
        return Ok(Target::Cgroup(text.to_owned()));
    }
    match text.parse() {
        Ok(pid) if (1..=MAX_PID).contains(&i64::from(pid)) => Ok(Target::Pid(pid)),
        _ => Err("neither a process id nor the path of a cgroup, such as \
                  /system.slice/x.service"
            .to_owned()),
    }
}

impl Response {
    pub(crate) fn from_cli(args: &ResponseArgs) -> Result<Self, ConfigError> {
        let ResponseArgs {
            scope,
            throttle_to,
            keep,
            kill_escaped,
            state_dir,
            max_kills,
            max_kills_per_user,
            max_kills_per_image,
            no_builtin_protection,
        } = args;
        Ok(Self {
            scope: *scope,
            throttle_to: throttle(*throttle_to)?,
            keep: *keep,
            kill_escaped: *kill_escaped,
            state_dir: accept(
                "--state-dir",
                state_dir.clone(),
                state_dir.display(),
                "must be an absolute path, such as /run/unjack",
                |dir| dir.is_absolute(),
            )?,
            breaker: breaker(*max_kills, *max_kills_per_user, *max_kills_per_image)?,
            no_builtin_protection: *no_builtin_protection,
        })
    }
}

/// The breaker's limits; that of a user may be left out.
pub(super) fn breaker(
    host: u32,
    user: Option<u32>,
    image: u32,
) -> Result<BreakerLimits, ConfigError> {
    let count = |flag, count: u32| {
        accept(flag, count, count, "must be from 1 to 10000", |n| {
            (1..=10_000).contains(n)
        })
    };
    let user = user.unwrap_or_else(|| BreakerLimits::user_of(host));
    Ok(BreakerLimits {
        host: count("--max-kills", host)?,
        user: count("--max-kills-per-user", user)?,
        image: count("--max-kills-per-image", image)?,
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
