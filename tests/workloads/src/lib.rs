//! The `workload` program: real proof-of-work miners, and honest programs as busy.
//!
//! Owns the program that the suites judge. In: a command line. Out: one JSON
//! line when the first hash is complete (`first-hash`; `started` from a burner,
//! which hashes nothing), so that a test knows from when to count, and one with
//! the number of hashes at the end. The hashes are those of
//! real coins, made by the same libraries that honest programs use: a miner
//! must be told by what it executes, so nothing here may be a mock-up.

mod benign;
mod chains;
mod cli;
#[cfg(target_arch = "x86_64")]
mod cryptonight;
mod digests;
mod drivers;
mod generated;
mod grind;
mod honest;
mod lanes;
mod link;
mod memory;
mod miners;
mod pace;
mod packed;
mod pool;
mod randomx;
mod relay;
mod run;
mod show;
mod stall;
mod title;

use std::time::Duration;

use anyhow::Result;
use clap::Parser;

/// How often a web server is asked for news.
const POLL: Duration = Duration::from_secs(3);

/// One round of work. Returns how many hashes it completed.
type Step = Box<dyn FnMut() -> u64>;
/// Makes the work of a thread, as [`Task::make`] does.
type Make = fn(u32) -> Result<Step>;

/// What the threads of a workload do.
struct Task {
    /// As it is printed in the events.
    name: &'static str,
    /// Makes the work of one thread, on that thread; the argument is the
    /// thread's number, so that no two threads try the same nonces.
    make: Box<dyn Fn(u32) -> Result<Step> + Sync>,
}

impl Task {
    fn new(name: &'static str, make: impl Fn(u32) -> Result<Step> + Sync + 'static) -> Self {
        Self {
            name,
            make: Box::new(make),
        }
    }
}

/// Parses the command line and works until told to stop.
///
/// # Errors
///
/// When the title cannot be set or the algorithm's library is not installed.
pub fn main() -> Result<()> {
    let cli = cli::Cli::parse();
    if let Some(title) = &cli.title {
        title::set(title)?;
    }
    if let Some(served) = cli.serve() {
        return served;
    }
    if let Some(address) = cli.pool() {
        pool::connect(address, cli.helper.as_deref())?;
    }
    if let Some(address) = &cli.poll {
        honest::poll(address, POLL)?;
    }
    if let Some(file) = &cli.stall {
        stall::begin(file)?;
    }
    let pace = run::Pace {
        threads: cli.threads,
        seconds: cli.seconds,
        duty: cli.duty(),
        busy_threads: cli.busy_threads,
        fake_io: cli.fake_io,
        show: cli.show,
    };
    if cli.headless {
        return title::leave(move || run::run(&cli.task()?, &pace));
    }
    run::run(&cli.task()?, &pace)?;
    if let Some(rest) = cli.rest {
        std::thread::sleep(Duration::from_secs(rest));
    }
    Ok(())
}
