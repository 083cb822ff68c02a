//! The main job: a miner is found by what it executes, judged, and killed or
//! left alone as the flags say, at default thresholds.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use tests::host::{schedstat_seconds, take_turn};
use tests::{Daemon, Workload};

/// From a miner's first hash to its end, at most, with a hash that serves much else: its
/// pool sends a job every ten seconds, and it takes up to three until two have counted, as
/// one that arrives in the same reading as a share does not. How soon it is in the middle,
/// the benchmark says (`cargo xtask bench -- latency`).
const DEATH: Duration = Duration::from_mins(1);
/// For an event that belongs to something that has already happened.
const NOTICE: Duration = Duration::from_secs(5);

/// What must be true of every kill: the miner is dead in time, the events say
/// why, and the metrics count it.
fn check_killed(daemon: &Daemon, miner: &mut Workload, family: &str) {
    let first = miner.first_hash();
    check_killed_since(daemon, miner, family, first);
}

fn check_killed_since(daemon: &Daemon, miner: &mut Workload, family: &str, since: Instant) {
    miner.wait_killed(&format!("{family} miner is dead"), since + DEATH);
    let verdict = daemon.wait_event("verdict", NOTICE, |event| {
        event["event"] == "verdict" && event["pid"] == miner.pid() && event["verdict"] == "miner"
    });
    assert_eq!(verdict["family"], family, "{verdict}");
    assert!(
        verdict["score"].as_f64().is_some_and(|score| score >= 0.8),
        "{verdict}"
    );
    assert!(
        verdict["cpu_percent"]
            .as_f64()
            .is_some_and(|cpu| cpu >= 10.0),
        "{verdict}"
    );
    assert!(
        verdict["burn_seconds"]
            .as_f64()
            .is_some_and(|burn| burn > 0.0),
        "{verdict}"
    );
    assert!(
        verdict["evidence"]
            .as_array()
            .is_some_and(|list| !list.is_empty()),
        "{verdict}"
    );
    assert!(
        verdict["start_time"].is_string() || verdict["start_time"].is_number(),
        "{verdict}"
    );

    let action = daemon.event_about("action", miner.pid(), NOTICE);
    assert_eq!(action["action"], "kill", "{action}");
    assert_eq!(action["outcome"], "gone", "{action}");
    let count = [("action", "kill"), ("family", family), ("outcome", "gone")];
    daemon.wait_metrics("the kill is counted", NOTICE, |metrics| {
        match metrics.sum("unjack_actions_total", &count) {
            1.0 => Ok(()),
            kills => Err(format!("{kills} kills")),
        }
    });
    let metrics = daemon.metrics();
    assert!(metrics.sum("unjack_stolen_cpu_seconds_total", &[("family", family)]) > 0.0);
    assert!(metrics.sum("unjack_verdict_delay_seconds_count", &[]) >= 1.0);
    assert!(metrics.sum("unjack_samples_total", &[]) > 0.0);
}

/// A daemon that kills, and a miner that starts beside it.
fn check_family(args: &[&str], family: &str) {
    let _turn = take_turn();
    let daemon = Daemon::start(&["--action", "kill"]);
    let mut miner = Workload::start(args);
    check_killed(&daemon, &mut miner, family);
}

#[test]
fn randomx_that_calls_itself_nginx_is_killed() {
    let _turn = take_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let path = home.path().join("nginx");
    let daemon = Daemon::start(&["--action", "kill"]);
    let title = "nginx: worker process";
    let mut miner = Workload::start_as(&path, &["--title", title, "randomx"]);
    let first = miner.first_hash();
    let cmdline = fs::read(format!("/proc/{}/cmdline", miner.pid())).expect("it lives");
    assert!(cmdline.starts_with(title.as_bytes()) && !cmdline.windows(7).any(|w| w == b"randomx"));

    check_killed_since(&daemon, &mut miner, "randomx", first);
    let verdict = daemon.event_about("verdict", miner.pid(), NOTICE);
    assert_eq!(
        verdict["exe"].as_str().map(Path::new),
        Some(path.as_path()),
        "{verdict}"
    );
    assert_eq!(verdict["comm"], &title[..15], "{verdict}");
}

/// With the dataset, as miners run it. Filling it is half of the work of a
/// verifier, so it is filled before the daemon comes.
#[test]
fn randomx_with_its_full_dataset_is_killed() {
    let _turn = take_turn();
    let mut miner = Workload::start(&["--threads", "2", "randomx", "--full"]);
    let _ = miner.first_hash();
    let daemon = Daemon::start(&["--action", "kill"]);
    check_killed_since(&daemon, &mut miner, "randomx", Instant::now());
}

