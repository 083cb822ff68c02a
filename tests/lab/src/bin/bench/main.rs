//! What unjack costs, measured: `cargo xtask bench` runs this as root. And how
//! soon it judges: `cargo xtask bench -- latency`.
//!
//! The probes and empty programs on the same hooks are attached at the same
//! time and see the same events; the kernel's own BPF statistics tell what
//! each took. Only the difference means anything: the statistics themselves
//! cost tens of nanoseconds a run. Timings on shared machines are noisy, so
//! everything is measured in several rounds, and the median is printed with
//! the least and the most.

mod bans;
mod latency;
mod model;

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};
use monitor::kernel::probe::{
    Probes, Settings,
    cost::{Accounting, Cost, Costs, Empty},
};
use rustix::process::{Pid, Signal, kill_process};
use tests::{Daemon, host};

/// Round trips between two threads on one processor: two switches each.
const ROUND_TRIPS: u32 = 100_000;
/// Processes started and ended in a round.
const PROCESSES: u32 = 400;
/// Time every processor is kept busy in a round, for the sampler.
const BUSY: Duration = Duration::from_secs(3);
/// Samples a second in this benchmark: more than by default, to have enough.
const SAMPLE_HZ: u32 = 499;
const ROUNDS: usize = 5;
/// Object code of empty programs on the hooks of the probes.
static EMPTY: &[u8] = aya::include_bytes_aligned!(env!("UNJACK_EMPTY_PROBES"));

/// Measures unjack, as root.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Cli {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// What the probes, the model and the agent cost. This is the default.
    Costs,
    /// What bans cost others' execs, alone.
    Bans,
    /// How long a miner mines before it is judged: about ten minutes.
    Latency(latency::Options),
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    host::require_root();
    match cli.what.unwrap_or(What::Costs) {
        What::Costs => {
            probes()?;
            model::model()?;
            agent()?;
            bans::bans()
        }
        What::Bans => bans::bans(),
        What::Latency(options) => latency::latency(&options),
    }
}

/// Nanoseconds a run of every program, beside an empty one.
fn probes() -> Result<()> {
    let _accounting = Accounting::begin()?;
    let mut rounds: Vec<Vec<(String, Cost, Cost)>> = Vec::new();
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS}");
        // In turn, so that neither always runs second on a hook.
        let (mut real, empty);
        if round % 2 == 0 {
            real = Probes::attach(Settings::new(None, SAMPLE_HZ, Duration::from_secs(1)))?;
            empty = Empty::attach(EMPTY, SAMPLE_HZ)?;
        } else {
            empty = Empty::attach(EMPTY, SAMPLE_HZ)?;
            real = Probes::attach(Settings::new(None, SAMPLE_HZ, Duration::from_secs(1)))?;
        }
        let mut found = Vec::new();
        for (names, work) in [
            (&["sched_switch"][..], switches as fn() -> Result<()>),
            (
                &[
                    "sched_process_fork",
                    "sched_process_exec",
                    "sched_process_exit",
                ],
                processes,
            ),
            (&["sample"], busy),
        ] {
            let before = (real.costs(), empty.costs());
            work()?;
            let after = (real.costs(), empty.costs());
            for name in names {
                let real = of(&after.0, name).since(of(&before.0, name));
                let empty = of(&after.1, name).since(of(&before.1, name));
                ensure!(real.runs > 0 && empty.runs > 0, "{name} did not run");
                found.push(((*name).to_owned(), real, empty));
            }
            // Keep the ring from filling up, as the daemon does.
            while real.drain(100_000, |_| {}) {}
        }
        rounds.push(found);
    }
    println!("\nprobes: ns per run, median of {ROUNDS} rounds (least to most)\n");
    println!(
        "{:<20} {:>10} {:>10} {:>10}   over empty",
        "program", "runs", "probe", "empty"
    );
    for index in 0..rounds[0].len() {
        let rows: Vec<_> = rounds.iter().map(|round| &round[index]).collect();
        let over = spread(
            rows.iter()
                .map(|(_, r, e)| r.ns_per_run() - e.ns_per_run())
                .collect(),
        );
        let real = spread(rows.iter().map(|(_, r, _)| r.ns_per_run()).collect());
        let empty = spread(rows.iter().map(|(_, _, e)| e.ns_per_run()).collect());
        let runs: u64 = rows.iter().map(|(_, r, _)| r.runs).sum();
        println!(
            "{:<20} {runs:>10} {:>10.0} {:>10.0}   {:.0} ({:.0} to {:.0})",
            rows[0].0, real.1, empty.1, over.1, over.0, over.2
        );
    }
    Ok(())
}

