//! Score, burn and time to a verdict. Pure: every moment is handed in.
//!
//! A sequential test: each judgement adds to a verdict as much as its evidence is
//! certain, so that what is certain is said after two seconds, and what is not waits
//! for more. Only judgements in a row that agree count, so that a program may well hash
//! for a second. Work that comes in bursts is only counted once for every window.
//! `hashing`, which is only reported, waits for most of a window. If it then stands for
//! long and nothing explains it, it is reported once more, as unexplained.

mod suspicion;

pub use self::suspicion::Suspicion;
use crate::{
    profile::{Profile, Summary, seconds},
    score::{Assessment, Evidence, Model},
};

/// Samples without which nothing is judged: the shares of a mix are then sure
/// to a few percent, at some ten instructions a sample.
pub const MIN_SAMPLES: u32 = 40;
/// What judgements in a row that agree must add up to.
const AGREED: u32 = 4;
/// What a judgement of steady work adds that is certain: two make a verdict.
const CERTAIN: u32 = 2;
/// What any other adds; one of bursts if it shares no sample with the last that
/// counted.
const LIKELY: u32 = 1;
/// Log-odds beyond the threshold from which a judgement is certain.
const MARGIN: f64 = 1.0;
/// Seconds without which nothing is judged: a program may well hash for one.
const LEAST_NS: u64 = 700_000_000;
/// How long a verdict by the algorithm alone waits for a look at the connections, which
/// may show a node that verifies. Judgements count meanwhile.
const LOOK_NS: u64 = 5_000_000_000;
/// From this share of its seconds on a window is of steady work.
const STEADY_FROM: f64 = 0.8;
/// Least time between two reports of the same verdict on one process.
const REPEAT_NS: u64 = 300_000_000_000;

/// What a process is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing to report.
    #[default]
    None,
    /// It hashes, and too little says that it mines. Reported, and acted on only if the
    /// policy asks for it.
    Hashing,
    /// It mines.
    Miner,
}

impl Verdict {
    /// Its name in events, metrics and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Hashing => "hashing",
            Self::Miner => "miner",
        }
    }
}

/// From what on a process is reported.
#[derive(Clone, Copy, Debug)]
pub struct Thresholds {
    /// Burn from which it is judged, in cores.
    pub min_cpu: f64,
    /// Score from which it is a miner, 0 to 1.
    pub min_score: f64,
    /// Nanoseconds over which it is judged.
    pub window_ns: u64,
    /// Nanoseconds the window may reach back for samples enough.
    pub patience_ns: u64,
    /// Nanoseconds for which a verdict of `hashing` stands unexplained until that is
    /// reported; 0 for never.
    pub unexplained_ns: u64,
}

impl Thresholds {
    /// Those of `unjack run` without flags.
    pub const DEFAULT: Self = Self {
        min_cpu: 0.02,
        min_score: 0.8,
        window_ns: 5_000_000_000,
        patience_ns: 120_000_000_000,
        unexplained_ns: 600_000_000_000,
    };

    /// The log-odds that the score stands for from which it is a miner.
    #[must_use]
    pub fn log_odds(&self) -> f64 {
        (self.min_score / (1.0 - self.min_score)).ln()
    }

    /// Where the window begins by which a process is judged at `now_ns`.
    #[must_use]
    pub fn since_ns(&self, profile: &Profile, now_ns: u64) -> u64 {
        profile.since(now_ns, self.window_ns, self.patience_ns, MIN_SAMPLES)
    }

    /// What an assessment comes to. `denied` processes are miners by decree.
    #[must_use]
    pub fn verdict(&self, assessment: &Assessment, denied: bool) -> Verdict {
        if denied || assessment.score >= self.min_score {
            Verdict::Miner
        } else if assessment.hashing >= self.min_score {
            Verdict::Hashing
        } else {
            Verdict::None
        }
    }
}

