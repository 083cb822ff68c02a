//! From a profile to a score, a family and the evidence for them.
//!
//! Pure, and one sum: the score is the certainty that log-odds stand for, and every
//! number in the sum is a line of [`Evidence`] that a person can check. Two things
//! make a miner, and it takes both:
//!
//! 1. It hashes. That is what the code says: the mix of instructions, fitted to
//!    recordings of real programs (`cargo xtask train`; the numbers are data in
//!    `model/`), and the rotations and constants that algorithms sign their
//!    code with ([`signature`]). It is bounded: code says at most that this is a hash.
//! 2. It mines (`mining`): an algorithm that serves nothing else, or work that comes
//!    from outside and results that leave.

mod evidence;
mod family;
pub mod features;
mod mining;
mod model;
pub mod signature;
mod witness;

pub use self::{
    evidence::{Evidence, EvidenceKind},
    family::{FAMILIES, Family, NoFamily},
    model::{Linear, Model, ModelData, ModelError, PrototypeData},
    witness::Witness,
};
use self::{
    features::View,
    mining::{CODE_LEAST, CODE_MOST, Line},
    model::Prototype,
    signature::Algorithm,
};
use crate::{
    isa::Class,
    profile::{Place, Summary},
};

/// What a profile amounts to; nothing at all by default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Assessment {
    /// How sure it is that this is hashing, 0 to 1, by its code alone.
    pub hashing: f64,
    /// How sure it is that this is mining, 0 to 1.
    pub score: f64,
    /// The log-odds (natural logarithm) that the score stands for.
    pub log_odds: f64,
    /// The algorithm serves nothing but mining.
    pub mining_only: bool,
    /// Something other than mining explains why it hashes: data flows past, it serves
    /// others, or it verifies what it receives.
    pub explained: bool,
    /// Looks at its connections that a verdict by the algorithm alone waits for.
    pub looks: u32,
    /// The family of hash algorithm; [`Family::UnknownPow`] if it is hashing and none
    /// that is known, `None` if it is not hashing.
    pub family: Option<Family>,
}

/// Hashing below this is not worth a family.
const NAMED_FROM: f64 = 0.5;
/// How well a signature must fit to name the algorithm.
const SIGNED_FROM: f64 = 0.3;
/// Share of the processor's own instructions for SHA-2 in the code that mixes that names
/// it: a third or more is of them where nothing else is hashed.
const SHA_FROM: f64 = 0.1;
/// Share of the code whose place is known that lies in memory without a file, above which
/// an engine generated it.
const GENERATED_FROM: f64 = 0.3;
/// Candidates of the SHA-3 competition from which it is a chain of them.
const CHAIN: usize = 2;
/// Share of multiplications that tells Argon2 from `BLAKE2b` and yescrypt from scrypt,
/// whose rotations are the same.
const MULTIPLIES_FROM: f64 = 0.008;

impl Model {
    /// Assesses a profile.
    #[must_use]
    pub fn assess(&self, summary: &Summary) -> Assessment {
        if summary.code.mix.total() == 0 {
            return Assessment::default();
        }
        let (view, closest) = self.compare(summary);
        let mut log_odds = 0.0;
        self.lines(&view, closest, &mut |value, _, _| log_odds += value);
        self.assessment(&view, closest, log_odds)
    }

    /// Assesses a profile and says why, which costs little more than either: see
    /// [`Self::assess`] and [`Self::evidence`].
    #[must_use]
    pub fn explain(&self, summary: &Summary) -> (Assessment, Vec<Evidence>) {
        let mut evidence = Vec::new();
        if summary.code.mix.total() == 0 {
            return (Assessment::default(), evidence);
        }
        let (view, closest) = self.compare(summary);
        let mut log_odds = 0.0;
        self.lines(&view, closest, &mut |value, kind, text| {
            log_odds += value;
            evidence.push(Evidence::new(kind, text(), value));
        });
        mining::told(&view, &mut |kind, text| {
            evidence.push(Evidence::new(kind, text, 0.0));
        });
        (self.assessment(&view, closest, log_odds), evidence)
    }

    /// Why a profile is assessed as it is: lines that add up to the log-odds of its
    /// score, and some that are only told.
    #[must_use]
    pub fn evidence(&self, summary: &Summary) -> Vec<Evidence> {
        self.explain(summary).1
    }

