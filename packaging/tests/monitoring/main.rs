//! The content of `deploy/monitoring` asks for what there is.
//!
//! Every query of the rules and of the dashboard is parsed, and each metric,
//! label and fixed value in it must be one that unjack has, by its own text
//! format, or that the rules record. That the queries return what they should
//! is for the suite `monitoring`, with a real Prometheus.

mod dashboard;
mod queries;
mod rules;

use std::fs;
use std::path::Path;

/// A file of the workspace.
fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
