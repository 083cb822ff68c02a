//! `unjack record`: what processes do to a file, to look at and to replay.
//!
//! [`mod@line`] says what is in a recording, `encoder` writes it, for `unjack run
//! --record` too, and [`read`] reads it. Besides what is replayed this one has a
//! [`Window`] for every process that was sampled, once a second and when it exits:
//! what a verdict is computed from, for people and the corpus.
//!
//! With a command, that is started and recorded with all its descendants, and
//! ended with the recording; without one the whole host is recorded.
//!
//! Connections of suspects among those are looked at and listened to nearly as the
//! daemon does (single threads raise no suspicion), for [`Summary::shape`] and
//! [`Summary::stratum`]; nothing of what is said is kept but whether it was Stratum.

mod begin;
mod command;
mod descendants;
mod dump;
pub(crate) mod encoder;
pub mod line;
pub(crate) mod progress;
pub mod read;
pub mod samples;
pub(crate) mod writer;

use std::{
    collections::HashSet,
    ffi::OsString,
    fmt,
    fs::File,
    io::{self, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

pub(crate) use self::begin::{create, header};
use self::{
    command::Started,
    descendants::Descendants,
    dump::Samples,
    encoder::{Known, RecordingEncoder},
    line::{Why, Window},
    progress::Progress,
};
use crate::{
    detect::{
        collector::{Collector, Subject},
        detector::{Heard, SUSPECT_FROM},
        stratum::Stratum,
    },
    host::clock::monotonic_ns,
    kernel::probe::{ProbeError, Probes, Settings},
};
use unjack_core::{
    event::{self, Event, ImageKey, Process},
    isa::Arch,
    profile::{DecodedSample, Place, Reading, Summary, seconds},
    score::{LISTEN_FROM, Model, ModelError},
    verdict::{MIN_SAMPLES, Thresholds},
};

/// Time between two looks, and between two windows.
const STEP: Duration = Duration::from_millis(250);
const STEPS_A_WINDOW: u32 = 4;
/// Records taken in one look.
const DRAIN_LIMIT: usize = 200_000;

/// The recording could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The probes.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The file.
    #[error(
        "cannot write the recording: {0}; what is in the file can be replayed. Make room, \
         or name another FILE"
    )]
    Write(#[from] io::Error),
    /// The command.
    #[error("cannot start {0}: {1}")]
    Command(String, io::Error),
    /// The model, which says who is a suspect.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// No decoder for this processor.
    #[error("unjack cannot read this processor's instructions; it knows x86_64 and aarch64")]
    Arch,
}

/// What is to be recorded.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// Where to.
    pub path: &'a Path,
    /// Where the samples themselves go, if anywhere.
    pub samples: Option<&'a Path>,
    /// How long.
    pub duration: Duration,
    /// Bytes of the largest file.
    pub max_size: u64,
    /// Connections of suspects are looked at, and what is said on them.
    pub network: bool,
    /// The command; none for the whole host.
    pub command: &'a [OsString],
}

/// What was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Windows of processes.
    pub windows: u64,
    /// Seconds that can be replayed.
    pub ticks: u64,
    /// Bytes.
    pub size: u64,
    /// It was ended before its time because of its size.
    pub full: bool,
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            windows,
            ticks,
            size,
            full,
        } = self;
        let size = *size as f64 / f64::from(1 << 20);
        write!(
            f,
            "{windows} windows, {ticks} seconds, {size:.1} MiB recorded"
        )?;
        if *full {
            f.write_str(
                "; ended before its time, as it has --max-size: all of it can be replayed,",
            )?;
        }
        Ok(())
    }
}

