//! From a profile to a score, a family and the evidence for them.
//!
//! Pure: the numbers are data (`monitor/model/`, fitted to recordings of real
//! programs by `cargo xtask corpus train`), and everything that moved the score
//! can be said in a sentence. Two questions are asked in turn, each answered by
//! a weighted sum that is read as log-odds:
//!
//! 1. *Is it hashing?* From the mix of instructions, mostly.
//! 2. *Is it mining?* From witnesses that do not depend on the mix: whether
//!    data flows through it, whether it waits for anybody, whose code it is,
//!    what it hashes.
//!
//! The score is the lesser of the two: mining takes both.

mod evidence;
pub mod features;
mod model;

pub use self::evidence::{Evidence, EvidenceKind};
use self::features::{Sign, View};
use self::model::ROUNDED_FROM;
pub use self::model::{FAMILIES, Linear, Model, ModelData, ModelError, PrototypeData};
use crate::{
    isa::Class,
    profile::{Place, Summary},
};

/// What a profile amounts to; nothing at all by default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Assessment {
    /// How sure it is that this is hashing, 0 to 1.
    pub hashing: f64,
    /// How sure it is that this is mining, 0 to 1; at most `hashing`.
    pub score: f64,
    /// The family of hash algorithm it is closest to; `unknown-pow` if it is
    /// hashing and close to none, empty if it is not hashing.
    pub family: &'static str,
}

/// Hashing below this is not worth a family.
const NAMED_FROM: f64 = 0.5;
/// Log-odds that hiding takes from what excuses hashing.
const HIDING: f64 = 3.0;
/// Log-odds that a connection to a listed pool takes from it. Pools share
/// addresses with others, so that alone it is nothing: what does not hash is
/// never asked whether it mines.
const POOL: f64 = 3.0;
/// What is said of such a connection.
pub const POOL_TEXT: &str = "it has connected to a pool on the list";
/// Log-odds that speaking Stratum takes from it. Nothing but mining says a miner's
/// half of it, and it is heard only of who serves nobody, so that it is no client's
/// word: it outweighs any one witness against, and most pairs. Data that streams
/// through the host's own library still explains hashing.
const STRATUM: f64 = 10.0;
/// Log-odds that it adds to those of hashing: whoever speaks to a pool is paid for
/// nothing else. It is asked only of mixes from [`LISTEN_FROM`] on.
const STRATUM_HASHES: f64 = 4.0;
/// Hashing from which it is worth knowing whether a pool is spoken to. What is heard
/// of others counts as little as what is not heard.
pub const LISTEN_FROM: f64 = 0.1;
/// What is said of that.
pub const STRATUM_TEXT: &str = "it speaks Stratum, as miners do with a pool";

impl Model {
    /// Assesses a profile.
    #[must_use]
    pub fn assess(&self, summary: &Summary) -> Assessment {
        let (view, closest) = self.compare(summary);
        if summary.mix.total() == 0 {
            return Assessment {
                hashing: 0.0,
                score: 0.0,
                family: "",
            };
        }
        let alone = logistic(self.hashing(&view));
        let (hashes, mines) = if summary.stratum && alone >= LISTEN_FROM {
            (STRATUM_HASHES, STRATUM)
        } else {
            (0.0, 0.0)
        };
        let hashing = logistic(self.hashing(&view) + hashes);
        let hiding = if summary.hidden || summary.poses {
            HIDING
        } else {
            0.0
        };
        let pool = if summary.pool { POOL } else { 0.0 };
        let mining = logistic(self.mining(&view) + hiding + pool + mines);
        // Both questions must be answered with yes, each by itself.
        let score = hashing.min(mining);
        let family = match closest {
            _ if hashing < NAMED_FROM => "",
            _ if summary.rounded >= ROUNDED_FROM && 2 * summary.rounded > summary.switches => {
                "randomx"
            }
            Some(prototype) if alone >= NAMED_FROM && view.distance <= self.family_distance => {
                prototype.family
            }
            _ => "unknown-pow",
        };
        Assessment {
            hashing,
            score,
            family,
        }
    }

