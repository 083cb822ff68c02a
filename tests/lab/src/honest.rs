//! The `honest` program: a machine that does honest work for hours, beside a daemon
//! that kills.
//!
//! In: the jobs of `tests/honest/jobs.toml`. Each is run again and again, by turns in a
//! container and as a program of the host, for longer and for shorter, while `unjack run
//! --action kill` judges by its default policy. Out: a table of the jobs, and failure when
//! anything was taken for a miner or acted on, or a job did not end as it should. What
//! else mines on the machine meanwhile is found, and fails the run as well.
//!
//! | bound | value |
//! |---|---|
//! | jobs at once | `--jobs`, as many as there are processors unless told |
//! | a run of a job | its length, and `run::MARGIN` more |
//! | kinds of jobs that must have run | `MIN_KINDS` |

mod catalog;
mod report;
mod run;
mod watch;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Parser;
use rustix::process::Signal;

use self::catalog::{Catalog, Job};
use self::report::{Agent, Report};
use self::run::{Outcome, Place, Turn};
use self::watch::Watch;
use ::tests::{Daemon, host};

/// Kinds of jobs that must have run: fewer are no CI farm, and the run fails.
const MIN_KINDS: usize = 8;
/// How long the runs of a job last, one after the other, in seconds. Short ones so that all
/// jobs have a turn soon, long ones because some evidence grows with the time.
const LENGTHS: [u64; 6] = [10, 20, 60, 20, 180, 40];
/// The least length of a run, in seconds: shorter, and what hashes is hardly judged.
const LEAST: u64 = 6;
/// Jobs have their turns in steps through the list, so that those that are alike, which stand
/// together, do not: a short test is of all sorts.
const STEP: usize = 7;
/// How often it is looked for events and ended jobs. Short enough that a process with a
/// verdict is still there to be asked whose it is.
const TICK: Duration = Duration::from_millis(250);
/// Samples a second of a run that the daemon must have taken: else it has not looked.
const MIN_SAMPLE_RATE: f64 = 5.0;

/// Runs honest jobs beside a daemon that kills, and fails if it takes one for a miner.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask honest")]
struct Cli {
    /// How long jobs are begun; those that run then are waited for.
    #[arg(long = "for", value_name = "DUR", default_value = "2h", value_parser = humantime::parse_duration)]
    time: Duration,
    /// Jobs at once; default: as many as there are processors.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Have the daemon report only: where others mine on this machine. What would have been
    /// acted on fails the run all the same.
    #[arg(long)]
    observe: bool,
    /// Only jobs whose name contains one of these.
    #[arg(long, value_name = "TEXT", num_args = 1..)]
    only: Vec<String>,
    /// Further arguments of `unjack run`.
    #[arg(last = true)]
    daemon: Vec<String>,
}

