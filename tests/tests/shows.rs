//! Miners that do for show what honest programs are told by, at a twentieth of their
//! time: it excuses nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tests::host::{crowd_turn, workload};
use tests::{Daemon, Workload};

/// What the workload can do for show.
const SHOWS: [&str; 8] = [
    "faults",
    "reads",
    "writes",
    "chatter",
    "listens",
    "sleeps",
    "generated",
    "packed",
];
/// Time to the verdict on the last of them: they share the processors.
const ALL_JUDGED: Duration = Duration::from_mins(2);

/// A copy of the workload program: an image of its own, by whose processes no other is
/// judged.
fn image(home: &Path, name: &str) -> PathBuf {
    let path = home.join(name);
    fs::copy(workload(), &path)
        .unwrap_or_else(|error| panic!("cannot copy the workload to {}: {error}", path.display()));
    path
}

/// Each show beside the same hash, all at a time, each an image of its own: every one is
/// found by its own sum.
fn check_all_found(hash: &[&str], shows: &[&str]) {
    let _turn = crowd_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(&["--action", "observe"]);
    let start = |show: &&str| {
        let mut command = Command::new(image(home.path(), show));
        Workload::spawn(command.args(["--show", show]).args(hash))
    };
    let miners: Vec<Workload> = shows.iter().map(start).collect();
    for miner in &miners {
        let _ = miner.first_hash();
    }
    let until = Instant::now() + ALL_JUDGED;
    for (show, miner) in shows.iter().zip(&miners) {
        let left = until.saturating_duration_since(Instant::now());
        let what = format!("verdict on {hash:?} with {show} for show");
        let verdict = daemon.wait_event(&what, left, |event| {
            event["event"] == "verdict"
                && event["pid"] == miner.pid()
                && event["verdict"] == "miner"
        });
        eprintln!("{show}: score {}", verdict["score"]);
    }
}

#[test]
fn a_sha256d_miner_stays_a_miner_whatever_it_does_for_show() {
    check_all_found(&["sha256d"], &SHOWS);
}

#[test]
fn a_cryptonight_miner_stays_a_miner_whatever_it_does_for_show() {
    check_all_found(&["mine", "cryptonight"], &SHOWS);
}

/// `RandomX` in light mode, which starts at once. With the mode and traffic together it
/// is taken for a node that verifies, which costs nine tenths of the rate and no
/// twentieth: docs/evasion.md.
#[test]
fn a_randomx_miner_stays_a_miner_whatever_it_does_for_show() {
    let shows: Vec<&str> = SHOWS
        .into_iter()
        .filter(|show| *show != "chatter")
        .collect();
    check_all_found(&["randomx"], &shows);
}
