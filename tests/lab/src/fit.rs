//! The model: fitted to the recordings of the corpus, and judged by programs
//! it was not fitted to.
//!
//! In: `tests/corpus/windows.jsonl`, the packed recordings. Out: the model's
//! data and `docs/DETECTION.md`. Everything is split by program, never by
//! window: two windows of one program are all but the same, and a model that
//! saw one knows the other.

mod connect;
mod data;
mod evaluate;
mod report;
mod train;

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use unjack_core::score::{Family, Model, ModelData};

pub use self::{
    connect::Connection,
    data::{Corpus, Label, Program},
    evaluate::{Evaluation, Judged},
    train::train,
};

/// Fits the model to the corpus, or judges it.
#[derive(Debug, Parser)]
struct Cli {
    /// The packed recordings.
    #[arg(long, default_value = "tests/corpus/windows.jsonl")]
    corpus: PathBuf,
    /// The model.
    #[arg(long, default_value = "monitor/core/model/model.json")]
    model: PathBuf,
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, Subcommand)]
enum Step {
    /// Print what the model says of a program of the corpus, and why.
    Show {
        /// Its name in the manifests.
        name: String,
    },
    /// Fit the model to all programs of the corpus and write it.
    Train,
    /// Judge every program with a model that never saw it, print the result
    /// and write it.
    Evaluate {
        /// The document.
        #[arg(long, default_value = "docs/DETECTION.md")]
        out: PathBuf,
        /// Why programs fail, by name.
        #[arg(long, default_value = "tests/lab/src/fit/failures.toml")]
        failures: PathBuf,
    },
}

/// Does what the command line says.
///
/// # Errors
/// Something cannot be read, fitted or written.
pub fn main() -> Result<()> {
    let cli = Cli::parse();
    let corpus = Corpus::read(&cli.corpus)?;
    match cli.step {
        Step::Show { name } => {
            let json = fs::read_to_string(&cli.model)
                .with_context(|| format!("cannot read {}", cli.model.display()))?;
            let model = Model::new(serde_json::from_str(&json)?)?;
            let mut programs = corpus.programs.iter();
            let program = programs.find(|program| program.name == name);
            let program = program.with_context(|| format!("the corpus has no {name:?}"))?;
            for summary in program.windows() {
                let (found, evidence) = model.explain(summary);
                println!(
                    "hashing {:.2}, score {:.2}, family {:?}",
                    found.hashing,
                    found.score,
                    Family::name_or_empty(found.family)
                );
                for line in evidence {
                    println!("  {line}");
                }
            }
        }
        Step::Train => {
            let data = train(&corpus.programs)?;
            let json = serde_json::to_string_pretty(&data)? + "\n";
            fs::write(&cli.model, json)
                .with_context(|| format!("cannot write {}", cli.model.display()))?;
            println!(
                "{}: fitted to {} programs, {} prototypes",
                cli.model.display(),
                corpus.programs.len(),
                data.prototypes.len()
            );
        }
        Step::Evaluate { out, failures } => {
            let json = fs::read_to_string(&cli.model)
                .with_context(|| format!("cannot read {}", cli.model.display()))?;
            let data: ModelData = serde_json::from_str(&json)?;
            let evaluation = Evaluation::of(&corpus.programs, &Model::new(data.clone())?)?;
            let reasons = report::reasons(&failures)?;
            let text = report::document(&evaluation, &data, &corpus, &reasons);
            fs::write(&out, text).with_context(|| format!("cannot write {}", out.display()))?;
            print!("{}", report::summary(&evaluation));
            println!("{} has a row for every program", out.display());
        }
    }
    Ok(())
}
