//! Who is judged, and as what: a process as a whole, each of its threads by
//! itself, and processes that are alike together.

use super::{Daemon, family_label, groups::Member, rules::matches};
use crate::{
    collector::Subject,
    config::ActOn,
    host,
    metrics::Metrics,
    profile::{Summary, seconds},
    score::Model,
    verdict::{Judgement, MIN_SAMPLES, Ruling, Thresholds, Verdict},
};

/// Ticks from one look at a process's single threads to the next, as long as
/// none of them hashes.
const THREADS_EVERY: u32 = 5;
/// How far back a thread's samples may lie.
const THREADS_REACH_NS: u64 = 60_000_000_000;
/// Threads of one process that are being judged by themselves.
const MAX_THREADS: usize = 16;
/// From this on hashing is worth a second look.
pub(super) const SUSPECT_FROM: f64 = 0.5;

impl Daemon {
    /// Judges everybody, reports what is new, acts on those who mine.
    pub(super) fn judge(&mut self, now_ns: u64) {
        self.ticks = self.ticks.wrapping_add(1);
        let Self {
            config,
            thresholds,
            model,
            collector,
            groups,
            reputation,
            contacts,
            stratum,
            ..
        } = self;
        for remains in collector.take_remains() {
            groups.bury(&remains, model);
        }
        for process in reputation.caught(now_ns, host::executes) {
            // It is judged below, though nothing of it was sampled yet.
            let _subject = collector.summon(process);
        }
        let (mut rulings, mut members) = (Vec::new(), Vec::new());
        for subject in collector.subjects() {
            let process = subject.profile.process;
            let since_ns = subject.profile.since(
                now_ns,
                thresholds.window_ns,
                thresholds.patience_ns,
                MIN_SAMPLES,
            );
            let summary = Summary {
                pool: contacts.get(process).is_some(),
                stratum: stratum.was_heard(process),
                ..subject.summary(since_ns)
            };
            if summary.cores >= thresholds.min_cpu {
                reputation.ask(process, subject.image(), now_ns);
            }
            let mut judgement = std::mem::take(&mut subject.case.judgement);
            let image = subject.image();
            let listed = reputation.denied(process, image);
            let digest = reputation.digest(process, image);
            let mut ruling = judgement.judge(now_ns, &summary, model, thresholds, |assessment| {
                listed.is_some() || matches(&config.deny, subject, assessment.family, digest)
            });
            if listed.is_some() && judgement.verdict() != Verdict::Miner {
                ruling = judgement.adopt(now_ns, Ruling::decreed(&summary));
            }
            if let Some(why) = listed {
                ruling = ruling.map(|ruling| ruling.because(why));
            }
            let mut suspected = judgement.verdict() != Verdict::None;
            if judgement.verdict() != Verdict::Miner {
                if summary.threads > 1
                    && (!subject.case.threads.is_empty()
                        || (self.ticks.wrapping_add(process.tgid)).is_multiple_of(THREADS_EVERY))
                    && let Some(found) = judge_threads(now_ns, subject, &summary, model, thresholds)
                {
                    ruling = judgement.adopt(now_ns, found);
                } else {
                    let assessment = model.assess(&summary);
                    suspected |= summary.cores >= thresholds.min_cpu
                        && assessment.hashing >= SUSPECT_FROM
                        || !subject.case.threads.is_empty();
                    members.extend(Member::of(subject, &summary, assessment, since_ns));
                }
            }
            if suspected && !subject.case.allowed {
                stratum.suspect(process, summary.cores, now_ns);
            }
            subject.case.judgement = judgement;
            subject.case.suspected = suspected && summary.samples >= MIN_SAMPLES;
            rulings.extend(ruling.map(|ruling| (process, ruling)));
        }
        let alike = groups.judge(now_ns, members, collector, model, thresholds);
        for (process, found) in alike {
            if let Some(subject) = collector.subject(process) {
                let ruling = subject.case.judgement.adopt(now_ns, found);
                rulings.extend(ruling.map(|ruling| (process, ruling)));
            }
        }
        for (process, ruling) in &rulings {
            if let Some(subject) = collector.subject(*process) {
                subject.case.family = ruling.assessment.family;
                let image = subject.image();
                let digest = reputation.digest(*process, image);
                subject.case.allowed = matches(&config.allow, subject, subject.case.family, digest)
                    || reputation.allowed(*process, image);
            }
        }
        for (process, mut ruling) in rulings {
            let to = self.contacts.get(process).map(|contact| contact.to);
            let name = to.and_then(|to| self.reputation.pools().find(to));
            self.contacts.explain(process, name, &mut ruling);
            self.stratum.explain(process, &mut ruling);
            self.report(process, ruling);
        }
        self.act_on_targets(now_ns);
    }

    /// Counts what miners burn, and acts on whom the policy says.
    fn act_on_targets(&mut self, now_ns: u64) {
        let (mut suspects, mut targets) = (0, Vec::new());
        for subject in self.collector.subjects() {
            let verdict = subject.case.judgement.verdict();
            if verdict == Verdict::Miner {
                suspects += 1;
                let cpu_ns = subject.profile.latest().map_or(0, |reading| reading.cpu_ns);
                count_stolen(&self.metrics, subject, cpu_ns);
            }
            let hashing_too = self.config.act_on == ActOn::Hashing;
            let condemned = verdict == Verdict::Miner || subject.case.banned;
            if condemned || (hashing_too && verdict == Verdict::Hashing) {
                targets.push(subject.profile.process);
            }
        }
        self.metrics.set_suspects(suspects);
        for process in targets {
            self.act(process, now_ns);
        }
    }
}

