//! `unjack explain`: profiles one process and says what it amounts to.
//!
//! The same probes, profile, score and thresholds as `unjack run`, on one
//! process and without acting. Its memory is that of one profile.

use std::{
    fmt::Write as _,
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{
    detect::{
        cadence::{Cadence, DRAIN, DRAIN_LIMIT},
        collector::{Collector, HotCode, Subject},
    },
    host::{
        LookError, ProcHandle,
        clock::monotonic_ns,
        container::{Containers, Home},
    },
    kernel::probe::{ProbeError, Probes, Settings},
    telemetry::journal::NUMBER,
};
use unjack_core::text::Quoted;
use unjack_core::{
    event::{self, Event, Process},
    isa::{Arch, Mix},
    profile::{SAMPLE_HZ, Summary, seconds},
    score::{Assessment, Evidence, Family, Model, ModelError},
    shape::Observer,
    verdict::{Thresholds, Verdict},
};

/// Least time between two looks at its connections, as the daemon has them.
const LOOK_EVERY_NS: u64 = 900_000_000;
/// Readings of the counters: fewer than a profile keeps.
const READINGS: u32 = 60;
/// Threads that are reported one by one, those with the most samples.
const MAX_THREADS: usize = 16;
/// Width of the longest bar of the mix, in characters.
const BAR: f64 = 40.0;

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

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The process.
    pub pid: u32,
    /// Its start in clock ticks since boot.
    pub start_time: u64,
    /// The name it gave itself, cleaned.
    pub comm: String,
    /// Path of its image, cleaned.
    pub exe: String,
    /// Its unit, container and pod.
    #[serde(flatten)]
    pub home: Home,
    /// Samples taken.
    pub samples: u32,
    /// Instructions decoded.
    pub instructions: u32,
    /// Share of each class, 0 to 1.
    pub mix: serde_json::Map<String, serde_json::Value>,
    /// Burn, in percent of one core.
    pub cpu_percent: f64,
    /// On-CPU seconds while it was looked at.
    pub cpu_seconds: f64,
    /// Seconds it was looked at.
    pub wall_seconds: f64,
    /// Share of the samples in the kernel.
    pub kernel_share: f64,
    /// Effective number of cache lines its code hits.
    pub hot_lines: f64,
    /// How sure it is that this hashes, 0 to 1.
    pub hashing: f64,
    /// How sure it is that this mines, 0 to 1.
    pub score: f64,
    /// Family, empty for none.
    pub family: &'static str,
    /// `miner`, `hashing` or `none`, at the default thresholds.
    pub verdict: &'static str,
    /// Why: what each line adds to the score.
    pub evidence: Vec<Evidence>,
    /// The code it executes most.
    pub hot_code: Option<HotCode>,
    /// The threads sampled most.
    pub threads: Vec<ThreadMix>,
}

/// One thread's part.
#[derive(Clone, Debug, Serialize)]
pub struct ThreadMix {
    /// The thread.
    pub tid: u32,
    /// Samples taken of it.
    pub samples: u32,
    /// How sure it is that it hashes, 0 to 1.
    pub hashing: f64,
    /// Share of each class, 0 to 1.
    pub mix: serde_json::Map<String, serde_json::Value>,
}

