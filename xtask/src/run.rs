//! `cargo xtask run`: from a fresh machine to a running daemon.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Result};

use crate::setup::{self, Extras, Route};
use crate::shell::{self, Privilege};
use crate::workspace::Workspace;

/// Sets up, builds as the caller, and becomes `unjack run` as root.
pub(crate) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    setup::run(workspace, Route::Auto, Extras::None)?;
    let daemon = workspace.build(&["unjack"])?;
    let mut command = Privilege::detect()
        .elevate(&daemon, &shell::inherited_variables())
        .with_context(|| {
            format!(
                "{} is built, but loading probes needs root",
                daemon.display()
            )
        })?;
    command.arg("run").args(arguments);
    eprintln!("  $ {}", shell::render(&command));
    // Becoming the daemon, instead of waiting for it, leaves no process between it
    // and the signals of the terminal.
    let error = command.exec();
    Err(error).context("cannot start the daemon")
}
