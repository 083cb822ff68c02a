//! Evidence: reasons for and against mining, with numbers that add up.
//!
//! A line is an object from the model to the last reader: events, `incident.json`,
//! the page, `top`, `explain` and `replay` have the same text and the same number.
//! Whatever adds detail to a line finds it by its [`EvidenceKind`], never by its text.
//!
//! Bounds: a view shows a bounded number of lines ([`Evidence::first`]); the last of
//! them then stands for all that are not shown, so that the numbers still add up.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::witness::Witness;

/// Log-odds are written with so many parts of one: two decimals.
const PARTS: f64 = 100.0;
/// What stands in the place of the number of a line that is not weighed.
const TOLD: &str = "·";

/// What a line of evidence is about. Written as a short text: `mix`, `witness:io`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvidenceKind {
    /// The mix of instructions.
    Mix,
    /// The family of hash algorithm.
    Family,
    /// A feature of the model, or a fact that is weighed.
    Witness(Witness),
    /// A connection to a listed pool.
    Pool,
    /// Stratum that was heard.
    Stratum,
    /// How its connections behave.
    Connections,
    /// Where its code lies.
    Place,
    /// Something else; told, not weighed.
    Note,
    /// Several lines that are not shown, together.
    Others,
}

impl EvidenceKind {
    /// What a witness's text begins with.
    const WITNESS: &str = "witness:";
}

impl fmt::Display for EvidenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mix => "mix",
            Self::Family => "family",
            Self::Witness(kind) => return write!(f, "{}{kind}", Self::WITNESS),
            Self::Pool => "pool",
            Self::Stratum => "stratum",
            Self::Connections => "connections",
            Self::Place => "place",
            Self::Note => "note",
            Self::Others => "others",
        })
    }
}

/// The text is no kind of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a kind of evidence")]
pub struct NoKind;

impl FromStr for EvidenceKind {
    type Err = NoKind;

    fn from_str(text: &str) -> Result<Self, NoKind> {
        Ok(match text {
            "mix" => Self::Mix,
            "family" => Self::Family,
            "pool" => Self::Pool,
            "stratum" => Self::Stratum,
            "connections" => Self::Connections,
            "place" => Self::Place,
            "note" => Self::Note,
            "others" => Self::Others,
            _ => {
                let name = text.strip_prefix(Self::WITNESS).ok_or(NoKind)?;
                Self::Witness(name.parse().map_err(|_| NoKind)?)
            }
        })
    }
}

impl Serialize for EvidenceKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EvidenceKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// A reason for or against mining, with what it adds to the score.
///
/// All lines of a verdict add up to the log-odds of its score. As JSON:
/// `{"text":"…","log_odds":4.0,"kind":"mix"}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was found.
    pub text: String,
    /// Log-odds (natural logarithm): above 0 it speaks for mining, below 0 against; 0
    /// is told and not weighed. Written with two decimals.
    #[serde(serialize_with = "two_decimals")]
    pub log_odds: f64,
    /// What it is about.
    pub kind: EvidenceKind,
}

impl Evidence {
    /// Something that adds `log_odds` (natural logarithm).
    #[must_use]
    pub const fn new(kind: EvidenceKind, text: String, log_odds: f64) -> Self {
        Self {
            text,
            log_odds,
            kind,
        }
    }

    /// Something that is told and not weighed.
    #[must_use]
    pub const fn told(text: String) -> Self {
        Self::new(EvidenceKind::Note, text, 0.0)
    }

    /// Its log-odds for a person, such as `+4.0`; `·` if it is not weighed.
    #[must_use]
    pub fn number(&self) -> String {
        if self.is_weighed() {
            format!("{:+.1}", self.log_odds)
        } else {
            TOLD.to_owned()
        }
    }

    /// Whether it moves the score.
    #[must_use]
    pub fn is_weighed(&self) -> bool {
        self.log_odds != 0.0
    }

    /// What all lines add up to, in log-odds; `None` if none is weighed: a verdict by a
    /// list or a rule has no sum.
    #[must_use]
    pub fn sum(lines: &[Self]) -> Option<f64> {
        let weighed = lines.iter().any(Self::is_weighed);
        weighed.then(|| added(lines))
    }

    /// Gives the line of this kind another text and leaves its log-odds. If there is no
    /// such line, the text is told first, and not weighed.
    pub fn detail(lines: &mut Vec<Self>, kind: EvidenceKind, text: String) {
        match lines.iter_mut().find(|line| line.kind == kind) {
            Some(line) => line.text = text,
            None => lines.insert(0, Self::new(kind, text, 0.0)),
        }
    }

    /// The first lines, `most` at the most. If there are more, the last one stands for
    /// them and has what they add up to.
    #[must_use]
    pub fn first(lines: &[Self], most: usize) -> Vec<Self> {
        if lines.len() <= most {
            return lines.to_vec();
        }
        let (shown, others) = lines.split_at(most.saturating_sub(1));
        let text = format!("and {} more lines", others.len());
        let others = Self::new(EvidenceKind::Others, text, added(others));
        shown.iter().cloned().chain([others]).take(most).collect()
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number(), self.text)
    }
}

fn added(lines: &[Evidence]) -> f64 {
    lines.iter().map(|line| line.log_odds).sum()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn two_decimals<S: Serializer>(log_odds: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    // 0 added makes 0 of what rounds to -0.
    serializer.serialize_f64((PARTS * log_odds).round() / PARTS + 0.0)
}

#[cfg(test)]
mod tests;
