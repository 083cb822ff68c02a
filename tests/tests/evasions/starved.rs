//! Miners that do little at a time.

use std::time::Duration;

use tests::evade::pulse::Pulse;
use tests::evade::quota::Quota;
use tests::host::{eventually, take_turn};
use tests::{Daemon, Workload};

use super::{DEATH, Innocent, NOTICE, SLOW_DEATH, assert_killed, image};

/// For a miner with 3 % of a core: thirty milliseconds of work a second.
const STARVED_DEATH: Duration = Duration::from_mins(5);

#[test]
fn a_miner_that_is_stopped_four_seconds_in_five_is_killed() {
    let _turn = take_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(&["--action", "kill"]);
    let innocent = Innocent::start(home.path());
    let mut miner = Workload::start_as(&home.path().join("pulse"), &["sha256d"]);
    let first = miner.first_hash();
    let (run, rest) = (Duration::from_secs(1), Duration::from_secs(4));
    let _pulse = Pulse::of(miner.pid(), run, rest);
    eventually("the miner is stopped", NOTICE, || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", miner.pid()));
        let stat = stat.map_err(|error| error.to_string())?;
        stat.contains(") T ").then_some(()).ok_or(stat)
    });

    assert_killed(&daemon, &mut miner, "sha256d", first, DEATH);
    innocent.assert_spared(&daemon);
}

fn check_quota(percent: u32, limit: Duration) {
    let _turn = take_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(&["--action", "kill"]);
    let innocent = Innocent::start(home.path());
    let quota = Quota::percent(percent);
    let program = image(home.path(), "starved");
    let mut miner = Workload::spawn(quota.command(&program).arg("sha256d"));
    let first = miner.first_hash();
    eventually("the kernel throttles the miner", NOTICE, || {
        match quota.throttled() {
            0 => Err("it has not waited yet".to_owned()),
            _ => Ok(()),
        }
    });

    assert_killed(&daemon, &mut miner, "sha256d", first, limit);
    innocent.assert_spared(&daemon);
}

#[test]
fn a_miner_with_a_tenth_of_a_core_is_killed() {
    check_quota(10, SLOW_DEATH);
}

/// The slow one of this suite.
#[test]
fn a_miner_with_three_percent_of_a_core_is_killed() {
    check_quota(3, STARVED_DEATH);
}
