//! `cargo xtask ci`: what a change must pass, and how long each step of it took.

use std::time::Instant;

use anyhow::Result;

use crate::test::Wanted;
use crate::timing::Timing;
use crate::workspace::Workspace;
use crate::{charts, lint, routes, test};

/// Lints, renders the charts, tests and builds the probes with each compiler. All of it runs, whatever fails.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let begun = Instant::now();
    let mut timing = Timing::default();
    lint::steps(workspace, &mut timing);
    timing.step("charts", || charts::run(workspace));
    let all = Wanted {
        fast: false,
        suites: &[],
        arguments: &[],
    };
    test::steps(workspace, &all, &mut timing);
    timing.step("routes", || routes::run(workspace));
    timing.finish("ci", begun.elapsed())
}
