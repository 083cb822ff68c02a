//! Flags of `unjack run` on evidence, lists and the hook.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use super::accept;
use crate::{
    detect::reputation::Files,
    policy::config::{ConfigError, EvidenceLimits, Extras, HookPolicy},
};
use clap::{Args, builder::FalseyValueParser};

const POOLS_HELP: &str = "\
List of mining pools; a connection to one counts as evidence

Each line has an address, a prefix or a host name, with or without a port, and \
optionally a name: 192.0.2.0/24, 192.0.2.7:3333, [2001:db8::7]:3333 xmr, \
pool.example.org:3333. A connection that begins while unjack runs counts as \
evidence against a process that hashes. Alone it is no evidence. TCP only.";

const HOOK_HELP: &str = "\
Run this program for every verdict, without a shell

It gets the verdict event as a line of JSON on standard input, and these \
variables: UNJACK_PID, UNJACK_THREAD, UNJACK_START_TIME, UNJACK_EXE, \
UNJACK_COMM, UNJACK_VERDICT, UNJACK_UNEXPLAINED (true or false), \
UNJACK_FAMILY, UNJACK_SCORE, UNJACK_CPU_PERCENT, UNJACK_BURN_SECONDS, \
UNJACK_UNIT, UNJACK_CONTAINER (its id) and the same with _RUNTIME, _NAME and \
_IMAGE after it, UNJACK_POD (its uid) and the same with _NAMESPACE and _NAME \
after it. A variable is empty if its value is not known. The environment has \
nothing else except PATH. The program runs as unjack's user, its output is \
discarded, and at most four run at a time; more are skipped, and counted.";

/// What goes with a verdict, besides the action.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Evidence, lists and programs to run")]
pub struct ExtrasArgs {
    /// Keep evidence of each miner in this directory; without it none is kept
    ///
    /// Each miner gets a folder, named by time, pid and a hash. It holds
    /// incident.json (the verdict, its profile, the process, arguments, names
    /// of environment variables, cgroups, ancestors, sockets), code.txt (hot
    /// code, disassembled), maps.txt, and image: the program itself, even if
    /// its file was deleted. Evidence is read before the action; the process is
    /// stopped meanwhile, for a quarter of a second at most, except with
    /// --action observe. The directory is created if it does not exist; only
    /// root may have access to it.
    #[arg(long, env = "UNJACK_EVIDENCE_DIR", value_name = "DIR")]
    pub evidence_dir: Option<PathBuf>,

    /// Maximum size of all evidence; the oldest is deleted first
    ///
    /// For example 512MiB or 2G (powers of 1024), from 16MiB to 1TiB.
    #[arg(long, env = "UNJACK_EVIDENCE_MAX_SIZE", value_name = "SIZE", default_value = "256MiB", value_parser = size)]
    pub evidence_max_size: u64,

    /// Maximum number of folders of evidence, 1 to 100000; the oldest is
    /// deleted first
    #[arg(
        long,
        env = "UNJACK_EVIDENCE_MAX_COUNT",
        value_name = "N",
        default_value_t = 100,
        allow_negative_numbers = true
    )]
    pub evidence_max_count: usize,

    /// Treat a program with a SHA-256 in this file as a miner as soon as it is executed (repeatable)
    ///
    /// Each line has 64 hexadecimal digits and optionally a name, as sha256sum
    /// prints them; # begins a comment. SIGHUP reads all lists again; if a line
    /// is bad, that is reported and all old lists stay in force.
    #[arg(long, env = "UNJACK_DENY_FILE", value_name = "FILE")]
    pub deny_file: Vec<PathBuf>,

    /// Never act on a program with a SHA-256 in this file (repeatable)
    ///
    /// Same form as --deny-file, and wins over it. The file is allowed,
    /// whatever its process loads: do not list interpreters.
    #[arg(long, env = "UNJACK_ALLOW_FILE", value_name = "FILE")]
    pub allow_file: Vec<PathBuf>,

    /// List of mining pools; a connection to one counts as evidence
    #[arg(long, env = "UNJACK_POOLS", value_name = "FILE", long_help = POOLS_HELP)]
    pub pools: Option<PathBuf>,

    /// Look up host names of --pools in /etc/hosts
    ///
    /// Names are looked up when the list is read; no name server is asked. A host name
    /// that is not in /etc/hosts matches nothing. Without this flag, no host name
    /// matches. Addresses of this host itself are left out.
    #[arg(long, env = "UNJACK_POOLS_RESOLVE", value_parser = FalseyValueParser::new())]
    pub pools_resolve: bool,

    /// Refuse connections to --pools in the kernel, for all processes
    ///
    /// connect fails with EPERM under any --action, observe too. Needs BPF LSM
    /// (lsm=…,bpf on the kernel's command line). Open connections stay open,
    /// and data that is sent along with a connection, by TCP Fast Open, is not
    /// refused.
    #[arg(long, env = "UNJACK_BLOCK_POOLS", value_parser = FalseyValueParser::new())]
    pub block_pools: bool,

    /// Where a container runtime keeps its state, if not in the usual place (repeatable)
    ///
    /// For the names and images of containers: Docker's data-root, the
    /// graphroot of Podman and CRI-O, or containerd's state, as a path of the
    /// host. Files that users other than root can write are not read. Names are
    /// only shown: there is no rule by name.
    #[arg(long, env = "UNJACK_CONTAINER_DIR", value_name = "DIR")]
    pub container_dir: Vec<PathBuf>,

    /// Do not look at the TCP connections of suspects
    ///
    /// A suspect is a process that hashes, or nearly does, or has a verdict. Without
    /// this flag, unjack reads the kernel's counters of its TCP connections once a
    /// second: how much was sent and received and when, not what. If none of them
    /// behaves like one to a pool, it reads those of related processes. It also compares
    /// the first bytes that suspects send with Stratum, the pools' protocol. It keeps
    /// and reports only the name of the message and the other end.
    #[arg(long, env = "UNJACK_NO_NETWORK_EVIDENCE", value_parser = FalseyValueParser::new())]
    pub no_network_evidence: bool,

    /// Run this program for every verdict, without a shell
    #[arg(long, env = "UNJACK_ON_VERDICT", value_name = "PROGRAM", long_help = HOOK_HELP)]
    pub on_verdict: Option<PathBuf>,

    /// Argument for the program of --on-verdict (repeatable)
    #[arg(
        long,
        env = "UNJACK_ON_VERDICT_ARG",
        value_name = "ARG",
        allow_hyphen_values = true
    )]
    pub on_verdict_arg: Vec<OsString>,

    /// Time the program of --on-verdict gets, 100ms to 10m
    ///
    /// Then its process group is killed.
    #[arg(long, env = "UNJACK_ON_VERDICT_TIMEOUT", value_name = "DUR", default_value = "10s", value_parser = humantime::parse_duration)]
    pub on_verdict_timeout: Duration,
}