fn of(costs: &Costs, name: &str) -> Cost {
    costs.get(name).copied().unwrap_or_default()
}

/// Least, median and most.
fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (
        values[0],
        values[values.len() / 2],
        values[values.len() - 1],
    )
}

/// Two threads on one processor that hand a byte to and fro.
fn switches() -> Result<()> {
    let (mut here, mut there) = UnixStream::pair()?;
    let pin = || {
        let mut cpus = rustix::thread::CpuSet::new();
        cpus.set(0);
        rustix::thread::sched_setaffinity(None, &cpus)
    };
    let echo = thread::spawn(move || -> Result<()> {
        pin()?;
        let mut byte = [0];
        while there.read(&mut byte)? == 1 {
            there.write_all(&byte)?;
        }
        Ok(())
    });
    let asking = thread::spawn(move || -> Result<()> {
        pin()?;
        let mut byte = [0];
        for _ in 0..ROUND_TRIPS {
            here.write_all(&byte)?;
            here.read_exact(&mut byte)?;
        }
        Ok(())
    });
    for thread in [asking, echo] {
        thread.join().ok().context("a thread panicked")??;
    }
    Ok(())
}

fn processes() -> Result<()> {
    for _ in 0..PROCESSES {
        Command::new("/bin/true").status()?;
    }
    Ok(())
}

/// Keeps every processor busy in user mode.
fn busy() -> Result<()> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| -> Result<()> {
        for _ in 0..thread::available_parallelism()?.get() {
            scope.spawn(|| {
                let mut n = 1_u64;
                while !stop.load(Ordering::Relaxed) {
                    n = std::hint::black_box(n.wrapping_mul(6_364_136_223_846_793_005) + 1);
                }
            });
        }
        thread::sleep(BUSY);
        stop.store(true, Ordering::Relaxed);
        Ok(())
    })
}

/// CPU and memory of the whole agent.
fn agent() -> Result<()> {
    println!(
        "\nagent: CPU of one core, and memory, over {} s each\n",
        AGENT.as_secs()
    );
    let cpus = thread::available_parallelism()?.get().to_string();
    for (what, load) in [
        ("idle host", None),
        (
            "every core busy",
            Some(vec!["--cpu", &cpus, "--cpu-method", "int64"]),
        ),
        ("forks and execs", Some(vec!["--fork", "2", "--exec", "2"])),
    ] {
        let mut daemon = Daemon::start::<&str>(&[]);
        let mut stress = match load {
            None => None,
            Some(args) => Some(
                Command::new("stress-ng")
                    .args(args)
                    .args(["--timeout", "60", "--quiet"])
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .context("stress-ng is not installed: run `cargo xtask setup --tests`")?,
            ),
        };
        thread::sleep(Duration::from_secs(2));
        let used = || host::stat_seconds(daemon.pid()).context("the daemon is gone");
        let (from, begun) = (used()?, Instant::now());
        thread::sleep(AGENT);
        let share = (used()? - from) / begun.elapsed().as_secs_f64();
        let memory = daemon.metrics().sum("process_resident_memory_bytes", &[]);
        println!(
            "{what:<20} {:>6.2} %   {:>6.1} MB",
            100.0 * share,
            memory / 1e6
        );
        if let Some(stress) = &mut stress {
            kill_process(Pid::from_child(stress), Signal::INT)?;
            stress.wait()?;
        }
        daemon.stop(Signal::TERM);
    }
    Ok(())
}

/// How long the agent is watched under each load.
const AGENT: Duration = Duration::from_secs(10);
