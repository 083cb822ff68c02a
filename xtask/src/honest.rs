//! `cargo xtask honest`: hours of honest work beside a daemon that kills.
//!
//! The work is a program of the crate `lab`; this builds it, the daemon and the
//! workloads, and runs it as root.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Result};

use crate::setup::{self, Extras, Route};
use crate::shell::{self, Privilege};
use crate::workspace::Workspace;

/// Where the jobs find the caller's compiler and crates, which root may not have.
const TOOLS: [&str; 3] = ["CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"];

/// Builds and becomes `honest ARGUMENTS`.
pub(crate) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    setup::run(workspace, Route::Auto, Extras::Tests)?;
    let daemon = workspace.build(&["unjack", "workload", "honest"])?;
    let mut variables = shell::inherited_variables();
    let tools = TOOLS.into_iter().filter_map(|name| {
        let value = std::env::var(name).ok()?;
        Some((name.to_owned(), value))
    });
    variables.extend(tools);
    variables.push(("UNJACK_BIN".to_owned(), daemon.display().to_string()));
    variables.push((
        "PATH".to_owned(),
        workspace.path()?.to_string_lossy().into_owned(),
    ));
    let program = workspace.target.join("release/honest");
    let mut command = Privilege::detect().elevate(&program, &variables)?;
    command.args(arguments);
    eprintln!("  $ {}", shell::render(&command));
    // Becoming it leaves nothing between it and the terminal's Ctrl-C.
    let error = command.exec();
    Err(error).context("cannot start the honest program")
}
