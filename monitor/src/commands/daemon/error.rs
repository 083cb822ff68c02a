//! Why the daemon could not start.

use std::{io, path::PathBuf};

use crate::{
    kernel::probe::ProbeError,
    telemetry::web::{file::FileError, listen::BindError},
};
use unjack_core::score::ModelError;

/// The daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The probes.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The listening socket.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The file of `--web.config.file`.
    #[error(transparent)]
    WebFile(#[from] FileError),
    /// The shipped model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The metrics' own registry.
    #[error("cannot set up metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// No decoder for this processor.
    #[error("unjack cannot read this processor's instructions; it knows x86_64 and aarch64")]
    Arch,
    /// The directory of evidence.
    #[error(
        "evidence cannot be kept in {}: {source}; name another --evidence-dir, or none",
        directory.display()
    )]
    Evidence {
        /// Which.
        directory: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file of `--record`.
    #[error("cannot record in {}: {source}; name another --record, or none", path.display())]
    Record {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The runtime.
    #[error("cannot start: {0}")]
    Io(#[from] io::Error),
}