    /// Why a profile is assessed as it is, in sentences.
    #[must_use]
    pub fn evidence(&self, summary: &Summary) -> Vec<Evidence> {
        let (view, closest) = self.compare(summary);
        let hashes = logistic(self.hashing(&view)) >= NAMED_FROM;
        let sign = |supports: bool| if supports { 1.0 } else { -1.0 };
        let mut evidence = vec![Evidence::new(
            EvidenceKind::Mix,
            mix_text(summary),
            sign(hashes),
        )];
        if let (true, Some(prototype)) = (hashes, closest) {
            evidence.push(Evidence::new(
                EvidenceKind::Family,
                format!(
                    "the mix is {:.0} % like {} ({})",
                    100.0 * (1.0 - view.distance),
                    prototype.family,
                    prototype.variant
                ),
                sign(view.distance <= self.family_distance),
            ));
        }
        let mut say = |features: &[(features::Feature, f64)]| {
            for (feature, weight) in features {
                let supports = weight * (feature.value)(&view) > -NOTABLE;
                // What a witness against has to say is never said for.
                let text = if supports && feature.sign == Sign::Against {
                    (feature.absence)(&view)
                } else {
                    (feature.text)(&view)
                };
                if let Some(text) = text
                    && evidence.iter().all(|said| said.text != text)
                {
                    let kind = EvidenceKind::witness(feature.name);
                    evidence.push(Evidence::new(kind, text, sign(supports)));
                }
            }
        };
        say(self.hashing_features());
        say(&self.mining);
        describe(&view, &mut evidence);
        evidence
    }
}

/// Log-odds from which a witness counts as speaking against.
const NOTABLE: f64 = 0.1;

fn logistic(odds: f64) -> f64 {
    (1.0 + (-odds).exp()).recip()
}

fn mix_text(summary: &Summary) -> String {
    let mut shares: Vec<(Class, f64)> = summary
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
        summary.mix.total(),
        summary.samples,
        shares.join(", ")
    )
}

/// Where the code lies and how it burns, told, not weighed: honest programs that
/// are generated, flat or many exist. And whether it hides,
/// knows a pool, or talks to one.
fn describe(view: &View<'_>, evidence: &mut Vec<Evidence>) {
    let summary = view.summary;
    let places = [
        (
            Place::Anonymous,
            "memory without a file (generated or unpacked)",
        ),
        (Place::Memfd, "a file that exists only in memory"),
        (Place::Deleted, "a file that was deleted"),
    ];
    let places = places.into_iter().filter_map(|(place, what)| {
        let share = summary.place(place);
        (share >= 0.1).then(|| format!("{:.0} % of its code runs from {what}", 100.0 * share))
    });
    let flat = summary.flatness > 0.9 && summary.steadiness > 0.9;
    let others = [
        (
            flat,
            "its burn is flat: no second is unlike another".to_owned(),
        ),
        (
            summary.twins > 1,
            format!("{} threads do the same", summary.twins),
        ),
        (
            summary.hidden,
            "the host's /proc does not show it".to_owned(),
        ),
        (
            summary.poses,
            "it shows as a kernel thread and is none".to_owned(),
        ),
    ];
    let others = others
        .into_iter()
        .filter(|(is, _)| *is)
        .map(|(_, text)| Evidence::told(text));
    let places = places.map(|text| Evidence::new(EvidenceKind::Place, text, 0.0));
    let heard = [
        (summary.pool, EvidenceKind::Pool, POOL_TEXT),
        (summary.stratum, EvidenceKind::Stratum, STRATUM_TEXT),
    ];
    let heard = heard
        .into_iter()
        .filter(|(is, ..)| *is)
        .map(|(_, kind, text)| Evidence::new(kind, text.to_owned(), 0.0));
    evidence.extend(places.chain(others).chain(heard));
}

#[cfg(test)]
mod tests;
