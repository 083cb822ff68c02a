//! Whatever starts a condemned image again.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use tests::Workload;
use tests::host::{eventually, output, take_turn, workload};

use super::{
    ADOPTION, NOTICE, Place, check_runs, check_silent, condemn, was_refused,
    workload_with_another_content,
};

/// Execs of a banned image that a loop tries.
const ATTEMPTS: u64 = 1000;
/// What a refused exec may cost, the fork and the shell that asks for it included.
const COST: Duration = Duration::from_millis(4);

/// CPU time of all children that were waited for.
fn children() -> Duration {
    // SAFETY: getrusage fills the whole of a zeroed struct.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage), 0);
        usage
    };
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.unsigned_abs())
            + Duration::from_micros(time.tv_usec.unsigned_abs())
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}

#[test]
fn a_shell_loop_does_not_bring_a_miner_back() {
    let _turn = take_turn();
    let place = Place::new();
    let daemon = place.daemon(&[]);
    let file = place.file("miner");
    let banned = condemn(&daemon, &file);
    assert_eq!(banned["ban"]["reason"], "verdict", "{banned}");
    assert_eq!(banned["ban"]["sha256"].as_str().map(str::len), Some(64));

    let before = children();
    let script = "i=0; while [ $i -lt $2 ]; do \"$1\" sha256d; i=$((i+1)); done; exit 0";
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", script, "sh"])
        .arg(&file)
        .arg(ATTEMPTS.to_string());
    let shell = output(&mut shell);
    assert!(shell.status.success(), "{shell:?}");
    assert!(
        shell.stdout.is_empty(),
        "it ran: {}",
        shell.stdout.escape_ascii()
    );
    assert_eq!(place.refused(&file), ATTEMPTS);
    let cost = children().saturating_sub(before) / u32::try_from(ATTEMPTS).expect("small");
    println!("a refused exec took {cost:?} of CPU, fork included");
    assert!(cost <= COST, "{cost:?} an exec");

    let respawn = daemon.wait_event("who started it again", NOTICE, |event| {
        event["event"] == "respawn" && event["ban"]["exe"] == file.to_str().expect("UTF-8")
    });
    let starters = respawn["started_by"].as_array().expect("a list");
    let me = u64::from(std::process::id());
    assert!(starters.len() >= 3, "{respawn}");
    assert!(
        starters.iter().any(|starter| starter["comm"] == "sh"),
        "{respawn}"
    );
    assert!(
        starters
            .iter()
            .any(|starter| starter["pid"].as_u64() == Some(me)),
        "{respawn}"
    );
    daemon.wait_metrics("refusals are counted", NOTICE, |metrics| {
        let refused = metrics.sum("unjack_execs_refused_total", &[]);
        let bans = metrics.sum("unjack_bans", &[]);
        if refused >= ATTEMPTS as f64 && bans >= 1.0 {
            Ok(())
        } else {
            Err(format!("{refused} refused, {bans} bans"))
        }
    });
    // What is not banned is left alone.
    check_runs(&workload_with_another_content(&place));
}

/// CPU time a child and its waited-for children took, and how it ended.
fn wait_for(pid: u32) -> (ExitStatus, Duration) {
    let pid = libc::pid_t::try_from(pid).expect("is a pid");
    let mut status = 0;
    // SAFETY: wait4 fills the whole of a zeroed struct, and `pid` is a child of
    // this test that nothing else waits for.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::wait4(pid, &raw mut status, 0, &raw mut usage), pid);
        usage
    };
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.unsigned_abs())
            + Duration::from_micros(time.tv_usec.unsigned_abs())
    };
    (
        ExitStatus::from_raw(status),
        time(usage.ru_utime) + time(usage.ru_stime),
    )
}

/// What keeps a miner coming back: each way tries this many times.
const RESPAWNS: u64 = 334;
/// What an exec that is refused may cost on average: the fork, the exec, the end.
const RESPAWN_COST: Duration = Duration::from_millis(1);

/// A shell loop, a cron and a supervisor: a thousand execs in all. None of them
/// gets as far as to print that it hashes, and every one is counted.
#[test]
fn whatever_starts_it_again_it_does_not_run() {
    let _turn = take_turn();
    let place = Place::new();
    let daemon = place.daemon(&[]);
    let file = place.file("miner");
    let _ = condemn(&daemon, &file);

    // A shell that begins anew as soon as it is gone.
    let script = "i=0; while [ $i -lt $2 ]; do \"$1\" sha256d; i=$((i+1)); done; exit 0";
    check_silent(
        Command::new("/bin/sh")
            .args(["-c", script, "sh"])
            .arg(&file)
            .arg(RESPAWNS.to_string()),
    );
    assert_eq!(place.refused(&file), RESPAWNS);

    // As cron does it: each time another parent, in a session of its own, that
    // runs the line by a shell.
    let line = "\"$1\" sha256d; true";
    for _ in 0..RESPAWNS {
        check_silent(
            Command::new("setsid")
                .args(["--wait", "/bin/sh", "-c", line, "sh"])
                .arg(&file),
        );
    }
    assert_eq!(place.refused(&file), 2 * RESPAWNS);

    // As a service's manager does it, which waits for its own child.
    let (mut total, mut spawned) = (Duration::ZERO, 0);
    for _ in 0..RESPAWNS {
        let started = Command::new(&file).arg("sha256d").spawn();
        // Where the exec fails, the standard library has waited for the child.
        if let Ok(child) = started {
            let (status, time) = wait_for(child.id());
            assert!(was_refused(status), "{status:?}");
            total += time;
            spawned += 1;
        }
    }
    assert_eq!(place.refused(&file), 3 * RESPAWNS);
    if spawned > 0 {
        let each = total / spawned;
        println!("a refused exec took {each:?} of CPU");
        assert!(each <= RESPAWN_COST, "{each:?} an exec");
    }
    daemon.wait_metrics("refusals are counted", NOTICE, |metrics| {
        let refused = metrics.sum("unjack_execs_refused_total", &[]);
        if refused >= (3 * RESPAWNS) as f64 {
            Ok(())
        } else {
            Err(format!("{refused} refused"))
        }
    });
}