impl ThreadMix {
    /// What these samples of a thread amount to.
    pub(crate) fn of(tid: u32, summary: &Summary, model: &Model) -> Self {
        Self {
            tid,
            samples: summary.samples,
            hashing: model.assess(summary).hashing,
            mix: shares(&summary.mix),
        }
    }
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
    let model = Model::shipped()?;
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
    let mut collector = Collector::new(arch, u64::MAX);
    let begun = Instant::now();
    let (mut first, mut last, mut samples) = (None, None, 0);
    // As many readings as a profile keeps, over all of the time.
    let mut cadence = Cadence::spread(READINGS, duration);
    let mut observer = Observer::default();
    loop {
        probes.drain(DRAIN_LIMIT, |record| {
            if let Ok(event @ (Event::Sample(_) | Event::Exec { .. })) = event::decode(record) {
                samples += u32::from(matches!(event, Event::Sample(_)));
                collector.take(&event);
            }
        });
        let now_ns = monotonic_ns();
        let over = begun.elapsed() >= duration;
        if now_ns.saturating_sub(observer.looked_ns()) >= LOOK_EVERY_NS
            && let Some((_, cpu_ns)) = last
            && let Ok(found) = seen.connections()
        {
            observer.look(found.time_ns, cpu_ns, &found.kept, found.listens);
        }
        if !cadence.drained() && !over {
            thread::sleep(DRAIN.min(duration.saturating_sub(begun.elapsed())));
            continue;
        }
        collector.tick(now_ns, |visit| {
            probes.tasks(|_, slot| {
                if slot.tgid == pid {
                    visit(slot);
                }
                if slot.tid == pid {
                    first.get_or_insert((now_ns, slot.group_ns));
                    last = Some((now_ns, slot.group_ns));
                }
            });
        });
        if !seen.is_running() {
            let seconds = begun.elapsed().as_secs_f64();
            return Err(ExplainError::Vanished {
                pid,
                seconds,
                samples,
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
    let summary = Summary {
        shape: observer.shape(),
        ..subject.summary(0)
    };
    let assessment = model.assess(&summary);
    let evidence = model.evidence(&summary);
    let threads = subject.profile.threads(0, 1);
    let threads = threads
        .iter()
        .take(MAX_THREADS)
        .map(|(tid, summary)| ThreadMix::of(*tid, summary, &model));
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

fn report(
    pid: u32,
    summary: &Summary,
    assessment: &Assessment,
    mut evidence: Vec<Evidence>,
    (cpu_seconds, wall_seconds): (f64, f64),
    thresholds: &Thresholds,
) -> Explanation {
    let cores = if wall_seconds > 0.0 {
        cpu_seconds / wall_seconds
    } else {
        0.0
    };
    let enough = summary.samples >= unjack_core::verdict::MIN_SAMPLES;
    let verdict = if cores < thresholds.min_cpu {
        evidence.push(Evidence::told(format!(
            "it burns {:.1} % of a core, less than the {:.0} % from which a process is judged",
            100.0 * cores,
            100.0 * thresholds.min_cpu
        )));
        Verdict::None
    } else if enough {
        thresholds.verdict(assessment, false)
    } else {
        evidence.push(Evidence::told(format!(
            "{} samples are too few to judge by",
            summary.samples
        )));
        Verdict::None
    };
    Explanation {
        pid,
        start_time: 0,
        comm: String::new(),
        exe: String::new(),
        home: Home::default(),
        samples: summary.samples,
        instructions: summary.mix.total(),
        mix: shares(&summary.mix),
        cpu_percent: 100.0 * cores,
        cpu_seconds,
        wall_seconds,
        kernel_share: summary.kernel_share,
        hot_lines: summary.hot_lines,
        hashing: assessment.hashing,
        score: assessment.score,
        family: Family::name_or_empty(assessment.family),
        verdict: verdict.name(),
        evidence,
        hot_code: None,
        threads: Vec::new(),
    }
}

fn shares(mix: &Mix) -> serde_json::Map<String, serde_json::Value> {
    mix.shares()
        .map(|(class, share)| (class.name().to_owned(), share.into()))
        .collect()
}

impl Explanation {
    /// For a person.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        let family = if self.family.is_empty() {
            String::new()
        } else {
            format!(", family {}", self.family)
        };
        let verdict = match self.verdict {
            "miner" => "mines: under --action kill it would be ended",
            "hashing" => {
                "hashes, and nothing shows that it mines: it would be reported and left alone"
            }
            _ => "is ordinary work: nothing would be reported",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "process {} ({}, calls itself {}) {verdict}.",
            self.pid,
            Quoted(&self.exe),
            Quoted(&self.comm)
        );
        if !self.home.is_empty() {
            let _ = writeln!(text, "\nIt is in {}.", self.home);
        }
        let _ = writeln!(
            text,
            "\nscore {:.2}{family} (hashing {:.2}), {:.1} % of a core over {:.1} s, {} samples, {} instructions\n",
            self.score,
            self.hashing,
            self.cpu_percent,
            self.wall_seconds,
            self.samples,
            self.instructions
        );
        let mut mix: Vec<(&String, f64)> = self
            .mix
            .iter()
            .map(|(class, share)| (class, share.as_f64().unwrap_or(0.0)))
            .collect();
        mix.sort_by(|a, b| b.1.total_cmp(&a.1));
        let largest = mix.first().map_or(0.0, |(_, share)| *share);
        for (class, share) in mix {
            if share >= 0.001 {
                let length = BAR * share / largest;
                let bar: String = (0..)
                    .take_while(|n| f64::from(*n) < length)
                    .map(|_| '#')
                    .collect();
                let _ = writeln!(text, "  {class:9} {:5.1} %  {bar}", 100.0 * share);
            }
        }
        text.push('\n');
        for line in &self.evidence {
            let _ = writeln!(text, "  {:>NUMBER$}  {}", line.number(), line.text);
        }
        if let Some(sum) = Evidence::sum(&self.evidence) {
            let _ = writeln!(text, "  = {sum:+.1}, score {:.2}", self.score);
        }
        if let Some(code) = &self.hot_code {
            let _ = writeln!(text, "\n  {code}:");
            for instruction in &code.instructions {
                let _ = writeln!(text, "    {instruction}");
            }
        }
        if self.threads.len() > 1 {
            let _ = writeln!(text, "\n  thread    samples  hashing");
            for thread in &self.threads {
                let ThreadMix {
                    tid,
                    samples,
                    hashing,
                    mix: _,
                } = thread;
                let _ = writeln!(text, "  {tid:<9} {samples:>7}  {hashing:>7.2}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests;
