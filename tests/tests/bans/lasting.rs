//! How long bans last, and who ends them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tests::host::{assert_clean, eventually, output, take_turn, unjack, workload};
use tests::{Workload, daemon};

use super::{ADOPTION, NOTICE, Place, check_refused, check_runs, condemn, loaded};

#[test]
fn copies_are_recognised_by_their_content() {
    let _turn = take_turn();
    let place = Place::new();
    let daemon = place.daemon(&["--ban-with", "signal"]);
    let file = place.file("miner");
    let banned = condemn(&daemon, &file);

    // Under another name.
    let copy = place.file("nginx");
    let begun = Instant::now();
    let mut miner = Workload::start_as(&copy, &["sha256d"]);
    miner.wait_killed("the copy", begun + NOTICE);
    let respawn = daemon.wait_event("recognised copy", NOTICE, |event| {
        event["event"] == "respawn" && event["outcome"] == "recognised"
    });
    assert_eq!(respawn["pid"], miner.pid(), "{respawn}");
    assert_eq!(respawn["ban"]["sha256"], banned["ban"]["sha256"]);
    let action = daemon.event_about("action", miner.pid(), NOTICE);
    assert_eq!(action["outcome"], "gone", "{action}");
    check_refused(&copy);

    // Written anew, with the same bytes.
    let bytes = fs::read(&file).expect("readable");
    fs::write(&file, bytes).expect("writable");
    let begun = Instant::now();
    let mut miner = Workload::spawn(Command::new(&file).arg("sha256d"));
    miner.wait_killed("the rewritten file", begun + NOTICE);
    eventually("the rewritten file is banned", NOTICE, || {
        let list = place.list();
        let same = |ban: &&Value| ban["exe"] == file.to_str().expect("UTF-8");
        match list.iter().filter(same).count() {
            2.. => Ok(()),
            _ => Err(format!("{list:?}")),
        }
    });
    check_refused(&file);
}

#[test]
fn bans_outlive_the_daemon_and_a_new_one_adopts_them() {
    let _turn = take_turn();
    let before = loaded();
    let place = Place::new();
    let file = place.file("miner");
    let mut first = place.daemon(&[]);
    let _ = condemn(&first, &file);
    let _ = first.stop(Signal::KILL);
    check_refused(&file);
    check_refused(&file);
    assert_eq!(place.refused(&file), 2);

    let mut second = place.daemon(&[]);
    second.wait_metrics("the ban is adopted", NOTICE, |metrics| {
        let bans = metrics.sum("unjack_bans", &[]);
        let refused = metrics.sum("unjack_execs_refused_total", &[]);
        match (bans, refused) {
            (1.0, 2.0) => Ok(()),
            _ => Err(format!("{bans} bans, {refused} refused")),
        }
    });
    // The hash was adopted too.
    let copy = place.file("copy");
    let begun = Instant::now();
    let mut miner = Workload::start_as(&copy, &["sha256d"]);
    miner.wait_killed("a copy of what the one before had banned", begun + NOTICE);
    check_refused(&file);
    assert!(second.stop(Signal::TERM).success());
    check_refused(&file);
    assert_eq!(place.refused(&file), 4);

    let _ = place.bans(&["flush".as_ref()]);
    eventually("nothing stays loaded", NOTICE, || match loaded() {
        // What a test before this one left may go as well.
        now if now.0 <= before.0 && now.1 <= before.1 => Ok(()),
        now => Err(format!("{now:?} instead of {before:?}")),
    });
    assert!(!place.pins.path().exists());
    check_runs(&file);
}

