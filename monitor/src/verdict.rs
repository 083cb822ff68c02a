//! Score, burn and time to a verdict. Pure: every moment is handed in.
//!
//! A process is judged while it burns at least `min_cpu` over a whole window
//! (a longer one if it takes that to have enough samples), and only what
//! judgements in a row agree on becomes
//! its verdict: a program may well hash for a second. Work that comes in bursts
//! is only counted once for every window, and takes more of them.

use crate::{
    profile::Summary,
    score::{Assessment, Evidence, Model},
};

/// Samples without which nothing is judged: the shares of a mix are then sure
/// to a few percent, at some ten instructions a sample.
pub const MIN_SAMPLES: u32 = 40;
/// What judgements in a row that agree must add up to.
const AGREED: u32 = 4;
/// What a judgement of steady work adds: two make a verdict.
const STEADY: u32 = 2;
/// What one of bursts adds, if it shares no sample with the last that counted.
const BURSTS: u32 = 1;
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
    /// It hashes, and something explains why. Reported, never acted on.
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
}

impl Thresholds {
    /// Those of `unjack run` without flags.
    pub const DEFAULT: Self = Self {
        min_cpu: 0.02,
        min_score: 0.8,
        window_ns: 5_000_000_000,
    };

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
pub struct Ruling {
    /// What the process is.
    pub verdict: Verdict,
    /// Why.
    pub assessment: Assessment,
    /// What was judged.
    pub summary: Summary,
    /// Nanoseconds since it began to burn.
    pub delay_ns: u64,
    /// It was not reported before.
    pub first: bool,
}

/// What has been decided about one process so far.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    burning_since_ns: Option<u64>,
    candidate: Verdict,
    agreed: u32,
    /// When a judgement last counted.
    counted_ns: u64,
    /// When each verdict was last reported: hashing, miner.
    reported_ns: [Option<u64>; 2],
}

