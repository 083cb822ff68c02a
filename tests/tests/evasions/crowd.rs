//! Miners that divide their work, or hide it in the work of others.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use tests::host::take_turn;
use tests::{Daemon, Workload};

use super::{DEATH, Innocent, SLOW_DEATH, assert_killed, image};

#[test]
fn eight_miners_of_an_eighth_of_a_core_are_killed() {
    let _turn = take_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(&["--action", "kill"]);
    let innocent = Innocent::start(home.path());
    let program = image(home.path(), "many");
    let mut miners: Vec<_> = (0..8)
        .map(|_| Workload::spawn(Command::new(&program).args(["--duty", "12", "sha256d"])))
        .collect();
    let first = miners.iter().map(Workload::first_hash).max();
    let first = first.expect("there are eight");
    for miner in &mut miners {
        miner.wait_killed("each of eight small miners is dead", first + SLOW_DEATH);
    }
    let verdicts = daemon.events_of("verdict");
    assert!(
        verdicts.iter().any(|verdict| {
            verdict["verdict"] == "miner"
                && verdict["family"] == "sha256d"
                && miners.iter().any(|miner| verdict["pid"] == miner.pid())
        }),
        "{verdicts:?}"
    );
    innocent.assert_spared(&daemon);
}

/// The thread gets a thirty-third of what the process burns, and the process's
/// own mix is that of honest work.
#[test]
fn one_mining_thread_among_busy_ones_is_found_and_killed() {
    let _turn = take_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(&["--action", "kill"]);
    let innocent = Innocent::start(home.path());
    let server = home.path().join("server");
    let mut server = Workload::start_as(&server, &["--busy-threads", "32", "sha256d"]);
    let first = server.first_hash();
    let threads: BTreeSet<u64> = fs::read_dir(format!("/proc/{}/task", server.pid()))
        .expect("it lives")
        .flatten()
        .filter_map(|task| task.file_name().to_str()?.parse().ok())
        .collect();
    assert!(threads.len() > 32, "{threads:?}");

    let verdict = assert_killed(&daemon, &mut server, "sha256d", first, 2 * DEATH);
    let thread = verdict["thread"].as_u64();
    assert!(
        thread.is_some_and(|thread| threads.contains(&thread)),
        "{verdict}"
    );
    innocent.assert_spared(&daemon);
}
