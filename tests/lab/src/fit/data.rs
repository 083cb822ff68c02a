//! The packed recordings, by program.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use unjack_core::profile::{Burn, Code, Summary};

use crate::{
    code::{self, Kept},
    corpus::CODE,
};

/// What a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// Proof of work.
    Miner,
    /// Hashing, ciphers, password checks: for something.
    Hashing,
    /// All else.
    Other,
}

impl Label {
    /// Its name in the manifests.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Miner => "miner",
            Self::Hashing => "hashing",
            Self::Other => "other",
        }
    }
}

/// All that was recorded of one program.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name in the manifest.
    pub name: String,
    /// What it is.
    pub label: Label,
    /// Family of hash algorithm, of miners.
    pub family: String,
    /// It mined at a pool while it was recorded.
    pub pool: bool,
    /// Windows that share no sample, by variant and process, in order of time:
    /// seconds and summary.
    pub runs: BTreeMap<(String, u32), Vec<(f64, Summary)>>,
}

impl Program {
    /// All its windows.
    pub fn windows(&self) -> impl Iterator<Item = &Summary> {
        self.runs.values().flatten().map(|(_, summary)| summary)
    }
}

/// The corpus.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// In order of name.
    pub programs: Vec<Program>,
    /// What the recordings' headers say, once each.
    pub hosts: Vec<String>,
}

#[derive(Deserialize)]
struct Line {
    program: String,
    label: Label,
    #[serde(default)]
    family: Option<String>,
    variant: Option<String>,
    #[serde(default)]
    pool: bool,
    t: f64,
    pid_index: u32,
    summary: Summary,
}

/// The code of the windows, from which what depends on it is computed anew.
struct Codes {
    kept: Kept,
    /// The number of a window in it, by program, variant and process, and the time in
    /// hundredths of a second.
    numbers: BTreeMap<(String, String, u32, u64), usize>,
}

impl Codes {
    /// Those that lie beside a file of windows; none if there are none.
    fn beside(windows: &Path) -> Result<Self> {
        let file = windows.with_file_name(CODE);
        let kept = if file.is_file() {
            Kept::read(&file)?
        } else {
            Kept::default()
        };
        let numbers = (0..).zip(&kept.windows).map(|(number, window)| {
            let code::Window {
                program,
                variant,
                pid_index,
                t,
                seen: _,
            } = window;
            let key = (program.clone(), variant.clone(), *pid_index, hundredths(*t));
            (key, number)
        });
        Ok(Self {
            numbers: numbers.collect(),
            kept,
        })
    }

    /// Computes a window's summary anew, as far as it follows from its code.
    fn read_again(&mut self, line: &mut Line) -> Result<()> {
        let variant = line.variant.clone().unwrap_or_default();
        let key = (
            line.program.clone(),
            variant,
            line.pid_index,
            hundredths(line.t),
        );
        let Some(window) = self.numbers.get(&key).map(|n| &self.kept.windows[*n]) else {
            return Ok(());
        };
        let looks = self.kept.looks(window)?;
        let of_code = Summary::of(looks.iter(), 0, &Burn::default());
        let Code {
            mix,
            mixing_share,
            mixing,
            mixing_places,
            undecodable_share,
            places,
            ..
        } = of_code.code;
        line.summary.marks = of_code.marks;
        line.summary.code = Code {
            mix,
            mixing_share,
            mixing,
            mixing_places,
            undecodable_share,
            places,
            ..std::mem::take(&mut line.summary.code)
        };
        Ok(())
    }
}

/// Seconds as a whole number that tells windows apart.
fn hundredths(seconds: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a recording lasts minutes"
    )]
    let hundredths = (100.0 * seconds).round() as u64;
    hundredths
}

impl Corpus {
    /// Reads a file of packed recordings.
    ///
    /// # Errors
    /// It cannot be read, or a line is not of its form.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| {
            format!(
                "cannot read {}; `cargo xtask corpus pack` makes it",
                path.display()
            )
        })?;
        let mut programs: BTreeMap<String, Program> = BTreeMap::new();
        let mut hosts = Vec::new();
        let mut codes = Codes::beside(path)?;
        for (number, line) in (1..).zip(text.lines()) {
            let value: serde_json::Value = serde_json::from_str(line)
                .with_context(|| format!("{}, line {number}", path.display()))?;
            if value.get("summary").is_none() {
                let processor = &value["header"]["processor"];
                let kernel = &value["header"]["kernel"];
                let host = format!(
                    "{}, Linux {}",
                    processor.as_str().unwrap_or("unknown processor"),
                    kernel.as_str().unwrap_or("unknown")
                );
                if !hosts.contains(&host) {
                    hosts.push(host);
                }
                continue;
            }
            let mut line: Line = serde_json::from_value(value)
                .with_context(|| format!("{}, line {number}", path.display()))?;
            codes.read_again(&mut line)?;
            let program = programs
                .entry(line.program.clone())
                .or_insert_with(|| Program {
                    name: line.program,
                    label: line.label,
                    family: line.family.unwrap_or_default(),
                    pool: false,
                    runs: BTreeMap::new(),
                });
            program.pool |= line.pool;
            let run = (line.variant.unwrap_or_default(), line.pid_index);
            program
                .runs
                .entry(run)
                .or_default()
                .push((line.t, line.summary));
        }
        if programs.is_empty() {
            bail!("{} holds no window", path.display());
        }
        Ok(Self {
            programs: programs.into_values().collect(),
            hosts,
        })
    }
}
