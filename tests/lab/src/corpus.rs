//! The `corpus` program: what the model is trained from.
//!
//! Owns the way from the manifests in `tests/corpus/*.toml`, which name real
//! programs and say how to keep them busy, to `tests/corpus/windows.jsonl`,
//! what unjack sees of them. `cargo xtask corpus` builds and runs it:
//!
//! | step | module | in | out |
//! |---|---|---|---|
//! | `setup` | `setup`, `inputs` | manifests | programs installed, inputs made |
//! | `record` | `record`, `job` | programs | a recording each, by `unjack record` |
//! | `pack` | `pack`, `refold`, `recording` | recordings | one small file, kept in the repository |
//! | `replay` | `replay` | recordings | verdicts, as `unjack replay` has them |
//!
//! Miners mine at a [`Pool`](tests::pool::Pool) while they are recorded.
//!
//! `manifest` reads the manifests, `subject` is a program in one of its
//! variants, and `place` is the directory and the environment in which they
//! run.

mod cli;
mod inputs;
mod job;
mod manifest;
mod pack;
mod place;
mod record;
mod recording;
mod refold;
mod replay;
mod setup;
mod subject;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;

use self::cli::{Cli, Step};
use self::manifest::{Filter, Program};
pub(crate) use self::pack::CODE;
use self::place::Place;

/// Parses the command line and does the step. Fails when any program did,
/// after all of them had their turn.
#[must_use]
pub fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let programs = manifest::load(&place::manifests())?;
    match &cli.step {
        Step::Setup { only } => {
            let place = Place::find(cli.corpus.clone())?;
            setup::run(&place, &chosen(programs, only, None)?)
        }
        Step::Record(options) => {
            let place = Place::find(cli.corpus.clone())?;
            let programs = chosen(programs, &options.only, options.label)?;
            record::run(&place, &programs, options)
        }
        Step::Pack { from, out, update } => {
            let from = recordings(cli, from.as_ref())?;
            let out = out
                .clone()
                .unwrap_or_else(|| place::manifests().join("windows.jsonl"));
            pack::run(&programs, &from, &out, *update)
        }
        Step::Replay { from } => replay::run(&programs, &recordings(cli, from.as_ref())?),
    }
}

/// Where the recordings are: as the command line says, else in the corpus.
fn recordings(cli: &Cli, from: Option<&PathBuf>) -> Result<PathBuf> {
    Ok(match from {
        Some(dir) => dir.clone(),
        None => place::corpus(cli.corpus.clone())?.join("recordings"),
    })
}

/// The programs that the command line asks for.
fn chosen(
    mut programs: Vec<Program>,
    only: &[String],
    label: Option<manifest::Label>,
) -> Result<Vec<Program>> {
    ensure!(
        !programs.is_empty(),
        "no program in {}/*.toml",
        place::manifests().display()
    );
    let filter = Filter::new(only, label)?;
    programs.retain(|program| filter.wants(program));
    ensure!(!programs.is_empty(), "no program of the manifests is meant");
    Ok(programs)
}
