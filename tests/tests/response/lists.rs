//! Lists of images: what is on them, and what happens to a bad one.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use tests::daemon::command;
use tests::host::{assert_clean, output, take_turn, unjack, workload};
use tests::{Daemon, Workload};

use super::{DEATH, MINES, NOTICE, home, sha256, wait_count};

/// A list with one program.
fn list(path: &Path, program: &Path, name: &str) {
    fs::write(path, format!("# a list\n{} {name}\n", sha256(program))).expect("it is ours");
}

fn hang_up(daemon: &Daemon) {
    let pid = Pid::from_raw(i32::try_from(daemon.pid()).expect("is a pid"));
    kill_process(pid.expect("is a pid"), Signal::HUP).expect("it lives");
}

/// A copy of a program with one byte more: another program, that does the same.
fn another(program: &Path, path: &Path) {
    let mut content = fs::read(program).expect("it can be read");
    content.push(0);
    fs::copy(program, path).expect("it can be copied");
    fs::write(path, content).expect("the copy is ours");
}

/// A daemon that kills, with a list.
fn daemon(flag: &str, list: &Path) -> Daemon {
    let list = list.to_str().expect("is UTF-8");
    Daemon::start(&["--action", "kill", flag, list])
}

/// Work that is no mining, by a program that a list says mines, under another
/// name.
#[test]
fn a_denied_program_is_killed_by_its_content() {
    let _turn = take_turn();
    let home = home();
    let deny = home.path().join("deny");
    list(&deny, &workload(), "HKTL_BITCOINMINE");
    let daemon = daemon("--deny-file", &deny);
    let mut burner = Workload::start_as(&home.path().join("other"), &["burn"]);
    let first = burner.first_hash();
    burner.wait_killed("the denied program is dead", first + DEATH);
    let verdict = daemon.event_about("verdict", burner.pid(), NOTICE);
    let why = verdict["evidence"][0]["text"].as_str().expect("a sentence");
    assert!(why.contains("HKTL_BITCOINMINE"), "{verdict}");
    let metrics = daemon.metrics();
    let entries = metrics.sum("unjack_list_entries", &[("list", "deny-file")]);
    assert!((entries - 1.0).abs() < 0.5);
}

/// It is told by its content when it is executed: it need not burn.
#[test]
fn a_denied_program_that_does_nothing_is_killed_too() {
    let _turn = take_turn();
    let home = home();
    let (deny, sleeper) = (home.path().join("deny"), home.path().join("sleeper"));
    another(Path::new("/bin/sleep"), &sleeper);
    list(&deny, &sleeper, "TROJ_COINMINE");
    let daemon = daemon("--deny-file", &deny);
    let began = Instant::now();
    let mut spared = Workload::spawn(Command::new("/bin/sleep").arg("600"));
    let mut denied = Workload::spawn(Command::new(&sleeper).arg("600"));
    denied.wait_killed("the denied program is dead", began + DEATH);
    let verdict = daemon.event_about("verdict", denied.pid(), NOTICE);
    let why = verdict["evidence"][0]["text"].as_str().expect("a sentence");
    assert!(why.contains("TROJ_COINMINE"), "{verdict}");
    assert!(spared.ended().is_none(), "another lives");
}

/// One byte more, and the same program is another.
#[test]
fn an_allowed_program_is_spared_and_another_is_not() {
    let _turn = take_turn();
    let home = home();
    let allow = home.path().join("allow");
    list(&allow, &workload(), "ours");
    let daemon = daemon("--allow-file", &allow);
    let path = home.path().join("other");
    another(&workload(), &path);
    let mut spared = Workload::start(&MINES);
    let mut other = Workload::spawn(Command::new(&path).args(MINES));
    let first = spared.first_hash().max(other.first_hash());
    other.wait_killed("the program not on the list is dead", first + DEATH);
    let action = daemon.event_about("action", spared.pid(), NOTICE);
    assert_eq!(
        (&action["outcome"], &action["reason"]),
        (&"refused".into(), &"allowed".into())
    );
    assert!(spared.ended().is_none());
}

#[test]
fn a_list_is_read_again_and_a_bad_one_is_not_taken() {
    let _turn = take_turn();
    let home = home();
    let allow = home.path().join("allow");
    list(&allow, &workload(), "ours");
    let daemon = daemon("--allow-file", &allow);
    fs::write(&allow, "# nothing\n\nnot a hash\x1b[2J\n").expect("it is ours");
    hang_up(&daemon);
    wait_count(
        &daemon,
        "unjack_list_reloads_total",
        &[("outcome", "kept-old")],
        1.0,
    );
    let told = daemon.stderr.wait(NOTICE, |line| {
        String::from_utf8_lossy(&line.raw).contains("/allow:3:")
    });
    assert!(told.is_some(), "the bad line is not told");
    assert_clean("stderr", &daemon.stderr.bytes());
    // The old list is in force.
    let mut spared = Workload::start(&MINES);
    let _ = spared.first_hash();
    let action = daemon.event_about("action", spared.pid(), NOTICE);
    assert_eq!(action["reason"], "allowed", "{action}");
    assert!(spared.ended().is_none());
    drop(spared);

    fs::write(&allow, "# nothing\n").expect("it is ours");
    hang_up(&daemon);
    wait_count(
        &daemon,
        "unjack_list_reloads_total",
        &[("outcome", "loaded")],
        1.0,
    );
    let mut miner = Workload::start(&MINES);
    let first = miner.first_hash();
    miner.wait_killed("the miner that is no longer allowed", first + DEATH);
}

#[test]
fn a_bad_list_at_the_start_is_a_bad_flag() {
    let _turn = take_turn();
    let home = home();
    let bad = home.path().join("bad");
    fs::write(&bad, "\nnot a hash\n").expect("it is ours");
    for flag in ["--deny-file", "--allow-file"] {
        let mut run = command(&unjack());
        let answer = output(run.args(["run", flag]).arg(&bad));
        let message = String::from_utf8_lossy(&answer.stderr);
        assert_eq!(answer.status.code(), Some(2), "{message}");
        assert!(
            message.contains(flag) && message.contains("bad:2:"),
            "{message}"
        );
    }
}
