//! `unjack replay`: what a policy would have done to what was recorded.
//!
//! In: a recording, which any user may have written, and a policy. Out: a
//! [`Report`]. The recording is taken in by the collector and judged by the detector
//! that `unjack run` has; a subject's facts are what was recorded, and this host is
//! not looked at. Memory is bounded by the collector's own bounds, by those of
//! [`read`](crate::commands::record::read), and by the number of verdicts that are recorded.

mod acts;
mod report;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::Path,
};

use monitor_ebpf::{COMM_BYTES, TaskSlot};

use self::acts::Acts;
pub use self::report::{Entry, Report};
use crate::{
    commands::record::{
        line::{Counted, Exec, Exit, Line, Samples, Who},
        progress::Progress,
        read::{ReadError, Reader},
    },
    detect::{
        collector::{Collector, MAX_SUBJECTS, Subject},
        detector::{Detector, Heard, PolicyContext},
        reputation::Lists,
    },
    policy::{
        config::{self, RuleKey},
        judged::matches,
    },
};
use unjack_core::{
    event::{Event, ImageKey, Process},
    profile::DecodedSample,
    score::{Model, ModelError},
    text::clean,
    verdict::Detection,
};

/// The recording could not be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// There is no such file, or it may not be read.
    #[error("cannot read {file}: {source}; record one with `unjack record FILE`")]
    Open {
        /// Which, cleaned.
        file: String,
        /// Why not.
        source: io::Error,
    },
    /// What is in the file.
    #[error("{file}: {error}")]
    File {
        /// Which, cleaned.
        file: String,
        /// What is wrong.
        error: ReadError,
    },
    /// What is read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The shipped model.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Judges the recording in a file, or on standard input if that is `-`.
///
/// # Errors
/// It cannot be read, is damaged, or no recording.
pub fn file(path: &Path, config: &config::Replay, lists: &Lists) -> Result<Report, ReplayError> {
    let name = || clean(path.as_os_str().as_encoded_bytes(), 4096);
    let open = |source| ReplayError::Open {
        file: name(),
        source,
    };
    let mut progress = Progress::new();
    let report = if path.as_os_str() == "-" {
        replay(io::stdin().lock(), config, lists, |t| {
            progress.show(|| format!("replaying: {t:.0} s"));
        })
    } else {
        let from = File::open(path).map_err(open)?;
        replay(from, config, lists, |t| {
            progress.show(|| format!("replaying: {t:.0} s"));
        })
    };
    progress.clear();
    report.map_err(|error| match error {
        ReplayError::Read(error) => ReplayError::File {
            file: name(),
            error,
        },
        other => other,
    })
}

/// Judges a recording. `progress` hears of every second that is over.
///
/// # Errors
/// It is damaged, or no recording.
pub fn replay(
    from: impl Read,
    config: &config::Replay,
    lists: &Lists,
    mut progress: impl FnMut(f64),
) -> Result<Report, ReplayError> {
    let (header, mut reader) = Reader::new(from)?;
    let thresholds = config.policy.thresholds();
    let mut replay = Replay {
        collector: Collector::recorded(thresholds.patience_ns),
        detector: Detector::new(Model::shipped()?, thresholds, header.sample_hz),
        context: Policy { config, lists },
        acts: Acts::new(config, &header),
        who: BTreeMap::new(),
        counted: BTreeMap::new(),
    };
    while let Some(line) = reader.next_line()? {
        if matches!(line, Line::Tick(_)) {
            progress(replay.acts.seconds());
        }
        let last = matches!(line, Line::End(_));
        replay.take(line).map_err(|problem| reader.bad(problem))?;
        if last {
            break;
        }
    }
    Ok(replay.acts.report_all())
}

struct Replay<'a> {
    collector: Collector,
    detector: Detector,
    context: Policy<'a>,
    acts: Acts<'a>,
    /// Of the tick that follows.
    who: BTreeMap<Process, Who>,
    counted: BTreeMap<Process, Counted>,
}

