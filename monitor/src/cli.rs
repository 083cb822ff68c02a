//! The command line: flags, their environment variables and their help.
//!
//! Nothing is decided here. A value that cannot be read at all (a duration
//! without a unit, a word where a number belongs) is refused by clap with
//! exit code 2; whether a value makes sense is up to [`crate::config`].

mod bans;
mod extras;
mod policy;
mod replay;
mod response;
mod top;
mod web;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use self::bans::{PIN_DIR, ban_duration};
pub use self::{
    bans::{BansArgs, BansCommand},
    extras::ExtrasArgs,
    policy::PolicyArgs,
    replay::ReplayArgs,
    response::{ReleaseArgs, ResponseArgs, Target},
    top::{Sort, TopArgs},
    web::WebArgs,
};
use crate::config::Action;
use crate::journal::Format;
use crate::probe::bans::With;

/// Largest pid Linux can ever give out (`PID_MAX_LIMIT`).
const MAX_PID: i64 = 1 << 22;

/// Finds cryptocurrency miners by the instructions they execute, and stops them.
///
/// unjack accounts every process's CPU time in the kernel, looks at the
/// instructions of those that burn enough of it, and tells proof-of-work hashing
/// from other work, whatever the program calls itself. By default it only
/// observes: nothing on the host changes until --action says so.
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
  4  explain: there is no such process, or it vanished; release: it is not held

Environment:
  Every flag can be given as UNJACK_ and its name in upper case, with dots and
  dashes as underscores: UNJACK_MIN_CPU=25, UNJACK_WEB_LISTEN_ADDRESS=[::1]:10066.
  A flag on the command line wins over the environment.";

/// The subcommands.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one, from the start to the end"
)]
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Watch this host, report miners, and act on them if told to
    #[command(long_about = RUN_ABOUT)]
    Run(RunArgs),
    /// Profile one process and say why it would or would not be acted on
    ///
    /// Samples the process for a while, prints the mix of instructions it
    /// executes, its score, family and verdict at the default thresholds, and
    /// the evidence. Never changes anything.
    Explain(ExplainArgs),
    /// Show what burns now, on a terminal
    ///
    /// Who burns, who mines, and what each executes: a list that can be sorted,
    /// and details of one process. It has probes of its own and only looks: no
    /// action, no endpoint, and an unjack that runs beside it is not disturbed.
    /// Keys are on the last line; q leaves. Colours are left out if `NO_COLOR` is
    /// set, and all but ASCII if the locale is not of UTF-8.
    Top(TopArgs),
    /// Record what processes execute, as numbers in a file
    ///
    /// Writes lines of JSON: all that verdicts are computed from, for `unjack
    /// replay`. No code, no data, no environment. With a COMMAND, that is started,
    /// recorded with all its descendants, and ended when the time is over.
    Record(RecordArgs),
    /// Say what a policy would have done to what was recorded
    ///
    /// Judges a recording (`unjack record`, `unjack run --record`) as `unjack run`
    /// would have with these flags: what would have been reported and acted on,
    /// when and why, and what that would have saved. Changes nothing, needs no
    /// rights, and asks nothing of this host but its lists.
    #[command(after_long_help = REPLAY_UNKNOWN)]
    Replay(ReplayArgs),
    /// List and change which images are refused at exec
    ///
    /// Bans are kept in the kernel: they hold whether or not `unjack run` does,
    /// until they end or the host is booted anew.
    Bans(BansArgs),
    /// Show what this host has and lacks, check by check, with the remedy
    ///
    /// Exits with 3 if a check failed that unjack cannot work without.
    Doctor(DoctorArgs),
    /// Prove on this kernel that miners are found and ended
    ///
    /// Starts a harmless hash loop of its own, attaches the probes, accounts and
    /// samples it, judges it with the shipped model, ends it, and sees that
    /// nothing is left: a line a step, with its time. Takes some seconds, and
    /// acts on nothing but that loop. Exits with 0 if all works, 1 if something
    /// does not, 3 if this host lacks something.
    Selftest(SelftestArgs),
    /// Undo a throttle or a freeze
    ///
    /// Of a process, of a cgroup, or of everything that is held; also when no
    /// unjack runs any more. What is let go is not acted on again by the unjack
    /// that runs, until it executes another image; --allow spares it for good.
    Release(ReleaseArgs),
}

