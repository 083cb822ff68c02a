//! `unjack explain`: profiles one process and says what it amounts to.
//!
//! The same probes, profile, score and thresholds as `unjack run`, on one
//! process and without acting. Its memory is that of one profile.

mod report;

use std::{
    thread,
    time::{Duration, Instant},
};

use self::report::report;
pub use self::report::{Explanation, ThreadMix};
use crate::{
    detect::{
        cadence::{Cadence, DRAIN},
        collector::{Collector, Subject},
        detector::Detector,
        network::OwnConnections,
        pipeline::{OneProcess, Pipeline, Taken, Tap},
    },
    host::{LookError, ProcHandle, clock::monotonic_ns, container::Containers},
    kernel::probe::{ProbeError, Probes, Settings},
};
use unjack_core::{
    event::{Event, Process},
    isa::Arch,
    profile::{SAMPLE_HZ, seconds},
    score::{Model, ModelError},
    verdict::Thresholds,
};

/// Least time between two looks at its connections, as the daemon has them.
const LOOK_EVERY_NS: u64 = 900_000_000;
/// Readings of the counters: fewer than a profile keeps.
const READINGS: u32 = 60;
/// Threads that are reported one by one, those with the most samples.
const MAX_THREADS: usize = 16;
/// The process could not be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// There is no such process.
    #[error("there is no process {0}")]
    NoProcess(u32),
    /// It went away meanwhile.
    #[error(
        "process {pid} exited after {seconds:.1} s, with {samples} samples taken; try a shorter --for"
    )]
    Vanished {
        /// Its id.
        pid: u32,
        /// How long it was looked at.
        seconds: f64,
        /// How often.
        samples: u32,
    },
    /// It may not be looked at, or not read.
    #[error("process {pid}: {source}")]
    Look {
        /// Its id.
        pid: u32,
        /// Why.
        source: LookError,
    },
    /// The probes.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The shipped model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// No decoder for this processor.
    #[error("unjack cannot read this processor's instructions; it knows x86_64 and aarch64")]
    Arch,
}

/// Looks at a process for a while.
///
/// # Errors
/// It is not there, goes away, or may not be looked at; or the probes cannot
/// be set up.
pub fn explain(
    pid: u32,
    duration: Duration,
    thresholds: &Thresholds,
) -> Result<Explanation, ExplainError> {
    let arch = Arch::HOST.ok_or(ExplainError::Arch)?;
    let look = |source| match source {
        LookError::Gone => ExplainError::NoProcess(pid),
        source => ExplainError::Look { pid, source },
    };
    let seen = ProcHandle::open_pid(pid).map_err(look)?;
    let start_ticks = seen.start_ticks().map_err(look)?;
    if !seen.is_running() {
        return Err(ExplainError::NoProcess(pid));
    }
    // Beyond eight minutes the oldest samples fall out of the profile.
    let settings = Settings::new(Some(pid), SAMPLE_HZ, duration);
    let mut probes = Probes::attach(settings)?;
    let mut source = OneProcess::new(&mut probes, pid);
    let mut collector = Collector::new(arch, u64::MAX);
    let detector = Detector::new(Model::shipped()?, *thresholds, settings.sample_hz);
    // As many readings as a profile keeps, over all of the time.
    let cadence = Cadence::spread(READINGS, duration);
    let mut pipeline = Pipeline::new(detector, OwnConnections::default(), cadence);
    let begun = Instant::now();
    let (mut first, mut last, mut taken) = (None, None, SampleCount(0));
    loop {
        let Ok(due) = pipeline.step(&mut source, &mut collector, &mut taken);
        let now_ns = monotonic_ns();
        let over = begun.elapsed() >= duration;
        if now_ns.saturating_sub(pipeline.witnesses.looked_ns()) >= LOOK_EVERY_NS
            && let Some((_, cpu_ns)) = last
            && let Ok(found) = seen.connections()
        {
            pipeline.witnesses.look(cpu_ns, &found);
        }
        if !due && !over {
            thread::sleep(DRAIN.min(duration.saturating_sub(begun.elapsed())));
            continue;
        }
        pipeline.tick(now_ns, &mut source, &mut collector, |_, _| {});
        if let Some(cpu_ns) = source.cpu_ns() {
            first.get_or_insert((now_ns, cpu_ns));
            last = Some((now_ns, cpu_ns));
        }
        if !seen.is_running() {
            let seconds = begun.elapsed().as_secs_f64();
            return Err(ExplainError::Vanished {
                pid,
                seconds,
                samples: taken.0,
            });
        }
        if over {
            break;
        }
    }
    drop(probes);
    // A process that never ran has no slot: it burned nothing all the time.
    let idle = (0.0, begun.elapsed().as_secs_f64());
    let burned = first
        .zip(last)
        .map_or(idle, |((from_ns, from), (to_ns, to))| {
            (seconds(to.saturating_sub(from)), seconds(to_ns - from_ns))
        });
    let found = collector
        .subjects()
        .find(|subject| subject.profile.process.tgid == pid);
    let mut unseen = Subject::new(Process {
        tgid: pid,
        start_ns: 0,
    });
    let subject = found.unwrap_or(&mut unseen);
    let facts = seen.facts().map_err(look)?;
    let (home, _) = Containers::of_host(Vec::new()).home(&facts.identity, Instant::now());
    let summary = pipeline.summary(subject, 0);
    let model = pipeline.detector().model();
    let (assessment, evidence) = model.explain(&summary);
    let threads = subject.profile.threads(0, 1);
    let threads = threads
        .iter()
        .take(MAX_THREADS)
        .map(|(tid, summary)| ThreadMix::of(*tid, summary, model));
    Ok(Explanation {
        comm: facts.comm,
        exe: facts.exe,
        home,
        start_time: start_ticks,
        threads: threads.collect(),
        hot_code: subject.hot_code(arch, &summary),
        ..report(pid, &summary, &assessment, evidence, burned, thresholds)
    })
}

/// Samples taken.
struct SampleCount(u32);

impl Tap for SampleCount {
    fn taken(&mut self, taken: Taken<'_>, _: &mut Collector) {
        self.0 += u32::from(matches!(taken.event, Event::Sample(_)));
    }
}
