//! What is to be done about a process that mines: whether anything protects it, whether
//! the action is for it, and whether the breaker lets one more be acted on.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::Daemon;
use crate::{
    detect::collector::{ActionState, Subject},
    host::{self, Image},
    policy::{
        config::{self, Action},
        guard::Guard,
        judged::{self, matches},
        only::{Only, Place},
        refusal::Refusal,
    },
    respond::action::{
        ActionKind,
        breaker::{Act, Breaker, Stop},
    },
};
use unjack_core::{event::Process, score::Family};

/// What is to be done about a process that mines.
pub(super) enum Decision {
    /// Nothing, for this reason.
    Refuse(Refusal),
    /// Nothing, as unjack only observes, there or everywhere. The image was verified as for
    /// an action.
    Observe(Image, Observed),
    /// This, to a process that executes this image.
    Act(Image, ActionKind),
}

/// Why a miner is only reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Observed {
    /// By `--action observe`.
    Everywhere,
    /// No rule of `--only` is about it.
    NotOnly,
}

impl Daemon {
    /// Reads again whose a process is, if a rule may ask for that: it may have changed since
    /// it was judged. Whether that is known.
    pub(super) fn renew(&mut self, process: Process, now_ns: u64) -> bool {
        let config::Policy { allow, only, .. } = &self.config.policy;
        if allow.is_empty() && only.is_empty() {
            return true;
        }
        let Some(subject) = self.collector.subject(process) else {
            return false;
        };
        let facts = subject.renew_facts();
        let known = facts.is_some_and(|facts| facts.uid.is_some());
        judged::exe_is_known(allow, subject, now_ns) && known
    }

    /// The rules of `--only`, with what is known of a process.
    fn only(&mut self, process: Process) -> Only {
        let Some(subject) = self.collector.subject(process) else {
            return self.only.clone();
        };
        let family = subject.case.family;
        let facts = subject.facts().filter(|_| self.only.wants_place());
        let Some(identity) = facts.map(|facts| facts.identity.clone()) else {
            return self.only.of(family, Place::default());
        };
        let (home, lookup) = self.containers.home(&identity, Instant::now());
        if let Some(lookup) = lookup {
            self.metrics.response.count_container(lookup);
        }
        self.only.of(family, Place::of(home))
    }

    /// Everything that protects a process.
    pub(super) fn guard(&mut self, process: Process) -> Guard {
        Guard {
            only: self.only(process),
            lineage: host::lineage(),
            allow: Arc::clone(&self.allow),
            listed: self.reputation.allow_list(),
            builtin: !self.config.response.no_builtin_protection,
        }
    }

    /// What is to be done about a process, and the family of its hash; `None` if the
    /// process is unknown.
    pub(super) fn decide(
        &mut self,
        process: Process,
        guard: &Guard,
        known: bool,
        now_ns: u64,
    ) -> Option<(Option<Family>, Decision)> {
        let may = self.may(process, guard, known, now_ns);
        let subject = self.collector.subject(process)?;
        let family = subject.case.family;
        let image = match may {
            Ok(image) => image,
            Err(refusal) => return Some((family, Decision::Refuse(refusal))),
        };
        // A process that was asked to end and executed another image instead has had
        // its grace.
        let grace = if subject.signalled {
            Duration::ZERO
        } else {
            self.config.grace
        };
        let kind = match self.config.action {
            Action::Observe => {
                return Some((family, Decision::Observe(image, Observed::Everywhere)));
            }
            Action::Kill => ActionKind::Kill { grace },
            Action::Freeze => ActionKind::Freeze,
            Action::Throttle => ActionKind::Throttle {
                share: self.config.response.throttle_to,
            },
        };
        let digest = self.reputation.digest(process, Some(image));
        if !judged::is_enforced(&guard.only, subject, digest) {
            return Some((family, Decision::Observe(image, Observed::NotOnly)));
        }
        if let Some(act) = counted(&self.breaker, subject, image)
            && let Err(Stop { level, until_ns }) = self.breaker.allows(now_ns, &act)
        {
            self.metrics.breaker.let_pass(level);
            subject.case.action_state = ActionState::Again(until_ns);
            return Some((family, Decision::Refuse(Refusal::Breaker)));
        }
        Some((family, Decision::Act(image, kind)))
    }

    /// The image of a process, if nothing protects the process.
    fn may(
        &mut self,
        process: Process,
        guard: &Guard,
        known: bool,
        now_ns: u64,
    ) -> Result<Image, Refusal> {
        let subject = self.collector.subject(process).ok_or(Refusal::Vanished)?;
        let (image, family) = (subject.image(), subject.case.family);
        let digest = self.reputation.digest(process, image);
        subject.case.allowed = self.reputation.allowed(process, image)
            || matches(&self.config.policy.allow, subject, family, digest);
        let image = judged::spared(subject, guard, now_ns)?;
        known.then_some(image).ok_or(Refusal::Unreadable)
    }
}

/// What the breaker counts of a process with this image. Nothing of a copy of a banned
/// image: that was recognized by its content, and not judged.
pub(super) fn counted(breaker: &Breaker, subject: &mut Subject, image: Image) -> Option<Act> {
    if subject.case.banned {
        return None;
    }
    Some(breaker.about(image, subject.facts()))
}
