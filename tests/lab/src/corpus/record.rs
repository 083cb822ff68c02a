//! `corpus record`: a recording of every program, several at a time.

use std::collections::VecDeque;
use std::fs;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::geteuid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::cli;
use super::job::{End, Job};
use super::manifest::Program;
use super::place::Place;
use ::tests::host;
use ::tests::pool::{Options, Pool};

/// Of the pool's first work: so easy that what does a hash a second finds a share.
const FIRST_BITS: u32 = 4;

/// Makes the recordings that are not there yet.
pub(super) fn run(place: &Place, programs: &[Program], options: &cli::Recording) -> Result<()> {
    ensure!(
        geteuid().is_root(),
        "recording loads probes into the kernel and needs root: \
         `cargo xtask corpus record` sees to that"
    );
    ensure!(
        place.corpus.join("big").is_file(),
        "there are no inputs in {}: run `cargo xtask corpus setup` first",
        place.corpus.display()
    );
    let out = match &options.out {
        Some(dir) => std::path::absolute(dir)?,
        None => place.corpus.join("recordings"),
    };
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let unjack = host::unjack().canonicalize()?;

    let easy = Options {
        first_bits: FIRST_BITS,
        ..Options::default()
    };
    let pool = Pool::start(easy)?.plain;
    let mut jobs: VecDeque<Job> = VecDeque::new();
    let mut recorded = 0;
    for subject in programs.iter().flat_map(Program::subjects) {
        let file = out.join(format!("{}.jsonl", subject.stem()));
        if file.exists() && !options.again {
            recorded += 1;
            continue;
        }
        jobs.push_back(Job {
            place,
            unjack: &unjack,
            seconds: options.seconds(subject.program.label) + subject.program.warmup,
            pool: subject.program.pool.then_some(pool),
            subject,
            file,
            number: jobs.len(),
        });
    }
    let workers = options.jobs.map_or_else(
        || thread::available_parallelism().map_or(1, NonZero::get),
        usize::from,
    );
    let board = Board::new(jobs, workers);
    eprintln!(
        "corpus: {} recordings to make in {}, {recorded} are there; about {} with {workers} at a time",
        board.total,
        out.display(),
        minutes(board.left()),
    );

    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let board = Mutex::new(board);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| work(&board, &stop));
        }
    });
    let board = board.into_inner().unwrap_or_else(PoisonError::into_inner);
    board.summary(stop.load(Ordering::Relaxed))
}

/// One job after the other, until there is none.
fn work(board: &Mutex<Board>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        // The lock is for the taking, not for the work.
        let Some(job) = lock(board).waiting.pop_front() else {
            return;
        };
        let end = job.run(stop);
        lock(board).ended(&job, end);
    }
}

fn lock<'a, 'b>(board: &'a Mutex<Board<'b>>) -> MutexGuard<'a, Board<'b>> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is to do, and what became of the rest.
struct Board<'a> {
    waiting: VecDeque<Job<'a>>,
    workers: usize,
    total: usize,
    ended: usize,
    /// Seconds of recording to make, and those that are over.
    planned: u64,
    over: u64,
    begun: Instant,
    failures: Vec<String>,
}

impl<'a> Board<'a> {
    fn new(waiting: VecDeque<Job<'a>>, workers: usize) -> Self {
        Self {
            total: waiting.len(),
            planned: waiting.iter().map(|job| job.seconds).sum(),
            waiting,
            workers,
            ended: 0,
            over: 0,
            begun: Instant::now(),
            failures: Vec::new(),
        }
    }

    /// How long the rest will take: as long in proportion as what is over,
    /// which knows what starting and ending cost.
    fn left(&self) -> Duration {
        let left = (self.planned - self.over) as f64;
        Duration::from_secs_f64(if self.over == 0 {
            left / self.workers as f64
        } else {
            self.begun.elapsed().as_secs_f64() * left / self.over as f64
        })
    }

    /// Takes note of an end, and says so.
    fn ended(&mut self, job: &Job, end: End) {
        self.ended += 1;
        self.over += job.seconds;
        let name = job.subject.stem();
        let said = match end {
            End::Recorded(note) => format!("ok {note}"),
            End::Stopped => "stopped".to_owned(),
            End::Failed(why) => {
                self.failures.push(format!("{name}: {why}"));
                format!("FAILED {why}")
            }
        };
        let width = self.total.to_string().len();
        eprintln!(
            "[{:>width$}/{}] {name} … {said} ({} left)",
            self.ended,
            self.total,
            minutes(self.left()),
        );
    }

    fn summary(&self, stopped: bool) -> Result<()> {
        for failure in &self.failures {
            eprintln!("corpus: {failure}");
        }
        if stopped {
            bail!("stopped; the same command goes on from here");
        }
        ensure!(
            self.failures.is_empty(),
            "{} of {} recordings failed",
            self.failures.len(),
            self.total
        );
        eprintln!("corpus: all recordings are there");
        Ok(())
    }
}

/// A time for people: minutes, or seconds if there are few.
fn minutes(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}