/// Runs the jobs and prints the report.
#[must_use]
pub fn main() -> ExitCode {
    match honest(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn honest(cli: &Cli) -> Result<bool> {
    let _turn = host::take_turn();
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let catalog = Catalog::load()?;
    let place = Place::make(&catalog)?;
    let (jobs, mut skipped) = ready(&catalog, &place, cli);
    if let Some(why) = &place.no_containers {
        skipped.push(("containers".to_owned(), why.clone()));
    }
    let workers = match cli.jobs {
        Some(jobs) => usize::from(jobs),
        None => thread::available_parallelism()?.get(),
    };
    let time = humantime::format_duration(cli.time);
    eprintln!("honest: {} jobs, {workers} at once, for {time}", jobs.len());

    let state = tempfile::tempdir().context("no temporary directory")?;
    let mut flags = vec![
        "--action".to_owned(),
        if cli.observe { "observe" } else { "kill" }.to_owned(),
        "--state-dir".to_owned(),
        state.path().display().to_string(),
    ];
    flags.extend(cli.daemon.iter().cloned());
    let mut daemon = Daemon::start(&flags);
    let mut report = Report::new(jobs.iter().map(|job| job.name.as_str()), skipped);
    let mut watch = Watch::new(&daemon, &jobs);
    let deadline = Instant::now() + cli.time;
    work(&place, &jobs, workers, deadline, &stop, |news| match news {
        Some((job, outcome)) => report.ran(job, &outcome),
        None => watch.look(&mut report),
    });
    watch.finish(&mut report);
    let agent = Agent::ask(&daemon);
    let ended = daemon.stop(Signal::TERM);
    watch.events(&mut report);
    // With --only it is no CI farm, and not meant to be.
    let kinds = if cli.only.is_empty() { MIN_KINDS } else { 1 };
    report.check(&agent, kinds, MIN_SAMPLE_RATE);
    if !ended.success() {
        report.fault(format!("the daemon ended with {ended}"));
    }
    if stop.load(Ordering::Relaxed) {
        report.fault("interrupted: the time was not over".to_owned());
    }
    println!("{}", report.text(&agent));
    Ok(report.passed())
}

/// The jobs that can run here, prepared, and the names of the others with the reason.
fn ready<'a>(
    catalog: &'a Catalog,
    place: &Place,
    cli: &Cli,
) -> (Vec<&'a Job>, Vec<(String, String)>) {
    let mut skipped = Vec::new();
    let wanted = |job: &&Job| {
        cli.only.is_empty() || cli.only.iter().any(|text| job.name.contains(text.as_str()))
    };
    eprintln!("honest: preparing");
    let jobs = catalog
        .jobs
        .iter()
        .filter(wanted)
        .filter(|job| match place.prepare(job) {
            Ok(()) => true,
            Err(why) => {
                skipped.push((job.name.clone(), format!("{why:#}")));
                false
            }
        })
        .collect();
    (jobs, skipped)
}

/// Runs the jobs in turn, so many at once, until the deadline, and waits for those that run
/// then. Tells of each that ended, and between these, again and again, that time passes.
fn work(
    place: &Place,
    jobs: &[&Job],
    workers: usize,
    deadline: Instant,
    stop: &AtomicBool,
    mut tell: impl FnMut(Option<(usize, Outcome)>),
) {
    let next = AtomicUsize::new(0);
    let order = order(jobs.len());
    let first = first_length(
        deadline.saturating_duration_since(Instant::now()),
        workers,
        jobs.len(),
    );
    let (sender, ended) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..workers.min(jobs.len()) {
            let (next, order, sender) = (&next, &order, sender.clone());
            scope.spawn(move || {
                while Instant::now() < deadline && !stop.load(Ordering::Relaxed) {
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    let (round, job) = (turn / jobs.len(), order[turn % jobs.len()]);
                    let turn = Turn {
                        number: turn,
                        // Each job in a container and outside one, every other time.
                        container: (round + turn % jobs.len()).is_multiple_of(2),
                        seconds: if round == 0 {
                            first
                        } else {
                            LENGTHS[round % LENGTHS.len()]
                        },
                    };
                    let outcome = place.run(jobs[job], &turn, stop);
                    if sender.send((job, outcome)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        loop {
            match ended.recv_timeout(TICK) {
                Ok(news) => tell(Some(news)),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            tell(None);
        }
    });
}

/// The jobs in the order of their turns: every [`STEP`]th, then those between.
fn order(jobs: usize) -> Vec<usize> {
    (0..STEP)
        .flat_map(|from| (from..jobs).step_by(STEP))
        .collect()
}

/// Seconds of each job's first run: shorter in a short test, so that all jobs have a turn.
/// Half of the time is for what runs take beyond their length.
fn first_length(time: Duration, workers: usize, jobs: usize) -> u64 {
    let workers = u64::try_from(workers).unwrap_or(u64::MAX);
    let turns = 2 * u64::try_from(jobs).unwrap_or(u64::MAX).max(1);
    (time.as_secs().saturating_mul(workers) / turns).clamp(LEAST, LENGTHS[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_has_its_turn_and_neighbours_are_apart() {
        for jobs in [0, 1, STEP, STEP + 1, 38] {
            let mut order = order(jobs);
            assert!(jobs <= STEP || order[1] == STEP, "{order:?}");
            order.sort_unstable();
            assert_eq!(order, (0..jobs).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_short_test_has_short_runs() {
        let check = |minutes, workers, jobs, expected| {
            let time = Duration::from_mins(minutes);
            assert_eq!(first_length(time, workers, jobs), expected);
        };
        check(120, 2, 38, LENGTHS[0]);
        check(5, 2, 38, 7);
        check(3, 2, 38, LEAST);
        check(1, 1, 38, LEAST);
        check(1, 1, 0, LENGTHS[0]);
    }
}