/// Records for a while, until the command has ended, or until SIGINT, SIGTERM or
/// SIGHUP.
///
/// # Errors
/// The probes cannot be set up, the command not be started or the file not be
/// written.
pub fn record(wish: Wish<'_>, thresholds: Thresholds) -> Result<Recorded, RecordError> {
    let Wish {
        path,
        samples,
        duration,
        max_size,
        network,
        command,
    } = wish;
    let arch = Arch::HOST.ok_or(RecordError::Arch)?;
    let out = begin::open(path)?;
    let samples = samples.map(Samples::open).transpose()?;
    let settings = Settings::new(None, 99, Duration::from_nanos(thresholds.window_ns));
    let probes = Probes::attach(settings)?;
    let begun_ns = monotonic_ns();
    let mut recorder = Recorder {
        out,
        samples,
        thresholds,
        probes,
        collector: Collector::new(arch, thresholds.patience_ns),
        encoder: RecordingEncoder::new(
            &header(settings.sample_hz, &thresholds, begun_ns),
            max_size,
        ),
        descendants: Descendants::default(),
        model: Model::shipped()?,
        stratum: Stratum::new(network, ()),
        begun_ns,
        windows: 0,
        ticks: 0,
    };
    let command = Started::start(command)?;
    if let Some(command) = &command {
        recorder.descendants.founder = Some(command.pid());
    }
    // Told to stop, it ends as if its time were over: nothing is lost.
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    recorder.begin()?;
    let begun = Instant::now();
    let mut progress = Progress::new();
    let mut steps = 0;
    let goes_on = || begun.elapsed() < duration && !stop.load(Ordering::Relaxed);
    while goes_on() && !recorder.encoder.has_ended() {
        thread::sleep(STEP.min(duration.saturating_sub(begun.elapsed())));
        let ended = command.as_ref().is_some_and(Started::has_ended);
        recorder.drain()?;
        steps += 1;
        if steps % STEPS_A_WINDOW == 0 || ended {
            recorder.tick()?;
            progress.show(|| {
                let (over, whole) = (begun.elapsed().as_secs(), duration.as_secs());
                let size = recorder.encoder.size() as f64 / f64::from(1 << 20);
                let windows = recorder.windows;
                format!("recording: {over} of {whole} s, {windows} windows, {size:.1} MiB")
            });
        }
        if ended {
            break;
        }
    }
    progress.clear();
    let full = recorder.encoder.has_ended();
    recorder.end()?;
    Ok(Recorded {
        windows: recorder.windows,
        ticks: recorder.ticks,
        size: recorder.encoder.size(),
        full,
    })
}

/// [`End::lost`](line::End::lost) so far.
pub(crate) fn lost(probes: &Probes, collector: &Collector) -> u64 {
    let lost = probes.stats().map_or(0, |stats| stats.samples_lost);
    lost + collector.forgotten + collector.dropped
}

struct Recorder {
    out: File,
    samples: Option<Samples>,
    thresholds: Thresholds,
    probes: Probes,
    collector: Collector,
    encoder: RecordingEncoder,
    descendants: Descendants,
    model: Model,
    stratum: Stratum,
    begun_ns: u64,
    windows: u64,
    ticks: u64,
}

impl Recorder {
    /// Empties the files: all that could fail has started.
    fn begin(&mut self) -> io::Result<()> {
        begin::empty(&self.out)?;
        self.samples.as_mut().map_or(Ok(()), Samples::begin)
    }

    fn drain(&mut self) -> io::Result<()> {
        let mut left = Vec::new();
        let (collector, samples, encoder) =
            (&mut self.collector, &mut self.samples, &mut self.encoder);
        let stratum = &mut self.stratum;
        let mut met = HashSet::new();
        let now_ns = monotonic_ns();
        self.probes.drain(DRAIN_LIMIT, |record| {
            let Ok(event) = event::decode(record) else {
                return;
            };
            match event {
                Event::Exit { process, .. } => {
                    met.insert(process);
                }
                Event::Sample(ref sample) => {
                    met.insert(sample.process);
                }
                Event::Payload(payload) => return stratum.hear(&payload),
                Event::Exec { process, .. } => stratum.executes(process),
                Event::Connect(..) => {}
            }
            left.extend(encoder.take_in(collector, &event));
            if let (Some(samples), Event::Sample(sample)) = (&mut *samples, &event)
                && let Some(subject) = collector.subject(sample.process)
            {
                let place = subject
                    .profile
                    .last()
                    .map_or(Place::Unknown, DecodedSample::place);
                samples.hold(sample.process, record, place);
            }
        });
        // Some came and went between two looks at the table.
        let probes = &self.probes;
        self.descendants
            .learn(met, |process| probes.parent(process));
        for (mut subject, cpu_ns) in left {
            if subject.profile.latest().is_none() {
                subject.profile.read(Reading {
                    time_ns: now_ns,
                    cpu_ns,
                    ..Reading::default()
                });
            }
            if let Some(samples) = &mut self.samples {
                samples.exit(&self.descendants, &self.stratum, &subject)?;
            }
            self.window(&mut subject);
        }
        Ok(())
    }

