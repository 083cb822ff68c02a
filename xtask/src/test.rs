//! `cargo xtask test`: every test there is.
//!
//! The pure ones run as the caller. The suites of the crate `tests` run the real daemon
//! on the real kernel: they are built as the caller and run as root, one test of a suite
//! at a time, because tests share the machine's processors and its clock.
//!
//! Everything is built in release's folder, so that no library is compiled twice: the
//! daemon and the workloads as they are shipped, the tests by the profile `bench`
//! (`Cargo.toml` says why). The whole workspace is selected each time, because cargo
//! compiles a library anew when another selection asks for other features of it.

mod programs;
mod suites;

use std::ffi::OsString;
use std::time::Instant;

use anyhow::{Result, ensure};

use self::programs::Program;
use crate::setup::{self, Extras, Route};
use crate::shell;
use crate::timing::Timing;
use crate::workspace::Workspace;

/// The profile of everything that is built to be tested or linted and not shipped.
pub(crate) const PROFILE: [&str; 2] = ["--profile", "bench"];

/// Which tests are wanted.
pub(crate) struct Wanted<'a> {
    /// Only those that need no root.
    pub(crate) fast: bool,
    /// Only these suites, if there are any.
    pub(crate) suites: &'a [String],
    /// Arguments of the test programs, such as part of a test's name.
    pub(crate) arguments: &'a [OsString],
}

/// Sets up and runs the tests, and prints how long each step took.
pub(crate) fn run(workspace: &Workspace, wanted: &Wanted) -> Result<()> {
    let begun = Instant::now();
    let mut timing = Timing::default();
    steps(workspace, wanted, &mut timing);
    timing.finish("test", begun.elapsed())
}

/// The steps. Suites run even if other tests failed, so that one run tells all.
pub(crate) fn steps(workspace: &Workspace, wanted: &Wanted, timing: &mut Timing) {
    let extras = if wanted.fast {
        Extras::None
    } else {
        Extras::Tests
    };
    let ready = timing.step("set-up", || setup::run(workspace, Route::Auto, extras));
    if ready.is_none() {
        return;
    }
    let built = timing.step("build of the tests", || programs::build(workspace, wanted));
    let Some(built) = built else { return };
    let (suites, pure): (Vec<Program>, Vec<Program>) = built
        .into_iter()
        .partition(|program| program.is_suite(workspace));
    if wanted.suites.is_empty() {
        timing.step("unit tests", || {
            let mut failed = Vec::new();
            for program in &pure {
                let mut command = program.command();
                if let Err(error) = shell::run(command.args(wanted.arguments)) {
                    eprintln!("  {error:#}");
                    failed.push(program.name.as_str());
                }
            }
            ensure!(failed.is_empty(), "these failed: {}", failed.join(", "));
            Ok(())
        });
        timing.step("examples in documentation", || {
            let mut cargo = workspace.cargo(&["test", "--workspace", "--doc"]);
            let cargo = cargo.args(PROFILE).args(not_suites(wanted)).arg("--");
            shell::run(cargo.args(wanted.arguments))
        });
    }
    if wanted.fast {
        eprintln!("test: --fast: the suites did not run");
        return;
    }
    suites::run(workspace, suites, wanted, timing);
}

/// The harness is a library of others as well, so that this changes no features.
fn not_suites(wanted: &Wanted) -> &'static [&'static str] {
    if wanted.fast {
        &["--exclude", "tests"]
    } else {
        &[]
    }
}
