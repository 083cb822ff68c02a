//! What was decided and done about a process: the detector's, and of what acts on it. A
//! collector carries it along with the samples and begins it anew with them.

use std::collections::BTreeMap;

use unjack_core::{
    score::Family,
    verdict::{Judgement, Verdict},
};

/// Whether something is to be done about a process that mines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ActionState {
    /// Nothing was done yet.
    #[default]
    Open,
    /// It is being acted on.
    UnderWay,
    /// Nothing more is to be done.
    Settled,
    /// It failed and is to be tried again, not before this (nanoseconds of
    /// `CLOCK_MONOTONIC`).
    Again(u64),
    /// It was reported that the action is not for it. That is looked at again, not before
    /// this.
    Outside(u64),
}

impl ActionState {
    /// Whether something is to be done at `now_ns`, nanoseconds of `CLOCK_MONOTONIC`.
    #[must_use]
    pub fn is_due(self, now_ns: u64) -> bool {
        match self {
            Self::Open => true,
            Self::UnderWay | Self::Settled => false,
            Self::Again(at_ns) | Self::Outside(at_ns) => now_ns >= at_ns,
        }
    }
}

/// What was decided and done about one image of one process.
#[derive(Clone, Debug, Default)]
pub struct ProcessState {
    /// The verdict, and what leads to it.
    pub judgement: Judgement,
    /// The same for threads that hash by themselves.
    pub threads: BTreeMap<u32, Judgement>,
    /// The family of the last detection, if it has one.
    pub family: Option<Family>,
    /// It hashes now, or has a verdict: worth a closer look.
    pub suspected: bool,
    /// Whether a rule allows it.
    pub allowed: bool,
    /// Its image is banned: known by its hash, not judged.
    pub banned: bool,
    /// What is to be done.
    pub action_state: ActionState,
    /// On-CPU nanoseconds already counted, as stolen or as allowed.
    pub stolen_ns: u64,
}

impl ProcessState {
    /// That of the next image that a process executes, of whose CPU time so much is the
    /// images' before.
    pub(crate) fn of_next_image(&self, latest_ns: Option<u64>) -> Self {
        Self {
            // Two in one second: nothing was read since the first.
            stolen_ns: latest_ns.unwrap_or(self.stolen_ns),
            ..Self::default()
        }
    }

    /// Whether it has a verdict.
    pub(crate) fn is_judged(&self) -> bool {
        self.judgement.verdict() != Verdict::None
    }

    /// What a miner has burned since this was last asked, nanoseconds, with its
    /// total now; nothing of a process that is none.
    pub(crate) fn burned(&mut self, cpu_ns: u64) -> u64 {
        if self.judgement.verdict() != Verdict::Miner {
            return 0;
        }
        let new_ns = cpu_ns.saturating_sub(self.stolen_ns);
        self.stolen_ns = self.stolen_ns.max(cpu_ns);
        new_ns
    }
}
