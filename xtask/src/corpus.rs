//! `cargo xtask corpus`: the programs that the model is trained from.
//!
//! The work is a program of the crate `lab`; this builds it, the daemon and
//! the workloads, and runs it. Only recording is done as root: what the other
//! steps make, such as the file in the checkout, is to belong to the caller.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Result};

use crate::setup::{self, Extras, Route};
use crate::shell::{self, Privilege};
use crate::workspace::Workspace;

/// Builds and becomes `corpus ARGUMENTS`.
pub(crate) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    setup::run(workspace, Route::Auto, Extras::Tests)?;
    let daemon = workspace.build(&["unjack", "workload", "corpus"])?;
    let release = workspace.target.join("release");
    let mut variables = shell::inherited_variables();
    // The caller's own choice of another binary is among them, and stays.
    let mut default = |name: &str, value: String| {
        if variables.iter().all(|(given, _)| given != name) {
            variables.push((name.to_owned(), value));
        }
    };
    default("UNJACK_BIN", daemon.display().to_string());
    default(
        "UNJACK_WORKLOAD",
        release.join("workload").display().to_string(),
    );
    default("PATH", workspace.path()?.to_string_lossy().into_owned());
    if let Ok(corpus) = std::env::var("CORPUS") {
        default("CORPUS", corpus);
    }
    let program = release.join("corpus");
    let mut command = if arguments.iter().any(|word| word == "record") {
        Privilege::detect().elevate(&program, &variables)?
    } else {
        let mut command = shell::command(&program);
        command.envs(variables);
        command
    };
    command.args(arguments);
    eprintln!("  $ {}", shell::render(&command));
    // Replacing this process leaves none between the command and the terminal's
    // Ctrl-C.
    let error = command.exec();
    Err(error).context("cannot start the corpus program")
}
