//! CPU burn as the probes count it agrees with the kernel's own accounts.
//!
//! `explain` measures for a while that it tells only when it is over. So the
//! kernel's numbers are written down every few milliseconds, and the ones
//! of that while are looked up afterwards.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::daemon::command;
use tests::host::{schedstat_seconds, stat_seconds, take_turn, unjack};
use tests::{Daemon, Metrics, Workload};

/// Between two looks at the kernel's accounts.
const LOOK: Duration = Duration::from_millis(10);
/// The accuracy that is promised.
const TOLERANCE: f64 = 0.01;
/// `/proc/PID/stat` counts ticks of 10 ms: one may be missing at either end.
const TICKS: f64 = 0.02;

/// One look.
struct DecodedSample {
    at: Instant,
    schedstat: f64,
    stat: f64,
}

/// The kernel's account at a moment, between the two looks around it.
fn account(looks: &[DecodedSample], at: Instant, of: impl Fn(&DecodedSample) -> f64) -> f64 {
    let next = looks.partition_point(|look| look.at <= at);
    assert!(
        0 < next && next < looks.len(),
        "explain's while lies within the one that was watched"
    );
    let (before, after) = (&looks[next - 1], &looks[next]);
    let share = (at - before.at).as_secs_f64() / (after.at - before.at).as_secs_f64();
    of(before) + share * (of(after) - of(before))
}

/// Writes the kernel's accounts down until told to stop.
fn watch(pid: u32, stop: &AtomicBool) -> Vec<DecodedSample> {
    let mut looks = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let before = Instant::now();
        let schedstat = schedstat_seconds(pid).expect("the burner lives");
        let stat = stat_seconds(pid).expect("the burner lives");
        let at = before + before.elapsed() / 2;
        looks.push(DecodedSample {
            at,
            schedstat,
            stat,
        });
        thread::sleep(LOOK);
    }
    looks
}

/// Runs explain on the process: its answer, and when it came.
fn explain(pid: u32) -> (Value, Instant) {
    let mut child = command(&unjack())
        .args(["explain", &pid.to_string(), "--for", "10s", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("unjack runs");
    let mut line = String::new();
    let read = BufReader::new(child.stdout.take().expect("is piped")).read_line(&mut line);
    let at = Instant::now();
    let mut errors = String::new();
    let _ = child
        .stderr
        .take()
        .expect("is piped")
        .read_to_string(&mut errors);
    let status = child.wait().expect("the child is ours");
    assert!(read.is_ok() && status.success(), "{status}: {line}{errors}");
    let answer = serde_json::from_str(&line);
    (
        answer.unwrap_or_else(|error| panic!("{error}: {line}{errors}")),
        at,
    )
}

/// The probes and the kernel agree on what a burner uses, and it is about
/// `cores` in all (at most the machine's).
fn check(args: &[&str], cores: f64) {
    let _turn = take_turn();
    let burner = Workload::start(args);
    // It runs before any probe is attached.
    let _ = burner.first_hash();
    let stop = AtomicBool::new(false);
    let (looks, (answer, end)) = thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(burner.pid(), &stop));
        let answer = explain(burner.pid());
        thread::sleep(2 * LOOK);
        stop.store(true, Ordering::Relaxed);
        (watcher.join().expect("the watcher is whole"), answer)
    });

    let number = |field: &str| {
        answer[field]
            .as_f64()
            .unwrap_or_else(|| panic!("no {field} in {answer}"))
    };
    let (cpu, wall) = (number("cpu_seconds"), number("wall_seconds"));
    assert!(
        (9.5..12.0).contains(&wall),
        "{wall} s are not the 10 s that were asked for"
    );
    let begin = end
        .checked_sub(Duration::from_secs_f64(wall))
        .expect("the clock is older than this");
    let used =
        |of: fn(&DecodedSample) -> f64| account(&looks, end, of) - account(&looks, begin, of);
    let (exact, ticks) = (used(|look| look.schedstat), used(|look| look.stat));
    println!(
        "{args:?}: unjack {cpu:.3} s, schedstat {exact:.3} s ({:+.2} %), stat {ticks:.3} s \
         ({:+.2} %), in {wall:.3} s",
        100.0 * (cpu / exact - 1.0),
        100.0 * (cpu / ticks - 1.0),
    );
    assert!((cpu - exact).abs() <= TOLERANCE * exact, "schedstat");
    assert!((cpu - ticks).abs() <= TOLERANCE * ticks + TICKS, "stat");

    // The burner did burn: what is compared is not nothing with nothing. The
    // machine may be busy with other things too.
    let machine = thread::available_parallelism()
        .expect("a number of cores")
        .get() as f64;
    assert!(
        exact > 0.25 * wall * cores.min(machine),
        "{exact} s in {wall} s"
    );
}

#[test]
fn one_thread() {
    check(&["burn"], 1.0);
}

#[test]
fn eight_threads() {
    check(&["--threads", "8", "burn"], 8.0);
}

#[test]
fn asleep_for_half_of_the_time() {
    check(&["half"], 0.5);
}

/// What the kernel says that this process's children have used that are gone and
/// were waited for.
fn children_seconds() -> f64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the call writes one such structure, which is all zeroes else.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// Execs of one process, by threads that are not its first.
const EXECS: &str = "150";
/// CPU time a thread uses before it executes.
const MILLISECONDS: &str = "20";
/// Entries that may stay: of threads that others on this machine start meanwhile.
/// One leaked at every exec would be more.
const REMAIN: f64 = 100.0;
/// CPU seconds that others on this machine may use meanwhile.
const OTHERS: f64 = 1.0;

/// A thread that executes takes over the ids of the first, while that and the
/// others are being ended on other processors: no thread's time is lost or counted
/// twice, and no thread's entry stays.
#[test]
fn threads_that_execute_lose_no_time_and_leave_nothing() {
    let _turn = take_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let path = home.path().join("turncoat");
    std::fs::copy(env!("CARGO_BIN_EXE_turncoat"), &path).expect("a copy");
    let daemon = Daemon::start(&["--metrics.max-groups", "1000"]);
    let entries = |metrics: &Metrics| metrics.sum("unjack_map_entries", &[]);
    let limit = Duration::from_secs(20);
    daemon.wait_metrics("the maps are looked at", limit, |metrics| {
        let any = entries(metrics) > 0.0;
        any.then_some(()).ok_or_else(|| "empty".to_owned())
    });
    // Of all groups: one that executes every few milliseconds may be looked at
    // before it is identified.
    let counted = |metrics: &Metrics| metrics.sum("unjack_cpu_seconds_total", &[]);
    let (before, counted_before) = (entries(&daemon.metrics()), counted(&daemon.metrics()));
    let used = children_seconds();
    let status = Command::new(&path).args([EXECS, MILLISECONDS]).status();
    assert!(status.expect("it runs").success());
    let used = children_seconds() - used;
    assert!(used > 2.0, "{used} s are not what {EXECS} execs take");
    let right = (1.0 - TOLERANCE) * used..=(1.0 + TOLERANCE) * used + OTHERS;
    daemon.wait_metrics("all of its time is counted", limit, |metrics| {
        let found = counted(metrics) - counted_before;
        let told = format!("unjack {found:.3} s, kernel {used:.3} s");
        right.contains(&found).then_some(()).ok_or(told)
    });
    daemon.wait_metrics("its entries go", limit, |metrics| {
        let now = entries(metrics);
        let told = format!("{before} entries before, {now} now");
        (now <= before + REMAIN).then_some(()).ok_or(told)
    });
}