/// Banned images that are executed one after the other: of each the kernel tells
/// four execs a second, which is more than the daemon tells of all.
const BANNED: u64 = 40;

/// A user who has many images banned and executes them all does not keep the daemon
/// from its work: what it does not tell is counted, and the kernel counts all.
#[test]
fn refused_execs_that_are_not_told_are_counted() {
    let _turn = take_turn();
    let place = Place::new();
    let files: Vec<PathBuf> = (0..BANNED)
        .map(|number| {
            let file = place.file(format!("program-{number}"));
            fs::copy(workload(), &file).expect("a copy");
            let _ = place.bans(&["add".as_ref(), file.as_ref()]);
            file
        })
        .collect();
    let daemon = place.daemon(&[]);
    daemon.wait_metrics("the bans are adopted", ADOPTION, |metrics| {
        match metrics.sum("unjack_bans", &[]) {
            bans if bans >= BANNED as f64 => Ok(()),
            bans => Err(format!("{bans} bans")),
        }
    });
    let script = "for i in 1 2 3 4; do for file; do \"$file\" sha256d; done; done; exit 0";
    let mut tried = 0;
    eventually("more are refused than told", ADOPTION, || {
        check_silent(
            Command::new("/bin/sh")
                .args(["-c", script, "sh"])
                .args(&files),
        );
        tried += 4 * BANNED;
        match daemon.metrics().sum("unjack_ban_events_lost_total", &[]) {
            lost if lost > 0.0 => Ok(()),
            lost => Err(format!("{lost} of {tried} were not told")),
        }
    });
    let list = place.list();
    let refused: u64 = list.iter().filter_map(|ban| ban["refused"].as_u64()).sum();
    assert_eq!(refused, tried);
}

/// Lines in the crontab: all are due in the same minute.
const CRON_LINES: u64 = 100;
/// Until the next full minute, and for cron to notice.
const CRON: Duration = Duration::from_secs(130);

/// A real cron with folders of its own, gone with the test: it is given a mount
/// namespace in which they lie over the system's.
struct Cron {
    child: Workload,
    spool: PathBuf,
}

impl Cron {
    fn start(place: &Place) -> Self {
        let (spool, none) = (place.file("spool"), place.file("none"));
        for dir in [&spool.join("crontabs"), &none, &place.file("run")] {
            fs::create_dir_all(dir).expect("a folder");
        }
        fs::write(none.join("crontab"), "").expect("a file");
        let script = "mkdir -p /var/spool/cron /etc/cron.d && touch /etc/crontab \
            && mount --bind \"$0/spool\" /var/spool/cron && mount --bind \"$0/none\" /etc/cron.d \
            && mount --bind \"$0/none/crontab\" /etc/crontab && mount --bind \"$0/run\" /run \
            && exec cron -f";
        let mut command = Command::new("unshare");
        command.args(["--mount", "/bin/sh", "-c", script]);
        let child = Workload::spawn(command.arg(place.home.path()));
        Self { child, spool }
    }

    fn install(&self, lines: &str) {
        let file = self.spool.join("crontabs/root");
        fs::write(&file, lines).expect("a crontab");
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&file, mode).expect("it is ours");
    }
}

/// Debian's own cron, whose children are not waited for by name.
#[test]
fn cron_does_not_bring_a_miner_back() {
    let _turn = take_turn();
    let place = Place::new();
    let mut cron = Cron::start(&place);
    let daemon = place.daemon(&[]);
    let file = place.file("miner");
    let _ = condemn(&daemon, &file);
    let (file_name, printed) = (file.display(), place.file("printed"));
    let line = format!("* * * * * {file_name} sha256d >> {}\n", printed.display());
    let lines = line.repeat(usize::try_from(CRON_LINES).expect("small"));
    cron.install(&format!("MAILTO=\"\"\n{lines}"));
    let all = eventually("cron has run its lines", CRON, || {
        assert!(cron.child.ended().is_none(), "cron ended");
        match place.refused(&file) {
            refused if refused >= CRON_LINES => Ok(refused),
            refused => Err(format!("{refused} refused")),
        }
    });
    drop(cron);
    assert_eq!(all, CRON_LINES);
    let printed = fs::read(&printed).expect("the shells made it");
    assert!(printed.is_empty(), "it ran: {}", printed.escape_ascii());
    let respawn = daemon.wait_event("who started it again", NOTICE, |event| {
        event["event"] == "respawn" && event["ban"]["exe"] == file.to_str().expect("UTF-8")
    });
    let starters = respawn["started_by"].as_array().expect("a list");
    assert!(
        starters.iter().any(|starter| starter["comm"] == "cron"),
        "{respawn}"
    );
}
