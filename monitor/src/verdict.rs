//! Score, burn and time to a verdict. Pure: every moment is handed in.
//!
//! A process is judged while it burns at least `min_cpu` over a whole window
//! (a longer one if it takes that to have enough samples), and only what two judgements in a row agree on becomes
//! its verdict: a program may well hash for a second.

use crate::{
    profile::Summary,
    score::{Assessment, Evidence, Model},
};

/// Samples without which nothing is judged: the shares of a mix are then sure
/// to a few percent, at some ten instructions a sample.
pub const MIN_SAMPLES: u32 = 40;
/// Judgements in a row that must agree.
const AGREE: u32 = 2;
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
}

/// What has been decided about one process so far.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    burning_since_ns: Option<u64>,
    candidate: Verdict,
    streak: u32,
    reported: Option<(Verdict, u64)>,
}

impl Judgement {
    /// The verdict that stands.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.streak >= AGREE {
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
            self.streak = 0;
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
        if verdict == self.candidate {
            self.streak = self.streak.saturating_add(1);
        } else {
            self.candidate = verdict;
            self.streak = 1;
        }
        let known = self
            .reported
            .is_some_and(|(what, at)| what == verdict && now_ns.saturating_sub(at) < REPEAT_NS);
        if self.verdict() == Verdict::None || known {
            return None;
        }
        self.reported = Some((verdict, now_ns));
        let delay_ns = now_ns.saturating_sub(since_ns);
        Some(Ruling {
            verdict,
            assessment,
            summary: summary.clone(),
            delay_ns,
        })
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
}
