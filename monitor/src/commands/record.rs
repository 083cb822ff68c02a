//! `unjack record`: what processes do to a file, to look at and to replay.
//!
//! [`mod@line`] says what is in a recording, `encoder` writes it, for `unjack run
//! --record` too, and [`read`] reads it. Besides what is replayed this one has a
//! window for every process that was sampled, once a second and when it exits:
//! what a verdict is computed from, for people and the corpus.
//!
//! With a command, that is started and recorded with all its descendants, and
//! ended with the recording; without one the whole host is recorded.
//!
//! Connections of suspects among those are looked at and listened to as the
//! daemon does, for [`Network::shape`] and [`Network::stratum`]; nothing of what is said is
//! kept but whether it was Stratum.
//!
//! [`Network::shape`]: unjack_core::profile::Network::shape
//! [`Network::stratum`]: unjack_core::profile::Network::stratum

mod begin;
mod command;
mod descendants;
mod dump;
pub(crate) mod encoder;
pub mod line;
pub(crate) mod progress;
pub mod read;
mod recorder;
pub mod samples;
pub(crate) mod writer;

use std::{
    ffi::OsString,
    fmt, io,
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
use self::{command::Started, progress::Progress, recorder::Recorder};
use crate::{
    detect::{cadence::DRAIN, collector::Collector},
    kernel::probe::{ProbeError, Probes},
};
use unjack_core::{score::ModelError, verdict::Thresholds};

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
    let mut recorder = Recorder::attach(&wish, thresholds)?;
    let duration = wish.duration;
    let command = Started::start(wish.command)?;
    if let Some(command) = &command {
        recorder.records_only(command.pid());
    }
    // Told to stop, it ends as if its time were over: nothing is lost.
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    recorder.begin()?;
    let begun = Instant::now();
    let mut progress = Progress::new();
    let goes_on = || begun.elapsed() < duration && !stop.load(Ordering::Relaxed);
    while goes_on() && !recorder.has_ended() {
        thread::sleep(DRAIN.min(duration.saturating_sub(begun.elapsed())));
        let ended = command.as_ref().is_some_and(Started::has_ended);
        if recorder.drain()? || ended {
            recorder.tick()?;
            progress.show(|| {
                let (over, whole) = (begun.elapsed().as_secs(), duration.as_secs());
                let Recorded { windows, size, .. } = recorder.recorded();
                let size = size as f64 / f64::from(1 << 20);
                format!("recording: {over} of {whole} s, {windows} windows, {size:.1} MiB")
            });
        }
        if ended {
            break;
        }
    }
    progress.clear();
    let full = recorder.has_ended();
    recorder.end()?;
    Ok(Recorded {
        full,
        ..recorder.recorded()
    })
}

/// [`End::lost`](line::End::lost) so far.
pub(crate) fn lost(probes: &Probes, collector: &Collector) -> u64 {
    let lost = probes.stats().map_or(0, |stats| stats.samples_lost);
    lost + collector.forgotten + collector.dropped
}

#[cfg(test)]
mod tests {
    use super::line::{Line, Window};
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