    fn tick(&mut self) -> io::Result<()> {
        let (probes, descendants) = (&self.probes, &mut self.descendants);
        let mut alive = Vec::new();
        let now_ns = monotonic_ns();
        self.collector.tick(now_ns, |visit| {
            probes.tasks(|_, slot| {
                if slot.tid == slot.tgid {
                    let (tgid, start_ns) = (slot.tgid, slot.start_ns);
                    alive.push(Process { tgid, start_ns });
                }
                visit(slot);
            });
        });
        descendants.learn(alive, |process| probes.parent(process));
        if let Some(samples) = &mut self.samples {
            samples.tick(descendants, &self.stratum, self.collector.subjects())?;
        }
        let mut collector = std::mem::replace(&mut self.collector, Collector::recorded(0));
        for subject in collector.subjects() {
            self.window(subject);
        }
        let (descendants, stratum) = (&self.descendants, &self.stratum);
        self.encoder.loses(lost(&self.probes, &collector));
        self.encoder.tick(
            now_ns,
            collector.subjects(),
            |process| descendants.has(process),
            |subject| Known {
                heard: Heard {
                    stratum: stratum.was_heard(subject.profile.process),
                    shape: stratum.shape(subject.profile.process),
                    ..Heard::default()
                },
                look: true,
                ..Known::default()
            },
        );
        self.collector = collector;
        self.descendants.forget();
        self.ticks += u64::from(!self.encoder.has_ended());
        self.out.write_all(&self.encoder.take())?;
        self.stratum
            .listen(now_ns, &mut self.probes, &self.collector);
        Ok(())
    }

    /// Writes the last line, and what of the samples still waits.
    fn end(&mut self) -> io::Result<()> {
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
        let Thresholds {
            window_ns,
            patience_ns,
            ..
        } = self.thresholds;
        let since_ns = subject
            .profile
            .since(now_ns, window_ns, patience_ns, MIN_SAMPLES);
        let ImageKey { device, inode } = subject.image_key();
        let window = Window {
            t: seconds(now_ns.saturating_sub(self.begun_ns)),
            pid: process.tgid,
            start_ns: process.start_ns,
            image: (device, inode),
            comm: subject
                .facts()
                .map_or_else(String::new, |facts| facts.comm.clone()),
            summary: Summary {
                stratum: self.stratum.was_heard(process),
                shape: self.stratum.shape(process),
                ..subject.summary(since_ns)
            },
        };
        if window.summary.samples == 0 {
            return;
        }
        let Summary { cores, samples, .. } = window.summary;
        let hashing = self.model.assess(&window.summary).hashing;
        let hashes = hashing >= SUSPECT_FROM;
        if cores >= self.thresholds.min_cpu
            && (hashes || samples >= MIN_SAMPLES && hashing >= LISTEN_FROM)
        {
            self.stratum.suspect(process, cores, hashes, now_ns);
        }
        self.windows += 1;
        self.encoder.window(window);
    }
}

#[cfg(test)]
mod tests {
    use super::{line::Line, *};
    use unjack_core::profile::Summary;

    #[test]
    fn a_window_survives_the_file() {
        let window = Window {
            t: 1.0,
            pid: 2,
            start_ns: 3,
            image: (4, 5),
            comm: "nginx".to_owned(),
            summary: Summary::default(),
        };
        let line = Line::Process(Box::new(window));
        let text = serde_json::to_vec(&line).unwrap();
        assert_eq!(Line::parse(&text).unwrap(), line);
    }
}