    /// What all lines add up to.
    fn assessment(
        &self,
        view: &View<'_>,
        closest: Option<&Prototype>,
        log_odds: f64,
    ) -> Assessment {
        let hashing = logistic(self.hashing(view));
        Assessment {
            hashing,
            score: logistic(log_odds),
            log_odds,
            mining_only: view.mining_only,
            explained: mining::explained(view),
            looks: mining::looks(view),
            family: self.family(view, closest, hashing),
        }
    }

    /// Calls `line` with each reason, its log-odds and its words.
    fn lines(&self, view: &View<'_>, closest: Option<&Prototype>, line: Line<'_>) {
        let mut code = self.mix(view);
        line(code, EvidenceKind::Mix, &|| mix_text(view.summary));
        for (feature, weight) in self.hashing_features() {
            let value = weight * (feature.value)(view);
            if value == 0.0 {
                continue;
            }
            code += value;
            match closest {
                Some(prototype) if feature.witness == Witness::Known => {
                    line(value, EvidenceKind::Family, &|| {
                        format!("{}: {}", (feature.text)(view), prototype.title())
                    });
                }
                _ => line(value, EvidenceKind::Witness(feature.witness), &|| {
                    (feature.text)(view)
                }),
            }
        }
        let bounded = code.clamp(CODE_LEAST, CODE_MOST);
        if (bounded - code).abs() > 0.0 {
            line(
                bounded - code,
                EvidenceKind::Witness(Witness::Bound),
                &|| format!("limit: the lines about its code count {bounded:+.0} in total"),
            );
        }
        mining::lines(view, line);
    }

    /// The family, if it hashes.
    fn family(&self, view: &View<'_>, closest: Option<&Prototype>, hashing: f64) -> Option<Family> {
        let summary = view.summary;
        if hashing < NAMED_FROM {
            return None;
        }
        if features::rounding(summary) > 0.5 {
            return Some(Family::RandomX);
        }
        if features::is_cryptonight(summary) {
            return Some(Family::CryptoNight);
        }
        if let Some(prototype) = closest.filter(|_| view.mining_only) {
            return Some(prototype.family);
        }
        let essence = summary.essence();
        let multiplies = essence.share(Class::Multiply) >= MULTIPLIES_FROM;
        let signed = view.signature.filter(|found| {
            let other = view.other.map_or(0.0, |other| other.strength);
            found.strength >= SIGNED_FROM && found.strength > other
        });
        // The processor's own instructions do what would take rotations otherwise.
        let sha_instructions = f64::from(summary.code.mixing.count(Class::Sha));
        let by_instructions = summary.code.mixing.share(Class::Sha) >= SHA_FROM
            && signed.is_none_or(|found| found.rotations < sha_instructions);
        let plain = match signed.map(|found| found.signature.algorithm) {
            _ if view.numbers.candidates() >= CHAIN => Family::X11Like,
            _ if by_instructions => Family::Sha256d,
            Some(Algorithm::Sha256) => Family::Sha256d,
            Some(Algorithm::Sha512) => Family::Sha512,
            Some(Algorithm::Blake2b) if multiplies => Family::Argon2,
            Some(Algorithm::Blake2b | Algorithm::Blake512 | Algorithm::Blake32) => Family::Blake,
            Some(Algorithm::Salsa20) if multiplies => Family::Yescrypt,
            Some(Algorithm::Salsa20) => Family::Scrypt,
            Some(Algorithm::Keccak) => Family::Keccak,
            Some(_) => Family::UnknownPow,
            None => match closest {
                // What only mines has a name by more than its mix, above.
                Some(prototype)
                    if view.distance <= self.family_distance && !prototype.mining_only =>
                {
                    prototype.family
                }
                _ => Family::UnknownPow,
            },
        };
        let known = 1.0 - summary.essence_place(Place::Unread);
        // No engine has the processor's hash instructions in its code: what is in memory
        // and has them was unpacked.
        let generated =
            !by_instructions && summary.essence_place(Place::Anonymous) > GENERATED_FROM * known;
        Some(if generated { plain.in_wasm() } else { plain })
    }
}

pub(super) fn logistic(odds: f64) -> f64 {
    (1.0 + (-odds).exp()).recip()
}

fn mix_text(summary: &Summary) -> String {
    let mut shares: Vec<(Class, f64)> = summary
        .code
        .mix
        .shares()
        .filter(|(_, share)| *share >= 0.02)
        .collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    let shares: Vec<String> = shares
        .iter()
        .map(|(class, share)| format!("{} {:.0} %", class.name(), 100.0 * share))
        .collect();
    format!(
        "of {} instructions in {} samples, {}",
        summary.code.mix.total(),
        summary.samples,
        shares.join(", ")
    )
}

#[cfg(test)]
mod tests;