/// Judges each thread of a process by itself: one that mines in a process that
/// does much else is lost in the whole.
fn judge_threads(
    now_ns: u64,
    subject: &mut Subject,
    whole: &Summary,
    model: &Model,
    thresholds: &Thresholds,
) -> Option<Ruling> {
    let since_ns = now_ns.saturating_sub(THREADS_REACH_NS.min(thresholds.patience_ns));
    let mut hashing: Vec<(u32, Summary)> = subject
        .profile
        .threads(since_ns, MIN_SAMPLES)
        .into_iter()
        .filter(|(_, summary)| model.assess(summary).hashing >= SUSPECT_FROM)
        .take(MAX_THREADS)
        .collect();
    subject
        .case
        .threads
        .retain(|tid, _| hashing.iter().any(|(hashing, _)| hashing == tid));
    for (tid, summary) in &mut hashing {
        share(summary, whole);
        let judgement: &mut Judgement = subject.case.threads.entry(*tid).or_default();
        let ruling = judgement.judge(now_ns, summary, model, thresholds, |_| false);
        if judgement.verdict() == Verdict::Miner {
            // The verdict stands, whether or not it is to be reported again: the
            // process would lose it at its next judgement as a whole.
            let mut ruling = ruling.unwrap_or_else(|| Ruling::again(summary, model));
            ruling.thread = Some(*tid);
            return Some(ruling.because(format!(
                "thread {tid} hashes by itself, one of {} threads that were sampled",
                whole.threads
            )));
        }
    }
    None
}

/// A thread that hashes what other threads read, as backup programs have them,
/// moves no data itself: what the whole process moves excuses it. And it connects
/// to no pool itself where another does.
fn share(thread: &mut Summary, whole: &Summary) {
    thread.pool = whole.pool;
    thread.stratum = whole.stratum;
    if let Some(io) = whole.io_per_cpu_second
        && thread.cores > 0.0
    {
        let moved = io * whole.cores / thread.cores;
        thread.io_per_cpu_second = Some(thread.io_per_cpu_second.unwrap_or(0.0).max(moved));
    }
}

/// Counts what a miner has burned since this was last asked: as stolen, or as
/// allowed if a rule says so.
pub(super) fn count_stolen(metrics: &Metrics, subject: &mut Subject, cpu_ns: u64) {
    let case = &mut subject.case;
    if case.judgement.verdict() != Verdict::Miner {
        return;
    }
    let new_ns = cpu_ns.saturating_sub(case.stolen_ns);
    case.stolen_ns = case.stolen_ns.max(cpu_ns);
    let (family, new) = (family_label(case.family), seconds(new_ns));
    if case.allowed {
        metrics.add_allowed_cpu(family, new);
    } else {
        metrics.add_stolen_cpu(family, new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Process, Sample},
        isa::Arch,
        profile::{Place, Reading},
    };

    const SECOND: u64 = 1_000_000_000;
    /// `xor eax, ecx; rol eax, 5; add eax, edx`: what hashes.
    const MIXING: [u8; 7] = [0x31, 0xc8, 0xc1, 0xc0, 0x05, 0x01, 0xd0];
    /// `cmp eax, ecx; jne +0; mov ecx, eax`: what does not.
    const BRANCHING: [u8; 6] = [0x39, 0xc8, 0x75, 0x00, 0x89, 0xc1];

    /// Adds a second of a process of thirty threads, the first of which hashes.
    fn burn(subject: &mut Subject, second: u64) {
        let process = subject.profile.process;
        for n in 0..100 {
            let tid = 1 + u32::try_from((n + second * 100) % 30).unwrap();
            let code: &[u8] = if tid == 1 { &MIXING } else { &BRANCHING };
            let code: Vec<u8> = code.iter().copied().cycle().take(63).collect();
            let time_ns = (second - 1) * SECOND + n * SECOND / 100;
            let ip = 0x5555_0000_0000 + (n / 10 + second) % 30 * 64;
            let mut sample = Sample::user(process, tid, time_ns, ip, &code);
            sample.counters.run_ns = time_ns / 30;
            subject.profile.add(Arch::X86_64, &sample, Place::File);
        }
        subject.profile.read(Reading {
            time_ns: second * SECOND,
            cpu_ns: second * SECOND,
            io_bytes: Some(0),
            ..Reading::default()
        });
    }

    #[test]
    fn a_threads_verdict_stands_though_the_whole_does_no_hashing() {
        let model = Model::shipped().unwrap();
        let mut subject = Subject::new(Process {
            // No process has such an id, so nothing is read of it.
            tgid: u32::MAX,
            start_ns: 1,
        });
        let mut found = Vec::new();
        for second in 1..=40 {
            burn(&mut subject, second);
            let whole = subject.profile.summary(0);
            assert!(model.assess(&whole).hashing < SUSPECT_FROM);
            let now_ns = second * SECOND;
            let ruling = judge_threads(now_ns, &mut subject, &whole, &model, &Thresholds::DEFAULT);
            found.extend(ruling.map(|ruling| (second, ruling.thread)));
        }
        let first = found.first().expect("it is found").0;
        assert!(first <= 25, "found only after {first} s");
        assert!(
            found
                .into_iter()
                .eq((first..=40).map(|second| (second, Some(1))))
        );
    }
}
