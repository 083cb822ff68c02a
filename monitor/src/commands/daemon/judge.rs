//! The detector of `unjack run`: what the daemon knows of the subjects, and what it
//! does with the verdicts.

use super::{Daemon, reputation::Reputation};
use crate::{
    detect::{
        collector::Subject,
        detector::{PolicyContext, family_label},
    },
    host,
    policy::{
        config::Config,
        judged::{self, matches},
    },
    telemetry::metrics::Metrics,
};
use unjack_core::{profile::seconds, score::Family, verdict::Verdict};

/// What the daemon knows, for the detector.
struct Files<'a> {
    config: &'a Config,
    reputation: &'a mut Reputation,
}

impl PolicyContext for Files<'_> {
    fn burns(&mut self, subject: &mut Subject, now_ns: u64) {
        let image = subject.image();
        self.reputation.ask(subject.profile.process, image, now_ns);
    }

    fn listed(&mut self, subject: &mut Subject) -> Option<String> {
        let image = subject.image();
        self.reputation.denied(subject.profile.process, image)
    }

    fn denies(&mut self, subject: &mut Subject, family: Option<Family>) -> bool {
        let image = subject.image();
        let digest = self.reputation.digest(subject.profile.process, image);
        matches(&self.config.policy.deny, subject, family, digest)
    }

    fn allows(&mut self, subject: &mut Subject) -> bool {
        let (process, image) = (subject.profile.process, subject.image());
        let digest = self.reputation.digest(process, image);
        matches(
            &self.config.policy.allow,
            subject,
            subject.case.family,
            digest,
        ) || self.reputation.allowed(process, image)
    }
}

impl Daemon {
    /// Judges all processes, reports what is new, acts on miners.
    pub(super) fn judge(&mut self, now_ns: u64) {
        let Self {
            config,
            pipeline,
            collector,
            reputation,
            ..
        } = self;
        for process in reputation.caught(now_ns, host::executes) {
            // It is judged below, though nothing of it was sampled yet.
            let _subject = collector.get_or_insert(process);
        }
        let mut files = Files { config, reputation };
        let detections = pipeline.judge(collector, &mut files);
        self.record(now_ns);
        for (process, mut detection) in detections {
            let pools = self.reputation.pools();
            let network = &self.pipeline.witnesses;
            network.explain(process, &mut detection, |to| pools.find(to));
            self.report(process, detection);
        }
        self.act_on_targets(now_ns);
    }

    /// Counts what miners burn, and acts on whom the policy says.
    fn act_on_targets(&mut self, now_ns: u64) {
        let (mut suspects, mut targets) = (0, Vec::new());
        for subject in self.collector.subjects() {
            let cpu_ns = subject.profile.latest().map_or(0, |reading| reading.cpu_ns);
            if subject.case.judgement.verdict() == Verdict::Miner {
                suspects += 1;
                count_stolen(&self.metrics, subject, cpu_ns);
            }
            if judged::is_condemned(&subject.case, self.config.policy.act_on) {
                targets.push((cpu_ns, subject.profile.process));
            }
        }
        self.metrics.set_suspects(suspects);
        for process in judged::in_order(targets) {
            self.act(process, now_ns);
        }
    }
}

/// Counts what a miner has burned since this was last asked: as stolen, or as
/// allowed if a rule says so.
pub(super) fn count_stolen(metrics: &Metrics, subject: &mut Subject, cpu_ns: u64) {
    let case = &mut subject.case;
    let (family, new) = (family_label(case.family), seconds(case.burned(cpu_ns)));
    if case.allowed {
        metrics.stolen.add_allowed(family, new);
    } else {
        metrics.stolen.add(family, new);
    }
}
