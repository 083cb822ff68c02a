//! The policy on evidence, lists and the hook.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{ConfigError, accept};
use crate::{commands::cli::ExtrasArgs, detect::reputation::Files};

/// What goes with a verdict, validated.
#[derive(Clone, Debug)]
pub struct Extras {
    /// Where evidence is kept, if it is, and how much.
    pub evidence: Option<(PathBuf, EvidenceLimits)>,
    /// The lists.
    pub lists: Files,
    /// Connections to listed pools are refused.
    pub block_pools: bool,
    /// Places of container runtimes, beside the usual.
    pub container_dirs: Vec<PathBuf>,
    /// Connections of suspects are looked at, and what is said on them.
    pub network: bool,
    /// What is run for every verdict.
    pub hook: Option<HookPolicy>,
}

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookPolicy {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// How long it may take.
    pub limit: Duration,
}

/// What may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvidenceLimits {
    /// Bytes of all folders together.
    pub size: u64,
    /// Folders.
    pub count: usize,
}

impl Extras {
    pub(super) fn from_cli(args: &ExtrasArgs) -> Result<Self, ConfigError> {
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