impl Replay<'_> {
    /// Takes in a line. Returns what was judged, if it is a second's end.
    fn take(&mut self, line: Line) -> Result<Vec<(Process, Detection)>, String> {
        match line {
            Line::Samples(samples) => self.samples(samples)?,
            Line::Exec(exec) => self.exec(&exec),
            Line::Exit(exit) => self.exit(&exit),
            Line::Who(who) => {
                self.who.insert(who.process, *who);
            }
            Line::Reading(counted) => {
                self.counted.insert(counted.process, counted);
            }
            Line::Tick(tick) => return Ok(self.tick(tick.time_ns)),
            Line::End(end) => self.acts.end(end),
            Line::Process(_) => {}
        }
        if self.who.len().max(self.counted.len()) > MAX_SUBJECTS {
            return Err(format!("more than {MAX_SUBJECTS} processes in a second"));
        }
        Ok(Vec::new())
    }

    fn samples(&mut self, samples: Samples) -> Result<(), String> {
        let Samples {
            process,
            image: (device, inode),
            file,
            cgroup,
            rows,
        } = samples;
        let looks: Result<Vec<DecodedSample>, _> =
            rows.into_iter().map(DecodedSample::try_from).collect();
        let looks = looks.map_err(|error| error.to_string())?;
        if let Some(recorded) = self.collector.get_or_insert(process).told_mut() {
            recorded.image = file;
        }
        let image = ImageKey { device, inode };
        self.collector.recall(process, image, cgroup, looks);
        Ok(())
    }

    fn exec(&mut self, exec: &Exec) {
        let Exec {
            process,
            image: (device, inode),
            file,
        } = *exec;
        if let Some(subject) = self.collector.subject(process)
            && let Some(recorded) = subject.told_mut()
        {
            recorded.image = file;
        }
        self.collector.take(&Event::Exec {
            process,
            time_ns: 0,
            image: ImageKey { device, inode },
        });
    }

    fn exit(&mut self, exit: &Exit) {
        let Exit { process, cpu_ns } = *exit;
        let event = Event::Exit {
            process,
            cpu_ns,
            parent: 0,
            comm: [0; COMM_BYTES],
        };
        if let Some((mut subject, cpu_ns)) = self.collector.take(&event) {
            self.acts.burned(&mut subject, cpu_ns);
        }
        self.acts.exits(process);
    }

    /// A second is over: as in the daemon, counters first, then the detector.
    fn tick(&mut self, now_ns: u64) -> Vec<(Process, Detection)> {
        let counted = std::mem::take(&mut self.counted);
        for counted in counted.values() {
            if let Some(subject) = self.collector.subject(counted.process)
                && let Some(recorded) = subject.told_mut()
            {
                recorded.image = counted.file;
                recorded.io_bytes = counted.io_bytes;
                recorded.pool = counted.pool;
                recorded.stratum = counted.stratum;
                recorded.shape = counted.shape;
            }
        }
        self.collector.tick(now_ns, |visit| {
            for counted in counted.values() {
                visit(&slot(counted));
            }
        });
        for (process, who) in std::mem::take(&mut self.who) {
            let Who {
                process: _,
                facts,
                host_exe,
                system,
                sha256,
            } = who;
            // One of a listed image is judged before there is any sample of it.
            if let Some(recorded) = self.collector.get_or_insert(process).told_mut() {
                recorded.facts = Some(facts);
                recorded.host_exe = host_exe;
                recorded.system = system;
                recorded.sha256 = sha256;
            }
        }
        self.acts.begin(now_ns);
        let detections = self
            .detector
            .judge(now_ns, &mut self.collector, &mut self.context);
        self.acts.tick(&detections, &mut self.collector);
        detections
    }
}

/// The counters of a process, as a task table has them.
fn slot(counted: &Counted) -> TaskSlot {
    let Process { tgid, start_ns } = counted.process;
    TaskSlot {
        tid: tgid,
        tgid,
        start_ns,
        group_ns: counted.cpu_ns,
        voluntary: counted.voluntary,
        execs: counted.execs,
        ..TaskSlot::default()
    }
}

/// What is known from elsewhere: the flags, the lists, and what was recorded.
struct Policy<'a> {
    config: &'a config::Replay,
    lists: &'a Lists,
}

impl PolicyContext for Policy<'_> {
    fn heard(&mut self, subject: &Subject) -> Heard {
        subject
            .told_ref()
            .map_or(Heard::default(), |recorded| Heard {
                pool: recorded.pool,
                stratum: recorded.stratum,
                shape: recorded.shape,
            })
    }

    fn burns(&mut self, _: &mut Subject, _: u64) {}

    fn listed(&mut self, subject: &mut Subject) -> Option<String> {
        let digest = subject.told_ref()?.sha256?;
        let name = self.lists.deny.get(&digest)?;
        Some(crate::detect::reputation::listed_text(name, &digest))
    }

    fn denies(&mut self, subject: &mut Subject, family: &str) -> bool {
        let digest = subject.told_ref().and_then(|recorded| recorded.sha256);
        matches(&self.config.policy.deny, subject, family, digest)
    }

    fn allows(&mut self, subject: &mut Subject) -> bool {
        let digest = subject.told_ref().and_then(|recorded| recorded.sha256);
        let family = subject.case.family;
        matches(&self.config.policy.allow, subject, family, digest)
            || digest.is_some_and(|digest| self.lists.allow.get(&digest).is_some())
    }

    fn suspects(&mut self, _: Process, _: f64, _: bool, _: u64) {}
}

/// Whether a policy asks for digests, which not every recording has.
fn wants_digests(config: &config::Replay) -> bool {
    let config::Policy {
        allow, deny, only, ..
    } = &config.policy;
    allow
        .iter()
        .chain(deny)
        .chain(only)
        .any(|rule| rule.key == RuleKey::Sha256)
        || !config.lists.deny.is_empty()
        || !config.lists.allow.is_empty()
}

#[cfg(test)]
mod tests;
