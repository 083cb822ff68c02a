//! The jobs, as `tests/honest/jobs.toml` tells them.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

/// Where programs of Debian are that a user's PATH may lack.
const SYSTEM_DIRS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// All jobs, and what they share.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Catalog {
    /// Shell text in front of every job's.
    pub(super) prelude: String,
    /// Shell text that makes the data that jobs read.
    pub(super) prepare: String,
    /// The jobs, in the order in which they have their turns.
    #[serde(rename = "job")]
    pub(super) jobs: Vec<Job>,
}

/// One kind of honest work.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Job {
    /// Unique, of letters, digits, spaces and `+ - .`.
    pub(super) name: String,
    /// Programs without which it cannot run: names, or absolute paths.
    #[serde(default)]
    needs: Vec<String>,
    /// Shell text that makes its inputs, once.
    pub(super) prepare: Option<String>,
    /// Shell text that does the work.
    pub(super) run: String,
}

impl Catalog {
    /// Reads the jobs of the checkout.
    pub(super) fn load() -> Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../honest/jobs.toml");
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let catalog: Self = toml::from_str(text)?;
        let mut slugs = BTreeSet::new();
        for job in &catalog.jobs {
            let fit = |c: char| c.is_ascii_alphanumeric() || " +-.".contains(c);
            ensure!(
                !job.name.is_empty() && job.name.chars().all(fit),
                "{:?} is no name of a job",
                job.name
            );
            ensure!(slugs.insert(job.slug()), "{:?} is there twice", job.name);
        }
        Ok(catalog)
    }
}

impl Job {
    /// Its name as part of a path and of a container's name.
    pub(super) fn slug(&self) -> String {
        self.name.replace(' ', "-").replace('+', "x")
    }

    /// Whether all programs it needs lie below one of these.
    pub(super) fn lies_in(&self, roots: &[PathBuf]) -> bool {
        self.needs.iter().all(|program| {
            find(program).is_some_and(|file| roots.iter().any(|root| file.starts_with(root)))
        })
    }

    /// The first program it needs that is not there.
    pub(super) fn missing(&self) -> Option<&str> {
        let mut needs = self.needs.iter().map(String::as_str);
        needs.find(|program| find(program).is_none())
    }
}

/// PATH for jobs: this program's, and then the system's own programs.
pub(super) fn path() -> String {
    let path = env::var("PATH").unwrap_or_default();
    let parts = path.split(':').chain(SYSTEM_DIRS);
    parts
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(":")
}

fn find(program: &str) -> Option<PathBuf> {
    let path = path();
    let mut places = path.split(':').map(|dir| Path::new(dir).join(program));
    places.find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(names: &[&str]) -> String {
        let job = |name: &&str| format!("[[job]]\nname = \"{name}\"\nrun = \"true\"\n");
        let jobs: Vec<_> = names.iter().map(job).collect();
        format!("prelude = ''\nprepare = ''\n{}", jobs.join(""))
    }

    #[test]
    fn the_jobs_of_the_checkout_are_read() {
        let catalog = Catalog::load().expect("the jobs are valid");
        assert!(catalog.jobs.len() >= super::super::MIN_KINDS);
        assert!(catalog.jobs.iter().all(|job| !job.run.trim().is_empty()));
    }

    #[test]
    fn a_name_is_unique_also_as_a_path() {
        assert!(Catalog::parse(&jobs(&["a b", "a c"])).is_ok());
        for names in [["a b", "a b"], ["a b", "a-b"], ["a/b", "c"], ["", "c"]] {
            assert!(Catalog::parse(&jobs(&names)).is_err(), "{names:?}");
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let text = jobs(&["a"]) + "needs = [\"sh\", \"no-such-program\", \"/bin/sh\"]\n";
        let catalog = Catalog::parse(&text).expect("valid");
        assert_eq!(catalog.jobs[0].missing(), Some("no-such-program"));
    }
}
