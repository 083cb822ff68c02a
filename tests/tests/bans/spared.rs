//! What is killed and not banned, and why.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tests::host::{output, take_turn, workload};
use tests::{Daemon, Workload};

use super::{
    ADOPTION, DEATH, MINES, NOTICE, Place, check_refused, check_runs, workload_with_another_content,
};

/// A miner is found and killed, and its image not banned: what is said of it.
fn spared(place: &Place, daemon: &Daemon, mut miner: Workload) -> Value {
    let first = miner.first_hash();
    let pid = miner.pid();
    miner.wait_killed("the miner", first + DEATH);
    let event = daemon.wait_event("why the image is not banned", NOTICE, |event| {
        event["event"] == "ban" && event["pid"] == pid
    });
    assert_eq!(event["outcome"], "spared", "{event}");
    assert!(place.list().is_empty(), "{:?}", place.list());
    let reason = event["spared"].as_str().expect("a reason").to_owned();
    daemon.wait_metrics("it is counted", NOTICE, |metrics| {
        let labels = [("reason", reason.as_str())];
        match metrics.sum("unjack_bans_refused_total", &labels) {
            count if count >= 1.0 => Ok(()),
            count => Err(format!("{count}")),
        }
    });
    event
}

/// A file of root's in one of the system's folders, gone with the test.
struct Installed(PathBuf);

impl Installed {
    fn new(place: &Place) -> Self {
        let name = place.home.path().file_name().expect("it has a name");
        let name = name.to_string_lossy().replace('.', "-");
        let path = Path::new("/usr/local/bin").join(format!("unjack-test-{name}"));
        fs::copy(workload(), &path).expect("root may");
        Self(path)
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_system_image_is_killed_and_not_banned() {
    let _turn = take_turn();
    let place = Place::new();
    let installed = Installed::new(&place);
    let list = place.file("deny");
    let digest = output(Command::new("sha256sum").arg(&installed.0)).stdout;
    fs::write(&list, digest).expect("it is ours");
    // What the system has is not taken for a miner by what it executes.
    let daemon = place.daemon(&["--deny-file", list.to_str().expect("UTF-8")]);
    let miner = Workload::spawn(Command::new(&installed.0).arg("sha256d"));
    let event = spared(&place, &daemon, miner);
    assert_eq!(event["spared"], "system", "{event}");
    check_runs(&installed.0);
}

/// As a copy of the system's Python in a user's home: a ban is by content.
#[test]
fn a_copy_of_a_system_image_is_killed_and_not_banned() {
    let _turn = take_turn();
    let place = Place::new();
    let daemon = place.daemon(&[]);
    let installed = Installed::new(&place);
    let copy = place.file("copy");
    let event = spared(&place, &daemon, Workload::start_as(&copy, &MINES));
    assert_eq!(event["spared"], "system", "{event}");
    check_runs(&installed.0);
    check_runs(&copy);
}

/// What runs other people's programs is told by what it has in it, not by its
/// name or whose it is.
#[test]
fn an_interpreter_of_a_users_own_is_killed_and_not_banned() {
    let _turn = take_turn();
    let place = Place::new();
    let daemon = place.daemon(&[]);
    let file = workload_with_another_content(&place);
    let mut bytes = fs::read(&file).expect("readable");
    bytes.extend_from_slice(b"Py_BytesMain");
    fs::write(&file, bytes).expect("writable");
    let miner = Workload::spawn(Command::new(&file).arg("sha256d"));
    let event = spared(&place, &daemon, miner);
    assert_eq!(event["spared"], "runtime", "{event}");
    check_runs(&file);
}

/// The kernel refuses an image to all processes: also to those that a rule allows.
#[test]
fn where_a_user_may_mine_no_image_is_banned() {
    let _turn = take_turn();
    let place = Place::new();
    let daemon = place.daemon(&["--allow", "user=nobody"]);
    let file = place.file("miner");
    let event = spared(&place, &daemon, Workload::start_as(&file, &MINES));
    assert_eq!(event["spared"], "allowed-runners", "{event}");
    check_runs(&file);
}

/// A ban of what was allowed later is lifted, and no copy is taken for one.
#[test]
fn no_ban_applies_to_what_is_allowed() {
    let _turn = take_turn();
    let place = Place::new();
    let file = place.file("program");
    let copy = place.file("copy");
    fs::copy(workload(), &file).expect("a copy");
    let digest = output(Command::new("sha256sum").arg(&file)).stdout;
    let digest = String::from_utf8_lossy(&digest[..64]).into_owned();
    let list = place.file("allow");
    fs::write(&list, format!("{digest} ours\n")).expect("it is ours");
    for (flag, value) in [
        ("--allow", format!("sha256={digest}")),
        ("--allow", format!("exe={}", file.display())),
        ("--allow-file", list.display().to_string()),
    ] {
        let _ = place.bans(&["add".as_ref(), file.as_ref()]);
        check_refused(&file);
        let mut daemon = place.daemon(&[flag, &value]);
        let event = daemon.wait_event("that the ban is lifted", ADOPTION, |event| {
            event["event"] == "ban" && event["outcome"] == "lifted"
        });
        assert_eq!(event["spared"], "allowed", "{event}");
        check_runs(&file);
        assert!(place.list().is_empty(), "{flag} {value}");
        if !value.starts_with("exe=") {
            let mut miner = Workload::start_as(&copy, &MINES);
            let _ = miner.first_hash();
            let action = daemon.event_about("action", miner.pid(), DEATH);
            assert_eq!(action["reason"], "allowed", "{flag}: {action}");
            assert!(miner.ended().is_none());
        }
        assert!(daemon.stop(Signal::TERM).success());
    }
}

/// A process that is only held is not ended: nothing is banned for it.
#[test]
fn what_is_not_killed_is_not_banned() {
    let _turn = take_turn();
    let place = Place::new();
    let state = place.file("state");
    for action in ["observe", "throttle", "freeze"] {
        let daemon = place.daemon(&[
            "--action",
            action,
            "--state-dir",
            state.to_str().expect("UTF-8"),
        ]);
        let miner = Workload::start_as(&place.file("miner"), &MINES);
        let _ = miner.first_hash();
        let _ = daemon.event_about("action", miner.pid(), DEATH);
        // A ban would be there with the next tick.
        std::thread::sleep(Duration::from_secs(2));
        assert!(daemon.events_of("ban").is_empty(), "{action}");
        assert!(
            place.list().is_empty() && !place.pins.path().exists(),
            "{action}"
        );
    }
}
