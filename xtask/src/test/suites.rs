//! The suites: as root, most of them one after the other.
//!
//! A few run side by side: much of their time is spent waiting, and none has a daemon
//! that acts on processes of other tests. What may run at the same time within them is decided
//! by the harness, test by test, with lock files (`tests/src/host/turn.rs`); a suite that
//! is missing here is only slower.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

use super::Wanted;
use super::programs::Program;
use crate::shell::{self, Privilege};
use crate::timing::Timing;
use crate::workspace::Workspace;

/// The suites that run side by side.
const SIDE_BY_SIDE: [&str; 7] = [
    "exporter",
    "monitoring",
    "replay",
    "respond",
    "shows",
    "top",
    "wrong_input",
];
/// What the suites judge and judge by, built as it is shipped.
const PROGRAMS: [&str; 3] = ["unjack", "workload", "reborn"];

/// Builds what the suites need, and runs them.
pub(super) fn run(
    workspace: &Workspace,
    suites: Vec<Program>,
    wanted: &Wanted,
    timing: &mut Timing,
) {
    let built = timing.step("build of the daemon and workloads", || {
        Privilege::detect().prefix().context(
            "the suites load probes and did NOT run (`cargo xtask test --fast` is for the \
             other tests alone)",
        )?;
        workspace.build(&PROGRAMS)
    });
    let Some(built) = built else { return };
    let place = Place {
        variables: match variables(workspace, &built) {
            Ok(variables) => variables,
            Err(error) => {
                timing.note("suites", Duration::ZERO, Err::<(), _>(error));
                return;
            }
        },
        workspace,
        wanted,
    };
    let (beside, alone): (Vec<_>, Vec<_>) = suites
        .into_iter()
        .partition(|suite| SIDE_BY_SIDE.contains(&suite.name.as_str()));
    // The output of each is kept, and shown in one piece.
    let ended = thread::scope(|scope| {
        let threads: Vec<_> = beside
            .iter()
            .map(|suite| (suite, scope.spawn(|| place.quietly(suite))))
            .collect();
        let join = |(suite, thread): (_, thread::ScopedJoinHandle<'_, _>)| {
            let ended = thread.join();
            (
                suite,
                ended.unwrap_or_else(|_| (Duration::ZERO, Err(anyhow!("panicked")))),
            )
        };
        threads
            .into_iter()
            .map(join)
            .collect::<Vec<(&Program, _)>>()
    });
    for (suite, (took, done)) in ended {
        place.show(suite);
        timing.note(format!("suite {} (beside others)", suite.name), took, done);
    }
    for suite in &alone {
        timing.step(format!("suite {}", suite.name), || {
            shell::run(&mut place.command(suite)?)
        });
    }
}

/// The suites' environment.
fn variables(workspace: &Workspace, daemon: &std::path::Path) -> Result<Vec<(String, String)>> {
    let mut variables = shell::inherited_variables();
    let path = workspace.path()?.to_string_lossy().into_owned();
    variables.push(("UNJACK_BIN".to_owned(), daemon.display().to_string()));
    variables.push(("PATH".to_owned(), path));
    Ok(variables)
}

/// Where and how suites run.
struct Place<'a> {
    workspace: &'a Workspace,
    wanted: &'a Wanted<'a>,
    variables: Vec<(String, String)>,
}

impl Place<'_> {
    fn command(&self, suite: &Program) -> Result<std::process::Command> {
        let mut command = Privilege::detect().elevate(suite.path(), &self.variables)?;
        command
            .current_dir(suite.dir())
            .arg("--test-threads=1")
            .args(self.wanted.arguments);
        Ok(command)
    }

    fn log(&self, suite: &Program) -> std::path::PathBuf {
        let folder = self.workspace.target.join("suites");
        folder.join(&suite.name).with_extension("log")
    }

    /// Runs a suite with its output in a file.
    fn quietly(&self, suite: &Program) -> (Duration, Result<()>) {
        let begun = Instant::now();
        let run = || {
            let path = self.log(suite);
            fs::create_dir_all(path.parent().context("a log in no folder")?)?;
            let log = File::create(&path)?;
            let mut command = self.command(suite)?;
            command.stdout(log.try_clone()?).stderr(log);
            let status = command.status().context("cannot start it")?;
            if !status.success() {
                bail!(
                    "failed ({status}); its output is above and in {}",
                    path.display()
                );
            }
            Ok(())
        };
        let done = run();
        (begun.elapsed(), done)
    }

    fn show(&self, suite: &Program) {
        let output = fs::read(self.log(suite)).unwrap_or_default();
        eprintln!("suite {}:", suite.name);
        // A closed pipe behind this is no failure of the tests.
        let _ = io::stdout().write_all(&output);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_that_runs_beside_others_is_there() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/tests");
        for suite in SIDE_BY_SIDE {
            let there = [format!("{suite}.rs"), format!("{suite}/main.rs")];
            assert!(
                there.iter().any(|file| folder.join(file).is_file()),
                "{suite}"
            );
        }
    }
}
