//! Evidence is complete, bounded, and never in the way of the action.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use tests::evade::memory::Image;
use tests::host::{output, take_turn, workload};
use tests::{Daemon, Workload};

use super::{DEATH, MINES, NOTICE, home, incident, sha256, wait_count};

/// A daemon that keeps evidence there.
fn daemon(directory: &Path, more: &[&str]) -> Daemon {
    let directory = directory.to_str().expect("is UTF-8");
    let mut args = vec!["--evidence-dir", directory];
    args.extend(more);
    Daemon::start(&args)
}

/// The miner is dead and all that was promised of it is there, the program too.
fn check_complete(daemon: &Daemon, kept: &Path, miner: &mut Workload, program: &str) -> Value {
    let first = miner.first_hash();
    miner.wait_killed("the miner is dead", first + DEATH);
    let (folder, incident) = incident(kept, miner.pid());
    assert_eq!(sha256(&folder.join("image")), program, "{incident}");
    assert_eq!(incident["image"]["sha256"], program);
    assert_eq!(incident["verdict"]["pid"], miner.pid());
    assert_eq!(incident["verdict"]["verdict"], "miner");
    let lines = incident["verdict"]["evidence"].as_array().expect("a list");
    assert!(!lines.is_empty());
    for line in lines {
        assert!(line["text"].is_string(), "{line}");
        assert!(line["log_odds"].is_number(), "{line}");
        assert!(line["kind"].is_string(), "{line}");
    }
    let code = incident["verdict"]["code"].as_array().expect("a list");
    assert!(code.iter().all(Value::is_string), "{code:?}");
    assert!(
        incident["summary"]["samples"].as_u64() >= Some(40),
        "{incident}"
    );
    assert!(incident["summary"]["mix"].is_object() || incident["summary"]["mix"].is_array());
    assert_eq!(incident["lost"], serde_json::json!([]), "{incident}");
    assert_eq!(incident["unreadable"], serde_json::json!([]), "{incident}");
    let arguments = &incident["arguments"]["kept"];
    assert_eq!(arguments[1], MINES[0], "{arguments}");
    assert!(
        !incident["cgroups"]["kept"]
            .as_array()
            .expect("a list")
            .is_empty()
    );
    // The process that started it: this test.
    assert_eq!(incident["ancestors"]["kept"][0]["pid"], std::process::id());
    let code = fs::read_to_string(folder.join("code.txt")).expect("there is code");
    assert!(
        code.lines()
            .any(|line| line.starts_with("    ") && line.len() > 6),
        "{code}"
    );
    let maps = fs::read_to_string(folder.join("maps.txt")).expect("there are mappings");
    assert!(maps.contains("r-xp") && maps.contains("[stack]"), "{maps}");
    for file in ["incident.json", "code.txt", "maps.txt", "image"] {
        let mode = fs::metadata(folder.join(file))
            .expect(file)
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o600, "{file}");
    }
    let event = daemon.event_about("evidence", miner.pid(), NOTICE);
    assert_eq!(event["sha256"], program);
    assert!(folder.ends_with(event["folder"].as_str().expect("a name")));
    incident
}

/// No action waited longer than promised.
fn check_held(daemon: &Daemon) {
    let metrics = daemon.metrics();
    let held = |le: &[(&str, &str)], kind: &str| {
        metrics.sum(&format!("unjack_evidence_held_seconds_{kind}"), le)
    };
    let count = held(&[], "count");
    assert!(count >= 1.0);
    let within = held(&[("le", "0.25")], "bucket");
    assert!(
        (within - count).abs() < 0.5,
        "{within} of {count} within 250 ms"
    );
}

#[test]
fn a_miners_folder_is_complete() {
    let _turn = take_turn();
    let home = home();
    let kept = home.path().join("kept");
    let daemon = daemon(&kept, &["--action", "kill", "--grace", "0s"]);
    let path = home.path().join("miner");
    fs::copy(workload(), &path).expect("the workload can be copied");
    let mut command = Command::new(&path);
    // A connection to be found, and a secret that is not to be.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("is bound");
    let script = format!(
        "exec 7<>/dev/tcp/127.0.0.1/{}; exec {} {}",
        address.port(),
        path.display(),
        MINES.join(" ")
    );
    command = {
        drop(command);
        let mut bash = Command::new("bash");
        bash.args(["-c", &script])
            .env("WALLET_TOKEN", "hunter2secret");
        bash
    };
    let mut miner = Workload::spawn(&mut command);
    let incident = check_complete(&daemon, &kept, &mut miner, &sha256(&path));
    let sockets = incident["sockets"]["kept"].as_array().expect("a list");
    assert!(
        sockets
            .iter()
            .any(|socket| socket["remote"] == address.to_string()
                && socket["state"] == "established"),
        "{sockets:?}"
    );
    let names = incident["environment_names"]["kept"]
        .as_array()
        .expect("a list");
    assert!(names.iter().any(|name| name == "WALLET_TOKEN"), "{names:?}");
    for entry in walk(&kept) {
        let bytes = fs::read(&entry).expect("readable");
        let leaked = bytes.windows(13).any(|bytes| bytes == b"hunter2secret");
        assert!(!leaked, "a secret is in {}", entry.display());
    }
    check_held(&daemon);
}

