//! The flags of `unjack record`.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, builder::FalseyValueParser};

use super::{explain_duration, extras};

/// Flags of `unjack record`.
#[derive(Args, Clone, Debug)]
pub struct RecordArgs {
    /// File to write; an existing one is overwritten
    pub file: PathBuf,

    /// Size at which the recording ends before its time
    ///
    /// For example 512MiB or 2G (powers of 1024), from 64KiB to 1TiB. A busy
    /// core takes some 40 KB a second.
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

    /// Do not look at the TCP connections of suspects
    ///
    /// Without this flag, connections are looked at as in `unjack run`. The
    /// recording has how much they sent and received and when, and whether that
    /// was Stratum, the pools' protocol. It has no other content.
    #[arg(long, env = "UNJACK_NO_NETWORK_EVIDENCE", value_parser = FalseyValueParser::new())]
    pub no_network_evidence: bool,

    /// Command to record, with its arguments; without one the whole host
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// A recording's size: room for its first line and its last, and some between.
pub(super) fn recording_size(text: &str) -> Result<u64, String> {
    let size = extras::size(text)?;
    if (64 << 10..=1 << 40).contains(&size) {
        Ok(size)
    } else {
        Err("must be from 64KiB to 1TiB".to_owned())
    }
}
