//! The probes of `unjack record`, and what is written of what they tell.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, Write},
    time::Duration,
};

use super::{
    RecordError, Recorded, Wish, begin,
    descendants::Descendants,
    dump::Samples,
    encoder::{Known, RecordingEncoder},
    line::{Why, Window},
    lost,
};
use crate::{
    detect::{
        cadence::Cadence,
        collector::{Collector, Subject},
        detector::{Detector, PolicyContext},
        network::Network,
        pipeline::{Pipeline, Taken, Tap},
        stratum::Stratum,
    },
    host::clock::monotonic_ns,
    kernel::probe::{Probes, Settings},
};
use unjack_core::{
    event::{Event, ImageKey, Process},
    isa::Arch,
    profile::{DecodedSample, Place, Reading, SAMPLE_HZ, seconds},
    score::Model,
    verdict::Thresholds,
};

/// Drains, judges whom to watch, and writes.
pub(super) struct Recorder {
    out: File,
    samples: Option<Samples>,
    thresholds: Thresholds,
    probes: Probes,
    collector: Collector,
    encoder: RecordingEncoder,
    descendants: Descendants,
    pipeline: Pipeline<Network>,
    begun_ns: u64,
    windows: u64,
    ticks: u64,
}

/// What else sees the events.
struct Taps<'a> {
    samples: &'a mut Option<Samples>,
    encoder: &'a mut RecordingEncoder,
    /// Processes that were sampled or exited.
    met: HashSet<Process>,
    exited: Vec<(Subject, u64)>,
}

impl Tap for Taps<'_> {
    fn taken(&mut self, taken: Taken<'_>, collector: &mut Collector) {
        let Taken {
            event,
            record,
            exited,
        } = taken;
        self.encoder.taken(collector, event, exited.as_ref());
        self.exited.extend(exited);
        match event {
            Event::Exit { process, .. } => {
                self.met.insert(*process);
            }
            Event::Sample(sample) => {
                self.met.insert(sample.process);
                if let Some(samples) = self.samples
                    && let Some(subject) = collector.subject(sample.process)
                {
                    let last = subject.profile.last();
                    let place = last.map_or(Place::Unknown, DecodedSample::place);
                    samples.hold(sample.process, record, place);
                }
            }
            Event::Exec { .. } | Event::Connect(..) | Event::Payload(_) => {}
        }
    }
}

/// Only the connections of what is recorded are looked at.
struct Wanted<'a>(&'a Descendants);

impl PolicyContext for Wanted<'_> {
    fn watches(&self, process: Process) -> bool {
        self.0.has(process)
    }
}

impl Recorder {
    /// Attaches the probes. Nothing in the files changes before [`Self::begin`].
    pub(super) fn attach(wish: &Wish<'_>, thresholds: Thresholds) -> Result<Self, RecordError> {
        let arch = Arch::HOST.ok_or(RecordError::Arch)?;
        let out = begin::open(wish.path)?;
        let samples = wish.samples.map(Samples::open).transpose()?;
        let window = Duration::from_nanos(thresholds.window_ns);
        let settings = Settings::new(None, SAMPLE_HZ, window);
        let probes = Probes::attach(settings)?;
        let begun_ns = monotonic_ns();
        let header = begin::header(settings.sample_hz, &thresholds, begun_ns);
        let detector = Detector::new(Model::shipped()?, thresholds, settings.sample_hz);
        let network = Network::new(Stratum::new(wish.network, ()));
        Ok(Self {
            out,
            samples,
            thresholds,
            probes,
            collector: Collector::new(arch, thresholds.patience_ns),
            encoder: RecordingEncoder::new(&header, wish.max_size),
            descendants: Descendants::default(),
            pipeline: Pipeline::new(detector, network, Cadence::default()),
            begun_ns,
            windows: 0,
            ticks: 0,
        })
    }

    /// Only this process and its descendants are recorded.
    pub(super) fn records_only(&mut self, founder: u32) {
        self.descendants.founder = Some(founder);
    }

    /// Whether its size ended it.
    pub(super) fn has_ended(&self) -> bool {
        self.encoder.has_ended()
    }

    /// What was recorded so far.
    pub(super) fn recorded(&self) -> Recorded {
        Recorded {
            windows: self.windows,
            ticks: self.ticks,
            size: self.encoder.size(),
            full: self.encoder.has_ended(),
        }
    }

