//! How the model does: every program is judged by one that never saw it, and once
//! more as if nobody had listened for Stratum, which only those that have a pool
//! speak. No fit knows of that.

use std::{
    num::NonZero,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anyhow::{Result, anyhow};
use monitor::{
    profile::Summary,
    score::Model,
    verdict::{Judgement, Thresholds, Verdict},
};

use super::{Label, Program, train};

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
    /// The middle one of its scores, by the same.
    pub score: f64,
    /// The gravest verdict of any of its runs, by the same.
    pub verdict: Verdict,
    /// It had a pool to mine at.
    pub pool: bool,
    /// It was heard to speak Stratum in the middle one of its windows.
    pub heard: bool,
    /// The gravest verdict by the same model, Stratum not counted.
    pub unheard: Verdict,
    /// The middle one of its scores, Stratum not counted.
    pub unheard_score: f64,
    /// The gravest verdict by the same model, had it spoken Stratum all the time.
    pub speaking: Verdict,
    /// The gravest verdict by the same model, had a user installed it.
    pub users: Verdict,
    /// Runs with the verdict `miner`, and all runs.
    pub runs: (usize, usize),
    /// Seconds from the beginning of a run to the verdict `miner`, at best.
    pub first: Option<f64>,
    /// The gravest verdict by the shipped model.
    pub shipped: Verdict,
    /// The same, Stratum not counted.
    pub shipped_unheard: Verdict,
    /// The family the shipped model names.
    pub named: &'static str,
    /// Verdict of a model that saw no miner of its family, Stratum not counted; of
    /// miners.
    pub strange: Option<Verdict>,
}

impl Judged {
    /// Whether it is as it should be.
    #[must_use]
    pub fn is_right(&self) -> bool {
        (self.label == Label::Miner) == (self.verdict == Verdict::Miner)
    }

    /// Whether it would be if nobody had listened for Stratum.
    #[must_use]
    pub fn is_right_unheard(&self) -> bool {
        (self.label == Label::Miner) == (self.unheard == Verdict::Miner)
    }
}

impl Judged {
    /// Judges a program by a model fitted to all others.
    fn of(program: &Program, programs: &[Program], shipped: &Model) -> Result<Self> {
        let others = |keep: &dyn Fn(&Program) -> bool| -> Result<Model> {
            let others: Vec<Program> = programs.iter().filter(|p| keep(p)).cloned().collect();
            Ok(Model::new(train(&others)?)?)
        };
        let model = others(&|p| p.name != program.name)?;
        let strange = if program.label == Label::Miner {
            let model = others(&|p| p.family != program.family)?;
            Some(gravest(&program.heard(false), &model).0)
        } else {
            None
        };
        let assess = |program: &Program| -> (Vec<f64>, Vec<f64>) {
            let assessed = program.windows().map(|summary| model.assess(summary));
            assessed.map(|found| (found.hashing, found.score)).unzip()
        };
        let (hashing, scores) = assess(program);
        let (verdict, miners, first) = gravest(program, &model);
        let unheard = program.heard(false);
        let heard = program.windows().filter(|summary| summary.stratum).count();
        let named = program
            .windows()
            .map(|summary| shipped.assess(summary).family);
        Ok(Self {
            name: program.name.clone(),
            label: program.label,
            family: program.family.clone(),
            windows: scores.len(),
            hashing: middle(hashing),
            score: middle(scores),
            verdict,
            pool: program.pool,
            heard: 2 * heard > program.windows().count(),
            unheard: gravest(&unheard, &model).0,
            unheard_score: middle(assess(&unheard).1),
            speaking: gravest(&program.heard(true), &model).0,
            users: gravest(&program.installed_by_a_user(), &model).0,
            runs: (miners, program.runs.len()),
            first,
            shipped: gravest(program, shipped).0,
            shipped_unheard: gravest(&unheard, shipped).0,
            named: most_common(named.collect()),
            strange,
        })
    }
}

/// What became of all programs.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// In order of name.
    pub programs: Vec<Judged>,
    /// Area under the curve of hits over false alarms, by the programs' middle
    /// scores: 1 is a score that separates all miners from all else.
    pub auc: f64,
    /// The same, Stratum not counted.
    pub unheard_auc: f64,
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
        let area = |score: fn(&Judged) -> f64| {
            let of = |miner: bool| -> Vec<f64> {
                let wanted = judged.iter().filter(|p| (p.label == Label::Miner) == miner);
                wanted.map(score).collect()
            };
            auc(&of(true), &of(false))
        };
        Ok(Self {
            auc: area(|p| p.score),
            unheard_auc: area(|p| p.unheard_score),
            programs: judged,
        })
    }
}

/// Judges every run as the daemon does, though only every fifth second. Returns
/// the gravest verdict, how many runs had `miner`, and when the first.
fn gravest(program: &Program, model: &Model) -> (Verdict, usize, Option<f64>) {
    let (mut gravest, mut miners, mut first) = (Verdict::None, 0, None::<f64>);
    for run in program.runs.values() {
        let (verdict, at) = judge(run, model);
        miners += usize::from(verdict == Verdict::Miner);
        gravest = match (gravest, verdict) {
            (Verdict::Miner, _) | (_, Verdict::Miner) => Verdict::Miner,
            (Verdict::Hashing, _) | (_, Verdict::Hashing) => Verdict::Hashing,
            _ => Verdict::None,
        };
        if let Some(at) = at {
            first = Some(first.map_or(at, |first| first.min(at)));
        }
    }
    (gravest, miners, first)
}

fn judge(run: &[(f64, Summary)], model: &Model) -> (Verdict, Option<f64>) {
    let mut judgement = Judgement::default();
    let mut gravest = Verdict::None;
    for (t, summary) in run {
        // The windows' own clock: that of the samples.
        let now_ns = summary.since_ns + summary.span_ns;
        judgement.judge(now_ns, summary, model, &Thresholds::DEFAULT, |_| false);
        match judgement.verdict() {
            Verdict::Miner => return (Verdict::Miner, Some(*t)),
            Verdict::Hashing => gravest = Verdict::Hashing,
            Verdict::None => {}
        }
    }
    (gravest, None)
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn most_common(mut families: Vec<&'static str>) -> &'static str {
    families.sort_unstable();
    families
        .chunk_by(|a, b| a == b)
        .max_by_key(|run| run.len())
        .map_or("", |run| run[0])
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
