//! `cargo xtask bench`: what the probes cost, by the kernel's own account, and
//! how soon a miner is judged.
//!
//! The measuring is a program of the crate `lab`; this builds it, with the
//! compiler's optimisations, and runs it as root.

use std::ffi::OsString;

use anyhow::Result;

use crate::setup::{self, Extras, Route};
use crate::shell::{self, Privilege};
use crate::workspace::Workspace;

/// Builds the daemon and the benchmark, and runs the benchmark as root.
pub(crate) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    setup::run(workspace, Route::Auto, Extras::Tests)?;
    let daemon = workspace.build(&["unjack", "workload", "bench"])?;
    let mut variables = shell::inherited_variables();
    variables.push(("UNJACK_BIN".to_owned(), daemon.display().to_string()));
    variables.push((
        "PATH".to_owned(),
        workspace.path()?.to_string_lossy().into_owned(),
    ));
    let bench = workspace.target.join("release/bench");
    shell::run(
        Privilege::detect()
            .elevate(&bench, &variables)?
            .args(arguments),
    )
}