/// A verdict that is new.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// What the process is.
    pub verdict: Verdict,
    /// The thread that was judged, if it was one alone.
    pub thread: Option<u32>,
    /// How sure that is.
    pub assessment: Assessment,
    /// Why.
    pub evidence: Vec<Evidence>,
    /// What was judged.
    pub summary: Summary,
    /// Nanoseconds since it began to burn.
    pub delay_ns: u64,
    /// It was not reported before.
    pub first: bool,
    /// It has been hashing for [`Thresholds::unexplained_ns`] and nothing explains it.
    /// So once for each image that a process executes.
    pub unexplained: bool,
}

impl Detection {
    /// The same, with what led to it said first.
    #[must_use]
    pub fn because(mut self, text: String) -> Self {
        self.evidence.insert(0, Evidence::told(text));
        self
    }

    /// A verdict of `miner` that still stands, for another it applies to.
    #[must_use]
    pub fn again(summary: &Summary, model: &Model) -> Self {
        let (assessment, evidence) = model.explain(summary);
        Self {
            verdict: Verdict::Miner,
            thread: None,
            assessment,
            evidence,
            summary: summary.clone(),
            delay_ns: summary.time.span_ns,
            first: false,
            unexplained: false,
        }
    }

    /// A verdict of `miner` on who was not judged: its image is listed.
    #[must_use]
    pub fn decreed(summary: &Summary) -> Self {
        Self {
            verdict: Verdict::Miner,
            thread: None,
            assessment: Assessment::default(),
            evidence: Vec::new(),
            summary: summary.clone(),
            delay_ns: summary.time.span_ns,
            first: false,
            unexplained: false,
        }
    }
}

/// What has been decided about one process so far.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    burning_since_ns: Option<u64>,
    candidate: Verdict,
    agreed: u32,
    /// What is agreed on waits for a look at the connections.
    withheld: bool,
    /// When a judgement last counted.
    counted_ns: u64,
    /// When each verdict was last reported: hashing, miner.
    reported_ns: [Option<u64>; 2],
    /// Since when `hashing` stands and nothing explains it, without a pause.
    unexplained_since_ns: Option<u64>,
    /// That was reported.
    unexplained_reported: bool,
}

