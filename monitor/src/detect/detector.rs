//! Who is judged, and as what: a process as a whole, each of its threads by
//! itself, and processes that are alike together.
//!
//! Once a second subjects flow in, with the moment, and what is known of them
//! from elsewhere by way of [`Witnesses`] and a [`PolicyContext`]; what is new flows out,
//! as a [`Detection`] each. No I/O of its own and no clock: all commands judge by this
//! one function, so that a recording is judged as the host was.

pub(crate) mod groups;

use self::groups::{Groups, Member};
use crate::detect::collector::{Collector, Subject};
use unjack_core::{
    event::{Contact, Payload, Process},
    profile::{Network, Summary},
    score::{Assessment, Family, Model},
    shape::Shape,
    verdict::{Detection, Judgement, MIN_SAMPLES, Suspicion, Thresholds, Verdict},
};

/// Ticks from one look at a process's single threads to the next, as long as
/// none of them hashes.
const THREADS_EVERY: u32 = 5;
/// How far back a thread's samples may lie.
const THREADS_REACH_NS: u64 = 60_000_000_000;
/// Threads of one process that are being judged by themselves.
const MAX_THREADS: usize = 16;
/// Time until a process that could not be acted on, for a reason that may pass, is
/// acted on again: by the daemon, and in a replay.
pub(crate) const RETRY_NS: u64 = 30_000_000_000;

/// What was learned of a process by other ways than by its samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Heard {
    /// It has connected to a pool on the list.
    pub(crate) pool: bool,
    /// It speaks Stratum.
    pub(crate) stratum: bool,
    /// How its connections behave.
    pub(crate) shape: Shape,
}

/// What knows of processes what no sample tells.
pub(crate) trait Witnesses {
    /// What was learned of a process.
    fn heard(&self, subject: &Subject) -> Heard;
    /// How much one is suspected that burns this many cores.
    fn suspects(&mut self, _: Process, _cores: f64, _: Suspicion, _now_ns: u64) {}
    /// One executes another image.
    fn executes(&mut self, _: Process) {}
    /// A suspect sent this.
    fn hears(&mut self, _: &Payload) {}
    /// One connected to a listed pool. Whether another contact was forgotten for that.
    fn connects(&mut self, _: Process, _: Contact) -> bool {
        false
    }
}

/// What knows the policy.
pub(crate) trait PolicyContext {
    /// Whether the connections of one are to be looked at if it is suspected.
    fn watches(&self, _: Process) -> bool {
        true
    }
    /// One burns enough to be judged.
    fn burns(&mut self, _: &mut Subject, _now_ns: u64) {}
    /// Why it is a miner by decree, in a sentence: its image is listed.
    fn listed(&mut self, _: &mut Subject) -> Option<String> {
        None
    }
    /// Whether a rule of `--deny` is about it, which hashes as this family.
    fn denies(&mut self, _: &mut Subject, _: Option<Family>) -> bool {
        false
    }
    /// Whether it may mine: by a rule of `--allow`, or a list.
    fn allows(&mut self, _: &mut Subject) -> bool {
        false
    }
}

/// There is no policy.
impl PolicyContext for () {}

/// What a process was seen to do since `since_ns`, with what else is known of it.
pub(crate) fn summary(subject: &mut Subject, since_ns: u64, witnesses: &impl Witnesses) -> Summary {
    let Heard {
        pool,
        stratum,
        shape,
    } = witnesses.heard(subject);
    Summary {
        network: Network {
            pool,
            stratum,
            shape,
        },
        ..subject.summary(since_ns)
    }
}

/// Everything that judging takes, and what it remembers.
#[derive(Debug)]
pub(crate) struct Detector {
    model: Model,
    thresholds: Thresholds,
    groups: Groups,
    ticks: u32,
}

impl Detector {
    /// One that has judged no process yet, of samples taken at `sample_hz`.
    pub(crate) fn new(model: Model, thresholds: Thresholds, sample_hz: u32) -> Self {
        Self {
            model,
            thresholds,
            groups: Groups::new(sample_hz),
            ticks: 0,
        }
    }

    /// The model it judges by.
    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    /// The scores from which on a process is a miner.
    pub(crate) fn thresholds(&self) -> &Thresholds {
        &self.thresholds
    }

