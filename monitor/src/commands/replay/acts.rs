//! What would have been done about whom, and what that would have saved.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    report::{Act, Entry, MAX_ENTRIES, Recording, Report, Total},
    wants_digests,
};
use crate::{
    commands::record::line::{End, Header, Why},
    detect::{
        collector::{ActionState, Collector, Subject},
        detector::{RETRY_NS, family_label},
        report::VerdictEvent,
    },
    host::{self, Image, container::Home},
    policy::{
        config::{self, Action},
        guard::Guard,
        judged,
        only::{Only, Place},
        refusal::Refusal,
    },
    respond::action::breaker::{Breaker, Change, Stop},
    telemetry::journal::Outcome,
};
use unjack_core::{
    event::Process,
    profile::seconds,
    score::Family,
    text::cleaned_again,
    verdict::{Detection, Verdict},
};

/// Characters of a name that are shown.
const NAME_CHARS: usize = 256;

/// A process that was acted on, and lived on in the recording.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// Where it is reported, unless there was no room.
    entry: Option<usize>,
    /// What it had burned by then, and when that was.
    burned_ns: u64,
    since_ns: u64,
    saved_ns: u64,
}

/// Everything that would have been reported and done so far.
pub(super) struct Acts<'a> {
    config: &'a config::Replay,
    guard: Guard,
    only: Only,
    breaker: Breaker,
    recording: Recording,
    begun_ns: u64,
    now_ns: u64,
    entries: Vec<Entry>,
    /// The index of the entry of each live process that is reported.
    reported: BTreeMap<Process, usize>,
    held: BTreeMap<Process, Held>,
    total: Total,
    /// Processes without a digest although one was asked for.
    undigested: BTreeSet<Process>,
}

impl<'a> Acts<'a> {
    pub(super) fn new(config: &'a config::Replay, header: &Header) -> Self {
        Self {
            guard: Guard {
                lineage: header.lineage.clone(),
                allow: config.policy.allow.clone().into(),
                // The list is asked where the verdict is made.
                listed: std::sync::Arc::default(),
                builtin: !config.no_builtin_protection,
                // What is in the scope of another is not recorded.
                only: Only::default(),
            },
            only: Only::new(config.policy.only.clone().into()),
            breaker: Breaker::new(config.breaker),
            recording: Recording::new(header),
            begun_ns: header.begun_ns,
            now_ns: header.begun_ns,
            entries: Vec::new(),
            reported: BTreeMap::new(),
            held: BTreeMap::new(),
            total: Total::default(),
            undigested: BTreeSet::new(),
            config,
        }
    }

    /// Seconds since the recording began.
    pub(super) fn seconds(&self) -> f64 {
        seconds(self.now_ns.saturating_sub(self.begun_ns))
    }

    /// The second that was judged last.
    #[cfg(test)]
    pub(super) fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// A second begins to be judged.
    pub(super) fn begin(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
    }

