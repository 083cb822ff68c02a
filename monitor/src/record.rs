//! `unjack record`: profile windows to a file, to look at later or elsewhere.
//!
//! A recording is lines of JSON: a [`Header`], then a [`Window`] for every
//! process that was sampled, once a second and when it exits. A window is what
//! a verdict is computed from: numbers only, no code, no data, no environment.
//! The format is versioned by the header's first field.
//!
//! With a command, that is started and recorded with all its descendants, and
//! ended with the recording; without one the whole host is recorded.
//!
//! What suspects among those say on their own connections is listened to as the
//! daemon does, for [`Summary::stratum`]; nothing of it is kept but whether it was
//! Stratum.

mod command;
mod kin;
pub mod samples;

use std::{
    collections::HashSet,
    ffi::OsString,
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use self::{command::Started, kin::Kin};
use crate::{
    collector::{Collector, Subject},
    daemon::{judge::SUSPECT_FROM, monotonic_ns, stratum::Stratum},
    event::{self, Event, ImageKey, Process},
    isa::Arch,
    metrics::Metrics,
    probe::{ProbeError, Probes, Settings},
    profile::{Look, Place, Reading, Summary, seconds},
    score::{Model, ModelError},
    verdict::{MIN_SAMPLES, Thresholds},
};

/// Version of the format.
pub const VERSION: u32 = 1;
/// Time between two looks, and between two windows.
const STEP: Duration = Duration::from_millis(250);
const STEPS_A_WINDOW: u32 = 4;
/// Records taken in one look.
const DRAIN_LIMIT: usize = 200_000;

/// The first line of a recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`VERSION`].
    pub unjack_recording: u32,
    /// Version of unjack that recorded.
    pub unjack: String,
    /// Release of the kernel.
    pub kernel: String,
    /// The processor's name for itself.
    pub processor: String,
    /// Samples a second on each processor.
    pub sample_hz: u32,
    /// Length of the windows, if there are samples enough.
    pub window_seconds: f64,
}

/// A process's profile over one window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Seconds since the recording began.
    pub t: f64,
    /// What was judged: always `process` so far.
    pub unit: String,
    /// Process id.
    pub pid: u32,
    /// Start of the process, nanoseconds since boot.
    pub start_ns: u64,
    /// Device and inode of what it executes.
    pub image: (u32, u64),
    /// The name it gave itself, cleaned.
    pub comm: String,
    /// The profile.
    pub summary: Summary,
}

/// The recording could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The probes.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The file.
    #[error("cannot write the recording: {0}")]
    Write(#[from] io::Error),
    /// The command.
    #[error("cannot start {0}: {1}")]
    Command(String, io::Error),
    /// The model, which says who is a suspect.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The counters of what is listened to.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
    /// No decoder for this processor.
    #[error("unjack cannot read this processor's instructions; it knows x86_64 and aarch64")]
    Arch,
}

/// Records for `duration`, or until the command has ended, and the samples
/// themselves as well if there is a file for them. Returns how many windows were
/// written.
///
/// # Errors
/// The probes cannot be set up, the command not be started or the file not be
/// written.
pub fn record(
    path: &Path,
    samples: Option<&Path>,
    duration: Duration,
    thresholds: Thresholds,
    command: &[OsString],
) -> Result<u64, RecordError> {
    let arch = Arch::HOST.ok_or(RecordError::Arch)?;
    let out = BufWriter::new(File::create(path)?);
    let samples = samples.map(Samples::create).transpose()?;
    let settings = Settings::new(None, 99, Duration::from_nanos(thresholds.window_ns));
    let probes = Probes::attach(settings)?;
    let mut recorder = Recorder {
        out,
        samples,
        thresholds,
        probes,
        collector: Collector::new(arch, thresholds.patience_ns),
        kin: Kin::default(),
        model: Model::shipped()?,
        // Nobody asks for the counters.
        stratum: Stratum::new(Metrics::new("")?.traffic),
        begun_ns: monotonic_ns(),
        windows: 0,
    };
    recorder.header(settings.sample_hz)?;
    let mut command = Started::start(command)?;
    if let Some(command) = &command {
        recorder.kin.founder = Some(command.pid());
    }
    let begun = Instant::now();
    let mut steps = 0;
    while begun.elapsed() < duration {
        thread::sleep(STEP.min(duration.saturating_sub(begun.elapsed())));
        let ended = command.as_mut().is_some_and(Started::has_ended);
        recorder.drain()?;
        steps += 1;
        if steps % STEPS_A_WINDOW == 0 || ended {
            recorder.tick()?;
        }
        if ended {
            break;
        }
    }
    recorder.out.flush()?;
    if let Some(samples) = &mut recorder.samples {
        samples.out.flush()?;
    }
    Ok(recorder.windows)
}

