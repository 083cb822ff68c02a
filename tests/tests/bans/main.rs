//! Images that were condemned stay out: under their name and others, while the
//! daemon runs and while it does not, until an operator lifts the ban.

mod decoys;
mod lasting;
mod owners;
mod respawn;
mod spared;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tests::host::{assert_clean, output, unjack, workload};
use tests::pins::Pins;
use tests::{Daemon, Workload, daemon};

/// Work that is judged in a few seconds, because it serves nothing else. How soon and as
/// what a miner is judged is not the question here: what becomes of its image is. A hash
/// of general use would wait for the pool's jobs each time.
const MINES: [&str; 2] = ["mine", "cryptonight"];
/// From a miner's first hash to its end, at most.
const DEATH: Duration = Duration::from_secs(30);
/// For what belongs to something that has already happened.
const NOTICE: Duration = Duration::from_secs(5);
/// For a daemon to load the programs anew, on a busy machine.
const ADOPTION: Duration = Duration::from_secs(30);

/// A folder for files and one for pins, gone with the test.
struct Place {
    home: tempfile::TempDir,
    pins: Pins,
}

impl Place {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let pins = Pins::beside(&home);
        Self { home, pins }
    }

    fn file(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.home.path().join(name.as_ref())
    }

    fn daemon(&self, args: &[&str]) -> Daemon {
        let kill: &[&str] = if args.contains(&"--action") {
            &[]
        } else {
            &["--action", "kill"]
        };
        let all = ["--grace", "0s", "--ban", "1h", "--pin-dir", self.pins.arg()];
        Daemon::start(&[kill, &all[..], args].concat())
    }

    /// `unjack bans`, with what it prints.
    fn bans(&self, args: &[&OsStr]) -> Vec<u8> {
        let mut command = daemon::command(&unjack());
        command
            .arg("bans")
            .args(args)
            .args(["--pin-dir", self.pins.arg()]);
        let answer = output(&mut command);
        let stderr = answer.stderr.escape_ascii();
        assert!(answer.status.success(), "{args:?}: {stderr}");
        assert_clean("stderr", &answer.stderr);
        answer.stdout
    }

    fn list(&self) -> Vec<Value> {
        let text = self.bans(&["list".as_ref(), "--json".as_ref()]);
        serde_json::from_slice(&text).expect("an array")
    }

    /// Times execs of this file were refused, by the kernel's own count.
    fn refused(&self, file: &Path) -> u64 {
        let file = file.to_str().expect("UTF-8");
        let list = self.list();
        let of = list.iter().filter(|ban| ban["exe"] == file);
        of.filter_map(|ban| ban["refused"].as_u64()).sum()
    }
}

/// A miner is found and killed, and its image banned.
fn condemn(daemon: &Daemon, file: &Path) -> Value {
    let mut miner = Workload::start_as(file, &MINES);
    let first = miner.first_hash();
    miner.wait_killed("the miner", first + DEATH);
    daemon.wait_event("ban of the miner's image", NOTICE, |event| {
        event["event"] == "ban" && event["ban"]["exe"] == file.to_str().expect("UTF-8")
    })
}

/// Whether a run of a banned program did not get to execute it: the shell says
/// that it may not, or it was killed at once.
fn was_refused(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::KILL.as_raw())
}

/// Runs a file as a miner that hashes once it runs; what it printed.
fn try_miner(file: &Path) -> (bool, Vec<u8>) {
    match Command::new(file).arg("sha256d").output() {
        Ok(answer) => (was_refused(answer.status), answer.stdout),
        Err(error) => (error.raw_os_error() == Some(libc::EPERM), Vec::new()),
    }
}

#[track_caller]
fn check_refused(file: &Path) {
    let (refused, printed) = try_miner(file);
    assert!(refused, "{} was executed", file.display());
    assert!(printed.is_empty(), "{}", printed.escape_ascii());
}

#[track_caller]
fn check_runs(file: &Path) {
    let status = Command::new(file).arg("--help").output();
    let status = status.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert!(status.status.success(), "{status:?}");
}

/// Programs and maps that refuse images, in the kernel now.
fn loaded() -> (usize, usize) {
    let programs = aya::programs::loaded_programs()
        .filter_map(Result::ok)
        .filter(|program| program.name().starts_with(b"ban_"));
    let maps = aya::maps::loaded_maps()
        .filter_map(Result::ok)
        .filter(|map| map.name().starts_with(b"BAN"));
    (programs.count(), maps.count())
}

/// The workload with a byte behind its end: the same program, another hash.
fn workload_with_another_content(place: &Place) -> PathBuf {
    let other = place.file("other");
    fs::copy(workload(), &other).expect("a copy");
    let mut bytes = fs::read(&other).expect("readable");
    bytes.push(0);
    fs::write(&other, bytes).expect("writable");
    other
}

#[track_caller]
fn check_silent(command: &mut Command) {
    let answer = output(command);
    let printed = answer.stdout.escape_ascii();
    assert!(answer.stdout.is_empty(), "it ran: {printed}");
}