/// A number of bytes with a unit of 1024s.
pub(super) fn size(text: &str) -> Result<u64, String> {
    const PROBLEM: &str = "not a size; write for example 256MiB or 1G";
    let digits = text
        .find(|char: char| !char.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| PROBLEM.to_owned())?;
    let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(PROBLEM.to_owned()),
    };
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| PROBLEM.to_owned())
}

impl Extras {
    pub(crate) fn from_cli(args: &ExtrasArgs) -> Result<Self, ConfigError> {
        let ExtrasArgs {
            evidence_dir,
            evidence_max_size,
            evidence_max_count,
            deny_file,
            allow_file,
            pools,
            pools_resolve,
            block_pools,
            container_dir,
            no_network_evidence,
            on_verdict,
            on_verdict_arg,
            on_verdict_timeout,
        } = args;
        let limits = EvidenceLimits {
            size: accept(
                "--evidence-max-size",
                *evidence_max_size,
                evidence_max_size,
                "must be from 16MiB to 1TiB",
                |size| (16 << 20..=1 << 40).contains(size),
            )?,
            count: accept(
                "--evidence-max-count",
                *evidence_max_count,
                evidence_max_count,
                "must be from 1 to 100000",
                |count| (1..=100_000).contains(count),
            )?,
        };
        let limit = accept(
            "--on-verdict-timeout",
            *on_verdict_timeout,
            humantime::format_duration(*on_verdict_timeout),
            "must be from 100ms to 10m",
            |time| (Duration::from_millis(100)..=Duration::from_mins(10)).contains(time),
        )?;
        let evidence = absolute("--evidence-dir", evidence_dir.as_deref())?;
        let program = absolute("--on-verdict", on_verdict.as_deref())?;
        if program.is_none()
            && let Some(argument) = on_verdict_arg.first()
        {
            return Err(ConfigError {
                flag: "--on-verdict-arg",
                value: argument.to_string_lossy().into_owned(),
                problem: "is for the program of --on-verdict, and there is none".to_owned(),
            });
        }
        if pools.is_none() {
            for (given, flag) in [
                (*pools_resolve, "--pools-resolve"),
                (*block_pools, "--block-pools"),
            ] {
                accept(
                    flag,
                    given,
                    given,
                    "is for the list of --pools, and there is none",
                    |given| !given,
                )?;
            }
        }
        for dir in container_dir {
            absolute("--container-dir", Some(dir))?;
        }
        Ok(Self {
            container_dirs: container_dir.clone(),
            evidence: evidence.map(|directory| (directory, limits)),
            lists: Files {
                deny: deny_file.clone(),
                allow: allow_file.clone(),
                pools: pools.clone(),
                resolve: *pools_resolve,
            },
            block_pools: *block_pools,
            network: !no_network_evidence,
            hook: program.map(|program| HookPolicy {
                program,
                arguments: on_verdict_arg.clone(),
                limit,
            }),
        })
    }
}

/// A path that means the same wherever the daemon is started.
fn absolute(flag: &'static str, path: Option<&Path>) -> Result<Option<PathBuf>, ConfigError> {
    path.map(|path| {
        accept(
            flag,
            path.to_owned(),
            path.display(),
            "must be an absolute path",
            |path| path.is_absolute(),
        )
    })
    .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_with_and_without_a_unit() {
        for (text, expected) in [
            ("0", Some(0)),
            ("100", Some(100)),
            ("256MiB", Some(256 << 20)),
            ("2 g", Some(2 << 30)),
            ("1TB", Some(1 << 40)),
            ("", None),
            ("MiB", None),
            ("-1", None),
            ("1.5G", None),
            ("1 parsec", None),
            ("99999999999999999999", None),
            ("18446744073709551615K", None),
        ] {
            assert_eq!(size(text).ok(), expected, "{text:?}");
        }
    }
}
