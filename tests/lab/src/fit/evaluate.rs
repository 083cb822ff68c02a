//! How the model does: every program is judged by one that never saw it, with each
//! connection it may have.

use std::{
    num::NonZero,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anyhow::{Result, anyhow};
use unjack_core::{
    profile::Summary,
    score::{Family, Model},
    verdict::{Judgement, Thresholds, Verdict},
};

use super::{Connection, Label, Program, train};

/// What became of one program.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Its name.
    pub name: String,
    /// What it is.
    pub label: Label,
    /// Its family, of miners.
    pub family: String,
    /// Windows it was judged by.
    pub windows: usize,
    /// The middle one of its windows' certainty that it hashes, by the model
    /// that never saw it.
    pub hashing: f64,
    /// The gravest verdict of any of its runs, by the same, with each connection.
    pub verdicts: [Verdict; Connection::ALL.len()],
    /// The middle one of its log-odds with the connection that it should have: a pool
    /// behind TLS, or an unrelated one.
    pub log_odds: f64,
    /// Runs with the verdict `miner` with a pool behind TLS, and all runs.
    pub runs: (usize, usize),
    /// The same verdicts by the shipped model.
    pub shipped: [Verdict; Connection::ALL.len()],
    /// The family that the model which never saw it names most often.
    pub named: Option<Family>,
    /// Verdict with a pool behind TLS of a model that saw no miner of its family; of
    /// miners.
    pub strange: Option<Verdict>,
}

impl Judged {
    /// Its verdict with that connection.
    #[must_use]
    pub fn with(&self, connection: Connection) -> Verdict {
        at(self.verdicts, connection)
    }

    /// The same by the shipped model.
    #[must_use]
    pub fn shipped_with(&self, connection: Connection) -> Verdict {
        at(self.shipped, connection)
    }

    /// Whether it is as it should be: a miner is found behind TLS, and an honest
    /// program is no miner without a connection and with an unrelated one.
    #[must_use]
    pub fn is_right(&self) -> bool {
        let mines = |connection| self.with(connection) == Verdict::Miner;
        match self.label {
            Label::Miner => mines(Connection::Encrypted),
            Label::Hashing | Label::Other => {
                !mines(Connection::None) && !mines(Connection::Unrelated)
            }
        }
    }

    /// The name that it should have.
    #[must_use]
    pub fn expected(&self) -> Family {
        Family::of_algorithm(&self.family)
    }

    /// Whether it has that name.
    #[must_use]
    pub fn is_named_rightly(&self) -> bool {
        self.named == Some(self.expected())
    }

    /// Whether it has another, which says more than that it is not known.
    #[must_use]
    pub fn is_named_wrongly(&self) -> bool {
        !self.is_named_rightly() && self.named.is_some_and(Family::is_known)
    }

    /// Judges a program by a model fitted to all others.
    fn of(program: &Program, programs: &[Program], shipped: &Model) -> Result<Self> {
        let others = |keep: &dyn Fn(&Program) -> bool| -> Result<Model> {
            let others: Vec<Program> = programs.iter().filter(|p| keep(p)).cloned().collect();
            Ok(Model::new(train(&others)?)?)
        };
        let model = others(&|p| p.name != program.name)?;
        let encrypted = program.connected(Connection::Encrypted);
        let strange = if program.label == Label::Miner {
            let model = others(&|p| p.family != program.family)?;
            Some(gravest(&encrypted, &model).0)
        } else {
            None
        };
        let by = |model: &Model| {
            Connection::ALL.map(|connection| gravest(&program.connected(connection), model).0)
        };
        let own = if program.label == Label::Miner {
            encrypted.clone()
        } else {
            program.connected(Connection::Unrelated)
        };
        let assessed = own.windows().map(|summary| model.assess(summary));
        let (hashing, log_odds): (Vec<f64>, Vec<f64>) = assessed
            .map(|found| (found.hashing, found.log_odds))
            .unzip();
        let named = program
            .windows()
            .map(|summary| model.assess(summary).family);
        let (_, miners) = gravest(&encrypted, &model);
        Ok(Self {
            name: program.name.clone(),
            label: program.label,
            family: program.family.clone(),
            windows: hashing.len(),
            hashing: middle(hashing),
            verdicts: by(&model),
            log_odds: middle(log_odds),
            runs: (miners, program.runs.len()),
            shipped: by(shipped),
            named: most_common(named.collect()),
            strange,
        })
    }
}

fn at(verdicts: [Verdict; Connection::ALL.len()], connection: Connection) -> Verdict {
    let number = Connection::ALL
        .iter()
        .position(|known| *known == connection);
    number.map_or(Verdict::None, |number| verdicts[number])
}

