//! Runs a task on its threads and reports the first hash and the last count.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::pace::Pacer;
use crate::show::{Feint, Show};
use crate::{Task, benign};

/// How much of the work to do.
pub(super) struct Pace {
    /// Threads that work.
    pub(super) threads: u32,
    /// For how long; without it, until the process is killed.
    pub(super) seconds: Option<u64>,
    /// Percent of the time in which each is busy, 1 to 100.
    pub(super) duty: u32,
    /// Threads of honest work beside them, at full speed.
    pub(super) busy_threads: u32,
    /// MiB that one more thread reads in a second; 0: no such thread.
    pub(super) fake_io: u64,
    /// What each thread does for show.
    pub(super) show: Option<Show>,
}

/// Works until the time is over.
pub(super) fn run(task: &Task, pace: &Pace) -> Result<()> {
    let deadline = pace
        .seconds
        .map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let first = AtomicBool::new(true);
    let hashes = AtomicU64::new(0);
    let over = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
    let burn = benign::burn();
    thread::scope(|scope| {
        let (first, hashes, burn, over) = (&first, &hashes, &burn, &over);
        for number in 0..pace.busy_threads {
            scope.spawn(move || -> Result<()> {
                let mut step = (burn.make)(number)?;
                while !over() {
                    step();
                }
                Ok(())
            });
        }
        if pace.fake_io > 0 {
            scope.spawn(move || read_zeroes(pace.fake_io, over));
        }
        let workers: Vec<_> = (0..pace.threads)
            .map(|number| {
                scope.spawn(move || -> Result<()> {
                    let mut step = (task.make)(number)?;
                    let mut pacer = Pacer::new(pace.duty);
                    let mut feint = pace.show.map(Feint::new).transpose()?;
                    while !over() {
                        let done = step();
                        hashes.fetch_add(done, Ordering::Relaxed);
                        if first.swap(false, Ordering::Relaxed) {
                            say(&json!({
                                "event": if done > 0 { "first-hash" } else { "started" },
                                "algorithm": task.name,
                                "unix_ms": unix_ms(),
                            }))?;
                        }
                        if let Some(feint) = &mut feint {
                            feint.pause()?;
                        }
                        if let Some(pacer) = &mut pacer {
                            pacer.pause();
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| match worker.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
    })?;
    say(&json!({
        "event": "done",
        "algorithm": task.name,
        "hashes": hashes.into_inner(),
    }))
}

/// Reads `rate` MiB in each second: the kernel counts the bytes of any read,
/// so this is what input costs least to feign with.
fn read_zeroes(rate: u64, over: impl Fn() -> bool) -> Result<()> {
    let mut zeroes = File::open("/dev/zero").context("cannot open /dev/zero")?;
    let mut buffer = vec![0; 1 << 20];
    while !over() {
        let next = Instant::now() + Duration::from_secs(1);
        for _ in 0..rate {
            zeroes
                .read_exact(&mut buffer)
                .context("cannot read /dev/zero")?;
        }
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

/// One line, at once: a test waits for it.
pub(super) fn say(event: &Value) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{event}")
        .and_then(|()| stdout.flush())
        .context("cannot write to stdout")
}

fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}
