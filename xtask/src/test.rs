//! `cargo xtask test`: every test there is.
//!
//! The pure ones run as the caller. The tests crate runs the real daemon on
//! the real kernel: it is built as the caller and run as root, one test at a
//! time, because its tests share the machine's processors and its clock.

use std::ffi::OsString;

use anyhow::{Context as _, Result, bail};

use crate::setup::{self, Extras, Route};
use crate::shell::{self, Privilege};
use crate::workspace::Workspace;

/// Sets up and runs the tests; with `fast`, those that need no root. The
/// integration tests run even if others failed, so that one run tells all.
pub(crate) fn run(workspace: &Workspace, fast: bool, arguments: &[OsString]) -> Result<()> {
    setup::run(
        workspace,
        Route::Auto,
        if fast { Extras::None } else { Extras::Tests },
    )?;
    let mut pure = workspace.cargo(&[
        "test",
        "--workspace",
        "--exclude",
        "tests",
        "--no-fail-fast",
    ]);
    let pure = shell::run(pure.arg("--").args(arguments));
    if fast {
        eprintln!("test: --fast: the integration tests did not run");
        return pure;
    }
    let integration = integration(workspace, arguments);
    match (pure, integration) {
        (Ok(()), Ok(())) => Ok(()),
        (Err(error), Ok(())) | (Ok(()), Err(error)) => Err(error),
        (Err(pure), Err(integration)) => bail!("{pure:#}; and {integration:#}"),
    }
}

fn integration(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    let privilege = Privilege::detect();
    let prefix = privilege.prefix().context(
        "the integration tests load probes and did NOT run \
         (`cargo xtask test --fast` is for the others alone)",
    )?;
    let daemon = workspace.build_daemon()?.display().to_string();
    let path = workspace.path()?.to_string_lossy().into_owned();
    let variables = [("UNJACK_BIN", &daemon), ("PATH", &path)];

    let mut tests = workspace.cargo(&["test", "--release", "--package", "tests", "--no-fail-fast"]);
    if prefix.is_empty() {
        tests.envs(variables);
    } else {
        // cargo builds as the caller, and starts the tests through this.
        let words: Vec<String> = prefix
            .iter()
            .map(|word| (*word).to_owned())
            .chain(["env".to_owned()])
            .chain(variables.map(|(name, value)| format!("{name}={value}")))
            .map(|word| format!("{word:?}"))
            .collect();
        let runner = format!("target.'cfg(unix)'.runner=[{}]", words.join(","));
        tests.args(["--config", &runner]);
    }
    shell::run(tests.args(["--", "--test-threads=1"]).args(arguments))
}
