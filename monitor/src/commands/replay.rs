//! `unjack replay`: what a policy would have done to what was recorded.
//!
//! In: a recording, which any user may have written, and a policy. Out: a
//! [`Report`]. The recording is taken in by the collector and judged by the detector
//! that `unjack run` has; a subject's facts are what was recorded, and this host is
//! not looked at. Memory is bounded by the collector's own bounds, by those of
//! [`read`](crate::commands::record::read), and by the number of verdicts that are reported.

mod acts;
mod recording;
mod report;

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

pub use self::report::{Entry, Report};
use self::{acts::Acts, recording::Recording};
use crate::{
    commands::record::{
        line::Header,
        progress::Progress,
        read::{ReadError, Reader},
    },
    detect::{
        cadence::Cadence,
        collector::{Collector, Subject},
        detector::{Detector, PolicyContext},
        network::RecordedNetwork,
        pipeline::{Pipeline, Taken, Tap},
        reputation::Lists,
    },
    policy::{
        config::{self, RuleKey},
        judged::matches,
    },
};
use unjack_core::{
    event::{Event, Process},
    score::{Family, Model, ModelError},
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
    let (header, reader) = Reader::new(from)?;
    let mut replay = Replay::new(&header, reader, config, lists)?;
    loop {
        progress(replay.acts.seconds());
        if replay.second()?.is_none() {
            return Ok(replay.acts.report_all());
        }
    }
}

struct Replay<'a, R> {
    recording: Recording<R>,
    collector: Collector,
    pipeline: Pipeline<RecordedNetwork>,
    policy: Policy<'a>,
    acts: Acts<'a>,
}

impl<'a, R: Read> Replay<'a, R> {
    fn new(
        header: &Header,
        reader: Reader<R>,
        config: &'a config::Replay,
        lists: &'a Lists,
    ) -> Result<Self, ModelError> {
        let thresholds = config.policy.thresholds();
        let detector = Detector::new(Model::shipped()?, thresholds, header.sample_hz);
        Ok(Self {
            recording: Recording::new(reader),
            collector: Collector::recorded(thresholds.patience_ns),
            pipeline: Pipeline::new(detector, RecordedNetwork, Cadence::default()),
            policy: Policy { config, lists },
            acts: Acts::new(config, header),
        })
    }

    /// Judges the next second of the recording. Returns what was judged; `None` at the
    /// end.
    fn second(&mut self) -> Result<Option<Vec<(Process, Detection)>>, ReadError> {
        let Self {
            recording,
            collector,
            pipeline,
            policy,
            acts,
        } = self;
        pipeline.drain(recording, collector, acts)?;
        let Some(now_ns) = recording.ticked_ns() else {
            if let Some(end) = recording.end() {
                acts.end(end);
            }
            return Ok(None);
        };
        // As in the daemon, counters first, then the detector.
        recording.tell_counters(collector);
        pipeline.tick(now_ns, recording, collector, |_, _| {});
        recording.tell_facts(collector);
        acts.begin(now_ns);
        let detections = pipeline.judge(collector, policy);
        acts.tick(&detections, collector);
        Ok(Some(detections))
    }
}

impl Tap for Acts<'_> {
    fn taken(&mut self, taken: Taken<'_>, _: &mut Collector) {
        if let Some((mut subject, cpu_ns)) = taken.exited {
            self.burned(&mut subject, cpu_ns);
        }
        if let Event::Exit { process, .. } = taken.event {
            self.exits(*process);
        }
    }
}

/// What is known from elsewhere: the flags, the lists, and what was recorded.
struct Policy<'a> {
    config: &'a config::Replay,
    lists: &'a Lists,
}

impl PolicyContext for Policy<'_> {
    fn listed(&mut self, subject: &mut Subject) -> Option<String> {
        let digest = subject.recorded_facts()?.sha256?;
        let name = self.lists.deny.get(&digest)?;
        Some(crate::detect::reputation::listed_text(name, &digest))
    }

    fn denies(&mut self, subject: &mut Subject, family: Option<Family>) -> bool {
        let digest = subject
            .recorded_facts()
            .and_then(|recorded| recorded.sha256);
        matches(&self.config.policy.deny, subject, family, digest)
    }

    fn allows(&mut self, subject: &mut Subject) -> bool {
        let digest = subject
            .recorded_facts()
            .and_then(|recorded| recorded.sha256);
        let family = subject.case.family;
        matches(&self.config.policy.allow, subject, family, digest)
            || digest.is_some_and(|digest| self.lists.allow.get(&digest).is_some())
    }
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
