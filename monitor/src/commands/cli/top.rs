//! Flags of `unjack top`.

use std::time::Duration;

use clap::{Args, ValueEnum, builder::FalseyValueParser};

use super::explain_duration;

/// What a list of processes is sorted by; those that are alike by burn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// Miners, then what hashes, then suspects.
    #[default]
    Verdict,
    /// CPU use.
    Cpu,
    /// Score.
    Score,
    /// CPU seconds so far.
    Time,
    /// Name of the family; those of none last.
    Family,
    /// Process id, the lowest first.
    Pid,
}

/// Flags of `unjack top`.
#[derive(Args, Clone, Debug)]
pub struct TopArgs {
    /// Print one table and end
    ///
    /// This is the default if standard output is no terminal.
    #[arg(long, env = "UNJACK_ONCE", value_parser = FalseyValueParser::new())]
    pub once: bool,

    /// Print the table as one JSON object and end
    #[arg(long, env = "UNJACK_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,

    /// How long to run, 1s to 1h: until the one table is printed (default 8s), or until
    /// the screen closes
    ///
    /// A verdict takes some five seconds at a whole core.
    #[arg(long = "for", env = "UNJACK_FOR", value_name = "DUR", value_parser = explain_duration)]
    pub duration: Option<Duration>,

    /// Time between updates of the screen, 1s to 1h
    #[arg(long, env = "UNJACK_DELAY", value_name = "DUR", default_value = "1s", value_parser = explain_duration)]
    pub delay: Duration,

    /// What to sort by
    #[arg(long, env = "UNJACK_SORT", value_name = "KEY", value_enum, default_value_t = Sort::Verdict)]
    pub sort: Sort,

    /// Sort the other way round
    #[arg(long, env = "UNJACK_REVERSE", value_parser = FalseyValueParser::new())]
    pub reverse: bool,
}