/// All files below a directory of folders.
fn walk(directory: &Path) -> Vec<std::path::PathBuf> {
    let folders = fs::read_dir(directory).expect("is a directory").flatten();
    folders
        .flat_map(|folder| fs::read_dir(folder.path()).expect("is a folder").flatten())
        .map(|file| file.path())
        .collect()
}

#[test]
fn a_deleted_program_is_recovered() {
    let _turn = take_turn();
    let home = home();
    let kept = home.path().join("kept");
    let daemon = daemon(&kept, &["--action", "kill"]);
    let path = home.path().join("gone");
    let mut miner = Workload::start_as(&path, &MINES);
    let program = sha256(&path);
    fs::remove_file(&path).expect("the file is ours");
    check_complete(&daemon, &kept, &mut miner, &program);
    check_held(&daemon);
}

#[test]
fn a_program_that_was_never_a_file_is_recovered() {
    let _turn = take_turn();
    let home = home();
    let kept = home.path().join("kept");
    let daemon = daemon(&kept, &["--action", "kill"]);
    let memory = Image::of(&workload());
    let mut miner = Workload::spawn(Command::new(memory.path()).args(MINES));
    drop(memory);
    check_complete(&daemon, &kept, &mut miner, &sha256(&workload()));
}

/// With observe the process is not touched: it never stops, and lives on.
#[test]
fn observing_takes_evidence_and_touches_nothing() {
    let _turn = take_turn();
    let home = home();
    let kept = home.path().join("kept");
    let daemon = daemon(&kept, &[]);
    let mut miner = Workload::start(&MINES);
    let _ = miner.first_hash();
    let (folder, _) = incident(&kept, miner.pid());
    assert_eq!(sha256(&folder.join("image")), sha256(&workload()));
    assert!(miner.ended().is_none());
    let metrics = daemon.metrics();
    assert!(metrics.sum("unjack_evidence_held_seconds_count", &[]) < 0.5);
}

/// A small file system of its own, unmounted when dropped.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(at: &'a Path) -> Self {
        let mounted = output(
            Command::new("mount")
                .args(["-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs"])
                .arg(at),
        );
        assert!(
            mounted.status.success(),
            "{}",
            mounted.stderr.escape_ascii()
        );
        Self(at)
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = output(Command::new("umount").arg("-l").arg(self.0));
    }
}

#[test]
fn a_full_disk_loses_evidence_and_never_the_action() {
    let _turn = take_turn();
    let home = home();
    let kept = home.path().join("kept");
    fs::create_dir(&kept).expect("the directory is ours");
    let small = Small::mount(&kept);
    let full = fs::write(kept.join("filler"), vec![1; 1 << 20]).expect_err("it is small");
    assert_eq!(full.raw_os_error(), Some(28), "{full}");
    let mut daemon = daemon(&kept, &["--action", "kill"]);
    let mut miner = Workload::start(&MINES);
    let first = miner.first_hash();
    miner.wait_killed("the miner is dead", first + DEATH);
    wait_count(
        &daemon,
        "unjack_evidence_lost_total",
        &[("reason", "disk-full")],
        1.0,
    );
    let action = daemon.event_about("action", miner.pid(), NOTICE);
    assert_eq!(action["outcome"], "gone", "{action}");
    assert!(daemon.stop(Signal::TERM).success());
    let names: Vec<_> = fs::read_dir(&kept).expect("is mounted").flatten().collect();
    assert_eq!(names.len(), 1, "something unfinished stays: {names:?}");
    drop(small);
}

#[test]
fn a_huge_program_is_not_copied_and_the_rest_is_kept() {
    let _turn = take_turn();
    let home = home();
    let kept = home.path().join("kept");
    let daemon = daemon(&kept, &["--action", "kill"]);
    let path = home.path().join("huge");
    fs::copy(workload(), &path).expect("the workload can be copied");
    let file = fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .expect("the file is ours");
    file.set_len(4 << 30).expect("files may have holes");
    drop(file);
    let mut miner = Workload::spawn(Command::new(&path).args(MINES));
    let first = miner.first_hash();
    miner.wait_killed("the miner is dead", first + DEATH);
    let (folder, incident) = incident(&kept, miner.pid());
    assert!(!folder.join("image").exists());
    assert_eq!(incident["lost"], serde_json::json!(["image-too-large"]));
    assert_eq!(incident["image"]["size"], 4_u64 << 30);
    let reason = [("reason", "image-too-large")];
    wait_count(&daemon, "unjack_evidence_lost_total", &reason, 1.0);
    check_held(&daemon);
}

#[test]
fn the_oldest_folder_goes_first() {
    let _turn = take_turn();
    let home = home();
    let kept = home.path().join("kept");
    let daemon = daemon(&kept, &["--action", "kill", "--evidence-max-count", "1"]);
    let mut miners: Vec<_> = (0..2)
        .map(|_| {
            let mut miner = Workload::start(&MINES);
            let first = miner.first_hash();
            miner.wait_killed("the miner is dead", first + DEATH);
            let _ = daemon.event_about("evidence", miner.pid(), NOTICE);
            miner
        })
        .collect();
    let (_, second) = incident(&kept, miners.remove(1).pid());
    assert!(second.is_object());
    assert_eq!(fs::read_dir(&kept).expect("is there").count(), 1);
    wait_count(&daemon, "unjack_evidence_pruned_total", &[], 1.0);
}
