//! What is weighed: the features of the model, and the facts besides the code. A closed
//! set, each with the name that the model's data and events have.

use std::{fmt, str::FromStr};

/// A feature of the model, or a fact that is weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Witness {
    /// Code that mixes as a hash does.
    Mixing,
    /// A mix like that of a known miner.
    Known,
    /// Rotations and constants of a hash.
    Signature,
    /// Rotations and constants of something else.
    OtherSignature,
    /// Hot code of a cache line or two.
    TinyLoop,
    /// Nothing that hashes are made of.
    Plain,
    /// Bytes that are no instructions.
    Undecodable,
    /// The rounding modes of `RandomX`.
    RoundingMode,
    /// The most that code can say.
    Bound,
    /// Most programs that hash do not mine.
    Prior,
    /// The algorithm serves nothing but mining.
    MiningOnly,
    /// A node that verifies what it receives.
    Verifies,
    /// Code that a script or page had generated.
    Generated,
    /// Hashing without a pause.
    Long,
    /// Data that flows past.
    Flows,
    /// Connections that others began.
    Serves,
    /// The most that connections can say.
    NetworkBound,
    /// Hidden, or posing as a kernel thread.
    Hiding,
}

impl Witness {
    /// Every witness there is.
    pub const ALL: [Self; 18] = [
        Self::Mixing,
        Self::Known,
        Self::Signature,
        Self::OtherSignature,
        Self::TinyLoop,
        Self::Plain,
        Self::Undecodable,
        Self::RoundingMode,
        Self::Bound,
        Self::Prior,
        Self::MiningOnly,
        Self::Verifies,
        Self::Generated,
        Self::Long,
        Self::Flows,
        Self::Serves,
        Self::NetworkBound,
        Self::Hiding,
    ];

    /// Its name in the model's data and, after `witness:`, in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mixing => "mixing",
            Self::Known => "known",
            Self::Signature => "signature",
            Self::OtherSignature => "other-signature",
            Self::TinyLoop => "tiny-loop",
            Self::Plain => "plain",
            Self::Undecodable => "undecodable",
            Self::RoundingMode => "rounding-mode",
            Self::Bound => "bound",
            Self::Prior => "prior",
            Self::MiningOnly => "mining-only",
            Self::Verifies => "verifies",
            Self::Generated => "generated",
            Self::Long => "long",
            Self::Flows => "flows",
            Self::Serves => "serves",
            Self::NetworkBound => "network-bound",
            Self::Hiding => "hiding",
        }
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text is the name of no witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no kind of evidence has this name")]
pub struct NoWitness;

impl FromStr for Witness {
    type Err = NoWitness;

    fn from_str(text: &str) -> Result<Self, NoWitness> {
        let known = Self::ALL.into_iter().find(|it| it.name() == text);
        known.ok_or(NoWitness)
    }
}
