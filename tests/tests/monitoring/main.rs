//! `deploy/monitoring` with a real Prometheus and a real Alertmanager: its rules
//! and queries are true of a real daemon, and its examples are valid.

mod dashboard;
mod examples;
mod live;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tests::host::output;

/// A copy of `deploy/monitoring`, to be changed.
struct Content(TempDir);

impl Content {
    fn copy() -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/monitoring/.");
        let copied = output(Command::new("cp").arg("-r").arg(from).arg(home.path()));
        assert!(copied.status.success(), "{copied:?}");
        Self(home)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn read(&self, file: &str) -> String {
        let path = self.path(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).expect("it is ours");
    }

    /// Puts something else in place of all that is like this in a file.
    fn replace(&self, file: &str, pairs: &[(&str, &str)]) {
        let mut text = self.read(file);
        for (from, to) in pairs {
            assert!(text.contains(from), "{file} has no {from:?}");
            text = text.replace(from, to);
        }
        self.write(file, &text);
    }
}