#[test]
fn a_flush_is_noticed_by_a_running_daemon() {
    let _turn = take_turn();
    let place = Place::new();
    let daemon = place.daemon(&[]);
    let file = place.file("miner");
    let _ = condemn(&daemon, &file);
    check_refused(&file);
    let _ = place.bans(&["flush".as_ref()]);
    check_runs(&file);
    daemon.wait_metrics("the daemon has no bans", NOTICE, |metrics| {
        match metrics.sum("unjack_bans", &[]) {
            0.0 => Ok(()),
            bans => Err(format!("{bans} bans")),
        }
    });
    // One by hand is noticed as well, with its copies.
    let _ = place.bans(&["add".as_ref(), file.as_ref()]);
    check_refused(&file);
    daemon.wait_metrics(
        "the ban by hand is adopted",
        ADOPTION,
        |metrics| match metrics.sum("unjack_bans", &[]) {
            1.0 => Ok(()),
            bans => Err(format!("{bans} bans")),
        },
    );
    let copy = place.file("copy");
    let begun = Instant::now();
    let mut miner = Workload::start_as(&copy, &["sha256d"]);
    miner.wait_killed("the copy of what was banned by hand", begun + NOTICE);
}

#[test]
fn without_bans_nothing_stays_in_the_kernel() {
    let _turn = take_turn();
    let before = loaded();
    let place = Place::new();
    let mut daemon = place.daemon(&[]);
    let _ = daemon.stop(Signal::KILL);
    eventually("nothing stays loaded", NOTICE, || match loaded() {
        // What a test before this one left may go as well.
        now if now.0 <= before.0 && now.1 <= before.1 => Ok(()),
        now => Err(format!("{now:?} instead of {before:?}")),
    });
    assert!(!place.pins.path().exists());
}

#[test]
fn a_ban_ends() {
    let _turn = take_turn();
    let place = Place::new();
    let file = place.file("program");
    fs::copy(workload(), &file).expect("a copy");
    let _ = place.bans(&[
        "add".as_ref(),
        file.as_ref(),
        "--for".as_ref(),
        "3s".as_ref(),
    ]);
    check_refused(&file);
    eventually(
        "the ban is over",
        Duration::from_secs(6),
        || match Command::new(&file).arg("--help").output() {
            Ok(answer) if answer.status.success() => Ok(()),
            other => Err(format!("{other:?}")),
        },
    );
    assert!(place.list().is_empty());
}

#[test]
fn a_ban_is_removed_by_id_and_by_file() {
    let _turn = take_turn();
    let place = Place::new();
    let file = place.file("program");
    fs::copy(workload(), &file).expect("a copy");
    let _ = place.bans(&["add".as_ref(), file.as_ref()]);
    let id = place.list()[0]["id"].as_str().expect("an id").to_owned();
    let _ = place.bans(&["remove".as_ref(), id.as_ref()]);
    check_runs(&file);
    assert!(
        !place.pins.path().exists(),
        "nothing is pinned without bans"
    );
    let _ = place.bans(&["add".as_ref(), file.as_ref()]);
    check_refused(&file);
    let _ = place.bans(&["remove".as_ref(), file.as_ref()]);
    check_runs(&file);
}

#[test]
fn the_systems_own_files_cannot_be_banned() {
    let _turn = take_turn();
    let place = Place::new();
    let shell = fs::canonicalize("/bin/sh").expect("a shell");
    let own = unjack();
    for file in [shell.as_path(), own.as_path()] {
        let mut command = daemon::command(&own);
        command
            .args(["bans", "add"])
            .arg(file)
            .args(["--pin-dir", place.pins.arg()]);
        let answer = output(&mut command);
        assert_eq!(answer.status.code(), Some(1), "{answer:?}");
    }
    assert!(place.list().is_empty());
}

#[test]
fn hostile_names_in_the_list_are_escaped() {
    let _turn = take_turn();
    let place = Place::new();
    let hostile = b"mi\n{\"event\":\"ready\"}\n\x1b[31m\"'\\n\xff\xc2\x9b31m\x7f";
    let file = place.file(OsStr::from_bytes(hostile));
    fs::copy(workload(), &file).expect("a copy");
    assert_clean("add", &place.bans(&["add".as_ref(), file.as_ref()]));
    check_refused(&file);
    let text = place.bans(&["list".as_ref()]);
    assert_clean("list", &text);
    assert_eq!(String::from_utf8_lossy(&text).lines().count(), 2);
    assert_clean(
        "list --json",
        &place.bans(&["list".as_ref(), "--json".as_ref()]),
    );
    assert_eq!(place.list().len(), 1);
    assert_clean("remove", &place.bans(&["remove".as_ref(), file.as_ref()]));
}
