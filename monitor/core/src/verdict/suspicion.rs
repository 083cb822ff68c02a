//! Which processes are worth a closer look: the one rule for that.

use super::{MIN_SAMPLES, Thresholds};
use crate::{profile::Summary, score::Assessment};

/// Certainty that something hashes, by its code alone, from which it is suspected: from
/// here on a second look costs less than to miss it.
const HASHES_FROM: f64 = 0.5;
/// The same from which it is worth knowing how its connections behave. What is known of
/// others counts as little as what is not known.
const NEARLY_FROM: f64 = 0.1;

impl Assessment {
    /// Whether its code looks more like hashing than like anything else.
    #[must_use]
    pub fn hashes(&self) -> bool {
        self.hashing >= HASHES_FROM
    }
}

/// How much a process is suspected, before there is any verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suspicion {
    /// Not at all.
    #[default]
    None,
    /// It nearly looks like hashing, by samples enough: what its connections are like
    /// may make a difference.
    Nearly,
    /// It hashes.
    Hashes,
}

impl Suspicion {
    /// What is suspected of a process that burns enough to be judged.
    #[must_use]
    pub fn of(summary: &Summary, assessment: &Assessment, thresholds: &Thresholds) -> Self {
        if summary.time.cores < thresholds.min_cpu {
            Self::None
        } else if assessment.hashes() {
            Self::Hashes
        } else if summary.samples >= MIN_SAMPLES && assessment.hashing >= NEARLY_FROM {
            Self::Nearly
        } else {
            Self::None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::CpuTime;

    #[track_caller]
    fn check(cores: f64, samples: u32, hashing: f64, expected: Suspicion) {
        let summary = Summary {
            samples,
            time: CpuTime {
                cores,
                ..CpuTime::default()
            },
            ..Summary::default()
        };
        let assessment = Assessment {
            hashing,
            ..Assessment::default()
        };
        let found = Suspicion::of(&summary, &assessment, &Thresholds::DEFAULT);
        assert_eq!(found, expected, "{cores} {samples} {hashing}");
    }

    #[test]
    fn it_takes_burn_and_to_be_nearly_suspected_samples() {
        check(0.5, MIN_SAMPLES, 0.5, Suspicion::Hashes);
        check(0.5, 1, 0.5, Suspicion::Hashes);
        check(0.5, MIN_SAMPLES, 0.49, Suspicion::Nearly);
        check(0.5, MIN_SAMPLES, 0.1, Suspicion::Nearly);
        check(0.5, MIN_SAMPLES - 1, 0.49, Suspicion::None);
        check(0.5, MIN_SAMPLES, 0.09, Suspicion::None);
        check(0.01, MIN_SAMPLES, 1.0, Suspicion::None);
    }
}
