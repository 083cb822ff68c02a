//! The command line of the corpus program, and nothing else.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::manifest::Label;

/// Installs, records, packs and judges the programs that the model is trained from.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask corpus")]
pub(super) struct Cli {
    /// Where programs and their inputs are; default: `target/corpus`.
    #[arg(long, global = true, env = "CORPUS")]
    pub(super) corpus: Option<PathBuf>,
    #[command(subcommand)]
    pub(super) step: Step,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Step {
    /// Install the programs of the manifests and make their inputs.
    Setup {
        /// Only programs with these names; `*` and `?` match what they do in a
        /// shell.
        #[arg(long, num_args = 1..)]
        only: Vec<String>,
    },
    /// Run every program and record what unjack sees of it; needs root.
    Record(Recording),
    /// Pick windows from all recordings for the file that the model is
    /// trained from.
    Pack {
        /// The recordings; default: `recordings` in the corpus's directory.
        #[arg(long = "in")]
        from: Option<PathBuf>,
        /// The file; default: `tests/corpus/windows.jsonl` of the checkout.
        #[arg(long)]
        out: Option<PathBuf>,
        /// Leave in the file what it has of programs that are not recorded here.
        #[arg(long)]
        update: bool,
    },
    /// Judge all recordings as `unjack run` would, threads and groups included,
    /// by the shipped model; fails if an honest program is taken for a miner.
    Replay {
        /// The recordings; default: `recordings` in the corpus's directory.
        #[arg(long = "in")]
        from: Option<PathBuf>,
    },
}

/// How to record.
#[derive(Debug, Args)]
pub(super) struct Recording {
    /// Only programs with these names; `*` and `?` match what they do in a
    /// shell.
    #[arg(long, num_args = 1..)]
    pub(super) only: Vec<String>,
    /// Only programs with this label.
    #[arg(long, value_enum)]
    pub(super) label: Option<Label>,
    /// Seconds of every miner's recording.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) seconds_miner: u64,
    /// Seconds of every other program's recording: these do more than one
    /// thing.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) seconds_benign: u64,
    /// Programs that run at a time; default: one a processor.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) jobs: Option<u16>,
    /// The directory of the recordings; default: `recordings` in the corpus's
    /// directory.
    #[arg(long)]
    pub(super) out: Option<PathBuf>,
    /// Record anew what is recorded already.
    #[arg(long)]
    pub(super) again: bool,
}

impl Recording {
    /// How many seconds programs of this label are recorded.
    pub(super) fn seconds(&self, label: Label) -> u64 {
        match label {
            Label::Miner => self.seconds_miner,
            Label::Hashing | Label::Other => self.seconds_benign,
        }
    }
}
