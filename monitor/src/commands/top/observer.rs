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
        cadence::Cadence,
        collector::{Collector, HotCode, Subject},
        detector::{Detector, family_label},
        network::Network,
        pipeline::{Pipeline, Taken, Tap},
        stratum::Stratum,
    },
    host::{self, Member, clock::monotonic_ns},
    kernel::probe::{Probes, Settings},
    telemetry::view::{Host, Probed, Stolen, View, rows},
};
use unjack_core::{
    event::Process,
    isa::Arch,
    profile::{SAMPLE_HZ, seconds},
    score::Model,
    verdict::Thresholds,
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
    probes: Probes,
    collector: Collector,
    pipeline: Pipeline<Network>,
    begun: Instant,
    stolen: StolenTime,
    /// The score of each miner when it was found: by a thread, or with others like it,
    /// which the process as a whole does not show.
    found: BTreeMap<Process, f64>,
}

/// On-CPU nanoseconds of miners, by family.
#[derive(Default)]
struct StolenTime(BTreeMap<&'static str, u64>);

impl StolenTime {
    /// Counts what a miner burned since this was last asked.
    fn count(&mut self, subject: &mut Subject, cpu_ns: u64) {
        let case = &mut subject.case;
        let burned_ns = case.burned(cpu_ns);
        if burned_ns > 0 {
            *self.0.entry(family_label(case.family).name()).or_default() += burned_ns;
        }
    }
}

impl Tap for StolenTime {
    fn taken(&mut self, taken: Taken<'_>, _: &mut Collector) {
        if let Some((mut subject, cpu_ns)) = taken.exited {
            self.count(&mut subject, cpu_ns);
        }
    }
}

impl Observer {
    /// Attaches the probes.
    pub(super) fn new() -> Result<Self, TopError> {
        let arch = Arch::HOST.ok_or(TopError::Arch)?;
        let thresholds = Thresholds::DEFAULT;
        let window = Duration::from_nanos(thresholds.window_ns);
        let detector = Detector::new(Model::shipped()?, thresholds, SAMPLE_HZ);
        let network = Network::new(Stratum::new(true, ()));
        Ok(Self {
            probes: Probes::attach(Settings::new(None, SAMPLE_HZ, window))?,
            collector: Collector::new(arch, thresholds.patience_ns).with_remains(),
            pipeline: Pipeline::new(detector, network, Cadence::default()),
            begun: Instant::now(),
            stolen: StolenTime::default(),
            found: BTreeMap::new(),
        })
    }

    /// Takes in what the probes told since the last time. Whether a tick is due.
    pub(super) fn drain(&mut self) -> bool {
        let Ok(due) = self
            .pipeline
            .step(&mut self.probes, &mut self.collector, &mut self.stolen);
        due
    }

    /// Reads the counters and judges all processes: once a second.
    pub(super) fn tick(&mut self) {
        let now_ns = monotonic_ns();
        let (probes, collector) = (&mut self.probes, &mut self.collector);
        self.pipeline.tick(now_ns, probes, collector, |_, _| {});
        self.pipeline.witnesses.listen(now_ns, probes, collector);
        let detections = self.pipeline.judge(collector, &mut ());
        self.found.retain(|process, _| collector.knows(*process));
        for (process, detection) in detections {
            self.found.insert(process, detection.assessment.score);
        }
        for subject in collector.subjects() {
            let cpu_ns = subject.profile.latest().map_or(0, |reading| reading.cpu_ns);
            self.stolen.count(subject, cpu_ns);
        }
        self.pipeline.witnesses.listen(now_ns, probes, collector);
        // One that cannot be sampled shows as lacking samples.
        let _unsampled = probes.follow_processors();
    }

    /// This moment, as the page shows it, too. There is no policy and there are no
    /// findings.
    pub(super) fn view(&mut self) -> View {
        let now_ns = monotonic_ns();
        let (detector, network) = (self.pipeline.detector(), &self.pipeline.witnesses);
        let (mut processes, processes_left_out) = rows(
            &mut self.collector,
            detector.model(),
            detector.thresholds(),
            now_ns,
            |process, summary| {
                let heard = network.of(process);
                (summary.network.stratum, summary.network.shape) = (heard.stratum, heard.shape);
            },
        );
        for row in processes.iter_mut().filter(|row| row.verdict != "none") {
            let found = self.found.iter().find(|(process, _)| {
                (process.tgid, host::ticks(process.start_ns)) == (row.pid, row.start_time)
            });
            row.score = found.map_or(row.score, |(_, score)| score.max(row.score));
        }
        let stolen = self.stolen.0.iter().map(|(family, ns)| Stolen {
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
        let (model, arch) = (self.pipeline.detector().model(), self.collector.arch());
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
