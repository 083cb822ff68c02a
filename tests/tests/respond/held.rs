//! A miner that is throttled or frozen: by the CPU time that it gets, and whether it goes
//! on.

use super::*;

fn check_throttled(work: &[&str]) {
    let _turn = crowd_turn();
    let home = Home::new();
    let mut daemon = home.daemon(&["--action", "throttle", "--throttle-to", "5"]);
    let mut miner = home.miner(work);
    let _ = miner.first_hash();
    let before = cgroups(miner.pid());
    acted(&daemon, miner.pid(), "throttle", "held");

    let share = burn(miner.pid(), WATCH);
    // It gets less where others want the processor as well, but some.
    assert!((0.001..0.075).contains(&share), "{share} of a core");
    let held = [("action", "throttle")];
    daemon.wait_metrics("it is counted", NOTICE, |metrics| {
        match metrics.sum("unjack_held", &held) {
            1.0 => Ok(()),
            held => Err(format!("{held} held")),
        }
    });

    assert!(daemon.stop(Signal::TERM).success());
    assert_eq!(cgroups(miner.pid()), before, "it is back where it was");
    eventually("it burns as it did", ACTED, || {
        match burn(miner.pid(), WATCH) {
            free if free > 0.1 && free > 2.0 * share => Ok(()),
            free => Err(format!("{free} of a core, throttled {share}")),
        }
    });
    assert!(miner.ended().is_none(), "it lives");
}

#[test]
fn a_randomx_miner_is_throttled_to_its_share_until_the_daemon_leaves() {
    check_throttled(&["randomx"]);
}

#[test]
fn a_sha256d_miner_of_two_threads_is_throttled_to_its_share() {
    check_throttled(&["--threads", "2", "sha256d"]);
}

#[test]
fn a_frozen_miner_burns_nothing_until_it_is_released() {
    let _turn = crowd_turn();
    let home = Home::new();
    let daemon = home.daemon(&["--action", "freeze"]);
    let mut miner = home.miner(&["sha256d"]);
    let _ = miner.first_hash();
    acted(&daemon, miner.pid(), "freeze", "held");
    assert!(burn(miner.pid(), WATCH) < 0.001);

    assert_eq!(home.release("4194304"), Some(4), "nobody has that id");
    let pid = miner.pid().to_string();
    assert_eq!(home.release(&pid), Some(0));
    assert!(burn(miner.pid(), WATCH) > 0.02);
    assert_eq!(home.release(&pid), Some(4), "it is no longer held");
    assert!(miner.ended().is_none(), "it lives");
    let actions = daemon.events_of("action");
    assert_eq!(actions.len(), 1, "let go is let go: {actions:?}");
}

/// Killed, the daemon undoes nothing; the next one does, or keeps.
#[test]
fn what_a_killed_daemon_held_is_kept_or_restored_by_the_next() {
    let _turn = crowd_turn();
    let home = Home::new();
    let mut daemon = home.daemon(&["--action", "freeze"]);
    let mut miner = home.miner(&["sha256d"]);
    let _ = miner.first_hash();
    acted(&daemon, miner.pid(), "freeze", "held");
    let _ = daemon.stop(Signal::KILL);
    assert!(burn(miner.pid(), Duration::from_secs(1)) < 0.001);

    let mut keeps = home.daemon(&["--keep"]);
    assert!(burn(miner.pid(), Duration::from_secs(2)) < 0.001);
    assert!(keeps.stop(Signal::TERM).success());
    assert!(burn(miner.pid(), Duration::from_secs(1)) < 0.001, "--keep");

    let _restores = home.daemon(&[]);
    assert!(burn(miner.pid(), WATCH) > 0.02);
    assert!(miner.ended().is_none(), "it lives");
}

/// Tries at an agent that is within a moment of a few milliseconds.
const TRIES: usize = 5;

/// Killed while it reads a miner that it has stopped for that, the agent leaves
/// it stopped; the next one lets it go on.
#[test]
fn what_a_killed_daemon_had_stopped_to_look_at_goes_on_with_the_next() {
    let _turn = take_turn();
    let home = Home::new();
    let evidence = home.dir.path().join("evidence").display().to_string();
    let mut left = None;
    // Two processors, one of them the miner's: it must not wait for its turn.
    setpriority_process(None, -20).expect("root may");
    for _ in 0..TRIES {
        let mut daemon = home.daemon(&["--action", "kill", "--evidence-dir", &evidence]);
        let miner = home.miner(&["sha256d"]);
        let _ = miner.first_hash();
        let held = Path::new(&home.state()).join("held.json");
        let deadline = Instant::now() + ACTED;
        // Not `eventually`: the moment is shorter than its pauses.
        while !fs::read_to_string(&held).is_ok_and(|text| text.contains("stopped")) {
            assert!(Instant::now() < deadline, "it was never stopped");
        }
        let _ = daemon.stop(Signal::KILL);
        if is_stopped(miner.pid()) {
            left = Some(miner);
            break;
        }
    }
    setpriority_process(None, 0).expect("root may");
    let mut miner = left.expect("one was caught while it was looked at");
    let _next = home.daemon(&["--keep"]);
    assert!(!is_stopped(miner.pid()), "it goes on");
    assert!(burn(miner.pid(), WATCH) > 0.02);
    assert!(miner.ended().is_none(), "it lives");
}

fn is_stopped(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status"));
    status.is_ok_and(|text| text.contains("\nState:\tT"))
}
