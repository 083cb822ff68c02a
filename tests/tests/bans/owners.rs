//! A ban is carried over to copies of the same owner, and to no other owner's: a
//! user who copies a program and mines with the copy must not cause the program to
//! be refused.

use std::fs::{File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use tests::Workload;
use tests::host::take_turn;

use super::{NOTICE, Place, check_refused, check_runs, condemn};

const ROOT: u32 = 0;
/// The user `nobody`.
const NOBODY: u32 = 65534;

/// An empty file of this user's: what is copied to it belongs to the user, too.
fn owned(place: &Place, name: &str, owner: u32) -> PathBuf {
    let path = place.file(name);
    let file = File::create(&path).expect("it is ours");
    chown(&path, Some(owner), None).expect("root may");
    file.set_permissions(Permissions::from_mode(0o755))
        .expect("root may");
    path
}

/// Once a file of the user `banned` is banned, the user `other` may still execute
/// its own copy.
#[track_caller]
fn check(banned: u32, other: u32) {
    let _turn = take_turn();
    let place = Place::new();
    let daemon = place.daemon(&["--ban-with", "signal"]);
    let file = owned(&place, "miner", banned);
    let _ = condemn(&daemon, &file);

    // At honest work: what becomes of it is for what its file holds.
    let others = owned(&place, "others", other);
    let mut honest = Workload::start_as(&others, &["burn"]);
    let _ = honest.first_hash();
    daemon.wait_metrics("the copy is looked at", NOTICE, |metrics| {
        let labels = [("result", "spared")];
        match metrics.sum("unjack_ban_images_total", &labels) {
            count if count >= 1.0 => Ok(()),
            count => Err(format!("{count}")),
        }
    });
    check_runs(&others);
    assert!(honest.ended().is_none(), "another owner's copy was ended");
    assert_eq!(place.list().len(), 1, "{:?}", place.list());
    // As a miner it runs until it is found anew.
    let miner = Workload::spawn(Command::new(&others).arg("sha256d"));
    let _ = miner.first_hash();
    drop(miner);
    drop(honest);

    let same = owned(&place, "same", banned);
    let begun = Instant::now();
    let mut miner = Workload::start_as(&same, &["sha256d"]);
    miner.wait_killed("the copy of the same owner", begun + NOTICE);
    let _ = daemon.wait_event("the recognised copy", NOTICE, |event| {
        event["event"] == "respawn"
            && event["outcome"] == "recognised"
            && event["pid"] == miner.pid()
    });
    check_refused(&same);
}

#[test]
fn a_users_copy_of_what_is_banned_and_roots_runs() {
    check(ROOT, NOBODY);
}

#[test]
fn what_is_roots_is_not_refused_for_a_users_copy() {
    check(NOBODY, ROOT);
}