#[test]
fn sha256d_is_killed() {
    check_family(&["sha256d"], "sha256d");
}

#[test]
fn sha256d_without_sha_instructions_is_killed() {
    check_family(&["sha256d", "--portable"], "sha256d");
}

#[test]
fn scrypt_is_killed() {
    check_family(&["scrypt"], "scrypt");
}

#[test]
fn argon2_is_killed() {
    check_family(&["argon2"], "argon2");
}

#[test]
fn a_miner_of_four_threads_is_killed() {
    check_family(&["--threads", "4", "sha256d"], "sha256d");
}

/// Its `/proc/PID` has no image, no mappings and a zombie's state.
#[test]
fn a_miner_whose_first_thread_has_ended_is_killed() {
    check_family(&["--headless", "sha256d"], "sha256d");
}

/// What a password manager does when it is unlocked.
#[test]
fn a_process_that_hashes_for_two_seconds_and_rests_lives() {
    let _turn = take_turn();
    let daemon = Daemon::start(&["--action", "kill"]);
    let mut unlocked = Workload::start_without_pool(&["--seconds", "2", "--rest", "60", "argon2"]);
    let _ = unlocked.first_hash();
    thread::sleep(DEATH);
    assert!(unlocked.ended().is_none(), "it lives");
    assert_eq!(daemon.events_of("verdict"), Vec::<serde_json::Value>::new());
    assert!(daemon.metrics().sum("unjack_samples_total", &[]) >= 100.0);
}

#[test]
fn a_miner_that_was_there_first_is_killed() {
    let _turn = take_turn();
    let mut miner = Workload::start(&["sha256d"]);
    let _ = miner.first_hash();
    let daemon = Daemon::start(&["--action", "kill"]);
    check_killed_since(&daemon, &mut miner, "sha256d", Instant::now());
}

#[test]
fn by_default_nothing_is_killed() {
    let _turn = take_turn();
    let daemon = Daemon::start::<&str>(&[]);
    let mut miner = Workload::start(&["sha256d"]);
    let _ = miner.first_hash();
    let action = daemon.event_about("action", miner.pid(), DEATH);
    assert_eq!(action["outcome"], "dry-run", "{action}");
    // Longer than the grace that a kill would have had.
    thread::sleep(NOTICE);
    assert!(miner.ended().is_none(), "the miner lives");
    let metrics = daemon.metrics();
    assert_eq!(
        metrics
            .sum("unjack_actions_total", &[("outcome", "gone")])
            .to_string(),
        "0"
    );
    assert!(metrics.sum("unjack_verdicts_total", &[("verdict", "miner")]) >= 1.0);
}

/// The allowed one and one that is not, side by side: the second shows that
/// the daemon would have killed the first.
#[test]
fn an_allowed_miner_lives_and_is_measured() {
    let _turn = take_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let allowed = home.path().join("allowed");
    let allow = format!("exe={}", allowed.display());
    let daemon = Daemon::start(&["--action", "kill", "--allow", &allow]);
    let mut allowed = Workload::start_as(&allowed, &["sha256d"]);
    let mut other = Workload::start(&["sha256d"]);
    let _ = allowed.first_hash();

    let first = other.first_hash();
    other.wait_killed("the miner that is not allowed", first + DEATH);
    let seconds = |of: &Daemon| {
        of.metrics().sum("unjack_cpu_seconds_total", &[])
            - of.metrics()
                .sum("unjack_cpu_seconds_total", &[("group", "kernel")])
    };
    let counted = seconds(&daemon);
    let burnt = schedstat_seconds(allowed.pid()).expect("it lives");
    // Longer than the other one had.
    thread::sleep(DEATH);
    assert!(allowed.ended().is_none(), "the allowed miner lives");
    let burnt = schedstat_seconds(allowed.pid()).expect("it lives") - burnt;
    let counted = seconds(&daemon) - counted;
    assert!(
        counted > 0.9 * burnt && burnt > 5.0,
        "{counted} s counted of {burnt} s"
    );
    assert!(
        !daemon
            .events_of("action")
            .iter()
            .any(|action| { action["pid"] == allowed.pid() && action["outcome"] != "refused" }),
        "{:?}",
        daemon.events_of("action")
    );
}
