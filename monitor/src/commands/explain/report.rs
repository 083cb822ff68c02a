//! What `unjack explain` found, for a person and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::{detect::collector::HotCode, host::container::Home, telemetry::journal::NUMBER};
use unjack_core::text::Quoted;
use unjack_core::{
    isa::Mix,
    profile::Summary,
    score::{Assessment, Evidence, Family, Model},
    verdict::{MIN_SAMPLES, Thresholds, Verdict},
};

/// Width of the longest bar of the mix, in characters.
const BAR: f64 = 40.0;

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
            mix: shares(&summary.code.mix),
        }
    }
}

/// What samples and burn over a while amount to.
pub(super) fn report(
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
    let enough = summary.samples >= MIN_SAMPLES;
    let verdict = if cores < thresholds.min_cpu {
        evidence.push(Evidence::told(format!(
            "it uses {:.1} % of a core, less than the {:.0} % of --min-cpu",
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
        instructions: summary.code.mix.total(),
        mix: shares(&summary.code.mix),
        cpu_percent: 100.0 * cores,
        cpu_seconds,
        wall_seconds,
        kernel_share: summary.code.kernel_share,
        hot_lines: summary.code.hot_lines,
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
                "hashes, and too little shows that it mines: it would be reported and left alone"
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
