//! The machine the suites run on: root, whose [turn](take_turn) it is, the kernel's own
//! accounts, and what must not be printed on a terminal.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

mod turn;

pub use self::turn::{Turn, crowd_turn, observe_turn, share_turn, take_turn};

/// Checks that the test runs as root.
///
/// # Panics
///
/// When it does not.
pub fn require_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test loads probes into the kernel and needs root: run `cargo xtask test`, \
         which builds as you are and elevates only the tests"
    );
}

/// The binary under test: `UNJACK_BIN`, or else the one that was built beside
/// this test, or else the workspace's release or debug build.
///
/// # Panics
///
/// When there is none.
#[must_use]
pub fn unjack() -> PathBuf {
    built("unjack", "UNJACK_BIN", "cargo xtask test")
}

/// The workload program, found the same way (`UNJACK_WORKLOAD`).
///
/// # Panics
///
/// When there is none.
#[must_use]
pub fn workload() -> PathBuf {
    built(
        "workload",
        "UNJACK_WORKLOAD",
        "cargo build --release -p workloads",
    )
}

/// The workload program that becomes another when it is told to end, found the same
/// way (`UNJACK_REBORN`).
///
/// # Panics
///
/// When there is none.
#[must_use]
pub fn reborn() -> PathBuf {
    built(
        "reborn",
        "UNJACK_REBORN",
        "cargo build --release -p workloads",
    )
}

fn built(name: &str, variable: &str, remedy: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        let path = PathBuf::from(path);
        assert!(path.is_file(), "{variable}={} is no file", path.display());
        return path;
    }
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("target");
    // The test itself is target/PROFILE/deps/NAME.
    let beside = std::env::current_exe()
        .ok()
        .and_then(|test| Some(test.parent()?.parent()?.join(name)));
    let places: Vec<_> = beside
        .into_iter()
        .chain(["release", "debug"].map(|profile| target.join(profile).join(name)))
        .collect();
    places
        .iter()
        .find(|place| place.is_file())
        .cloned()
        .unwrap_or_else(|| {
            panic!("no {name} at any of {places:?}: build it with `{remedy}` or set {variable}")
        })
}

/// Asks again and again until the answer is `Ok`: for states that no event
/// announces.
///
/// # Panics
///
/// With the last `Err`, when `limit` is over.
pub fn eventually<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(reason) if Instant::now() >= deadline => {
                panic!("{what}: not within {limit:?}: {reason}")
            }
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// CPU seconds of a process by the scheduler's own accounts: the sum of what
/// `/proc/PID/task/*/schedstat` says of its living threads. None when it is
/// gone.
#[must_use]
pub fn schedstat_seconds(pid: u32) -> Option<f64> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        nanos += text.split_ascii_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(nanos).as_secs_f64())
}

/// CPU seconds of a process, user and system, as `/proc/PID/stat` and thus ps
/// and top tell them; the resolution is a clock tick, 10 ms. None when it is
/// gone.
#[must_use]
pub fn stat_seconds(pid: u32) -> Option<f64> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let after = stat.iter().rposition(|&byte| byte == b')')?;
    let fields = String::from_utf8_lossy(&stat[after + 1..]).into_owned();
    // The first field after the name is number 3; these are 14 and 15.
    let ticks: u64 = fields
        .split_ascii_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Some(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Runs a program to its end.
///
/// # Panics
///
/// When it cannot be started.
#[must_use]
pub fn output(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}

/// Ids of everything of this kind ("prog", "map", "link") that is loaded into the
/// kernel.
///
/// # Panics
///
/// When bpftool does not tell.
#[must_use]
pub fn loaded(kind: &str) -> BTreeSet<u64> {
    let answer = output(Command::new("bpftool").args([kind, "list", "-j"]));
    assert!(
        answer.status.success(),
        "bpftool: {}",
        answer.stderr.escape_ascii()
    );
    let list: Value = serde_json::from_slice(&answer.stdout).expect("bpftool prints JSON");
    list.as_array()
        .expect("a list")
        .iter()
        .map(|entry| entry["id"].as_u64().expect("every entry has an id"))
        .collect()
}

/// Checks that text is fit for a terminal: valid UTF-8 without any control
/// character (C0, DEL, C1) other than the newline.
///
/// # Panics
///
/// When it is not, with the bytes around the first fault.
pub fn assert_clean(what: &str, bytes: &[u8]) {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.valid_up_to();
            panic!(
                "{what} is not UTF-8 at byte {at}: …{}…",
                bytes[at.saturating_sub(80)..bytes.len().min(at + 20)].escape_ascii()
            )
        }
    };
    for line in text.lines() {
        assert!(
            !line.chars().any(char::is_control),
            "{what} holds a raw control character: {line:?}"
        );
    }
}
