//! The operator's program gets what it was promised, and no more time.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use tests::host::{eventually, take_turn};
use tests::{Daemon, Workload};

use super::{MINES, NOTICE, home, script, wait_count};

#[test]
fn the_hook_gets_facts_and_the_event() {
    let _turn = take_turn();
    let home = home();
    let (hook, answer) = (home.path().join("hook"), home.path().join("answer"));
    script(
        &hook,
        "#!/bin/sh\nenv > \"$1.env\"\ncat > \"$1.json\"\nmv \"$1.json\" \"$1\"\n",
    );
    let daemon = Daemon::start(&[
        "--on-verdict",
        hook.to_str().expect("is UTF-8"),
        "--on-verdict-arg",
        answer.to_str().expect("is UTF-8"),
    ]);
    // What only mines is a miner from the first verdict on.
    let miner = Workload::start(&MINES);
    let _ = miner.first_hash();
    let told = daemon.event_about("verdict", miner.pid(), NOTICE);
    let text = eventually("the hook has run", NOTICE, || {
        fs::read_to_string(&answer).map_err(|error| error.to_string())
    });
    let mut event: Value = serde_json::from_str(&text).expect("one line of JSON");
    // Both are of the same event; only the moment of telling differs.
    event["ts"] = told["ts"].clone();
    assert_eq!(event, told);
    let environment = fs::read_to_string(home.path().join("answer.env")).expect("was written");
    for (name, value) in [
        ("UNJACK_PID", miner.pid().to_string()),
        ("UNJACK_VERDICT", "miner".to_owned()),
        ("UNJACK_FAMILY", "cryptonight".to_owned()),
        (
            "UNJACK_EXE",
            told["exe"].as_str().expect("a path").to_owned(),
        ),
        (
            "UNJACK_COMM",
            told["comm"].as_str().expect("a name").to_owned(),
        ),
    ] {
        let line = format!("{name}={value}");
        assert!(
            environment.lines().any(|one| one == line),
            "no {line} in {environment}"
        );
    }
    assert!(
        !environment.contains("CARGO") && !environment.contains("HOME="),
        "{environment}"
    );
    wait_count(&daemon, "unjack_hooks_total", &[("outcome", "done")], 1.0);
}

#[test]
fn a_hook_that_hangs_is_killed_with_its_children() {
    let _turn = take_turn();
    let home = home();
    let (hook, pid) = (home.path().join("hook"), home.path().join("pid"));
    script(&hook, "#!/bin/sh\nsleep 1000 &\necho $! > \"$1\"\nwait\n");
    let daemon = Daemon::start(&[
        "--on-verdict",
        hook.to_str().expect("is UTF-8"),
        "--on-verdict-arg",
        pid.to_str().expect("is UTF-8"),
        "--on-verdict-timeout",
        "1s",
    ]);
    let miner = Workload::start(&MINES);
    let _ = miner.first_hash();
    let _ = daemon.event_about("verdict", miner.pid(), NOTICE);
    wait_count(&daemon, "unjack_hooks_total", &[("outcome", "killed")], 1.0);
    let sleeper = fs::read_to_string(&pid).expect("the hook has begun");
    eventually("its child is gone", Duration::from_secs(5), || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", sleeper.trim()));
        match stat {
            Ok(stat) if !stat.contains(") Z") => Err(stat),
            _ => Ok(()),
        }
    });
}
