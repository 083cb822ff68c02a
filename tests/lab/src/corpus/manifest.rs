//! The manifests: which programs the corpus has, and how each is kept busy.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use globset::{Glob, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

use super::subject::{Subject, VARIANTS, stem};

/// A file of programs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(default, rename = "program")]
    programs: Vec<Program>,
}

/// One program, as its manifest tells.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Program {
    /// Unique, of `a-z 0-9 space . _ + -`.
    pub(super) name: String,
    /// What it does.
    pub(super) label: Label,
    /// What a miner computes; one of [`FAMILIES`] or `wasm-ALGORITHM`.
    pub(super) family: Option<String>,
    /// Where it comes from, in words.
    pub(super) source: String,
    /// Packages of Debian.
    #[serde(default)]
    pub(super) apt: Vec<String>,
    /// Packages of `PyPI`, for the corpus's own Python.
    #[serde(default)]
    pub(super) pip: Vec<String>,
    /// Packages of npm.
    #[serde(default)]
    pub(super) npm: Vec<String>,
    /// Crates to install, each with options after its name if need be.
    #[serde(default)]
    pub(super) cargo: Vec<String>,
    /// Shell text that makes the program's inputs.
    pub(super) prepare: Option<String>,
    /// Shell text that runs the program once.
    pub(super) run: String,
    /// Whether `run` has `{threads}` and `{duty}`, for several of both.
    #[serde(default)]
    pub(super) variants: bool,
    /// Whether it mines at a pool, whose address is POOL in its environment.
    #[serde(default)]
    pub(super) pool: bool,
    /// Seconds it prepares, at full speed, before it does what it is recorded
    /// for: recorded longer by so much, and left out.
    #[serde(default)]
    pub(super) warmup: u64,
}

/// What a program does, as far as unjack cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum Label {
    /// Proof of work.
    Miner,
    /// Hashes or ciphers, and honest: the hardest to tell from a miner.
    Hashing,
    /// Anything else.
    Other,
}

/// The families of miners; a miner in WebAssembly is `wasm-` and an algorithm.
pub(super) const FAMILIES: [&str; 11] = [
    "argon2",
    "blake",
    "cryptonight",
    "keccak",
    "randomx",
    "scrypt",
    "sha256d",
    "sha512",
    "unknown-pow",
    "x11-like",
    "yescrypt",
];

impl Program {
    /// What there is to record of it.
    pub(super) fn subjects(&self) -> impl Iterator<Item = Subject<'_>> {
        let variants = if self.variants {
            VARIANTS.map(Some).to_vec()
        } else {
            vec![None]
        };
        variants.into_iter().map(|variant| Subject {
            program: self,
            variant,
        })
    }

    /// What is wrong with it by itself.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | ' ' | '.' | '_' | '+' | '-');
        if !self.name.starts_with(|c: char| c.is_ascii_alphanumeric())
            || self.name.ends_with(' ')
            || !self.name.chars().all(allowed)
        {
            faults.push("its name is not of a-z, 0-9, space . _ + - after a letter".to_owned());
        }
        match (self.label, self.family.as_deref()) {
            (Label::Miner, None) => faults.push("a miner needs a family".to_owned()),
            (Label::Miner, Some(family)) => {
                let wasm = |family: &str| {
                    family
                        .strip_prefix("wasm-")
                        .is_some_and(|rest| !rest.is_empty())
                };
                if !FAMILIES.contains(&family) && !wasm(family) {
                    faults.push(format!(
                        "family `{family}` is neither wasm-ALGORITHM nor one of {}",
                        FAMILIES.join(", ")
                    ));
                }
            }
            (_, Some(_)) => faults.push("only a miner has a family".to_owned()),
            (_, None) if self.pool => faults.push("only a miner has a pool".to_owned()),
            (_, None) => {}
        }
        for placeholder in ["{threads}", "{duty}"] {
            if self.run.contains(placeholder) != self.variants {
                let has = if self.variants { "lacks" } else { "has" };
                faults.push(format!(
                    "variants = {}, but `run` {has} {placeholder}",
                    self.variants
                ));
            }
        }
        for (what, text) in [("source", &self.source), ("run", &self.run)] {
            if text.trim().is_empty() {
                faults.push(format!("its {what} is empty"));
            }
        }
        let packages = [&self.apt, &self.pip, &self.npm, &self.cargo];
        if packages
            .into_iter()
            .flatten()
            .any(|name| name.trim().is_empty() || name.starts_with('-'))
        {
            faults.push("a package's name is empty or an option".to_owned());
        }
        faults
    }
}

/// Reads every manifest of a directory; no program at all if it is not there.
///
/// # Errors
///
/// When a file cannot be read, is no manifest, or says what cannot be; then
/// with all there is to mend.
pub(super) fn load(dir: &Path) -> Result<Vec<Program>> {
    let mut files = match fs::read_dir(dir) {
        Ok(entries) => entries
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<Vec<_>>>()?,
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", dir.display())),
    };
    files.retain(|file| file.extension().is_some_and(|ext| ext == "toml"));
    files.sort();
    let mut programs = Vec::new();
    for file in files {
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        programs.extend(parse(&text).with_context(|| file.display().to_string())?);
    }
    check(&programs)?;
    Ok(programs)
}

fn parse(text: &str) -> Result<Vec<Program>> {
    Ok(toml::from_str::<Manifest>(text)?.programs)
}

fn check(programs: &[Program]) -> Result<()> {
    let mut faults = Vec::new();
    let mut stems: HashMap<String, &str> = HashMap::new();
    for program in programs {
        let fault = |what| format!("  `{}`: {what}", program.name);
        faults.extend(program.faults().into_iter().map(fault));
        // Names that differ only in spaces would share a recording.
        if let Some(other) = stems.insert(stem(&program.name), &program.name) {
            faults.push(format!(
                "  `{}`: its name is not unique (`{other}`)",
                program.name
            ));
        }
    }
    if !faults.is_empty() {
        bail!("the manifests need mending:\n{}", faults.join("\n"));
    }
    Ok(())
}

/// Which programs a command line means.
pub(super) struct Filter {
    /// Empty: all.
    names: GlobSet,
    label: Option<Label>,
}

impl Filter {
    /// Names with `*` and `?`, and a label; without any, all.
    pub(super) fn new(names: &[String], label: Option<Label>) -> Result<Self> {
        let mut set = GlobSetBuilder::new();
        for name in names {
            set.add(Glob::new(name)?);
        }
        let names = set.build()?;
        Ok(Self { names, label })
    }

    /// Whether it means this one.
    pub(super) fn wants(&self, program: &Program) -> bool {
        (self.names.is_empty()
            || self.names.is_match(&program.name)
            || self.names.is_match(stem(&program.name)))
            && self.label.is_none_or(|label| label == program.label)
    }
}

#[cfg(test)]
mod tests;