impl Judgement {
    /// The verdict that stands.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.agreed >= AGREED {
            self.candidate
        } else {
            Verdict::None
        }
    }

    /// Judges once more. Returns a ruling if there is something to report.
    /// `denied` is asked once the process has burned for a whole window.
    pub fn judge(
        &mut self,
        now_ns: u64,
        summary: &Summary,
        model: &Model,
        thresholds: &Thresholds,
        denied: impl FnOnce(&Assessment) -> bool,
    ) -> Option<Ruling> {
        if summary.cores < thresholds.min_cpu {
            self.burning_since_ns = None;
            self.agreed = 0;
            return None;
        }
        let since_ns = *self
            .burning_since_ns
            .get_or_insert(now_ns.saturating_sub(summary.span_ns));
        // Readings come once a second, give or take.
        if summary.span_ns < thresholds.window_ns / 5 * 4 {
            return None;
        }
        let mut assessment = model.assess(summary);
        let denied = denied(&assessment);
        if denied {
            let text = "it matches a --deny rule".to_owned();
            assessment.evidence.insert(
                0,
                Evidence {
                    supports: true,
                    text,
                },
            );
        } else if summary.samples < MIN_SAMPLES {
            return None;
        }
        let verdict = thresholds.verdict(&assessment, denied);
        self.count(now_ns, verdict, summary);
        let slot = match self.verdict() {
            Verdict::None => return None,
            Verdict::Hashing => &mut self.reported_ns[0],
            Verdict::Miner => &mut self.reported_ns[1],
        };
        if slot.is_some_and(|at_ns| now_ns.saturating_sub(at_ns) < REPEAT_NS) {
            return None;
        }
        let first = slot.replace(now_ns).is_none();
        Some(Ruling {
            verdict,
            assessment,
            summary: summary.clone(),
            delay_ns: now_ns.saturating_sub(since_ns),
            first,
        })
    }

    /// Counts a judgement towards the verdict.
    fn count(&mut self, now_ns: u64, verdict: Verdict, summary: &Summary) {
        if verdict != self.candidate {
            self.candidate = verdict;
            self.agreed = 0;
            self.counted_ns = 0;
        }
        let worth = if summary.steadiness >= STEADY_FROM {
            STEADY
        } else if summary.since_ns >= self.counted_ns {
            BURSTS
        } else {
            return;
        };
        self.agreed = self.agreed.saturating_add(worth);
        self.counted_ns = now_ns;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::isa::{CLASSES, Class, Mix};

    const SECOND: u64 = 1_000_000_000;
    const THRESHOLDS: Thresholds = Thresholds::DEFAULT;

    fn summary(classes: &[(Class, u32)]) -> Summary {
        let mut counts = [0; CLASSES];
        for (class, count) in classes {
            counts[*class as usize] = *count;
        }
        Summary {
            samples: 400,
            mix: Mix::from_counts(counts),
            kernel_share: 0.0,
            undecodable_share: 0.0,
            concentration: 0.5,
            hot_lines: 20.0,
            hottest: None,
            places: BTreeMap::new(),
            steadiness: 1.0,
            since_ns: 0,
            threads: 1,
            cores: 1.0,
            span_ns: 5 * SECOND,
            voluntary_per_cpu_second: 0.0,
            io_per_cpu_second: Some(0.0),
        }
    }

    fn miner() -> Summary {
        summary(&[
            (Class::Rotate, 20),
            (Class::Xor, 30),
            (Class::Add, 20),
            (Class::Move, 30),
        ])
    }

    fn ordinary() -> Summary {
        summary(&[(Class::Branch, 20), (Class::Move, 60), (Class::Other, 20)])
    }

    /// Judges each summary a second after the last; the verdicts reported.
    fn rulings(summaries: &[Summary]) -> Vec<Option<Verdict>> {
        rulings_if(summaries, |_| false)
    }

    fn rulings_if(summaries: &[Summary], denied: fn(&Assessment) -> bool) -> Vec<Option<Verdict>> {
        let model = Model::shipped().unwrap();
        let mut judgement = Judgement::default();
        let times = (10..).map(|second| second * SECOND);
        let judge = |(summary, now): (&Summary, u64)| {
            let ruling = judgement.judge(now, summary, &model, &THRESHOLDS, denied);
            ruling.map(|ruling| ruling.verdict)
        };
        summaries.iter().zip(times).map(judge).collect()
    }

    #[test]
    fn two_judgements_make_a_verdict_and_it_is_reported_once() {
        let found = rulings(&[miner(), miner(), miner(), miner()]);
        assert_eq!(found, [None, Some(Verdict::Miner), None, None]);
    }

    #[test]
    fn one_judgement_alone_does_not() {
        assert_eq!(
            rulings(&[miner(), ordinary(), miner(), ordinary()]),
            [None; 4]
        );
    }

    #[test]
    fn ordinary_work_is_not_reported() {
        assert_eq!(rulings(&[ordinary(), ordinary(), ordinary()]), [None; 3]);
    }

    #[test]
    fn hashing_that_moves_data_is_reported_as_such() {
        let reading = Summary {
            io_per_cpu_second: Some(300e6),
            ..miner()
        };
        assert_eq!(
            rulings(&[reading.clone(), reading]),
            [None, Some(Verdict::Hashing)]
        );
    }

    #[test]
    fn hashing_that_turns_to_mining_is_reported_again() {
        let reading = Summary {
            io_per_cpu_second: Some(300e6),
            ..miner()
        };
        let found = rulings(&[reading.clone(), reading, miner(), miner()]);
        assert_eq!(
            found,
            [None, Some(Verdict::Hashing), None, Some(Verdict::Miner)]
        );
    }

    #[test]
    fn little_burn_is_not_judged() {
        let idle = Summary {
            cores: 0.01,
            ..miner()
        };
        assert_eq!(rulings(&[idle.clone(), idle.clone(), idle]), [None; 3]);
    }

    #[test]
    fn a_pause_begins_anew() {
        let idle = Summary {
            cores: 0.01,
            ..miner()
        };
        assert_eq!(rulings(&[miner(), idle, miner()]), [None; 3]);
    }

    #[test]
    fn half_a_window_is_not_judged() {
        let young = Summary {
            span_ns: SECOND * 5 / 2,
            ..miner()
        };
        assert_eq!(rulings(&[young.clone(), young.clone(), young]), [None; 3]);
    }

    #[test]
    fn few_samples_are_not_judged() {
        let few = Summary {
            samples: MIN_SAMPLES - 1,
            ..miner()
        };
        assert_eq!(rulings(&[few.clone(), few.clone(), few]), [None; 3]);
    }

    #[test]
    fn a_denied_process_is_a_miner_whatever_it_does() {
        let found = rulings_if(&[ordinary(), ordinary()], |_| true);
        assert_eq!(found, [None, Some(Verdict::Miner)]);
    }

    #[test]
    fn the_delay_counts_from_the_start_of_the_burn() {
        let model = Model::shipped().unwrap();
        let mut judgement = Judgement::default();
        let mut judge = |second: u64, span: u64| {
            let summary = Summary {
                span_ns: span * SECOND,
                ..miner()
            };
            judgement.judge(second * SECOND, &summary, &model, &THRESHOLDS, |_| false)
        };
        assert_eq!(judge(11, 1), None);
        assert_eq!(judge(15, 5), None);
        let ruling = judge(16, 5).expect("two judgements");
        assert_eq!(ruling.delay_ns, 6 * SECOND);
    }

    #[test]
    fn a_verdict_is_reported_again_after_a_while() {
        let model = Model::shipped().unwrap();
        let mut judgement = Judgement::default();
        let mut reported = 0;
        for second in 0..=(REPEAT_NS / SECOND) + 2 {
            let now = (10 + second) * SECOND;
            let ruling = judgement.judge(now, &miner(), &model, &THRESHOLDS, |_| false);
            reported += u32::from(ruling.is_some());
        }
        assert_eq!(reported, 2);
    }

    /// A window of five seconds that ends at `second`, with one busy second.
    fn burst(second: u64) -> Summary {
        Summary {
            steadiness: 0.2,
            since_ns: (second - 5) * SECOND,
            ..miner()
        }
    }

    fn bursts(seconds: impl Iterator<Item = u64>) -> Vec<u64> {
        let model = Model::shipped().unwrap();
        let mut judgement = Judgement::default();
        let mut ruled = |second: &u64| {
            let summary = burst(*second);
            let now_ns = second * SECOND;
            let ruling = judgement.judge(now_ns, &summary, &model, &Thresholds::DEFAULT, |_| false);
            ruling.is_some()
        };
        seconds.filter(|second| ruled(second)).collect()
    }

    #[test]
    fn one_burst_that_stays_in_the_window_is_not_reported() {
        assert_eq!(bursts(10..15), [0; 0]);
    }

    #[test]
    fn burst_upon_burst_is_reported_after_four_windows() {
        assert_eq!(bursts(10..40), [25]);
    }

    #[test]
    fn a_burst_now_and_then_while_idle_is_not_reported() {
        let model = Model::shipped().unwrap();
        let mut judgement = Judgement::default();
        for second in (10..100).step_by(5) {
            let busy = second % 20 == 0;
            let summary = Summary {
                cores: if busy { 0.2 } else { 0.0 },
                ..burst(second)
            };
            let now_ns = second * SECOND;
            let ruling = judgement.judge(now_ns, &summary, &model, &Thresholds::DEFAULT, |_| false);
            assert_eq!(ruling, None);
        }
    }

    #[test]
    fn only_the_first_report_of_a_verdict_is_marked_so() {
        let model = Model::shipped().unwrap();
        let mut judgement = Judgement::default();
        let mut firsts = Vec::new();
        for second in 10..(REPEAT_NS / SECOND) + 20 {
            let now_ns = second * SECOND;
            let ruling = judgement.judge(now_ns, &miner(), &model, &Thresholds::DEFAULT, |_| false);
            firsts.extend(ruling.map(|ruling| ruling.first));
        }
        assert_eq!(firsts, [true, false]);
    }
}