    /// A process has burned this much CPU time in all.
    pub(super) fn burned(&mut self, subject: &mut Subject, cpu_ns: u64) {
        let case = &mut subject.case;
        let new = seconds(case.burned(cpu_ns));
        if case.allowed {
            self.total.allowed_cpu_seconds += new;
        } else if new > 0.0 {
            let family = family_label(case.family).name();
            *self.total.stolen_cpu_seconds.entry(family).or_default() += new;
        }
        if let Some(held) = self.held.get_mut(&subject.profile.process) {
            let left = match self.config.action {
                Action::Throttle => {
                    let share = self.config.throttle_to;
                    share * self.now_ns.saturating_sub(held.since_ns) as f64
                }
                _ => 0.0,
            };
            let after = cpu_ns.saturating_sub(held.burned_ns) as f64;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "below a count of nanoseconds, and not below 0"
            )]
            let saved_ns = (after - left).max(0.0) as u64;
            held.saved_ns = held.saved_ns.max(saved_ns);
            if let Some(entry) = held.entry.and_then(|at| self.entries.get_mut(at)) {
                entry.saved_cpu_seconds = seconds(held.saved_ns);
            }
        }
    }

    /// A process is gone.
    pub(super) fn exits(&mut self, process: Process) {
        if let Some(at) = self.reported.remove(&process) {
            self.entries[at].ended = Some(self.seconds());
        }
        self.let_go(process);
    }

    fn let_go(&mut self, process: Process) {
        if let Some(held) = self.held.remove(&process) {
            self.total.saved_cpu_seconds += seconds(held.saved_ns);
        }
    }

    /// A second was judged.
    pub(super) fn tick(&mut self, detections: &[(Process, Detection)], collector: &mut Collector) {
        for process in self.held.keys().copied().collect::<Vec<_>>() {
            // Its exit was lost.
            if !collector.knows(process) {
                self.exits(process);
            }
        }
        self.reported.retain(|process, _| collector.knows(*process));
        for (process, detection) in detections {
            if let Some(subject) = collector.subject(*process) {
                self.report(subject, detection);
            }
        }
        let mut targets = Vec::new();
        for subject in collector.subjects() {
            let cpu_ns = subject.profile.latest().map_or(0, |reading| reading.cpu_ns);
            self.burned(subject, cpu_ns);
            if judged::is_condemned(&subject.case, self.config.policy.act_on) {
                targets.push((cpu_ns, subject.profile.process));
            }
        }
        for process in judged::in_order(targets) {
            if let Some(subject) = collector.subject(process) {
                let cpu_ns = subject.profile.latest().map_or(0, |reading| reading.cpu_ns);
                self.act(subject, cpu_ns);
            }
        }
        for change in self.breaker.changes(self.now_ns) {
            if let Change::Opened(opened) = change {
                *self.total.breaker_opened.entry(opened.level).or_default() += 1;
            }
        }
    }

    fn report(&mut self, subject: &mut Subject, detection: &Detection) {
        let process = subject.profile.process;
        // It would be gone by now, or held.
        if self.held.contains_key(&process) {
            return;
        }
        if detection.first {
            match detection.verdict {
                Verdict::Miner => self.total.miners += 1,
                Verdict::Hashing => self.total.hashing += 1,
                Verdict::None => {}
            }
        }
        self.total.unexplained += u64::from(detection.unexplained);
        if wants_digests(self.config)
            && subject
                .recorded_facts()
                .is_none_or(|recorded| recorded.sha256.is_none())
        {
            self.undigested.insert(process);
        }
        if self.entries.len() == MAX_ENTRIES {
            self.total.not_shown += 1;
            self.reported.remove(&process);
            return;
        }
        self.reported.insert(process, self.entries.len());
        self.entries.push(Entry {
            t: self.seconds(),
            verdict: event(subject, detection),
            action: None,
            saved_cpu_seconds: 0.0,
            ended: None,
        });
    }

    /// What would be done about a condemned process.
    fn act(&mut self, subject: &mut Subject, cpu_ns: u64) {
        let process = subject.profile.process;
        let due = subject.case.action_state.is_due(self.now_ns);
        if !due || self.held.contains_key(&process) {
            return;
        }
        let before = std::mem::replace(&mut subject.case.action_state, ActionState::Settled);
        let entry = self.reported.get(&process).copied();
        let act = match self.may(subject) {
            Err(refusal) => {
                if matches!(refusal, Refusal::Unreadable | Refusal::ProtectionUnknown) {
                    subject.case.action_state = ActionState::Again(self.now_ns + RETRY_NS);
                }
                *self.total.refused.entry(refusal.name()).or_default() += 1;
                Act {
                    outcome: Outcome::Refused,
                    reason: refusal.name(),
                }
            }
            Ok(_) if self.config.action == Action::Observe => Act {
                outcome: Outcome::DryRun,
                reason: "",
            },
            Ok(None) => {
                let is_new = !matches!(before, ActionState::Outside(_));
                self.total.outside_only += u64::from(is_new);
                subject.case.action_state = ActionState::Outside(self.now_ns + RETRY_NS);
                Act {
                    outcome: Outcome::DryRun,
                    reason: Refusal::NotOnly.name(),
                }
            }
            Ok(Some(image)) => {
                let act = self.breaker.about(image, subject.facts());
                self.breaker.count(self.now_ns, &act);
                self.total.acted_on += 1;
                let held = Held {
                    entry,
                    burned_ns: cpu_ns,
                    since_ns: self.now_ns,
                    saved_ns: 0,
                };
                self.held.insert(process, held);
                let outcome = match self.config.action {
                    Action::Kill => Outcome::Gone,
                    Action::Observe | Action::Throttle | Action::Freeze => Outcome::Held,
                };
                Act {
                    outcome,
                    reason: "",
                }
            }
        };
        if let Some(entry) = entry {
            self.entries[entry].action = Some(act);
        }
    }

    /// The image that it may be acted on by now, `None` outside of `--only`: as the daemon
    /// asks, of what was recorded.
    fn may(&mut self, subject: &mut Subject) -> Result<Option<Image>, Refusal> {
        let image = judged::spared(subject, &self.guard, self.now_ns)?;
        let config::Policy { allow, only, .. } = &self.config.policy;
        let known = allow.is_empty() && only.is_empty()
            || subject.facts().is_some_and(|facts| facts.uid.is_some());
        if !known {
            return Err(Refusal::Unreadable);
        }
        if self.config.action != Action::Observe {
            let only = self.only.of(subject.case.family, Place::default());
            let digest = subject
                .recorded_facts()
                .and_then(|recorded| recorded.sha256);
            if !judged::is_enforced(&only, subject, digest) {
                return Ok(None);
            }
            let act = self.breaker.about(image, subject.facts());
            self.breaker
                .allows(self.now_ns, &act)
                .map_err(|Stop { until_ns, level }| {
                    *self.total.breaker_let_pass.entry(level).or_default() += 1;
                    subject.case.action_state = ActionState::Again(until_ns);
                    Refusal::Breaker
                })?;
        }
        Ok(Some(image))
    }

    /// The recording says that it is over.
    pub(super) fn end(&mut self, end: End) {
        self.recording.ended = match end.why {
            Why::Done => "done",
            Why::Size => "size",
            Why::Slow => "slow",
        };
        self.recording.lost_samples = end.lost;
    }

    /// Everything, once the recording is over.
    pub(super) fn report_all(mut self) -> Report {
        for process in self.held.keys().copied().collect::<Vec<_>>() {
            self.let_go(process);
        }
        self.recording.seconds = self.seconds();
        Report::new(
            self.recording,
            self.config,
            self.entries,
            self.total,
            self.undigested.len(),
        )
    }
}

