//! Miners that come again.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tests::evade::relay::{Run, Runner};
use tests::host::{reborn, take_turn};
use tests::{Daemon, Workload};

use super::{DEATH, Innocent, assert_unjudged, image, miner_verdict};

/// How long each process of a relay lives unless it is killed: more than the second
/// between two judgements and the half a second that it is sampled before one says that
/// its algorithm only mines. So one such judgement always falls into it.
const LIFE: Duration = Duration::from_millis(1_600);
/// Processes in a row that must not live so long once one was caught.
const CAUGHT: usize = 3;

fn runner(program: &Path, work: &[&str]) -> Runner {
    Runner::new(Workload::spawn(Command::new(program).args(work)), LIFE)
}

/// By the one signal or the other that the daemon sends.
fn is_kill(run: Run) -> bool {
    let signals = [Signal::TERM, Signal::KILL].map(Signal::as_raw);
    run.killed.is_some_and(|signal| signals.contains(&signal))
}

/// No process of it lives long enough to be judged alone, nor has a connection for
/// long: it is found for an algorithm that only mines. The innocent relay
/// beside it does the same with honest work.
#[test]
fn a_miner_with_a_new_pid_every_other_second_is_killed_each_time() {
    let _turn = take_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(&["--action", "kill"]);
    let (miner, honest) = (image(home.path(), "relay"), image(home.path(), "honest"));
    let began = Instant::now();
    let mut rounds: Vec<Run> = Vec::new();
    let first = loop {
        let beside = runner(&honest, &["burn"]);
        let run = runner(&miner, &["mine", "cryptonight"]).run();
        let beside = beside.run();
        assert_eq!(beside.killed, None, "an innocent was killed: {beside:?}");
        assert_unjudged(&daemon, beside.pid);
        rounds.push(run);
        let first = rounds.iter().position(|&run| is_kill(run));
        match first {
            Some(first) if rounds.len() > first + CAUGHT => break first,
            None if began.elapsed() > DEATH => {
                panic!("{} miners, one after the other, lived", rounds.len())
            }
            _ => {}
        }
    };
    assert!(
        rounds[first..].iter().all(|&run| is_kill(run)),
        "after the first that was killed: {:?}",
        &rounds[first..]
    );
    for run in &rounds[first..] {
        let verdict = miner_verdict(&daemon, run.pid);
        assert_eq!(verdict["family"], "cryptonight", "{verdict}");
    }
}

/// The second image has another name and another file, so what was found of
/// the first one says nothing of it: it is judged by what it does.
#[test]
fn a_miner_that_becomes_another_when_it_is_told_to_end_is_killed() {
    let _turn = take_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(&["--action", "kill"]);
    let innocent = Innocent::start(home.path());
    let second = image(home.path(), "second");
    let first_image = reborn();
    let mut miner = Workload::spawn(
        Command::new(&first_image)
            .arg("sha256d")
            .env("REBORN_AS", &second),
    );
    let first = miner.first_hash();
    for exe in [&first_image, &second] {
        let what = format!("verdict against {}", exe.display());
        daemon.wait_event(&what, DEATH, |event| {
            event["pid"] == miner.pid()
                && event["verdict"] == "miner"
                && event["exe"].as_str().map(Path::new) == Some(exe.as_path())
        });
    }
    // The order was about the first image: it is not carried out on the second.
    let event = daemon.event_about("action", miner.pid(), DEATH);
    assert_eq!(event["outcome"], "refused", "{event}");
    assert_eq!(event["reason"], "replaced", "{event}");
    miner.wait_killed("both lives of the miner are over", first + DEATH);
    let lives = miner
        .stdout
        .lines()
        .into_iter()
        .filter_map(|line| line.json);
    let lives = lives.filter(|line| line["event"] == "first-hash").count();
    assert_eq!(lives, 2, "it came again, once");
    innocent.assert_spared(&daemon);
}
