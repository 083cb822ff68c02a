//! The command line of `unjack bans`, and what `unjack run` shares with it.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, builder::FalseyValueParser};

use crate::kernel::probe::bans::With;

/// Where bans are pinned.
pub(super) const PIN_DIR: &str = "/sys/fs/bpf/unjack";

/// Flags of `unjack bans`.
#[derive(Args, Clone, Debug)]
pub struct BansArgs {
    /// Folder that bans are pinned in
    #[arg(
        long,
        env = "UNJACK_PIN_DIR",
        value_name = "DIR",
        default_value = PIN_DIR,
        global = true
    )]
    pub pin_dir: PathBuf,

    /// What to do.
    #[command(subcommand)]
    pub command: BansCommand,
}

/// What `unjack bans` can do.
#[derive(Clone, Debug, Subcommand)]
pub enum BansCommand {
    /// Show all bans, and how often each refused an exec
    List {
        /// Print a JSON array, one object a ban
        #[arg(long, env = "UNJACK_JSON", value_parser = FalseyValueParser::new())]
        json: bool,
    },
    /// Ban a file, and all copies with the same owner while `unjack run` is running
    ///
    /// The rules that protect the system's own files and runtimes hold here too.
    Add {
        /// File to ban
        file: PathBuf,

        /// How long
        #[arg(long = "for", env = "UNJACK_FOR", value_name = "DUR", default_value = "24h", value_parser = ban_duration)]
        duration: Duration,

        /// How it is refused, if it is the first ban; see `unjack run --help`
        #[arg(long, env = "UNJACK_BAN_WITH", value_name = "HOW", value_enum, default_value_t = With::Auto)]
        ban_with: With,
    },
    /// Lift a ban and the bans of its copies
    Remove {
        /// The ban's id, or at least six digits of it; or a file
        what: PathBuf,
    },
    /// Lift all bans and unload their programs
    Flush,
}

pub(super) fn ban_duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    humantime::parse_duration(text).map_err(|e| e.to_string())
}
