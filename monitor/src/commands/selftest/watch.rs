//! The probes on the child, from its first instruction to the verdict.
//!
//! Drained and judged as often as `unjack run` does it, by the same thresholds.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{child::Child, report::StepReporter};
use crate::{
    detect::{
        cadence::{Cadence, DRAIN},
        collector::Collector,
        detector::Detector,
        network::OwnConnections,
        pipeline::{OneProcess, Pipeline},
    },
    host::clock::monotonic_ns,
    kernel::probe::Probes,
};
use unjack_core::{
    event::Process,
    isa::Arch,
    profile::{Code, DecodedSample, SAMPLE_HZ, Summary, seconds},
    score::{Assessment, Family, Model, ModelError},
    verdict::{MIN_SAMPLES, Thresholds, Verdict},
};

/// How long a verdict may take: on a host whose processors are all busy a loop
/// gets little of them.
const PATIENCE: Duration = Duration::from_mins(1);
/// CPU time over which clocks are compared: the probes' is up to a sampling
/// interval (10 ms) old at either end, which is then less than a percent.
const COMPARED_NS: u64 = 3_000_000_000;
/// How far two clocks may be apart.
const TOLERANCE: f64 = 0.01;
/// Share of the samples whose bytes may be no instructions.
const UNDECODABLE: f64 = 0.02;

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// The child as the probes tell it.
    pub(super) process: Option<Process>,
    /// When its first hash was done.
    first_hash_ns: Option<u64>,
    /// When the first sample was taken.
    sampled_ns: Option<u64>,
    /// When there were enough for a judgement.
    enough_ns: Option<u64>,
    /// When it was found to mine.
    verdict_ns: Option<u64>,
    /// What it was judged by, last.
    assessment: Assessment,
    summary: Summary,
    /// CPU time by the probes and by the child's own clock, first and last.
    clocks: Option<[(u64, u64); 2]>,
    /// What the child was hindered by.
    hindered: Option<String>,
}

/// Has the child hash and looks on until there is a verdict and its clock was
/// compared for long enough, it is gone, or the patience is over.
pub(super) fn watch(
    probes: &mut Probes,
    child: &mut Child,
    arch: Arch,
) -> Result<Watched, ModelError> {
    let thresholds = Thresholds::DEFAULT;
    let mut collector = Collector::new(arch, thresholds.patience_ns);
    let detector = Detector::new(Model::shipped()?, thresholds, SAMPLE_HZ);
    let mut pipeline = Pipeline::new(detector, OwnConnections::default(), Cadence::default());
    let mut seen = Watched::default();
    let mut source = OneProcess::new(probes, child.pid());
    child.begin();
    let begun = Instant::now();
    loop {
        thread::sleep(DRAIN);
        if seen.first_hash_ns.is_none() {
            seen.first_hash_ns = child.first_hash_ns();
        }
        let Ok(due) = pipeline.step(&mut source, &mut collector, &mut ());
        if due {
            let now_ns = monotonic_ns();
            pipeline.tick(now_ns, &mut source, &mut collector, |_, _| {});
            if let Some(clocks) = source.cpu_ns().zip(child.clock_ns()) {
                seen.clocks = Some([seen.clocks.map_or(clocks, |[first, _]| first), clocks]);
            }
            seen.judge(now_ns, child, &mut pipeline, &mut collector);
        }
        let compared = seen
            .compared()
            .is_some_and(|(by_probes, _)| by_probes >= COMPARED_NS);
        let done = compared && seen.verdict_ns.is_some();
        if done || child.ended().is_some() || begun.elapsed() >= PATIENCE {
            break;
        }
    }
    seen.hindered = child.hindered();
    Ok(seen)
}

impl Watched {
    /// Has the child judged, if there is a sample of it.
    fn judge(
        &mut self,
        now_ns: u64,
        child: &mut Child,
        pipeline: &mut Pipeline<OwnConnections>,
        collector: &mut Collector,
    ) {
        let pid = child.pid();
        let found = collector
            .subjects()
            .find(|subject| subject.profile.process.tgid == pid);
        let Some(subject) = found else {
            return;
        };
        let (profile, process) = (&subject.profile, subject.profile.process);
        self.process = Some(process);
        let mut looks = profile.looks(0).map(DecodedSample::time_ns);
        self.sampled_ns = looks.next();
        self.enough_ns = looks.nth(MIN_SAMPLES as usize - 2);
        drop(looks);
        let since_ns = pipeline.detector().thresholds().since_ns(profile, now_ns);
        let cpu_ns = profile.latest().map_or(0, |reading| reading.cpu_ns);
        if let Some(found) = child.connections() {
            pipeline.witnesses.look(cpu_ns, &found);
        }
        let burning_seconds = subject.case.judgement.burning_seconds(now_ns);
        let mut summary = pipeline.summary(subject, since_ns);
        summary.time.burning_seconds = burning_seconds;
        let _detections = pipeline.judge(collector, &mut ());
        if self.verdict_ns.is_none() {
            self.assessment = pipeline.detector().model().assess(&summary);
            self.summary = summary;
        }
        let verdict = (collector.subject(process)).map(|it| it.case.judgement.verdict());
        if verdict == Some(Verdict::Miner) {
            self.verdict_ns.get_or_insert(now_ns);
        }
    }

    /// CPU time while it was looked at: by the probes, and by the child's clock.
    fn compared(&self) -> Option<(u64, u64)> {
        let [(from, own_from), (to, own_to)] = self.clocks?;
        Some((to.saturating_sub(from), own_to.saturating_sub(own_from)))
    }

