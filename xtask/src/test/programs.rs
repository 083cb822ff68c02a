//! The test programs, as cargo builds them and says where they are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{PROFILE, Wanted, not_suites};
use crate::shell;
use crate::workspace::Workspace;

/// A program with tests in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// As its target is called.
    pub(super) name: String,
    /// Its package's folder, where it is started as cargo does it.
    dir: PathBuf,
    /// The program.
    path: PathBuf,
    /// It is a file of the package's folder `tests`.
    integration: bool,
}

impl Program {
    /// It is one of the suites, which need root.
    pub(super) fn is_suite(&self, workspace: &Workspace) -> bool {
        self.integration && self.dir == workspace.root.join("tests")
    }

    /// The program.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its package's folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A command that runs it as cargo would.
    pub(super) fn command(&self) -> Command {
        let mut command = shell::command(&self.path);
        command
            .current_dir(&self.dir)
            .env("CARGO_MANIFEST_DIR", &self.dir);
        command
    }
}

/// Builds what is wanted.
pub(super) fn build(workspace: &Workspace, wanted: &Wanted) -> Result<Vec<Program>> {
    let mut cargo = workspace.cargo(&["test", "--workspace", "--no-run"]);
    cargo.args(PROFILE).args(not_suites(wanted));
    for suite in wanted.suites {
        cargo.args(["--test", suite]);
    }
    cargo
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit());
    eprintln!("  $ {}", shell::render(&cargo));
    let told = cargo.output().context("cannot start cargo")?;
    ensure!(told.status.success(), "cargo's own messages are above");
    let programs = told_programs(&told.stdout);
    let names: BTreeSet<&str> = programs
        .iter()
        .filter(|program| program.is_suite(workspace))
        .map(|program| program.name.as_str())
        .collect();
    if let Some(none) = wanted
        .suites
        .iter()
        .find(|suite| !names.contains(suite.as_str()))
    {
        anyhow::bail!("`{none}` is no suite of tests/tests");
    }
    Ok(programs)
}

/// The programs in what cargo tells in JSON:
/// <https://doc.rust-lang.org/cargo/reference/external-tools.html>.
fn told_programs(told: &[u8]) -> Vec<Program> {
    let messages = serde_json::Deserializer::from_slice(told).into_iter::<Value>();
    messages
        .map_while(Result::ok)
        .filter(|message| message["profile"]["test"] == true)
        .filter_map(|message| {
            let manifest = Path::new(message["manifest_path"].as_str()?);
            let kinds = message["target"]["kind"].as_array()?;
            Some(Program {
                name: message["target"]["name"].as_str()?.to_owned(),
                dir: manifest.parent()?.to_owned(),
                path: PathBuf::from(message["executable"].as_str()?),
                integration: kinds.iter().any(|kind| kind == "test"),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_told_from_unit_tests_and_from_other_crates_tests() {
        let told = br#"{"reason":"compiler-artifact","manifest_path":"/x/tests/Cargo.toml","target":{"kind":["lib"],"name":"tests"},"profile":{"test":false},"executable":null}
{"reason":"compiler-artifact","manifest_path":"/x/tests/Cargo.toml","target":{"kind":["bin"],"name":"turncoat"},"profile":{"test":false},"executable":"/t/turncoat"}
{"reason":"compiler-artifact","manifest_path":"/x/tests/Cargo.toml","target":{"kind":["lib"],"name":"tests"},"profile":{"test":true},"executable":"/t/tests-1"}
{"reason":"compiler-artifact","manifest_path":"/x/tests/Cargo.toml","target":{"kind":["test"],"name":"bans"},"profile":{"test":true},"executable":"/t/bans-1"}
{"reason":"compiler-artifact","manifest_path":"/x/packaging/Cargo.toml","target":{"kind":["test"],"name":"docs"},"profile":{"test":true},"executable":"/t/docs-1"}
{"reason":"build-finished","success":true}
"#;
        let workspace = Workspace {
            root: PathBuf::from("/x"),
            target: PathBuf::from("/x/target"),
        };
        let programs = told_programs(told);
        let found: Vec<(&str, bool)> = programs
            .iter()
            .map(|program| (program.name.as_str(), program.is_suite(&workspace)))
            .collect();
        assert_eq!(found, [("tests", false), ("bans", true), ("docs", false)]);
        assert_eq!(programs[1].path(), Path::new("/t/bans-1"));
        assert_eq!(programs[1].dir(), Path::new("/x/tests"));
    }
}
