//! Decoys that are to open the circuit breaker, so that a miner is left alone.

use std::fs;
use std::process::Command;
use std::time::Instant;

use tests::evade::scope::Scope;
use tests::host::{take_turn, workload};
use tests::{Daemon, Workload};

use super::{DEATH, NOTICE, Place, condemn, workload_with_another_content};

/// One more than `--max-kills` is by default.
const COPIES: usize = 31;

/// That nothing was left alone because the breaker was open.
fn check_let_pass_nothing(daemon: &Daemon) {
    daemon.wait_metrics("the breaker let nothing pass", NOTICE, |metrics| {
        let passed = metrics.sum("unjack_breaker_let_pass_total", &[]);
        let open = metrics.sum("unjack_breaker_open", &[]);
        if passed == 0.0 && open == 0.0 {
            Ok(())
        } else {
            Err(format!("{passed} let pass, {open} open"))
        }
    });
}

/// A decoy is killed and banned. Copies of it are recognized and killed, and another
/// image that mines meanwhile is, too: also one of the same user.
#[test]
fn copies_of_a_banned_image_do_not_open_the_breaker() {
    let _turn = take_turn();
    let place = Place::new();
    let daemon = place.daemon(&[]);
    let _banned = condemn(&daemon, &place.file("decoy"));

    let copy = |number| Workload::start_as(&place.file(format!("copy-{number}")), &["sha256d"]);
    let mut copies: Vec<_> = (0..COPIES).map(copy).collect();
    let other = workload_with_another_content(&place);
    let mut miner = Workload::spawn(Command::new(&other).arg("sha256d"));
    let first = miner.first_hash();
    miner.wait_killed("the other image", first + DEATH);
    for copy in &mut copies {
        copy.wait_killed("a copy", Instant::now() + DEATH);
    }
    check_let_pass_nothing(&daemon);
}

/// Where nothing is banned, decoys with files of their own count for their user alone.
/// Root's are told apart by their units, as users are.
#[test]
fn decoys_of_one_unit_do_not_protect_the_image_of_another() {
    let _turn = take_turn();
    let place = Place::new();
    // What is banned would not be counted.
    let limits = ["--max-kills-per-user", "2", "--action", "freeze"];
    let state = place.file("state").display().to_string();
    let daemon = place.daemon(&[&limits[..], &["--state-dir", &state]].concat());
    let one = Scope::new("unjack-decoys.service");
    let elsewhere = Scope::new("unjack-other.service");
    let start = |scope: &Scope, name: &str| {
        let image = place.file(name);
        fs::copy(workload(), &image).expect("a copy");
        Workload::spawn(scope.command(&image).arg("sha256d"))
    };
    let decoys: Vec<_> = (0..4)
        .map(|number| start(&one, &format!("decoy-{number}")))
        .collect();
    daemon.wait_event("the breaker opens for that unit", DEATH, |event| {
        event["event"] == "breaker" && event["state"] == "opened" && event["level"] == "cgroup"
    });
    daemon.wait_event("a decoy is let pass", DEATH, |event| {
        event["event"] == "action" && event["reason"] == "breaker"
    });
    let miner = start(&elsewhere, "miner");
    let _ = miner.first_hash();
    let event = daemon.event_about("action", miner.pid(), DEATH);
    assert_eq!(event["outcome"], "held", "the other unit's: {event}");
    daemon.wait_metrics(
        "what was let pass is counted",
        NOTICE,
        |metrics| match metrics.sum("unjack_breaker_let_pass_total", &[]) {
            0.0 => Err("nothing".to_owned()),
            _ => Ok(()),
        },
    );
    drop((decoys, miner, daemon));
}
