//! Prometheus's own checker finds nothing to say about a scrape.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use tests::host::take_turn;
use tests::{Daemon, Workload};

/// Series that are there, at zero, before anything has happened.
const FROM_THE_START: [&str; 10] = [
    "unjack_build_info",
    "unjack_suspects",
    "unjack_samples_total",
    "unjack_samples_lost_total",
    "unjack_samples_capped_total",
    "unjack_sample_code_faults_total",
    "unjack_events_lost_total",
    "unjack_tasks_untracked_total",
    "unjack_profiles_dropped_total",
    "unjack_verdict_delay_seconds_count",
];

fn check_scrape(text: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs: apt-get install prometheus");
    let mut stdin = promtool.stdin.take().expect("is piped");
    stdin.write_all(text.as_bytes()).expect("promtool reads");
    drop(stdin);
    let answer = promtool.wait_with_output().expect("the child is ours");
    assert!(
        answer.status.success() && answer.stderr.is_empty() && answer.stdout.is_empty(),
        "{}: {}{}",
        answer.status,
        String::from_utf8_lossy(&answer.stdout),
        String::from_utf8_lossy(&answer.stderr)
    );
}

#[test]
fn a_scrape_is_clean_before_and_after_a_verdict() {
    let _turn = take_turn();
    let daemon = Daemon::start(&["--action", "kill"]);
    let first = daemon.metrics();
    check_scrape(&first.text);
    for name in FROM_THE_START {
        assert!(first.has(name, &[]), "{name} is missing");
    }
    for family in ["randomx", "sha256d", "scrypt", "argon2", "unknown-pow"] {
        for (action, outcome) in [
            ("kill", "gone"),
            ("kill", "survived"),
            ("observe", "dry-run"),
        ] {
            let labels = [("action", action), ("family", family), ("outcome", outcome)];
            assert!(
                first.has("unjack_actions_total", &labels),
                "{labels:?} is missing"
            );
        }
    }
    assert!(
        !first
            .labels("unjack_actions_refused_total", "reason")
            .is_empty()
    );
    assert!(!first.labels("unjack_map_capacity", "map").is_empty());

    let mut miner = Workload::start(&["sha256d"]);
    let hashing = miner.first_hash();
    miner.wait_killed("a miner", hashing + Duration::from_mins(1));
    let action = daemon.event_about("action", miner.pid(), Duration::from_secs(5));
    assert_eq!(action["outcome"], "gone");
    let last = daemon.metrics();
    check_scrape(&last.text);
    assert!(last.sum("unjack_cpu_seconds_total", &[]) > 0.0);
    assert!(last.sum("process_cpu_seconds_total", &[]) > 0.0);
    let groups = last.labels("unjack_cpu_seconds_total", "group");
    assert!(groups.len() <= 64 + 2, "{} groups", groups.len());
    assert!(!last.text.contains("pid="), "no series carries a pid");
}
