//! Images that were condemned stay out: under their name and others, while the
//! daemon runs and while it does not, until somebody lifts the ban.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tests::host::{assert_clean, eventually, output, take_turn, unjack, workload};
use tests::{Daemon, Workload, daemon};

/// From a miner's first hash to its end, at most.
const DEATH: Duration = Duration::from_secs(15);
/// For what belongs to something that has already happened.
const NOTICE: Duration = Duration::from_secs(5);
/// For a daemon to load the programs anew, on a busy machine.
const ADOPTION: Duration = Duration::from_secs(30);
/// Execs of a banned image that a loop tries.
const ATTEMPTS: u64 = 1000;
/// What a refused exec may cost, the fork and the shell that asks for it included.
const COST: Duration = Duration::from_millis(4);

/// A folder for files and one for pins, gone with the test.
struct Place {
    home: tempfile::TempDir,
    pins: PathBuf,
}

impl Place {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let name = home.path().file_name().expect("it has a name");
        let pins = Path::new("/sys/fs/bpf").join(name.to_string_lossy().replace('.', "-"));
        Self { home, pins }
    }

    fn file(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.home.path().join(name.as_ref())
    }

    fn daemon(&self, args: &[&str]) -> Daemon {
        let pins = self.pins.to_str().expect("plain ASCII");
        let kill: &[&str] = if args.contains(&"--action") {
            &[]
        } else {
            &["--action", "kill"]
        };
        let all = ["--grace", "0s", "--ban", "1h", "--pin-dir", pins];
        Daemon::start(&[kill, &all[..], args].concat())
    }

    /// `unjack bans`, with what it prints.
    fn bans(&self, args: &[&OsStr]) -> Vec<u8> {
        let mut command = daemon::command(&unjack());
        command
            .arg("bans")
            .args(args)
            .arg("--pin-dir")
            .arg(&self.pins);
        let answer = output(&mut command);
        let stderr = answer.stderr.escape_ascii();
        assert!(answer.status.success(), "{args:?}: {stderr}");
        assert_clean("stderr", &answer.stderr);
        answer.stdout
    }

    fn list(&self) -> Vec<Value> {
        let text = self.bans(&["list".as_ref(), "--json".as_ref()]);
        serde_json::from_slice(&text).expect("an array")
    }

    /// Times execs of this file were refused, by the kernel's own count.
    fn refused(&self, file: &Path) -> u64 {
        let file = file.to_str().expect("UTF-8");
        let list = self.list();
        let of = list.iter().filter(|ban| ban["exe"] == file);
        of.filter_map(|ban| ban["refused"].as_u64()).sum()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut command = daemon::command(&unjack());
        command.args(["bans", "flush", "--pin-dir"]).arg(&self.pins);
        let _ = output(&mut command);
    }
}

/// A miner is found and killed, and its image banned.
fn condemn(daemon: &Daemon, file: &Path) -> Value {
    let mut miner = Workload::start_as(file, &["sha256d"]);
    let first = miner.first_hash();
    miner.wait_killed("the miner", first + DEATH);
    daemon.wait_event("ban of the miner's image", NOTICE, |event| {
        event["event"] == "ban" && event["ban"]["exe"] == file.to_str().expect("UTF-8")
    })
}

/// Whether a run of a banned program did not get to execute it: the shell says
/// that it may not, or it was killed at once.
fn was_refused(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::KILL.as_raw())
}

/// Runs a file as a miner that hashes once it runs; what it printed.
fn try_miner(file: &Path) -> (bool, Vec<u8>) {
    match Command::new(file).arg("sha256d").output() {
        Ok(answer) => (was_refused(answer.status), answer.stdout),
        Err(error) => (error.raw_os_error() == Some(libc::EPERM), Vec::new()),
    }
}

#[track_caller]
fn check_refused(file: &Path) {
    let (refused, printed) = try_miner(file);
    assert!(refused, "{} was executed", file.display());
    assert!(printed.is_empty(), "{}", printed.escape_ascii());
}

#[track_caller]
fn check_runs(file: &Path) {
    let status = Command::new(file).arg("--help").output();
    let status = status.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert!(status.status.success(), "{status:?}");
}

/// Programs and maps that refuse images, in the kernel now.
fn loaded() -> (usize, usize) {
    let programs = aya::programs::loaded_programs()
        .filter_map(Result::ok)
        .filter(|program| program.name().starts_with(b"ban_"));
    let maps = aya::maps::loaded_maps()
        .filter_map(Result::ok)
        .filter(|map| map.name().starts_with(b"BAN"));
    (programs.count(), maps.count())
}

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

/// The workload with a byte behind its end: the same program, another hash.
fn workload_with_another_content(place: &Place) -> PathBuf {
    let other = place.file("other");
    fs::copy(workload(), &other).expect("a copy");
    let mut bytes = fs::read(&other).expect("readable");
    bytes.push(0);
    fs::write(&other, bytes).expect("writable");
    other
}

/// CPU time a child and its waited-for children took, and how it ended.
fn wait_for(pid: u32) -> (ExitStatus, Duration) {
    let pid = libc::pid_t::try_from(pid).expect("is a pid");
    let mut status = 0;
    // SAFETY: wait4 fills the whole of a zeroed struct, and `pid` is a child of
    // this test that nobody else waits for.
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

/// Debian's own cron, whose children nobody waits for by name.
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

#[track_caller]
fn check_silent(command: &mut Command) {
    let answer = output(command);
    let printed = answer.stdout.escape_ascii();
    assert!(answer.stdout.is_empty(), "it ran: {printed}");
}

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

/// As a copy of the system's Python in somebody's home: a ban is by content.
#[test]
fn a_copy_of_a_system_image_is_killed_and_not_banned() {
    let _turn = take_turn();
    let place = Place::new();
    let daemon = place.daemon(&[]);
    let installed = Installed::new(&place);
    let copy = place.file("copy");
    let event = spared(&place, &daemon, Workload::start_as(&copy, &["sha256d"]));
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

/// The kernel refuses an image to everybody: also to whom a rule allows it.
#[test]
fn where_somebody_may_mine_no_image_is_banned() {
    let _turn = take_turn();
    let place = Place::new();
    let daemon = place.daemon(&["--allow", "user=nobody"]);
    let file = place.file("miner");
    let event = spared(&place, &daemon, Workload::start_as(&file, &["sha256d"]));
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
            let mut miner = Workload::start_as(&copy, &["sha256d"]);
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
        let miner = Workload::start_as(&place.file("miner"), &["sha256d"]);
        let _ = miner.first_hash();
        let _ = daemon.event_about("action", miner.pid(), DEATH);
        // A ban would be there with the next tick.
        std::thread::sleep(Duration::from_secs(2));
        assert!(daemon.events_of("ban").is_empty(), "{action}");
        assert!(place.list().is_empty() && !place.pins.exists(), "{action}");
    }
}

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
    assert!(!place.pins.exists());
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
    assert!(!place.pins.exists());
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
    assert!(!place.pins.exists(), "nothing is pinned without bans");
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
            .arg("--pin-dir")
            .arg(&place.pins);
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
