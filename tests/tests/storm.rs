//! A machine that forks and executes as fast as it can.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tests::host::take_turn;
use tests::{Daemon, Metrics, Workload};

/// How long the storm lasts.
const STORM: Duration = Duration::from_mins(1);
/// The miner shares the machine with a hundred processes that are ready to run
/// and gets a few samples a second; it takes tens to judge by.
const DEATH: Duration = Duration::from_secs(50);
/// What the daemon may grow by: it may learn a bounded number of processes.
const GROWTH: f64 = 32.0 * 1024.0 * 1024.0;
/// Entries that may stay beyond those for threads that live: of processes that
/// come and go just then. The storm starts hundreds of times as many.
const REMAIN: f64 = 64.0;

/// What must be there, even at zero, so that a loss would show.
const LOSSES: [&str; 5] = [
    "unjack_samples_lost_total",
    "unjack_samples_capped_total",
    "unjack_events_lost_total",
    "unjack_tasks_untracked_total",
    "unjack_profiles_dropped_total",
];

fn resident(metrics: &Metrics) -> f64 {
    metrics.sum("process_resident_memory_bytes", &[])
}

/// Threads on this machine.
fn threads() -> usize {
    let tasks = |process: fs::DirEntry| fs::read_dir(process.path().join("task")).ok();
    fs::read_dir("/proc")
        .expect("/proc is mounted")
        .flatten()
        .filter_map(tasks)
        .map(Iterator::count)
        .sum()
}

#[test]
fn a_fork_and_exec_storm_hides_no_miner_and_leaks_nothing() {
    let _turn = take_turn();
    let mut daemon = Daemon::start(&["--action", "kill"]);
    let limit = Duration::from_secs(10);
    daemon.wait_metrics("the maps are looked at", limit, |metrics| {
        match metrics.labels("unjack_map_entries", "map").len() {
            0 => Err("no map".to_owned()),
            _ => Ok(()),
        }
    });
    let before = daemon.metrics();
    assert!(resident(&before) > 0.0);

    let home = tempfile::tempdir().expect("a temporary directory");
    let everyone = fs::Permissions::from_mode(0o777);
    fs::set_permissions(home.path(), everyone).expect("the directory is ours");
    let report = home.path().join("report");
    // Its exec stressor refuses to run as root.
    let mut storm = Workload::spawn(
        Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .args(["stress-ng", "--fork", "4", "--exec", "4", "--quiet"])
            .args(["--timeout", &format!("{}s", STORM.as_secs())])
            .args(["--metrics", "--yaml"])
            .arg(&report)
            .arg("--temp-path")
            .arg(home.path())
            .current_dir(home.path()),
    );
    let began = Instant::now();
    // New processes go first: among them a miner of ordinary priority gets a
    // few percent of a core, and is looked at for longer.
    let mut miner = Workload::start(&["sha256d"]);
    let first = miner.first_hash();
    miner.wait_killed("a miner in the storm", first + DEATH);
    assert!(storm.ended().is_none(), "the miner died within the storm");
    let action = daemon.event_about("action", miner.pid(), Duration::from_secs(5));
    assert_eq!(action["outcome"], "gone", "{action}");
    let status = storm.wait_end("stress-ng ends", began + STORM + Duration::from_secs(30));
    assert!(
        status.success(),
        "stress-ng: {status}; was any of it killed?"
    );

    let report = fs::read_to_string(&report).expect("stress-ng wrote its report");
    for stressor in ["stressor: fork", "stressor: exec"] {
        assert!(report.contains(stressor), "no {stressor} in: {report}");
    }

    let after = daemon.metrics();
    let lost = LOSSES.map(|name| {
        assert!(after.has(name, &[]), "{name} is missing");
        (name, after.sum(name, &[]))
    });
    println!("lost in the storm: {lost:?}");
    let growth = resident(&after) - resident(&before);
    println!("grown by {} KiB", growth / 1024.0);
    assert!(growth <= GROWTH, "grown by {growth} bytes");

    for map in before.labels("unjack_map_entries", "map") {
        let entries = |of: &Metrics| of.sum("unjack_map_entries", &[("map", map)]);
        daemon.wait_metrics("the storm's entries go", Duration::from_secs(30), |now| {
            let (then, now, live) = (entries(&before), entries(now), threads() as f64);
            let told = format!("{map}: {then} entries before, {now} now, {live} threads live");
            println!("{told}");
            (now <= then.max(live) + REMAIN).then_some(()).ok_or(told)
        });
    }

    let gone: Vec<_> = daemon
        .events_of("action")
        .into_iter()
        .filter(|action| action["pid"] != miner.pid())
        .collect();
    assert!(gone.is_empty(), "stress-ng was acted on: {gone:?}");
    assert!(daemon.stop(Signal::TERM).success());
}
