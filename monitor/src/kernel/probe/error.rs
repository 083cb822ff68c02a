//! Why the probes cannot be loaded, attached or read.

use std::io;

use aya::{EbpfError, maps::MapError, programs::ProgramError};

use crate::kernel::btf::BtfError;

/// The probes could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The kernel's types.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// The object did not load.
    #[error("the kernel refuses the probes' maps: {}; run `unjack doctor` to see what this host lacks", chain(.0))]
    Load(#[from] EbpfError),
    /// A program did not load or attach.
    #[error("the kernel refuses probe {name}: {}; run `unjack doctor` to see what this host lacks", chain(.source))]
    Program {
        /// The program.
        name: &'static str,
        /// What the kernel said.
        source: ProgramError,
    },
    /// A map is not there or not of its type.
    #[error("map {name}: {}", chain(.source))]
    Map {
        /// The map.
        name: &'static str,
        /// What is wrong.
        source: MapError,
    },
    /// The object lacks something the collector expects.
    #[error("the probes' object has no {0}: probes and collector were not built together")]
    Mismatch(&'static str),
    /// Programs of the kernel's security hooks are not called.
    #[error(
        "--block-pools needs BPF LSM, which is not active here ({why}): boot the kernel with bpf \
         at the end of the list in lsm= (CONFIG_LSM has the present one), or leave the flag out"
    )]
    NoLsm {
        /// How that shows.
        why: String,
    },
    /// A system call.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl ProbeError {
    /// What was refused and why, without what to do about it.
    #[must_use]
    pub fn refusal(&self) -> String {
        match self {
            Self::Program { name, source } => format!("{name}: {}", chain(source)),
            Self::Load(source) => chain(source),
            other => other.to_string(),
        }
    }
}

/// An error with its sources, on one line each, without the verifier's log
/// beyond its last lines: the whole can be megabytes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    let lines: Vec<&str> = text.lines().collect();
    let skip = lines.len().saturating_sub(12);
    if skip == 0 {
        return text;
    }
    format!("{} […]\n{}", lines[0], lines[skip.max(1)..].join("\n"))
}
