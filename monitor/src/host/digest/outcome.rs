//! What can come of a question, and how often it did.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::host::LookError;

/// Why an image has no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Its process is gone, or executes another image by now.
    Gone,
    /// It is larger than [`MAX_BYTES`](super::MAX_BYTES).
    TooLarge,
    /// It cannot be read.
    Unreadable,
    /// It is not known yet.
    Late,
    /// Enough was read for that user, or in all: it is to be asked for again.
    OverBudget,
    /// Reading about the process hangs: the same.
    CannotTell,
}

impl Unknown {
    /// Every reason there is.
    pub const ALL: [Self; 6] = [
        Self::Gone,
        Self::TooLarge,
        Self::Unreadable,
        Self::Late,
        Self::OverBudget,
        Self::CannotTell,
    ];

    /// Why the process that executes an image cannot be looked at.
    pub(super) fn of(error: &LookError) -> Self {
        match error {
            LookError::CannotTell(_) => Self::CannotTell,
            _ => Self::Gone,
        }
    }

    /// Whether it is to be asked for again.
    #[must_use]
    pub const fn passes(self) -> bool {
        matches!(self, Self::OverBudget | Self::CannotTell)
    }

    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::TooLarge => "too-large",
            Self::Unreadable => "unreadable",
            Self::Late => "late",
            Self::OverBudget => "over-budget",
            Self::CannotTell => "cannot-tell",
        }
    }
}

/// What came of questions, in the order of [`OUTCOMES`].
static COUNTS: [AtomicU64; OUTCOMES.len()] = [const { AtomicU64::new(0) }; OUTCOMES.len()];

/// What can come of a question: answered; not taken, as too many waited; the thread
/// that read was lost; and why there is no digest.
pub const OUTCOMES: [&str; 9] = [
    "hashed",
    "deferred",
    "lost",
    Unknown::OverBudget.name(),
    Unknown::CannotTell.name(),
    Unknown::Gone.name(),
    Unknown::TooLarge.name(),
    Unknown::Unreadable.name(),
    Unknown::Late.name(),
];

/// What came of questions since this program started, by [`OUTCOMES`].
pub fn counts() -> impl Iterator<Item = (&'static str, u64)> {
    OUTCOMES
        .into_iter()
        .zip(COUNTS.iter().map(|count| count.load(Ordering::Relaxed)))
}

pub(super) fn count(outcome: &str) {
    if let Some(at) = OUTCOMES.iter().position(|known| *known == outcome) {
        COUNTS[at].fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts an action that was not put off any longer for a digest.
pub fn count_late() {
    count(Unknown::Late.name());
}
