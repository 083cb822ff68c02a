//! Processes of an ordinary user of which every read hangs, by the hundred.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tests::evade::silence::Silence;
use tests::host::{eventually, take_turn};
use tests::{Daemon, Workload, metrics};

use crate::{Innocent, SLOW_DEATH, assert_killed, image};

/// The user whose processes hang, and another one.
const USER: u32 = 61_043;
const OTHER: u32 = 61_044;
/// Processes that hang.
const DECOYS: usize = 200;
/// Until all of them do: each works for a moment first.
const BEGUN: Duration = Duration::from_mins(2);
/// What Prometheus waits for a scrape, by default.
const SCRAPE: Duration = Duration::from_secs(10);
/// Reads of one user's processes that may hang at once, at the most: `SHARE` of
/// `host::timed_read`, twice for what hashes, and those that callers still wait for.
const SHARE: f64 = 48.0;

fn miner(home: &Path, name: &str, user: u32) -> Workload {
    let mut command = Command::new(image(home, name));
    Workload::spawn(command.arg("sha256d").uid(user).gid(user))
}

/// The endpoint answers in time, and the loop that judges goes on.
fn assert_answers(daemon: &Daemon) {
    let begun = Instant::now();
    let _ = daemon.metrics();
    let ready = metrics::get(daemon.address, "/-/ready");
    assert!(ready.is_ok(), "the loop does not go on: {ready:?}");
    assert!(begun.elapsed() < SCRAPE, "{:?}", begun.elapsed());
}

#[test]
fn a_users_processes_that_hang_when_they_are_read_stop_nothing() {
    let _turn = take_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let all = Permissions::from_mode(0o755);
    fs::set_permissions(home.path(), all).expect("the folder is ours");
    let hanger = home.path().join("hanger");
    fs::copy(env!("CARGO_BIN_EXE_hanger"), &hanger).expect("a copy");
    let daemon = Daemon::start(&["--action", "kill"]);
    let innocent = Innocent::start(home.path());

    // They end once the file system answers, which it does when it is dropped: first.
    let _decoys;
    let silence = Silence::when_closed();
    let mut command = Command::new(&hanger);
    let file = silence.file();
    command
        .arg(&file)
        .arg(DECOYS.to_string())
        .uid(USER)
        .gid(USER);
    _decoys = Workload::spawn_without_pool(&mut command);
    eventually("all decoys hang", BEGUN, || {
        assert_answers(&daemon);
        let hang = silence.closing();
        (hang >= DECOYS).then_some(()).ok_or(format!("{hang} do"))
    });
    daemon.wait_metrics("reads hang", Duration::from_secs(30), |now| {
        let hang = now.sum("unjack_reads_hanging", &[]);
        (hang >= 1.0).then_some(()).ok_or(format!("{hang} do"))
    });

    // Another user's, and one of the user whose reads have no places left.
    for (name, user) in [("other", OTHER), ("own", USER)] {
        let mut miner = miner(home.path(), name, user);
        let first = miner.first_hash();
        while miner.ended().is_none() && first.elapsed() < SLOW_DEATH {
            assert_answers(&daemon);
            std::thread::sleep(Duration::from_millis(500));
        }
        assert_killed(&daemon, &mut miner, "sha256d", first, SLOW_DEATH);
    }
    let now = daemon.metrics();
    let hang = now.sum("unjack_reads_hanging", &[]);
    assert!(hang <= SHARE, "{hang} threads hang for one user");
    for cause in ["timeout", "share"] {
        let count = now.sum("unjack_reads_unanswered_total", &[("cause", cause)]);
        assert!(count >= 1.0, "{count} reads were refused: {cause}");
    }
    assert_eq!(silence.closing(), DECOYS, "they still hang");
    innocent.assert_spared(&daemon);

    // It is over when the file system answers.
    drop(silence);
    daemon.wait_metrics("nothing hangs", Duration::from_secs(30), |now| {
        let hang = now.sum("unjack_reads_hanging", &[]);
        (hang == 0.0).then_some(()).ok_or(format!("{hang} do"))
    });
}
