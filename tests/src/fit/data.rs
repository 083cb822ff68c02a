//! The packed recordings, by program.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, bail};
use monitor::profile::{Place, Summary};
use serde::Deserialize;

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

    /// The same program, had nobody listened to what it says; or had it said what
    /// a miner says.
    #[must_use]
    pub fn heard(&self, stratum: bool) -> Self {
        let mut program = self.clone();
        for (_, summary) in program.runs.values_mut().flatten() {
            summary.stratum = stratum;
        }
        program
    }

    /// The same program, had somebody else than root installed it.
    #[must_use]
    pub fn installed_by_a_user(&self) -> Self {
        let mut program = self.clone();
        for (_, summary) in program.runs.values_mut().flatten() {
            for places in [&mut summary.places, &mut summary.mixing_places] {
                if let Some(share) = places.remove(&Place::System) {
                    *places.entry(Place::File).or_default() += share;
                }
            }
        }
        program
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
            let line: Line = serde_json::from_value(value)
                .with_context(|| format!("{}, line {number}", path.display()))?;
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