    /// Nanoseconds from the first hash to then.
    fn since_first(&self, then_ns: Option<u64>) -> u64 {
        let then_ns = then_ns.unwrap_or_else(monotonic_ns);
        then_ns.saturating_sub(self.first_hash_ns.unwrap_or(then_ns))
    }

    /// Whether the verdict is that it mines.
    pub(super) fn condemned(&self) -> bool {
        self.verdict_ns.is_some()
    }

    /// Tells what was seen; `gone`: the child was ended meanwhile, so that what
    /// is lacking may be for that.
    pub(super) fn tell(&self, gone: bool, report: &mut StepReporter<'_>) {
        self.tell_clocks(gone, report);
        let Summary { samples, .. } = self.summary;
        let rate = f64::from(samples) / seconds(self.summary.time.span_ns).max(1.0);
        let time = self.since_first(self.sampled_ns);
        match self.sampled_ns {
            Some(_) => {
                let found = format!("{samples} samples in the window, {rate:.0} a second");
                report.pass("sampling", time, found);
            }
            None => self.lacking("sampling", time, "no sample", gone, report),
        }
        let Code {
            mix,
            undecodable_share,
            ..
        } = &self.summary.code;
        let time = self.since_first(self.enough_ns);
        let found = format!(
            "{} instructions; {:.1} % of the samples cannot be decoded",
            mix.total(),
            100.0 * undecodable_share
        );
        if mix.total() == 0 || self.enough_ns.is_none() {
            self.lacking("decoding", time, &found, gone, report);
        } else if *undecodable_share > UNDECODABLE {
            let remedy = "report this, with the processor's model (lscpu)";
            report.fail("decoding", time, found, remedy);
        } else {
            report.pass("decoding", time, found);
        }
        let Assessment {
            score,
            hashing,
            family,
            log_odds: _,
            mining_only: _,
            explained: _,
            looks: _,
        } = self.assessment;
        let time = self.since_first(self.verdict_ns);
        if self.condemned() {
            let family = Family::name_or_empty(family);
            let found = format!("miner: {family}, score {score:.2}, hashing {hashing:.2}");
            report.pass("verdict", time, found);
        } else {
            let found = format!(
                "not a miner within {:.0} s: score {score:.2}, hashing {hashing:.2}, {:.0} % of a \
                 core, {samples} samples",
                seconds(time),
                100.0 * self.summary.time.cores
            );
            self.lacking("verdict", time, &found, gone, report);
        }
    }

    fn tell_clocks(&self, gone: bool, report: &mut StepReporter<'_>) {
        const STEP: &str = "accounting";
        let time = self.since_first(None);
        let Some((by_probes, own)) = self.compared().filter(|(_, own)| *own > 0) else {
            return self.lacking(STEP, time, "no CPU time was accounted", gone, report);
        };
        let apart = (by_probes as f64 - own as f64).abs() / own as f64;
        let found = format!(
            "{:.3} CPU seconds, {:.3} by its own clock: {:.2} % apart",
            seconds(by_probes),
            seconds(own),
            100.0 * apart
        );
        if apart <= TOLERANCE {
            report.pass(STEP, time, found);
        } else if own < COMPARED_NS {
            self.lacking(STEP, time, &found, gone, report);
        } else {
            let remedy = "report this, with the kernel's release: the probes read the wrong clock";
            report.fail(STEP, time, found, remedy);
        }
    }

    /// Something is not there: as the child was ended, or did not run, or for
    /// whatever reason there is.
    fn lacking(
        &self,
        step: &'static str,
        time: u64,
        found: &str,
        gone: bool,
        report: &mut StepReporter<'_>,
    ) {
        if gone {
            let found = format!("{found}; it was ended before this could be seen");
            return report.skip(step, time, found, "see below who ended it");
        }
        match &self.hindered {
            Some(how) => report.fail(
                step,
                time,
                format!("{found}; {how}"),
                "an unjack that runs with --action throttle or freeze does so: this host's unjack \
                 works; try this one again while that does not run",
            ),
            None => report.fail(
                step,
                time,
                found.to_owned(),
                "try again when this host is less busy, and see what `unjack doctor` warns of",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::selftest::report::{Status, Step};

    fn told(watched: &Watched, gone: bool) -> Vec<(&'static str, Status)> {
        let mut ignore = |_: &Step| {};
        let mut reporter = StepReporter::new(&mut ignore);
        watched.tell(gone, &mut reporter);
        let steps = reporter.finish().steps;
        steps.iter().map(|step| (step.name, step.status)).collect()
    }

    #[test]
    fn nothing_seen_is_a_failure_of_each_step() {
        let failed = told(&Watched::default(), false);
        let names = ["accounting", "sampling", "decoding", "verdict"];
        assert_eq!(failed, names.map(|name| (name, Status::Fail)));
    }

    #[test]
    fn a_child_that_was_ended_leaves_steps_untried() {
        let skipped = told(&Watched::default(), true);
        assert!(skipped.iter().all(|(_, status)| *status == Status::Skip));
    }

    #[test]
    fn clocks_may_be_a_percent_apart() {
        let check = |by_probes: u64, own: u64, expected| {
            let watched = Watched {
                clocks: Some([(1_000, 7_000), (1_000 + by_probes, 7_000 + own)]),
                ..Watched::default()
            };
            assert_eq!(told(&watched, false)[0], ("accounting", expected));
        };
        check(4_000_000_000, 4_039_000_000, Status::Pass);
        check(4_039_000_000, 4_000_000_000, Status::Pass);
        check(4_000_000_000, 4_050_000_000, Status::Fail);
        check(0, 4_000_000_000, Status::Fail);
        check(0, 0, Status::Fail);
    }
}
