//! What goes with a verdict: evidence, lists and the hook.

mod evidence;
mod hook;
mod hostile;
mod lists;
mod pools;
mod stratum;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tests::Daemon;
use tests::host::eventually;

/// Work that is judged in a few seconds, because it serves nothing else. How soon and as
/// what a miner is judged is not the question where this is used: what goes with the
/// verdict is. A hash of general use would wait for the pool's jobs each time.
const MINES: [&str; 2] = ["mine", "cryptonight"];
/// From a miner's first hash to its end, at most.
const DEATH: Duration = Duration::from_secs(30);
/// For what belongs to something that has already happened.
const NOTICE: Duration = Duration::from_secs(20);

/// A temporary directory.
fn home() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// The SHA-256 of a file, by another program than the one under test.
fn sha256(file: &Path) -> String {
    let answer = tests::host::output(std::process::Command::new("sha256sum").arg("--").arg(file));
    let text = String::from_utf8_lossy(&answer.stdout);
    // It marks lines in which it had to escape the file's name.
    let digest = text.trim_start_matches('\\').split(' ').next();
    digest.expect("sha256sum answers").to_owned()
}

/// The one folder of evidence about a process, and its `incident.json`.
fn incident(directory: &Path, pid: u32) -> (PathBuf, Value) {
    let middle = format!("-{pid}-");
    eventually("evidence is kept", NOTICE, || {
        let entries = fs::read_dir(directory).map_err(|error| error.to_string())?;
        let folder = entries
            .flatten()
            .map(|entry| entry.path())
            .find(|path| {
                let name = path.file_name().map(|name| name.to_string_lossy());
                name.is_some_and(|name| name.contains(&middle) && !name.starts_with('.'))
            })
            .ok_or("there is no folder")?;
        let text = fs::read(folder.join("incident.json")).map_err(|error| error.to_string())?;
        let incident = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        Ok((folder, incident))
    })
}

/// Waits until a counter has reached `least`.
fn wait_count(daemon: &Daemon, name: &str, labels: &[(&str, &str)], least: f64) {
    daemon.wait_metrics(name, NOTICE, |metrics| match metrics.sum(name, labels) {
        sum if sum >= least => Ok(()),
        sum => Err(format!("{name}{labels:?} is {sum}")),
    });
}

/// Makes a script that can be run.
fn script(path: &Path, text: &str) {
    fs::write(path, text).expect("the directory is ours");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
}