/// What became of all programs.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// In order of name.
    pub programs: Vec<Judged>,
    /// Area under the curve of hits over false alarms, by the programs' middle
    /// log-odds with the connection that they should have: 1 is a score that separates
    /// all miners from all else.
    pub auc: f64,
}

impl Evaluation {
    /// Judges every program by a model fitted to all others.
    ///
    /// # Errors
    /// A fit does not converge.
    pub fn of(programs: &[Program], shipped: &Model) -> Result<Self> {
        let done = AtomicUsize::new(0);
        let judge = |program: &Program| {
            let judged = Judged::of(program, programs, shipped);
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            eprintln!("evaluate: {done}/{}", programs.len());
            judged
        };
        // A fit for every program: as many at a time as there are processors.
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        let share = programs.len().div_ceil(workers).max(1);
        let judged = thread::scope(|scope| -> Result<Vec<Judged>> {
            let workers: Vec<_> = programs
                .chunks(share)
                .map(|some| scope.spawn(|| some.iter().map(judge).collect::<Result<Vec<_>>>()))
                .collect();
            let mut all = Vec::new();
            for worker in workers {
                let some = worker.join().map_err(|_| anyhow!("a fit panicked"))?;
                all.extend(some?);
            }
            Ok(all)
        })?;
        let of = |miner: bool| -> Vec<f64> {
            let wanted = judged.iter().filter(|p| (p.label == Label::Miner) == miner);
            wanted.map(|p| p.log_odds).collect()
        };
        Ok(Self {
            auc: auc(&of(true), &of(false)),
            programs: judged,
        })
    }
}

/// Judges every run as the daemon does, though only every fifth second. Returns
/// the gravest verdict, and how many runs had `miner`.
fn gravest(program: &Program, model: &Model) -> (Verdict, usize) {
    let (mut gravest, mut miners) = (Verdict::None, 0);
    for run in program.runs.values() {
        let verdict = judge(run, model);
        miners += usize::from(verdict == Verdict::Miner);
        gravest = match (gravest, verdict) {
            (Verdict::Miner, _) | (_, Verdict::Miner) => Verdict::Miner,
            (Verdict::Hashing, _) | (_, Verdict::Hashing) => Verdict::Hashing,
            _ => Verdict::None,
        };
    }
    (gravest, miners)
}

fn judge(run: &[(f64, Summary)], model: &Model) -> Verdict {
    let mut judgement = Judgement::default();
    let mut gravest = Verdict::None;
    // What was recorded for a few seconds only is gone through until as much time is
    // over as two windows that share nothing take.
    let long = run.iter().cycle().take(run.len().max(MIN_WINDOWS));
    let mut now_ns = 0;
    for (_, summary) in long {
        // The windows' own clock: that of the samples.
        let own_ns = summary.time.since_ns + summary.time.span_ns;
        now_ns = own_ns.max(now_ns + summary.time.span_ns);
        judgement.judge(now_ns, summary, model, &Thresholds::DEFAULT, |_| false);
        match judgement.verdict() {
            Verdict::Miner => return Verdict::Miner,
            Verdict::Hashing => gravest = Verdict::Hashing,
            Verdict::None => {}
        }
    }
    gravest
}

/// Windows in a row that a run is judged by at least.
const MIN_WINDOWS: usize = 4;

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn most_common(mut families: Vec<Option<Family>>) -> Option<Family> {
    families.sort_unstable_by_key(|family| Family::name_or_empty(*family));
    families
        .chunk_by(|a, b| a == b)
        .max_by_key(|run| run.len())
        .and_then(|run| run[0])
}

/// The share of pairs of one of each in which the first scores higher.
fn auc(yes: &[f64], no: &[f64]) -> f64 {
    let wins = |a: &f64, b: &f64| match a.total_cmp(b) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    };
    let won: f64 = yes
        .iter()
        .flat_map(|a| no.iter().map(move |b| wins(a, b)))
        .sum();
    won / (yes.len() * no.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_that_of_the_curve() {
        let check = |yes: &[f64], no: &[f64], expected: f64| {
            assert!((auc(yes, no) - expected).abs() < 1e-12);
        };
        check(&[0.9, 0.8], &[0.1, 0.2], 1.0);
        check(&[0.1], &[0.9], 0.0);
        check(&[0.9, 0.1], &[0.5, 0.1], 0.625);
    }

    #[test]
    fn the_middle_of_an_even_number_is_the_upper_one() {
        assert!((middle(vec![3.0, 1.0, 2.0, 4.0]) - 3.0).abs() < 1e-12);
        assert!(middle(Vec::new()).abs() < 1e-12);
    }
}
