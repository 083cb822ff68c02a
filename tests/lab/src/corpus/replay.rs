//! `corpus replay`: what the shipped model makes of every recording.
//!
//! `cargo xtask evaluate` judges a program by its processes, and by a model that
//! never saw it. This is the other half: `unjack replay` with its default flags,
//! which judges as the daemon does, threads by themselves and groups included, but
//! by the model that is shipped.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser as _;
use monitor::commands::cli::{Cli, Command};
use monitor::commands::replay::{self, Report};
use monitor::detect::report::VerdictEvent;
use monitor::detect::reputation::Lists;
use monitor::policy::config;
use unjack_core::verdict::Verdict;

use super::manifest::{Label, Program};
use super::recording::Recording;

/// What became of the recordings of one label.
#[derive(Debug, Default)]
struct Tally {
    recordings: usize,
    /// Recordings with a verdict of `miner`, and of `hashing` alone.
    miner: usize,
    hashing: usize,
    /// What each burned, in CPU seconds.
    burned: Vec<f64>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            recordings,
            miner,
            hashing,
            burned,
        } = self;
        let none = recordings - miner - hashing;
        let mut burned = burned.clone();
        burned.sort_by(f64::total_cmp);
        let at = |part: usize| burned.get(recordings * part / 10).copied().unwrap_or(0.0);
        write!(
            f,
            "{recordings} recordings: {miner} `miner`, {hashing} `hashing`, {none} nothing; \
             CPU seconds of each {:.0} in the middle, {:.0} for a tenth or less",
            at(5),
            at(1)
        )
    }
}

/// Replays what is recorded of these programs, and says what is judged otherwise
/// than it should be. A miner that is not found is told; an honest program that is
/// taken for one is an error.
pub(super) fn run(programs: &[Program], from: &Path) -> Result<()> {
    let (mut wrong, mut judged) = (0, 0);
    for label in [Label::Miner, Label::Hashing, Label::Other] {
        let mut tally = Tally::default();
        let those = programs.iter().filter(|program| program.label == label);
        for subject in those.flat_map(Program::subjects) {
            let file = from.join(format!("{}.jsonl", subject.stem()));
            if !file.is_file() {
                continue;
            }
            let report = judge(&file)?;
            tally.add(&report, Recording::read(&file)?.cpu);
            let taken = report.total.miners > 0;
            if taken != (label == Label::Miner) {
                println!("{}: {}", subject.stem(), why(&report));
                wrong += usize::from(taken);
            }
        }
        println!("{label:?}: {tally}");
        judged += tally.recordings;
    }
    ensure!(
        judged > 0,
        "there are no recordings in {}: `cargo xtask corpus record` makes them",
        from.display()
    );
    ensure!(
        wrong == 0,
        "{wrong} recordings of honest programs are judged `miner`"
    );
    Ok(())
}

impl Tally {
    fn add(&mut self, report: &Report, burned: Duration) {
        self.recordings += 1;
        self.burned.push(burned.as_secs_f64());
        match (report.total.miners, report.total.hashing) {
            (0, 0) => {}
            (0, _) => self.hashing += 1,
            _ => self.miner += 1,
        }
    }
}

/// `unjack replay FILE`, without any flag.
fn judge(file: &Path) -> Result<Report> {
    let words = ["unjack".as_ref(), "replay".as_ref(), file.as_os_str()];
    let Command::Replay(args) = Cli::try_parse_from(words)?.command else {
        bail!("`unjack replay` is another command");
    };
    let config = config::Replay::from_cli(&args, "")?;
    let lists = Lists::read(&config.lists)?;
    replay::file(file, &config, &lists).with_context(|| file.display().to_string())
}

/// The gravest verdict with its evidence.
fn why(report: &Report) -> String {
    let gravest = (report.verdicts.iter())
        .map(|entry| &entry.verdict)
        .max_by(|a, b| {
            let miner = |verdict: &VerdictEvent| verdict.verdict == Verdict::Miner.name();
            (miner(a).cmp(&miner(b))).then(a.score.total_cmp(&b.score))
        });
    match gravest {
        None => "nothing".to_owned(),
        Some(verdict) => {
            let unit = match verdict.thread {
                Some(thread) => format!("thread {thread} of {}", verdict.pid),
                None => format!("process {}", verdict.pid),
            };
            let evidence: Vec<String> = verdict.evidence.iter().map(ToString::to_string).collect();
            format!(
                "{unit} is `{}`, score {:.2}: {}",
                verdict.verdict,
                verdict.score,
                evidence.join("; ")
            )
        }
    }
}