struct Recorder {
    out: BufWriter<File>,
    samples: Option<Samples>,
    thresholds: Thresholds,
    probes: Probes,
    collector: Collector,
    kin: Kin,
    model: Model,
    stratum: Stratum,
    begun_ns: u64,
    windows: u64,
}

impl Recorder {
    fn header(&mut self, sample_hz: u32) -> io::Result<()> {
        let uname = rustix::system::uname();
        let header = Header {
            unjack_recording: VERSION,
            unjack: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: uname.release().to_string_lossy().into_owned(),
            processor: processor(),
            sample_hz,
            window_seconds: seconds(self.thresholds.window_ns),
        };
        self.line(&header)
    }

    fn drain(&mut self) -> io::Result<()> {
        let mut left = Vec::new();
        let (collector, samples) = (&mut self.collector, &mut self.samples);
        let stratum = &mut self.stratum;
        let mut parents = Vec::new();
        self.probes.drain(DRAIN_LIMIT, |record| {
            let Ok(event) = event::decode(record) else {
                return;
            };
            match event {
                Event::Exit {
                    process, parent, ..
                } => parents.push((process.tgid, process.start_ns, parent)),
                Event::Payload(payload) => return stratum.hear(&payload),
                _ => {}
            }
            left.extend(collector.take(&event));
            if let (Some(samples), Event::Sample(sample)) = (&mut *samples, &event)
                && let Some(subject) = collector.subject(sample.process)
            {
                let place = subject.profile.last().map_or(Place::Unknown, Look::place);
                samples
                    .waiting
                    .push((sample.process, record.to_vec(), place));
            }
        });
        // Some came and went between two looks at the table.
        self.kin.learn(parents);
        let now_ns = monotonic_ns();
        for (mut subject, cpu_ns) in left {
            if subject.profile.latest().is_none() {
                subject.profile.read(Reading {
                    time_ns: now_ns,
                    cpu_ns,
                    ..Reading::default()
                });
            }
            if let Some(samples) = &mut self.samples {
                samples.exit(&self.kin, &subject)?;
            }
            self.window(&mut subject)?;
        }
        Ok(())
    }

    fn tick(&mut self) -> io::Result<()> {
        let (probes, kin) = (&self.probes, &mut self.kin);
        let mut parents = Vec::new();
        self.collector.tick(monotonic_ns(), |visit| {
            probes.tasks(|_, slot| {
                if slot.tid == slot.tgid {
                    parents.push((slot.tgid, slot.start_ns, slot.parent));
                }
                visit(slot);
            });
        });
        kin.learn(parents);
        if let Some(samples) = &mut self.samples {
            samples.tick(kin, &self.stratum, self.collector.subjects())?;
        }
        let mut collector = std::mem::replace(&mut self.collector, Collector::new(Arch::X86_64, 0));
        let mut result = Ok(());
        for subject in collector.subjects() {
            result = result.and_then(|()| self.window(subject));
        }
        self.collector = collector;
        let collector = &self.collector;
        self.stratum
            .listen(monotonic_ns(), &mut self.probes, |process| {
                collector.knows(process)
            });
        result
    }

