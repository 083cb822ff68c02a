//! The probes and the judging behind the screen: as `unjack run` observes, with
//! neither policy nor action, journal nor endpoint.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::TopError;
use crate::{
    commands::explain::ThreadMix,
    detect::{
        cadence::DRAIN_LIMIT,
        collector::{Collector, HotCode, Subject},
        stratum::Stratum,
    },
    host::{Member, clock::monotonic_ns},
    kernel::probe::{Probes, Settings},
    telemetry::view::{Host, Probed, Stolen, View, rows},
};
use unjack_core::{
    event::{self, Event, Process},
    isa::Arch,
    profile::{SAMPLE_HZ, Summary, seconds},
    score::Model,
    verdict::{Suspicion, Thresholds, Verdict},
};

/// Threads that are shown of one process, those with the most samples.
const MAX_THREADS: usize = 16;

/// What is shown of one process only.
#[derive(Clone, Debug)]
pub(super) struct Detail {
    /// Whose it is.
    pub(super) process: Member,
    pub(super) hot_code: Option<HotCode>,
    pub(super) threads: Vec<ThreadMix>,
}

/// The probes, and everything they told.
pub(super) struct Observer {
    model: Model,
    thresholds: Thresholds,
    probes: Probes,
    collector: Collector,
    /// How the connections of suspects behave.
    stratum: Stratum,
    begun: Instant,
    /// On-CPU nanoseconds of miners, by family.
    stolen_ns: BTreeMap<&'static str, u64>,
}

impl Observer {
    /// Attaches the probes.
    pub(super) fn new() -> Result<Self, TopError> {
        let arch = Arch::HOST.ok_or(TopError::Arch)?;
        let thresholds = Thresholds::DEFAULT;
        let window = Duration::from_nanos(thresholds.window_ns);
        Ok(Self {
            model: Model::shipped()?,
            thresholds,
            probes: Probes::attach(Settings::new(None, SAMPLE_HZ, window))?,
            collector: Collector::new(arch, thresholds.patience_ns),
            stratum: Stratum::new(true, ()),
            begun: Instant::now(),
            stolen_ns: BTreeMap::new(),
        })
    }

    /// Takes in what the probes told since the last time.
    pub(super) fn drain(&mut self) {
        let (collector, stolen_ns) = (&mut self.collector, &mut self.stolen_ns);
        let stratum = &mut self.stratum;
        self.probes.drain(DRAIN_LIMIT, |record| {
            match event::decode(record) {
                Ok(event @ (Event::Sample(_) | Event::Exec { .. } | Event::Exit { .. })) => {
                    if let Event::Exec { process, .. } = event {
                        stratum.executes(process);
                    }
                    if let Some((mut subject, cpu_ns)) = collector.take(&event) {
                        count(stolen_ns, &mut subject, cpu_ns);
                    }
                }
                Ok(Event::Payload(payload)) => stratum.hear(&payload),
                // Nothing else was asked for.
                Ok(_) => {}
                Err(_) => collector.malformed += 1,
            }
        });
    }

    /// Reads the counters and judges all processes: once a second.
    pub(super) fn tick(&mut self) {
        let now_ns = monotonic_ns();
        let probes = &self.probes;
        self.collector.tick(now_ns, |visit| {
            probes.tasks(|_, slot| visit(slot));
        });
        for subject in self.collector.subjects() {
            judge(
                now_ns,
                subject,
                &self.model,
                &self.thresholds,
                &mut self.stratum,
            );
            let cpu_ns = subject.profile.latest().map_or(0, |reading| reading.cpu_ns);
            count(&mut self.stolen_ns, subject, cpu_ns);
        }
        self.stratum
            .listen(now_ns, &mut self.probes, &self.collector);
        // One that cannot be sampled shows as lacking samples.
        let _unsampled = self.probes.follow_processors();
    }

    /// This moment, as the page shows it, too. There is no policy and there are no
    /// findings.
    pub(super) fn view(&mut self) -> View {
        let now_ns = monotonic_ns();
        let stratum = &self.stratum;
        let (processes, processes_left_out) = rows(
            &mut self.collector,
            &self.model,
            &self.thresholds,
            now_ns,
            |process, summary| complete(summary, process, stratum),
        );
        let stolen = self.stolen_ns.iter().map(|(family, ns)| Stolen {
            family: (*family).to_owned(),
            stolen_seconds: seconds(*ns),
            allowed_seconds: 0.0,
        });
        let since_boot = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        View {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            time: since_boot.unwrap_or_default().as_secs_f64(),
            host: Host::this(self.begun.elapsed()),
            stolen: stolen.collect(),
            processes,
            processes_left_out,
            // Counters that cannot be read show as a sampler without a name.
            probes: Probed::of(&self.probes, &self.collector).unwrap_or_default(),
            ..View::default()
        }
    }

    /// More of one process, unless it is gone.
    pub(super) fn detail(&mut self, chosen: Member) -> Option<Detail> {
        let (model, arch) = (&self.model, self.collector.arch());
        let subject = self
            .collector
            .subjects()
            .find(|subject| Member::from(subject.profile.process) == chosen)?;
        let summary = subject.summary(0);
        let threads = subject.profile.threads(0, 1);
        let threads = threads.iter().take(MAX_THREADS);
        Some(Detail {
            process: chosen,
            hot_code: (subject.hot_code(arch, &summary)).or_else(|| subject.kept_code(arch)),
            threads: threads
                .map(|(tid, summary)| ThreadMix::of(*tid, summary, model))
                .collect(),
        })
    }
}

/// Judges one process as a whole.
fn judge(
    now_ns: u64,
    subject: &mut Subject,
    model: &Model,
    thresholds: &Thresholds,
    stratum: &mut Stratum,
) {
    let since_ns = thresholds.since_ns(&subject.profile, now_ns);
    let process = subject.profile.process;
    let mut summary = subject.summary(since_ns);
    complete(&mut summary, process, stratum);
    let case = &mut subject.case;
    summary.burning_seconds = case.judgement.burning_seconds(now_ns);
    case.judgement
        .judge(now_ns, &summary, model, thresholds, |_| false);
    let assessment = model.assess(&summary);
    let suspicion = Suspicion::of(&summary, &assessment, thresholds);
    case.suspected = suspicion == Suspicion::Hashes;
    stratum.suspect(process, summary.cores, suspicion, now_ns);
    if case.judgement.verdict() != Verdict::None
        && let Some(family) = assessment.family
    {
        case.family = family.name();
    }
}

/// Adds to a summary what no sample tells.
fn complete(summary: &mut Summary, process: Process, stratum: &Stratum) {
    summary.shape = stratum.shape(process);
    summary.stratum = stratum.was_heard(process);
}

/// Counts what a miner burned since this was last asked.
fn count(stolen_ns: &mut BTreeMap<&'static str, u64>, subject: &mut Subject, cpu_ns: u64) {
    let case = &mut subject.case;
    let burned_ns = case.burned(cpu_ns);
    if burned_ns > 0 {
        *stolen_ns.entry(case.family).or_default() += burned_ns;
    }
}
