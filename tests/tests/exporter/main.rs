//! The endpoint as an exporter: who may scrape, where, and what clients can do
//! to it.

mod flood;
mod groups;
mod page;
mod prometheus;
mod sockets;
mod tls;

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tests::Daemon;
use tests::https::{secured, write_identity};

/// For what belongs to something that has already happened.
const NOTICE: Duration = Duration::from_secs(20);
/// `Authorization` of the user of [`secured`], with its password.
const RIGHT: &str = "Authorization: Basic cHJvbWV0aGV1czpzZWNyZXQ=\r\n";
/// The same with another password.
const WRONG: &str = "Authorization: Basic cHJvbWV0aGV1czp3cm9uZw==\r\n";

/// A temporary directory.
fn home() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// A daemon that observes, with this file.
fn start(file: &Path, more: &[&str]) -> Daemon {
    let file = file.to_str().expect("is UTF-8");
    Daemon::start(&[&["--web.config.file", file], more].concat())
}

fn hang_up(daemon: &Daemon) {
    let pid = Pid::from_raw(i32::try_from(daemon.pid()).expect("is a pid"));
    kill_process(pid.expect("is a pid"), Signal::HUP).expect("it lives");
}

/// The status of an answer.
fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}