    /// Judges all processes. Returns what is to be reported.
    pub(crate) fn judge(
        &mut self,
        now_ns: u64,
        collector: &mut Collector,
        witnesses: &mut impl Witnesses,
        context: &mut impl PolicyContext,
    ) -> Vec<(Process, Detection)> {
        let Self {
            model,
            thresholds,
            groups,
            ticks,
        } = self;
        *ticks = ticks.wrapping_add(1);
        for exited in collector.take_exited() {
            groups.retire(&exited, model);
        }
        let (mut detections, mut members) = (Vec::new(), Vec::new());
        for subject in collector.subjects() {
            let process = subject.profile.process;
            let since_ns = thresholds.since_ns(&subject.profile, now_ns);
            let mut summary = summary(subject, since_ns, witnesses);
            summary.time.burning_seconds = subject.case.judgement.burning_seconds(now_ns);
            if summary.time.cores >= thresholds.min_cpu {
                context.burns(subject, now_ns);
            }
            let mut judgement = std::mem::take(&mut subject.case.judgement);
            let listed = context.listed(subject);
            // What may hash needs no explanation.
            let unexplained_ns = if subject.case.allowed {
                0
            } else {
                thresholds.unexplained_ns
            };
            let limits = Thresholds {
                unexplained_ns,
                ..*thresholds
            };
            let assessment = model.assess(&summary);
            let denied =
                |found: &Assessment| listed.is_some() || context.denies(subject, found.family);
            let mut detection =
                judgement.judge_assessed(now_ns, &summary, assessment, model, &limits, denied);
            if listed.is_some() && judgement.verdict() != Verdict::Miner {
                detection = judgement.adopt(now_ns, Detection::decreed(&summary));
            }
            if let Some(why) = listed {
                detection = detection.map(|detection| detection.because(why));
            }
            let mut suspicion = match judgement.verdict() {
                Verdict::None => Suspicion::None,
                Verdict::Hashing | Verdict::Miner => Suspicion::Hashes,
            };
            if judgement.verdict() != Verdict::Miner {
                if summary.threads.sampled > 1
                    && summary.time.cores >= thresholds.min_cpu
                    && (!subject.case.threads.is_empty()
                        || (ticks.wrapping_add(process.tgid)).is_multiple_of(THREADS_EVERY))
                    && let Some(found) = judge_threads(now_ns, subject, &summary, model, thresholds)
                {
                    detection = judgement.adopt(now_ns, found);
                } else {
                    let threads = if subject.case.threads.is_empty() {
                        Suspicion::None
                    } else {
                        Suspicion::Hashes
                    };
                    suspicion = suspicion.max(threads).max(Suspicion::of(
                        &summary,
                        &assessment,
                        thresholds,
                    ));
                    members.extend(Member::of(subject, &summary, assessment, since_ns));
                }
            }
            if !subject.case.allowed && context.watches(process) {
                witnesses.suspects(process, summary.time.cores, suspicion, now_ns);
            }
            subject.case.judgement = judgement;
            subject.case.suspected =
                suspicion == Suspicion::Hashes && summary.samples >= MIN_SAMPLES;
            detections.extend(detection.map(|detection| (process, detection)));
        }
        let alike = groups.judge(now_ns, members, collector, model, thresholds);
        for (process, found) in alike {
            if let Some(subject) = collector.subject(process) {
                let detection = subject.case.judgement.adopt(now_ns, found);
                detections.extend(detection.map(|detection| (process, detection)));
            }
        }
        for (process, detection) in &detections {
            if let Some(subject) = collector.subject(*process) {
                subject.case.family = detection.assessment.family;
                subject.case.allowed = context.allows(subject);
            }
        }
        detections
    }
}

/// A denied process may have no family; as a label it must have one.
pub(crate) fn family_label(family: Option<Family>) -> Family {
    family.unwrap_or(Family::UnknownPow)
}

/// Judges each thread of a process by itself: one that mines in a process that
/// does much else is lost in the whole.
fn judge_threads(
    now_ns: u64,
    subject: &mut Subject,
    whole: &Summary,
    model: &Model,
    thresholds: &Thresholds,
) -> Option<Detection> {
    let since_ns = now_ns.saturating_sub(THREADS_REACH_NS.min(thresholds.patience_ns));
    let mut hashing: Vec<(u32, Summary)> = subject
        .profile
        .threads(since_ns, MIN_SAMPLES)
        .into_iter()
        .filter(|(_, summary)| model.assess(summary).hashes())
        .take(MAX_THREADS)
        .collect();
    subject
        .case
        .threads
        .retain(|tid, _| hashing.iter().any(|(hashing, _)| hashing == tid));
    for (tid, summary) in &mut hashing {
        share(summary, whole);
        let judgement: &mut Judgement = subject.case.threads.entry(*tid).or_default();
        let detection = judgement.judge(now_ns, summary, model, thresholds, |_| false);
        if judgement.verdict() == Verdict::Miner {
            // The verdict stands, whether or not it is to be reported again: the
            // process would lose it at its next judgement as a whole.
            let mut detection = detection.unwrap_or_else(|| Detection::again(summary, model));
            detection.thread = Some(*tid);
            return Some(detection.because(format!(
                "thread {tid} hashes by itself, one of {} threads that were sampled",
                whole.threads.sampled
            )));
        }
    }
    None
}

/// A thread that hashes what other threads read, as backup programs have them,
/// moves no data itself: what the whole process moves excuses it. And it connects
/// to no pool itself where another does.
fn share(thread: &mut Summary, whole: &Summary) {
    thread.network = whole.network;
    thread.time.burning_seconds = whole.time.burning_seconds;
    if let Some(io) = whole.system.io
        && thread.time.cores > 0.0
    {
        let moved = io * whole.time.cores / thread.time.cores;
        thread.system.io = Some(thread.system.io.unwrap_or(0.0).max(moved));
    }
}

#[cfg(test)]
mod tests;