impl Judgement {
    /// The verdict that stands.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.agreed >= AGREED && !self.withheld {
            self.candidate
        } else {
            Verdict::None
        }
    }

    /// Seconds for which it has burned enough to be judged, without a pause.
    #[must_use]
    pub fn burning_seconds(&self, now_ns: u64) -> f64 {
        let since_ns = self.burning_since_ns.unwrap_or(now_ns);
        seconds(now_ns.saturating_sub(since_ns))
    }

    /// Judges once more. Returns a detection if there is something to report.
    /// `denied` is asked once the process has burned for a whole window.
    pub fn judge(
        &mut self,
        now_ns: u64,
        summary: &Summary,
        model: &Model,
        thresholds: &Thresholds,
        denied: impl FnOnce(&Assessment) -> bool,
    ) -> Option<Detection> {
        let assessment = model.assess(summary);
        self.judge_assessed(now_ns, summary, assessment, model, thresholds, denied)
    }

    /// The same for a caller that has the `assessment` of the `summary`, by this model.
    pub fn judge_assessed(
        &mut self,
        now_ns: u64,
        summary: &Summary,
        assessment: Assessment,
        model: &Model,
        thresholds: &Thresholds,
        denied: impl FnOnce(&Assessment) -> bool,
    ) -> Option<Detection> {
        if summary.time.cores < thresholds.min_cpu {
            self.burning_since_ns = None;
            self.unexplained_since_ns = None;
            self.agreed = 0;
            self.withheld = false;
            return None;
        }
        let since_ns = *self
            .burning_since_ns
            .get_or_insert(now_ns.saturating_sub(summary.time.span_ns));
        // Readings come once a second, give or take: of a window of five, four
        // seconds that are a little short are four.
        let whole = summary.time.span_ns >= thresholds.window_ns / 10 * 7;
        if summary.time.span_ns < LEAST_NS {
            return None;
        }
        let denied = whole && denied(&assessment);
        if !denied && summary.samples < MIN_SAMPLES {
            return None;
        }
        let verdict = thresholds.verdict(&assessment, denied);
        if verdict != Verdict::Miner && !whole {
            return None;
        }
        self.withheld = verdict == Verdict::Miner
            && !denied
            && summary.network.shape.looks < assessment.looks
            && now_ns.saturating_sub(since_ns) < LOOK_NS;
        let certain = denied || assessment.log_odds >= thresholds.log_odds() + MARGIN;
        self.count(now_ns, verdict, summary, certain);
        let unexplained_ns =
            self.unexplained(now_ns, assessment.explained, thresholds.unexplained_ns);
        let first = self.reportable(now_ns, unexplained_ns.is_some())?;
        let mut evidence = model.evidence(summary);
        if denied {
            let text = "it matches a --deny rule, or a list of --deny-file".to_owned();
            evidence.insert(0, Evidence::told(text));
        }
        if let Some(time_ns) = unexplained_ns {
            evidence.insert(0, Evidence::told(unexplained_text(time_ns)));
        }
        Some(Detection {
            verdict,
            thread: None,
            assessment,
            evidence,
            summary: summary.clone(),
            delay_ns: now_ns.saturating_sub(since_ns),
            first,
            unexplained: unexplained_ns.is_some(),
        })
    }

    /// Makes the verdict on a part of it, or on others like it, its own.
    /// Returns the detection if it is to be reported.
    pub fn adopt(&mut self, now_ns: u64, mut detection: Detection) -> Option<Detection> {
        self.candidate = detection.verdict;
        self.agreed = AGREED;
        self.withheld = false;
        self.counted_ns = now_ns;
        detection.first = self.reportable(now_ns, false)?;
        Some(detection)
    }

    /// Nanoseconds for which `hashing` stands and nothing explains it, if that is to be
    /// reported now.
    fn unexplained(&mut self, now_ns: u64, explained: bool, after_ns: u64) -> Option<u64> {
        if explained || self.verdict() != Verdict::Hashing {
            self.unexplained_since_ns = None;
            return None;
        }
        let since_ns = *self.unexplained_since_ns.get_or_insert(now_ns);
        let time_ns = now_ns.saturating_sub(since_ns);
        let due = after_ns > 0 && time_ns >= after_ns && !self.unexplained_reported;
        self.unexplained_reported |= due;
        due.then_some(time_ns)
    }

    /// Whether the verdict that stands is to be reported now, and if so,
    /// whether for the first time. With `anew` it is, even if it was a moment ago.
    fn reportable(&mut self, now_ns: u64, anew: bool) -> Option<bool> {
        let slot = match self.verdict() {
            Verdict::None => return None,
            Verdict::Hashing => &mut self.reported_ns[0],
            Verdict::Miner => &mut self.reported_ns[1],
        };
        if !anew && slot.is_some_and(|at_ns| now_ns.saturating_sub(at_ns) < REPEAT_NS) {
            return None;
        }
        Some(slot.replace(now_ns).is_none())
    }

    /// Counts a judgement towards the verdict.
    fn count(&mut self, now_ns: u64, verdict: Verdict, summary: &Summary, certain: bool) {
        if verdict != self.candidate {
            self.candidate = verdict;
            self.agreed = 0;
            self.counted_ns = 0;
        }
        let steady = summary.time.steadiness >= STEADY_FROM;
        let worth = if steady && (certain || verdict != Verdict::Miner) {
            CERTAIN
        } else if steady || summary.time.since_ns >= self.counted_ns {
            LIKELY
        } else {
            return;
        };
        self.agreed = self.agreed.saturating_add(worth);
        self.counted_ns = now_ns;
    }
}

/// What is said first of a process whose hashing nothing explains.
fn unexplained_text(time_ns: u64) -> String {
    let (seconds, minutes) = (time_ns / 1_000_000_000, time_ns / 60_000_000_000);
    let time = if minutes < 2 {
        format!("{seconds} seconds")
    } else {
        format!("{minutes} minutes")
    };
    format!(
        "it has been hashing for {time}, and neither data that it reads nor a connection explains \
         it: allow it with --allow, or act on it with --act-on hashing or --deny"
    )
}

#[cfg(test)]
mod tests;
