//! Who burns: one row a process.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::MAX_LINES;
use crate::{
    detect::collector::{ActionState, Collector, Subject},
    host,
};
use unjack_core::{
    event::Process,
    profile::{Summary, seconds},
    score::{Evidence, Family, Model},
    text::clean,
    verdict::{MIN_SAMPLES, Thresholds, Verdict},
};

/// Processes shown at once.
pub const MAX_ROWS: usize = 40;
/// Seconds of CPU history: the profile has a reading a second of so many.
pub const HISTORY: usize = 60;
/// Burn below which a process is not shown unless it is suspected, in cores.
const LEAST: f64 = 0.001;
/// Share of the instructions from which a class is shown.
const LEAST_SHARE: f64 = 0.005;
/// Characters of a cgroup's path, or of one part of it.
const PATH_CHARS: usize = 256;

/// A process that burns. Text is cleaned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its id in the initial pid namespace.
    pub pid: u32,
    /// Its start in clock ticks since boot.
    pub start_time: u64,
    /// Path of its image; empty if it could not be read.
    pub exe: String,
    /// The name it gave itself.
    pub comm: String,
    /// The user it runs as.
    pub uid: Option<u32>,
    /// Its systemd unit.
    pub unit: Option<String>,
    /// Its container's id, or an LXC container's name.
    pub container: Option<String>,
    /// The uid of its pod.
    pub pod: Option<String>,
    /// Path of its cgroup.
    pub cgroup: String,
    /// Burn over the window, in percent of one core.
    pub cpu_percent: f64,
    /// CPU seconds so far.
    pub cpu_seconds: f64,
    /// Burn of each of the last seconds, in percent of one core, the oldest first;
    /// at most [`HISTORY`].
    pub history: Vec<f32>,
    /// Samples that the following is of.
    pub samples: u32,
    /// They are enough to judge by.
    pub enough: bool,
    /// Threads that were sampled.
    pub threads: u32,
    /// Share of the instructions of each class, the largest first.
    pub mix: Vec<Part>,
    /// How sure it is that it hashes, 0 to 1.
    pub hashing: f64,
    /// How sure it is that it mines, 0 to 1.
    pub score: f64,
    /// Family of hash algorithm; empty for none.
    pub family: String,
    /// The verdict that stands: `miner`, `hashing` or `none`.
    pub verdict: String,
    /// It has no verdict yet, and hashes.
    pub suspected: bool,
    /// A rule or list allows it.
    pub allowed: bool,
    /// What is done about it: `open`, `under-way`, `settled`, `again` or `outside`.
    pub standing: String,
    /// What speaks for and against: what each line adds to the score.
    pub evidence: Vec<Evidence>,
}

/// The part of one class of instructions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The class.
    pub class: String,
    /// Its share, 0 to 1.
    pub share: f64,
}

/// Who is shown before whom.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rank {
    suspicion: u8,
    cores: f64,
    process: Process,
}

impl Rank {
    fn of(subject: &Subject, since_ns: u64) -> Self {
        let suspicion = match subject.case.judgement.verdict() {
            Verdict::Miner => 3,
            Verdict::Hashing => 2,
            Verdict::None => u8::from(subject.case.suspected || subject.case.banned),
        };
        Self {
            suspicion,
            cores: subject.profile.burn(since_ns).cores,
            process: subject.profile.process,
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        let by_suspicion = other.suspicion.cmp(&self.suspicion);
        let by_burn = other.cores.total_cmp(&self.cores);
        by_suspicion
            .then(by_burn)
            .then(self.process.tgid.cmp(&other.process.tgid))
    }
}

/// A row for every process that burns, and how many more there were than
/// [`MAX_ROWS`]. `complete` adds to a summary what the collector does not know:
/// pools, Stratum. `/proc` is asked about those shown, once per image.
pub fn rows(
    collector: &mut Collector,
    model: &Model,
    thresholds: &Thresholds,
    now_ns: u64,
    complete: impl Fn(Process, &mut Summary),
) -> (Vec<Row>, usize) {
    let window_ns = now_ns.saturating_sub(thresholds.window_ns);
    let mut ranks: Vec<Rank> = collector
        .subjects()
        .map(|subject| Rank::of(subject, window_ns))
        .filter(|rank| rank.suspicion > 0 || rank.cores >= LEAST)
        .collect();
    ranks.sort_by(Rank::compare);
    let left_out = ranks.len().saturating_sub(MAX_ROWS);
    let mut rows = Vec::with_capacity(ranks.len() - left_out);
    for rank in ranks.into_iter().take(MAX_ROWS) {
        if let Some(subject) = collector.subject(rank.process) {
            let since_ns = thresholds.since_ns(&subject.profile, now_ns);
            let mut summary = subject.summary(since_ns);
            complete(rank.process, &mut summary);
            rows.push(row(subject, &summary, model, rank.cores));
        }
    }
    (rows, left_out)
}

fn row(subject: &mut Subject, summary: &Summary, model: &Model, cores: f64) -> Row {
    let facts = subject.facts().cloned().unwrap_or_default();
    let (profile, case) = (&subject.profile, &subject.case);
    let process = profile.process;
    let (assessment, evidence) = model.explain(summary);
    let verdict = case.judgement.verdict();
    let mut mix: Vec<Part> = summary
        .code
        .mix
        .shares()
        .filter(|(_, share)| *share >= LEAST_SHARE)
        .map(|(class, share)| Part {
            class: class.name().to_owned(),
            share,
        })
        .collect();
    mix.sort_by(|a, b| b.share.total_cmp(&a.share));
    let part = |text: String| clean(text.as_bytes(), PATH_CHARS);
    Row {
        pid: process.tgid,
        start_time: host::ticks(process.start_ns),
        exe: facts.exe,
        comm: facts.comm,
        uid: facts.uid,
        unit: facts.identity.unit.map(part),
        container: facts.identity.container.map(part),
        pod: facts.identity.pod.map(part),
        cgroup: part(facts.cgroup),
        cpu_percent: 100.0 * cores,
        cpu_seconds: seconds(profile.latest().map_or(0, |reading| reading.cpu_ns)),
        history: history(&profile.rates(HISTORY)),
        samples: summary.samples,
        enough: summary.samples >= MIN_SAMPLES,
        threads: summary.threads.sampled,
        mix,
        hashing: assessment.hashing,
        score: assessment.score,
        // What was found stands, whatever it does this second.
        family: Family::name_or_empty(match verdict {
            Verdict::None => assessment.family,
            _ => case.family,
        })
        .to_owned(),
        verdict: verdict.name().to_owned(),
        suspected: verdict == Verdict::None && (case.suspected || case.banned),
        allowed: case.allowed,
        standing: match case.action_state {
            ActionState::Open => "open",
            ActionState::UnderWay => "under-way",
            ActionState::Settled => "settled",
            ActionState::Again(_) => "again",
            ActionState::Outside(_) => "outside",
        }
        .to_owned(),
        evidence: Evidence::first(&evidence, MAX_LINES),
    }
}

/// Rates in cores as percentages, to a tenth: more digits are not seen.
fn history(rates: &[f64]) -> Vec<f32> {
    rates
        .iter()
        .map(|rate| {
            #[expect(clippy::cast_possible_truncation, reason = "a thousand cores fit")]
            let percent = (1000.0 * rate).round() as f32;
            percent / 10.0
        })
        .collect()
}

#[cfg(test)]
mod tests;