    /// Writes a process's window, if it belongs to what is recorded.
    fn window(&mut self, subject: &mut Subject) -> io::Result<()> {
        let process = subject.profile.process;
        if !self.kin.has(process) {
            return Ok(());
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
            unit: "process".to_owned(),
            pid: process.tgid,
            start_ns: process.start_ns,
            image: (device, inode),
            comm: subject
                .facts()
                .map_or_else(String::new, |facts| facts.comm.clone()),
            summary: Summary {
                stratum: self.stratum.was_heard(process),
                ..subject.summary(since_ns)
            },
        };
        if window.summary.samples == 0 {
            return Ok(());
        }
        if window.summary.cores >= self.thresholds.min_cpu
            && self.model.assess(&window.summary).hashing >= SUSPECT_FROM
        {
            self.stratum.suspect(process, window.summary.cores, now_ns);
        }
        self.windows += 1;
        self.line(&window)
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        self.out.write_all(b"\n")
    }
}

/// The file of samples, and those of which it is not known yet whether they are
/// of anybody that is recorded.
struct Samples {
    out: BufWriter<File>,
    waiting: Vec<(Process, Vec<u8>, Place)>,
    /// Who was written to have been heard.
    heard: HashSet<Process>,
}

impl Samples {
    fn create(path: &Path) -> io::Result<Self> {
        let mut out = BufWriter::new(File::create(path)?);
        samples::begin(&mut out)?;
        Ok(Self {
            out,
            waiting: Vec::new(),
            heard: HashSet::new(),
        })
    }

    /// Writes what waited, and then what the counters say now.
    fn tick<'a>(
        &mut self,
        kin: &Kin,
        stratum: &Stratum,
        subjects: impl Iterator<Item = &'a mut Subject>,
    ) -> io::Result<()> {
        self.write_waiting(kin)?;
        for subject in subjects {
            let process = subject.profile.process;
            if kin.has(process) && stratum.was_heard(process) && self.heard.insert(process) {
                samples::heard(&mut self.out, process)?;
            }
            self.reading(kin, subject)?;
        }
        Ok(())
    }

    fn write_waiting(&mut self, kin: &Kin) -> io::Result<()> {
        for (process, record, place) in std::mem::take(&mut self.waiting) {
            if kin.has(process) {
                samples::sample(&mut self.out, &record, place)?;
            }
        }
        Ok(())
    }

    /// Writes what waited of a process that is gone. Of others it is not known
    /// yet whose they are.
    fn exit(&mut self, kin: &Kin, subject: &Subject) -> io::Result<()> {
        let process = subject.profile.process;
        let waiting = std::mem::take(&mut self.waiting);
        let (its, others) = waiting.into_iter().partition(|(of, ..)| *of == process);
        self.waiting = its;
        self.write_waiting(kin)?;
        self.waiting = others;
        self.reading(kin, subject)
    }

    fn reading(&mut self, kin: &Kin, subject: &Subject) -> io::Result<()> {
        let process = subject.profile.process;
        match subject.profile.latest() {
            Some(reading) if kin.has(process) => {
                samples::reading(&mut self.out, process, subject.image_key(), reading)
            }
            _ => Ok(()),
        }
    }
}

/// What the processor calls itself.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or_else(String::new, |name| {
            name.trim_start_matches([' ', '\t', ':']).to_owned()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_survives_the_file() {
        let window = Window {
            t: 1.0,
            unit: "process".to_owned(),
            pid: 2,
            start_ns: 3,
            image: (4, 5),
            comm: "nginx".to_owned(),
            summary: Summary::default(),
        };
        let text = serde_json::to_string(&window).unwrap();
        let again: Window = serde_json::from_str(&text).unwrap();
        assert_eq!(again, window);
    }
}