const RUN_ABOUT: &str = "\
Watch this host, report miners, and act on them if told to.

Events (ready, verdict, action, evidence, ban, respawn) go to standard output, \
diagnostics to standard error, metrics to http://ADDR/metrics. SIGTERM and \
SIGINT end it, detach all probes and, without --keep, undo what was throttled \
and frozen; bans stay.

A process is judged once it has burned at least --min-cpu over --window. It is \
a miner if its instructions score at least --min-score.

Rules, for --allow and --deny, are KEY=VALUE:
  exe=GLOB     absolute path of the image as this host sees it, for example
               exe=/usr/bin/xmrig or exe=/opt/**; never matches if the path
               does not lead to the very file the process executes
  user=NAME    user it runs as; a name from /etc/passwd, or a numeric uid
  cgroup=GLOB  path of its cgroup, for example cgroup=/system.slice/backup.service
               or cgroup=/machine.slice/**
  sha256=HEX   SHA-256 of the image; one of more than 256 MiB matches none
  unit=GLOB    unit of the system's systemd, for example unit=backup*.service;
               never one of a user's own manager, nor one inside a container
  container=ID id of its container (12 digits or more of it, or a GLOB), name of
               its LXC container, or uid of its pod; never one that a user's own
               manager started
  family=NAME  family of hash algorithm found: randomx, sha256d, scrypt, argon2,
               cryptonight, yescrypt, sha512, keccak, blake, x11-like, wasm-…,
               unknown-pow
In a GLOB, * and ? stop at a slash, ** crosses it, {a,b} and [a-z] choose. There \
is no comm= rule: a process chooses its own name.";

const REPLAY_UNKNOWN: &str = "\
What a recording does not know:
  Of `unjack record`: which processes connected to a pool, and the SHA-256 of
  images, so that sha256= rules and lists match nothing. One of `unjack run
  --record` knows these as far as that unjack did. Of either that had
  --no-stratum: which processes spoke Stratum.
  Of any: who descends from whom, so that only the process itself is acted on, as
  with --scope process; what was lost or not sampled; what would have come back.
  Kills are taken to succeed at once, throttles to hold.";

/// Flags of `unjack run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// What to do with a miner
    ///
    /// observe reports it. throttle leaves it --throttle-to of a core, freeze
    /// stops it; both can be undone (`unjack release`). kill ends it and reports
    /// whether it is gone.
    #[arg(long, env = "UNJACK_ACTION", value_enum, default_value_t = Action::Observe)]
    pub action: Action,

    /// How the action is carried out
    #[command(flatten)]
    pub response: ResponseArgs,

    /// Who is a miner, and who is spared
    #[command(flatten)]
    pub policy: PolicyArgs,

    /// Time a process gets to end by itself after SIGTERM, before SIGKILL, 0s to 60s
    ///
    /// 0s sends SIGKILL at once.
    #[arg(long, env = "UNJACK_GRACE", value_name = "DUR", default_value = "2s", value_parser = humantime::parse_duration)]
    pub grace: Duration,

    /// How long the image of a miner that was killed is refused at exec, 0 for not
    ///
    /// The image is refused in the kernel before it runs an instruction, also
    /// under another name or when written anew with the same content, and also
    /// while unjack is not running. Never banned are files that root put into
    /// the system's directories and copies of such, runtimes such as python,
    /// images whose hashing code is in another file or generated by an
    /// interpreter, images that others execute too, what is allowed, and what
    /// only --deny condemned; with an --allow rule about who runs something
    /// (user, cgroup, unit, container, family), none. Takes --action kill. `unjack bans` lists and lifts them.
    #[arg(long, env = "UNJACK_BAN", value_name = "DUR", default_value = "24h", value_parser = ban_duration)]
    pub ban: Duration,

    /// How banned images are refused
    ///
    /// lsm has the exec fail, which takes BPF LSM; signal kills the process
    /// before it is back in user mode, and does not see scripts; auto takes
    /// lsm where it is active.
    #[arg(long, env = "UNJACK_BAN_WITH", value_name = "HOW", value_enum, default_value_t = With::Auto)]
    pub ban_with: With,

    /// Folder that bans are pinned in
    ///
    /// It must be in a BPF file system. One is mounted at /sys/fs/bpf if there
    /// is none.
    #[arg(
        long,
        env = "UNJACK_PIN_DIR",
        value_name = "DIR",
        default_value = PIN_DIR
    )]
    pub pin_dir: PathBuf,

    /// Evidence, lists and the hook.
    #[command(flatten)]
    pub extras: ExtrasArgs,

    /// Also record what is judged in this file, for `unjack replay`
    ///
    /// One that is there is overwritten. It is as `unjack record` makes it, and
    /// besides knows what the judge knew: connections to --pools, and the SHA-256
    /// that were computed.
    #[arg(long, env = "UNJACK_RECORD", value_name = "FILE")]
    pub record: Option<PathBuf>,

    /// Size at which the recording of --record ends
    ///
    /// Such as 512MiB or 2G (of 1024s), 64KiB to 1TiB.
    #[arg(long, env = "UNJACK_RECORD_MAX_SIZE", value_name = "SIZE", default_value = "512MiB", value_parser = recording_size)]
    pub record_max_size: u64,

    /// Samples a second on every processor, 1 to 999
    ///
    /// More gives a verdict on more evidence and costs more. A number that
    /// divides no round interval, like 99, does not beat with timers.
    #[arg(
        long,
        env = "UNJACK_SAMPLE_HZ",
        value_name = "N",
        default_value_t = 99,
        allow_negative_numbers = true
    )]
    pub sample_hz: u32,

    /// Where metrics are served.
    #[command(flatten)]
    pub web: WebArgs,

    /// Form of the events on standard output
    #[arg(long = "log.format", env = "UNJACK_LOG_FORMAT",
        value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    pub log_format: Format,

    /// How much the diagnostics on standard error say
    #[arg(long = "log.level", env = "UNJACK_LOG_LEVEL", value_name = "L", value_enum, default_value_t = Level::Info)]
    pub log_level: Level,
}

/// Flags of `unjack explain`.
#[derive(Args, Clone, Debug)]
pub struct ExplainArgs {
    /// Process to profile
    #[arg(value_parser = clap::value_parser!(u32).range(1..=MAX_PID))]
    pub pid: u32,

    /// How long to look, 1s to 1h
    #[arg(long = "for", env = "UNJACK_FOR", value_name = "DUR", default_value = "10s", value_parser = explain_duration)]
    pub duration: Duration,

    /// Print one JSON object
    #[arg(long, env = "UNJACK_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,
}

/// Flags of `unjack record`.
#[derive(Args, Clone, Debug)]
pub struct RecordArgs {
    /// File to write; one that is there is overwritten
    pub file: PathBuf,

    /// Size at which the recording ends before its time
    ///
    /// Such as 512MiB or 2G (of 1024s), 64KiB to 1TiB. A core that is busy is some
    /// 40 KB a second.
    #[arg(long, env = "UNJACK_MAX_SIZE", value_name = "SIZE", default_value = "512MiB", value_parser = recording_size)]
    pub max_size: u64,

    /// How long to record, 1s to 1h
    #[arg(long = "for", env = "UNJACK_FOR", value_name = "DUR", default_value = "60s", value_parser = explain_duration)]
    pub duration: Duration,

    /// Also write every sample to this file, for development
    ///
    /// Unlike the recording itself, this holds the code, registers and stack
    /// words that were sampled.
    #[arg(long, env = "UNJACK_SAMPLES", value_name = "FILE")]
    pub samples: Option<PathBuf>,

    /// Do not look at what suspects say on their own TCP connections
    ///
    /// Else it is looked at as `unjack run` does, and nothing of it is recorded but
    /// whether it was Stratum, the pools' protocol.
    #[arg(long, env = "UNJACK_NO_STRATUM", value_parser = FalseyValueParser::new())]
    pub no_stratum: bool,

    /// Command to record, with its arguments; without one the whole host
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
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
    /// Print a JSON array, one object a check
    #[arg(long, env = "UNJACK_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,
}

/// Verbosity of the diagnostics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// What went wrong.
    Error,
    /// … and what may.
    Warn,
    /// … and what happens.
    Info,
    /// … and how.
    Debug,
    /// … and every step.
    Trace,
}

impl From<Level> for tracing::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
            Level::Trace => Self::TRACE,
        }
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    number
        .parse()
        .map_err(|_| "not a percentage; write for example 10 or 10%".to_owned())
}

/// A recording's size: room for its first line and its last, and some between.
fn recording_size(text: &str) -> Result<u64, String> {
    let size = extras::size(text)?;
    if (64 << 10..=1 << 40).contains(&size) {
        Ok(size)
    } else {
        Err("must be from 64KiB to 1TiB".to_owned())
    }
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
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn run(flags: &[&str]) -> Result<RunArgs, clap::Error> {
        let cli = Cli::try_parse_from(["unjack", "run"].iter().chain(flags))?;
        match cli.command {
            Command::Run(args) => Ok(args),
            other => panic!("parsed as {other:?}"),
        }
    }

    #[test]
    fn definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let args = run(&[]).unwrap();
        assert_eq!(args.action, Action::Observe);
        assert!((args.policy.min_cpu - 2.0).abs() < f64::EPSILON);
        assert!((args.policy.min_score - 0.8).abs() < f64::EPSILON);
        assert_eq!(args.policy.window, Duration::from_secs(5));
        assert_eq!(args.grace, Duration::from_secs(2));
        assert_eq!(args.sample_hz, 99);
        assert_eq!(args.web.listen, ["127.0.0.1:10066".parse().unwrap()]);
        assert_eq!(args.log_format, Format::Text);
        assert_eq!(args.log_level, Level::Info);
        assert!(args.policy.allow.is_empty() && args.policy.deny.is_empty());
    }

    #[test]
    fn every_flag_has_its_environment_variable() {
        for command in Cli::command().get_subcommands() {
            for arg in command.get_arguments() {
                let Some(long) = arg.get_long().filter(|l| *l != "help") else {
                    continue;
                };
                let expected = format!("UNJACK_{}", long.to_uppercase().replace(['.', '-'], "_"));
                let env = arg.get_env().and_then(|e| e.to_str());
                assert_eq!(env, Some(expected.as_str()), "--{long}");
            }
        }
    }

    #[test]
    fn percent_with_and_without_its_sign() {
        assert_eq!(percent("10"), Ok(10.0));
        assert_eq!(percent("10%"), Ok(10.0));
        assert_eq!(percent("250 %"), Ok(250.0));
        assert_eq!(percent("0.5"), Ok(0.5));
        assert!(percent("ten").is_err() && percent("%").is_err() && percent("10%%").is_err());
    }

    #[test]
    fn unreadable_values_are_usage_errors_that_name_the_flag() {
        for [flag, value] in [
            ["--min-cpu", "lots"],
            ["--min-score", "high"],
            ["--window", "5"],
            ["--grace", "soon"],
            ["--sample-hz", "-1"],
            ["--action", "shout"],
            ["--web.listen-address", "10066"],
            ["--log.format", "xml"],
            ["--log.level", "loud"],
        ] {
            let error = run(&[flag, value]).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{flag}");
            assert!(error.to_string().contains(flag), "{error}");
        }
    }

    #[test]
    fn systemds_sockets_are_instead_of_others() {
        let flags = ["--web.systemd-socket", "--web.listen-address", ":1"];
        assert_eq!(run(&flags).unwrap_err().exit_code(), 2);
        assert!(run(&flags[..1]).unwrap().web.systemd_socket);
    }

    #[test]
    fn rules_repeat() {
        let args = run(&["--allow", "user=a", "--allow", "user=b"]).unwrap();
        assert_eq!(args.policy.allow, ["user=a", "user=b"]);
    }

    #[test]
    fn explain_takes_a_pid_and_a_bounded_time() {
        let parse = |flags: &[&str]| {
            Cli::try_parse_from(["unjack", "explain"].iter().chain(flags)).map(|cli| cli.command)
        };
        let ok = parse(&["42", "--for", "3s", "--json"]).unwrap();
        assert!(
            matches!(ok, Command::Explain(ExplainArgs { pid: 42, duration, json: true }) if duration.as_secs() == 3)
        );
        for bad in [
            &["0"] as &[&str],
            &["nginx"],
            &["42", "--for", "0s"],
            &["5000000"],
            &[],
        ] {
            assert_eq!(parse(bad).unwrap_err().exit_code(), 2, "{bad:?}");
        }
    }
}
