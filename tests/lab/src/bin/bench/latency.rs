//! How long a miner mines before it is judged: `cargo xtask bench -- latency`.
//!
//! A real daemon that only observes, with its default flags, and real hashes. In
//! question is the time from a miner's first hash, which the workload tells when
//! it is complete, to the arrival of the verdict `miner` about it on the daemon's
//! standard output. What a miner computes before that (`RandomX` fills its cache)
//! does not count. All mine at a pool behind TLS, which has a new job every ten seconds
//! and takes a share every four, as busy pools do. One that is not judged in time is counted as that, and is
//! slower than all that were.
//!
//! Nothing may be carried over from one run to the next: the daemon judges
//! processes of one image or cgroup together, so every program is an image and a
//! cgroup of its own, and every round has a new daemon.

mod delays;

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use ::tests::{
    Daemon, Workload,
    evade::scope::Scope,
    host,
    pool::{self, Pool},
    spawn::POOL,
};
use anyhow::{Context as _, Result, anyhow};
use clap::Args;

use self::delays::{Delays, Promise};

/// How the time to a verdict is measured.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Runs of each program with a whole core, and with a tenth of one; half as
    /// many with 3 %.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
}

/// A miner: its name in the table, and the workload's arguments.
type Program = (&'static str, &'static [&'static str]);

const RANDOMX: Program = ("randomx", &["randomx"]);
const CRYPTONIGHT: Program = ("cryptonight", &["mine", "cryptonight"]);
const SHA256D: Program = ("sha256d", &["sha256d"]);
const SCRYPT: Program = ("scrypt", &["scrypt"]);
const ARGON2: Program = ("argon2", &["argon2"]);
const KECCAK: Program = ("keccak", &["keccak"]);
const BLAKE3: Program = ("blake3", &["blake3"]);

/// What miners with the same share of a core are asked.
struct Class {
    /// Percent of a core.
    duty: u32,
    programs: &'static [Program],
    /// There is one round of these to so many of `--runs`.
    rarer: u32,
    /// All at a time: what each burns leaves the others their share.
    together: bool,
    /// Time after which a verdict is no longer waited for.
    give_up: Duration,
    promise: Promise,
}

/// Algorithms that only mine are found by their code, all others by their connection as
/// well, so that the pool decides how long that takes. The former are only among those
/// with a whole core: what `RandomX` does before its first hash is not held back, and
/// would give it away sooner than its share does.
const CLASSES: [Class; 4] = [
    Class {
        duty: 100,
        programs: &[RANDOMX, CRYPTONIGHT],
        rarer: 1,
        together: false,
        give_up: Duration::from_mins(1),
        promise: Promise {
            median: Some(Duration::from_secs(3)),
            p95: None,
            most: None,
        },
    },
    Class {
        duty: 100,
        programs: &[SHA256D, SCRYPT, ARGON2, KECCAK, BLAKE3],
        rarer: 1,
        together: false,
        give_up: Duration::from_mins(2),
        promise: Promise {
            median: Some(Duration::from_secs(20)),
            p95: None,
            most: None,
        },
    },
    Class {
        duty: 10,
        programs: &[SHA256D, SCRYPT, ARGON2, KECCAK],
        rarer: 1,
        together: true,
        give_up: Duration::from_mins(2),
        promise: Promise {
            median: None,
            p95: None,
            most: Some(Duration::from_mins(1)),
        },
    },
    Class {
        duty: 3,
        programs: &[SHA256D, ARGON2],
        rarer: 2,
        together: true,
        give_up: Duration::from_mins(6),
        promise: Promise {
            median: Some(Duration::from_mins(3)),
            p95: None,
            most: None,
        },
    },
];

/// The daemon looks once a second: miners start all over that second.
const TICK: Duration = Duration::from_secs(1);
/// What a run's place in the second is multiplied by: the golden ratio's part
/// after the point leaves no gap, however many runs there are.
const GOLDEN: f64 = 0.618_033_988_749_895;

/// What one run showed.
struct Run {
    /// From the first hash to the verdict; `None` if none came.
    delay: Option<Duration>,
    /// Share of a core that the miner had meanwhile, if it could be read.
    cores: Option<f64>,
    /// What it was taken for when the wait was given up.
    instead: Option<String>,
}

/// Measures, and prints a row for every program.
pub(super) fn latency(options: &Options) -> Result<()> {
    let load = fs::read_to_string("/proc/loadavg").context("cannot read /proc/loadavg")?;
    println!("load average before: {}", load.trim());
    let pool = Pool::start(pool::Options::default()).context("cannot start a pool on loopback")?;
    let begun = Instant::now();
    let mut table = vec![delays::HEADER.to_owned()];
    let mut missed = Vec::new();
    for class in &CLASSES {
        let rounds = options.runs.div_ceil(class.rarer);
        let mut rows: Vec<Delays> = class.programs.iter().map(|_| Delays::default()).collect();
        for round in 0..rounds {
            eprintln!(
                "{} % of a core: round {} of {rounds}, {} s so far",
                class.duty,
                round + 1,
                begun.elapsed().as_secs()
            );
            let runs = self::round(class, &pool, round)?;
            for ((row, run), (name, _)) in rows.iter_mut().zip(runs).zip(class.programs) {
                row.add(run.delay, run.cores);
                if let Some(instead) = run.instead {
                    missed.push(format!("{name} at {} %: {instead}", class.duty));
                }
            }
        }
        let mut all = Delays::default();
        for (row, (name, _)) in rows.iter().zip(class.programs) {
            table.push(row.row(class.duty, name));
            all.extend(row);
        }
        let promise = class.promise.judge(&all);
        table.push(format!("{}   {promise}\n", all.row(class.duty, "all")));
    }
    println!("\nfrom the first hash to the verdict, seconds\n");
    println!("{}", table.join("\n"));
    for missed in missed {
        println!("not judged: {missed}");
    }
    println!("took {} s", begun.elapsed().as_secs());
    Ok(())
}

/// Every program once, under a daemon that has seen none of them.
fn round(class: &Class, pool: &Pool, round: u32) -> Result<Vec<Run>> {
    let home = tempfile::tempdir().context("cannot make a temporary directory")?;
    let mut daemon = Daemon::start(&["--action", "observe"]);
    let programs = class.programs.iter().zip(0..);
    let run = |(program, number): (&Program, u32)| {
        let count = u32::try_from(class.programs.len()).unwrap_or(1);
        thread::sleep(offset(round * count + number));
        run(&daemon, pool, home.path(), class, program)
    };
    let runs = if class.together {
        thread::scope(|scope| {
            let threads: Vec<_> = programs
                .map(|each| scope.spawn(move || run(each)))
                .collect();
            threads
                .into_iter()
                .map(|thread| {
                    thread
                        .join()
                        .map_err(|_| anyhow!("a run failed: see above"))
                })
                .collect()
        })
    } else {
        Ok(programs.map(run).collect())
    };
    daemon.stop(rustix::process::Signal::TERM);
    runs
}

/// How long into the daemon's second a run begins.
fn offset(run: u32) -> Duration {
    TICK.mul_f64((f64::from(run) * GOLDEN).fract())
}

/// One miner, from its start to the verdict.
fn run(daemon: &Daemon, pool: &Pool, home: &Path, class: &Class, (name, args): &Program) -> Run {
    let image = home.join(name);
    fs::copy(host::workload(), &image)
        .unwrap_or_else(|error| panic!("cannot copy the workload to {}: {error}", image.display()));
    let scope = Scope::new(&format!("unjack-bench-{}-{name}", std::process::id()));
    let mut command = scope.command(&image);
    command
        .env(POOL, pool.tls_url())
        .args(["--duty", &class.duty.to_string()])
        .args(*args);
    let mut miner = Workload::spawn(&mut command);
    let first = miner.first_hash();
    let pid = miner.pid();
    let burned = host::schedstat_seconds(pid);
    let about = |json: &serde_json::Value| json["event"] == "verdict" && json["pid"] == pid;
    let left = (first + class.give_up).saturating_duration_since(Instant::now());
    let verdict = daemon.stdout.wait(left, |line| {
        let json = line.json.as_ref();
        json.is_some_and(|json| about(json) && json["verdict"] == "miner")
    });
    let took = first.elapsed();
    let burned = burned
        .zip(host::schedstat_seconds(pid))
        .map(|(from, to)| to - from);
    // What comes before its first hash is no wait at all.
    let delay = verdict.map(|line| line.at.saturating_duration_since(first));
    let ended = miner.ended();
    let instead = delay.is_none().then(|| {
        if let Some(status) = ended {
            // Another daemon on this host kills, for one.
            return format!("it did not live to be judged: {status}");
        }
        let last = daemon.events_of("verdict").into_iter().rfind(about);
        last.map_or_else(|| "no verdict at all".to_owned(), |event| event.to_string())
    });
    let told = delay.map_or_else(
        || format!("not judged within {} s", class.give_up.as_secs()),
        |delay| format!("{:.1} s", delay.as_secs_f64()),
    );
    eprintln!("  {name}: {told}");
    // The cgroup can only be removed when no process is in it.
    drop(miner);
    drop(scope);
    Run {
        delay,
        cores: burned.map(|burned| burned / took.as_secs_f64()),
        instead,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every tenth of the daemon's second has its share of fifty runs.
    #[test]
    fn runs_begin_all_over_the_daemons_second() {
        let mut tenths = [0; 10];
        for run in 0..50 {
            let offset = offset(run);
            assert!(offset < TICK, "run {run} waits {offset:?}");
            tenths[usize::try_from(offset.as_millis() / 100).unwrap()] += 1;
        }
        assert!(
            tenths.iter().all(|runs| (4..=6).contains(runs)),
            "{tenths:?}"
        );
    }
}
