//! `cargo xtask train` and `cargo xtask evaluate`: the model, fitted to the
//! packed recordings of the corpus, and judged by programs it never saw.
//!
//! Both are steps of a program of the crate `lab`, which knows the profiles and
//! the model; this builds it and runs it as the caller.

use anyhow::Result;

use crate::setup::{self, Extras, Route};
use crate::shell;
use crate::workspace::Workspace;

/// Builds and runs `fit STEP`.
pub(crate) fn run(workspace: &Workspace, step: &str) -> Result<()> {
    setup::run(workspace, Route::Auto, Extras::None)?;
    shell::run(&mut workspace.cargo(&[
        "run",
        "--release",
        "--package",
        "lab",
        "--bin",
        "fit",
        "--",
        step,
    ]))
}