/// A verdict as the daemon tells it. Any user may have written the recording: its
/// texts are cleaned anew.
fn event(subject: &mut Subject, detection: &Detection) -> VerdictEvent {
    let Detection {
        verdict,
        thread,
        assessment,
        evidence,
        summary,
        delay_ns: _,
        first: _,
        unexplained,
    } = detection;
    let process = subject.profile.process;
    let burn_ns = subject.profile.latest().map_or(0, |reading| reading.cpu_ns);
    let facts = subject.facts();
    VerdictEvent {
        pid: process.tgid,
        thread: *thread,
        start_time: host::ticks(process.start_ns),
        exe: facts
            .map(|facts| cleaned_again(&facts.exe, NAME_CHARS))
            .filter(|exe| !exe.is_empty()),
        comm: facts.map_or_else(String::new, |facts| cleaned_again(&facts.comm, NAME_CHARS)),
        verdict: verdict.name(),
        unexplained: *unexplained,
        family: Family::name_or_empty(assessment.family),
        score: assessment.score,
        cpu_percent: 100.0 * summary.time.cores,
        burn_seconds: seconds(burn_ns),
        evidence: evidence.clone(),
        // A recording has no bytes of code.
        code: Vec::new(),
        home: facts.map_or_else(Home::default, |facts| Home::of(&facts.identity)),
    }
}
