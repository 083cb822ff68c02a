//! Miners that are not what they seem, or not there at all.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::process::Command;
use std::time::Instant;

use serde_json::Value;
use tests::evade::cover::Cover;
use tests::evade::memory::Image;
use tests::evade::silence::Silence;
use tests::host::take_turn;
use tests::{Daemon, Workload};

use super::{DEATH, Innocent, NOTICE, SLOW_DEATH, assert_killed, image, miner_verdict};

/// Where a process's image is, as the kernel shows it.
fn exe(pid: u32) -> String {
    let link = fs::read_link(format!("/proc/{pid}/exe")).expect("it lives");
    link.to_string_lossy().into_owned()
}

#[test]
fn a_miner_that_calls_itself_a_kernel_thread_is_killed() {
    let _turn = take_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(&["--action", "kill"]);
    let innocent = Innocent::start(home.path());
    let title = "[kworker/0:1]";
    let mut miner = Workload::start_as(&home.path().join("a"), &["--title", title, "sha256d"]);
    let first = miner.first_hash();
    let shown = |file| fs::read(format!("/proc/{}/{file}", miner.pid())).expect("it lives");
    assert_eq!(shown("comm").trim_ascii_end(), title.as_bytes());
    assert_eq!(
        shown("cmdline").split(|&byte| byte == 0).next(),
        Some(title.as_bytes())
    );

    let verdict = assert_killed(&daemon, &mut miner, "sha256d", first, DEATH);
    assert_eq!(verdict["comm"], title, "{verdict}");
    innocent.assert_spared(&daemon);
}

#[test]
fn a_miner_whose_image_is_deleted_is_killed() {
    let _turn = take_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(&["--action", "kill"]);
    let innocent = Innocent::start(home.path());
    let path = home.path().join("gone");
    let mut miner = Workload::start_as(&path, &["sha256d"]);
    fs::remove_file(&path).expect("the file is ours");
    let first = miner.first_hash();
    assert!(exe(miner.pid()).ends_with(" (deleted)"));

    assert_killed(&daemon, &mut miner, "sha256d", first, DEATH);
    innocent.assert_spared(&daemon);
}

#[test]
fn a_miner_that_was_never_a_file_is_killed() {
    let _turn = take_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(&["--action", "kill"]);
    let innocent = Innocent::start(home.path());
    let memory = Image::of(&tests::host::workload());
    let mut miner = Workload::spawn(Command::new(memory.path()).arg("sha256d"));
    drop(memory);
    let first = miner.first_hash();
    let shown = exe(miner.pid());
    assert!(shown.starts_with("/memfd:"), "its image is {shown}");

    assert_killed(&daemon, &mut miner, "sha256d", first, DEATH);
    innocent.assert_spared(&daemon);
}

#[test]
fn a_miner_behind_a_bind_mount_is_killed() {
    let _turn = take_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(&["--action", "kill"]);
    let innocent = Innocent::start(home.path());
    let mut miner = Workload::start_as(&home.path().join("hidden"), &["sha256d"]);
    let cover = Cover::over(miner.pid());
    let first = miner.first_hash();
    assert!(cover.hides());

    assert_killed(&daemon, &mut miner, "sha256d", first, DEATH);
    innocent.assert_spared(&daemon);
}

/// One program under six names: what it is called changes nothing.
#[test]
fn a_miner_by_any_other_name_is_the_same_miner() {
    let _turn = take_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(&["--action", "kill"]);
    let innocent = Innocent::start(home.path());
    let random = RandomState::new();
    let names: BTreeSet<_> = (0..6)
        .map(|number| format!("{:012x}", random.hash_one(number) >> 16))
        .collect();
    let mut miners: Vec<_> = names
        .iter()
        .map(|name| {
            let file = image(home.path(), name);
            // Neither the file's name nor the process's tells of the others.
            let title: String = name.chars().rev().collect();
            let mut command = Command::new(file);
            Workload::spawn(command.args(["--title", &title, "sha256d"]))
        })
        .collect();
    let first = miners.iter().map(Workload::first_hash).max();
    let first = first.expect("there are six");
    for miner in &mut miners {
        assert_killed(&daemon, miner, "sha256d", first, DEATH);
    }
    let verdicts = daemon.events_of("verdict");
    let judged: BTreeSet<_> = verdicts
        .iter()
        .filter(|verdict| miners.iter().any(|miner| verdict["pid"] == miner.pid()))
        .filter_map(|verdict| Some(verdict["comm"].as_str()?.chars().rev().collect()))
        .collect();
    assert_eq!(judged, names);
    innocent.assert_spared(&daemon);
}

/// Who reads its mappings or its arguments waits until its own file system answers.
#[test]
fn a_miner_that_keeps_who_looks_at_it_waiting_is_killed() {
    let _turn = take_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    // It cannot end before the file system is gone: that is dropped first.
    let mut miner;
    let silence = Silence::mount();
    let file = silence.file();
    let file = file.to_str().expect("plain ASCII");
    miner = Workload::start_as(&home.path().join("still"), &["--stall", file, "sha256d"]);
    let _ = miner.first_hash();
    silence.wait_held(miner.pid());

    // Whose first look at it waits.
    let begun = Instant::now();
    let kept = home.path().join("kept");
    let kept = kept.to_str().expect("plain ASCII");
    let daemon = Daemon::start(&["--action", "kill", "--evidence-dir", kept]);
    let innocent = Innocent::start(home.path());
    // For half a minute it may be innocent of that.
    let action = daemon.event_about("action", miner.pid(), SLOW_DEATH);
    // None of its threads works any more, and the one that waits cannot end yet.
    assert_eq!(action["outcome"], "survived", "{action}");
    let verdict = miner_verdict(&daemon, miner.pid());
    assert_eq!(verdict["family"], "sha256d", "{verdict}");
    // What could be read is evidence, and of what could not it says so.
    let evidence = daemon.event_about("evidence", miner.pid(), NOTICE);
    let folder = evidence["folder"].as_str().expect("a name");
    let incident = fs::read(home.path().join("kept").join(folder).join("incident.json"));
    let incident: Value = serde_json::from_slice(&incident.expect("it is kept")).expect("JSON");
    let unreadable = incident["unreadable"].to_string();
    assert!(unreadable.contains("cannot tell now"), "{incident}");
    drop(silence);
    miner.wait_killed("the miner is dead", begun + SLOW_DEATH + NOTICE);
    let timeouts = [("cause", "timeout")];
    let late = daemon
        .metrics()
        .sum("unjack_reads_unanswered_total", &timeouts);
    assert!(late >= 1.0, "{late} reads were given up");
    innocent.assert_spared(&daemon);
}