    /// Empties the files: all that could fail has started.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        begin::empty(&self.out)?;
        self.samples.as_mut().map_or(Ok(()), Samples::begin)
    }

    /// Takes in what the probes have. Whether a tick is due.
    pub(super) fn drain(&mut self) -> io::Result<bool> {
        let now_ns = monotonic_ns();
        let mut taps = Taps {
            samples: &mut self.samples,
            encoder: &mut self.encoder,
            met: HashSet::new(),
            exited: Vec::new(),
        };
        let Ok(due) = self
            .pipeline
            .step(&mut self.probes, &mut self.collector, &mut taps);
        let Taps { met, exited, .. } = taps;
        // Some came and went between two looks at the table.
        let probes = &self.probes;
        self.descendants
            .learn(met, |process| probes.parent(process));
        for (mut subject, cpu_ns) in exited {
            if subject.profile.latest().is_none() {
                subject.profile.read(Reading {
                    time_ns: now_ns,
                    cpu_ns,
                    ..Reading::default()
                });
            }
            if let Some(samples) = &mut self.samples {
                samples.exit(
                    &self.descendants,
                    &self.pipeline.witnesses.stratum,
                    &subject,
                )?;
            }
            self.window(&mut subject);
        }
        Ok(due)
    }

    /// A second is over.
    pub(super) fn tick(&mut self) -> io::Result<()> {
        let mut alive = Vec::new();
        let now_ns = monotonic_ns();
        self.pipeline
            .tick(now_ns, &mut self.probes, &mut self.collector, |_, slot| {
                if slot.tid == slot.tgid {
                    let (tgid, start_ns) = (slot.tgid, slot.start_ns);
                    alive.push(Process { tgid, start_ns });
                }
            });
        let (probes, descendants) = (&self.probes, &mut self.descendants);
        descendants.learn(alive, |process| probes.parent(process));
        if let Some(samples) = &mut self.samples {
            samples.tick(
                descendants,
                &self.pipeline.witnesses.stratum,
                self.collector.subjects(),
            )?;
        }
        // For what is suspected: nothing is reported here.
        let _detections = self
            .pipeline
            .judge(&mut self.collector, &mut Wanted(descendants));
        let mut collector = std::mem::replace(&mut self.collector, Collector::recorded(0));
        for subject in collector.subjects() {
            self.window(subject);
        }
        let (descendants, network) = (&self.descendants, &self.pipeline.witnesses);
        self.encoder.loses(lost(&self.probes, &collector));
        self.encoder.tick(
            now_ns,
            collector.subjects(),
            |process| descendants.has(process),
            |subject| Known {
                heard: network.of(subject.profile.process),
                look: true,
                ..Known::default()
            },
        );
        self.collector = collector;
        self.descendants.forget();
        self.ticks += u64::from(!self.encoder.has_ended());
        self.out.write_all(&self.encoder.take())?;
        let network = &mut self.pipeline.witnesses;
        network.listen(now_ns, &mut self.probes, &self.collector);
        Ok(())
    }

    /// Writes the last line, and what of the samples still waits.
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.encoder.loses(lost(&self.probes, &self.collector));
        self.encoder.end(Why::Done);
        self.out.write_all(&self.encoder.take())?;
        if let Some(samples) = &mut self.samples {
            samples.flush()?;
        }
        Ok(())
    }

    /// Writes a process's window, if it belongs to what is recorded.
    fn window(&mut self, subject: &mut Subject) {
        let process = subject.profile.process;
        if !self.descendants.has(process) {
            return;
        }
        let now_ns = monotonic_ns();
        let since_ns = self.thresholds.since_ns(&subject.profile, now_ns);
        let ImageKey { device, inode } = subject.image_key();
        let window = Window {
            t: seconds(now_ns.saturating_sub(self.begun_ns)),
            pid: process.tgid,
            start_ns: process.start_ns,
            image: (device, inode),
            comm: subject
                .facts()
                .map_or_else(String::new, |facts| facts.comm.clone()),
            summary: self.pipeline.summary(subject, since_ns),
        };
        if window.summary.samples == 0 {
            return;
        }
        self.windows += 1;
        self.encoder.window(window);
    }
}
