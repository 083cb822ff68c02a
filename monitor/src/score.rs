//! From a profile to a score, a family and the evidence for them.
//!
//! Pure: the numbers are data (`monitor/model/`), and everything that moved
//! the score can be said in a sentence. Two questions are asked in turn:
//!
//! 1. *Is it hashing?* From the instruction mix and the size of the hot code.
//! 2. *Is it mining?* Hashing, and no witness that the hashes serve something:
//!    no data flows through it, it does not wait for anybody, and the code is
//!    its own and not that of the host's libraries.

mod model;

use std::fmt;

pub use self::model::{FAMILIES, Model, ModelError};
use crate::{
    isa::Class,
    profile::{Place, Summary},
};

/// Something that speaks for or against mining, in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// It speaks for mining.
    pub supports: bool,
    /// What was found.
    pub text: String,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}",
            if self.supports { "for" } else { "against" },
            self.text
        )
    }
}

/// What a profile amounts to.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// How sure it is that this is hashing, 0 to 1.
    pub hashing: f64,
    /// How sure it is that this is mining, 0 to 1; at most `hashing`.
    pub score: f64,
    /// The family of hash algorithm it is closest to; `unknown-pow` if it is
    /// hashing and close to none, empty if it is not hashing.
    pub family: &'static str,
    /// Why.
    pub evidence: Vec<Evidence>,
}

/// Hashing below this is not worth a family.
const NAMED_FROM: f64 = 0.5;

impl Model {
    /// Assesses a profile.
    #[must_use]
    pub fn assess(&self, summary: &Summary) -> Assessment {
        let mut evidence = Vec::new();
        let hashing = self.hashing(summary, &mut evidence);
        let closest = self.closest(&summary.mix);
        let family = match &closest {
            _ if hashing < NAMED_FROM => "",
            Some((prototype, distance)) if *distance <= self.family_distance => prototype.family,
            _ => "unknown-pow",
        };
        if let (false, Some((prototype, distance))) = (family.is_empty(), closest) {
            evidence.push(Evidence {
                supports: distance <= self.family_distance,
                text: format!(
                    "the mix is {:.0} % like {} ({})",
                    100.0 * (1.0 - distance),
                    prototype.family,
                    prototype.variant
                ),
            });
        }
        let score = hashing * self.unexplained(summary, &mut evidence);
        Self::describe_code(summary, &mut evidence);
        Assessment {
            hashing,
            score,
            family,
            evidence,
        }
    }

    /// How sure the mix and the size of the hot code make it that this hashes.
    fn hashing(&self, summary: &Summary, evidence: &mut Vec<Evidence>) -> f64 {
        let mix = &summary.mix;
        if mix.total() == 0 {
            return 0.0;
        }
        let weigh = |class| self.weight(class) * mix.share(class);
        let sum: f64 = Class::ALL.into_iter().map(weigh).sum();
        // A cipher or hash is unrolled over tens of lines; a checksum or a
        // bit trick is a loop of a few.
        let tiny = (1.0 - summary.hot_lines / self.loop_lines).max(0.0);
        let margin = sum - self.loop_penalty * tiny - self.threshold;
        let sure = (1.0 + (-self.slope * margin).exp()).recip() * (1.0 - summary.undecodable_share);

        let mut shares: Vec<(Class, f64)> =
            mix.shares().filter(|(_, share)| *share >= 0.02).collect();
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        let shares: Vec<String> = shares
            .iter()
            .map(|(class, share)| format!("{} {:.0} %", class.name(), 100.0 * share))
            .collect();
        evidence.push(Evidence {
            supports: sure >= NAMED_FROM,
            text: format!(
                "of {} instructions in {} samples, {}",
                mix.total(),
                summary.samples,
                shares.join(", ")
            ),
        });
        if tiny > 0.0 {
            evidence.push(Evidence {
                supports: false,
                text: format!(
                    "its hot code is only {:.1} cache lines, a tiny loop",
                    summary.hot_lines
                ),
            });
        }
        sure
    }

    /// The part of the work that no witness explains as serving something.
    fn unexplained(&self, summary: &Summary, evidence: &mut Vec<Evidence>) -> f64 {
        let mut left = 1.0;
        // Halves at the model's rate, and falls with its square.
        let mut weigh = |found: f64, half: f64, text: String| {
            let part = (1.0 + (found / half).powi(2)).recip();
            left *= part;
            evidence.push(Evidence {
                supports: part > 0.9,
                text,
            });
        };
        if let Some(rate) = summary.io_per_cpu_second {
            let text = format!("{:.1} MB read and written per CPU second", rate / 1e6);
            weigh(rate, self.io_bytes_per_cpu_second, text);
        }
        let rate = summary.voluntary_per_cpu_second;
        let text = format!("waits {rate:.0} times per CPU second");
        weigh(rate, self.voluntary_per_cpu_second, text);
        let library = summary.places.get(&Place::System).copied().unwrap_or(0.0);
        if library > 0.1 {
            let text = format!(
                "{:.0} % of its code is a shared library of the host's own",
                100.0 * library
            );
            weigh(library, self.library_share, text);
        }
        if summary.kernel_share > 0.1 {
            let text = format!(
                "{:.0} % of its time is in the kernel",
                100.0 * summary.kernel_share
            );
            weigh(summary.kernel_share, 0.5, text);
        }
        left
    }

    /// Where the code lies: said, but not weighed, as honest JITs exist.
    fn describe_code(summary: &Summary, evidence: &mut Vec<Evidence>) {
        for (place, what) in [
            (
                Place::Anonymous,
                "memory without a file (generated or unpacked)",
            ),
            (Place::Memfd, "a file that exists only in memory"),
            (Place::Deleted, "a file that was deleted"),
        ] {
            let share = summary.places.get(&place).copied().unwrap_or(0.0);
            if share >= 0.1 {
                let text = format!("{:.0} % of its code runs from {what}", 100.0 * share);
                evidence.push(Evidence {
                    supports: true,
                    text,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;
