//! The policy on evidence, lists and the hook.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use crate::detect::reputation::Files;

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
