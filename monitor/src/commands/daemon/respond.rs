//! What is done about a process that mines: whether it may be acted on, which action
//! is ordered, and what came of it.

use std::{sync::Arc, time::Duration};

use super::{
    Daemon, bans,
    orders::{self, Report},
};
use crate::{
    detect::{
        collector::{ActionState, Subject},
        detector::family_label,
    },
    host::{self, Image, clock::monotonic_ns},
    policy::{
        config::Action,
        guard::Guard,
        judged::{self, matches},
        refusal::Refusal,
    },
    respond::action::{
        ActionKind, ActionRequest, ActionResult, Outcome,
        breaker::{Act, Breaker, Stop},
    },
    telemetry::journal::{self, Event},
};
use unjack_core::event::Process;

/// What is to be done about a process that mines.
enum Decision {
    /// Nothing, for this reason.
    Refuse(Refusal),
    /// Nothing, as unjack only observes. The image was verified as for an action.
    Observe(Image),
    /// This, to a process that executes this image.
    Act(Image, ActionKind),
}

impl Daemon {
    /// Acts on a process that mines, unless that is under way or settled.
    pub(super) fn act(&mut self, process: Process, now_ns: u64) {
        if !self.is_due(process, now_ns) || self.must_wait(process, now_ns) {
            return;
        }
        let guard = self.guard();
        let Some((family, decision)) = self.decide(process, &guard, now_ns) else {
            return;
        };
        match decision {
            Decision::Refuse(refusal) => self.conclude(Report {
                process,
                family,
                image: None,
                done: refusal.into(),
                time: Duration::ZERO,
            }),
            Decision::Observe(image) => self.observe(process, family, image),
            Decision::Act(image, kind) => self.order(process, family, (image, kind), guard, now_ns),
        }
    }

    /// Whether anything is to be done about it now.
    fn is_due(&mut self, process: Process, now_ns: u64) -> bool {
        let subject = self.collector.subject(process);
        subject.is_some_and(|subject| subject.case.action_state.is_due(now_ns))
    }

    /// Whether it is decided later: its digest may still allow it, or too many actions
    /// are under way.
    fn must_wait(&mut self, process: Process, now_ns: u64) -> bool {
        let Some(subject) = self.collector.subject(process) else {
            return true;
        };
        // A process that uses too little CPU for its digest to have been computed may
        // still be a miner, as others like it are.
        let image = subject.image();
        self.reputation.ask(process, image, now_ns);
        if self.reputation.undecided(process, now_ns) {
            return true;
        }
        let full = self.orders.full();
        if full {
            self.metrics.orders_deferred.inc();
        }
        full
    }

    /// Everything that protects a process.
    fn guard(&self) -> Guard {
        Guard {
            lineage: host::lineage(),
            allow: Arc::clone(&self.allow),
            listed: self.reputation.allow_list(),
            builtin: !self.config.response.no_builtin_protection,
        }
    }

    /// What is to be done about a process, and the family of its hash; `None` if the
    /// process is unknown.
    fn decide(
        &mut self,
        process: Process,
        guard: &Guard,
        now_ns: u64,
    ) -> Option<(&'static str, Decision)> {
        let may = self.may(process, guard);
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
            Action::Observe => return Some((family, Decision::Observe(image))),
            Action::Kill => ActionKind::Kill { grace },
            Action::Freeze => ActionKind::Freeze,
            Action::Throttle => ActionKind::Throttle {
                share: self.config.response.throttle_to,
            },
        };
        if let Some(act) = counted(&self.breaker, subject, image)
            && let Err(Stop { level, until_ns }) = self.breaker.allows(now_ns, &act)
        {
            self.metrics.breaker.let_pass(level);
            subject.case.action_state = ActionState::Again(until_ns);
            return Some((family, Decision::Refuse(Refusal::Breaker)));
        }
        Some((family, Decision::Act(image, kind)))
    }

    /// The image of a process, if nothing protects the process. Its user and cgroup may
    /// have changed since it was judged, so they are read again.
    fn may(&mut self, process: Process, guard: &Guard) -> Result<Image, Refusal> {
        let subject = self.collector.subject(process).ok_or(Refusal::Vanished)?;
        let known = self.config.policy.allow.is_empty()
            || (subject.renew_facts()).is_some_and(|facts| facts.uid.is_some());
        let (image, family) = (subject.image(), subject.case.family);
        let digest = self.reputation.digest(process, image);
        subject.case.allowed = self.reputation.allowed(process, image)
            || matches(&self.config.policy.allow, subject, family, digest);
        let image = judged::spared(subject, guard)?;
        known.then_some(image).ok_or(Refusal::Unreadable)
    }

    /// Reports what would have been acted on.
    fn observe(&mut self, process: Process, family: &'static str, image: Image) {
        if let Some(subject) = self.collector.subject(process) {
            subject.case.action_state = ActionState::Settled;
        }
        if let Some(wanted) = self.incidents.take(process) {
            wanted.observe(process, image);
        }
        let outcome = journal::Outcome::DryRun;
        self.metrics
            .count_action(Action::Observe, family_label(family), outcome);
        self.tell_action(process, outcome, "observe", 0, Duration::ZERO);
    }

    /// Has an action carried out on a thread of its own, with its evidence, and with
    /// its image held if that may be banned.
    fn order(
        &mut self,
        process: Process,
        family: &'static str,
        (image, deed): (Image, ActionKind),
        guard: Guard,
        now_ns: u64,
    ) {
        let kills = matches!(deed, ActionKind::Kill { .. });
        let Some(subject) = self.collector.subject(process) else {
            return;
        };
        subject.signalled |= kills;
        subject.case.action_state = ActionState::UnderWay;
        if let Some(act) = counted(&self.breaker, subject, image) {
            self.breaker.count(now_ns, &act);
        }
        let note = if kills {
            let digest = self.reputation.digest(process, Some(image));
            let denied = matches(&self.config.policy.deny, subject, family, digest);
            let listed = self.reputation.denied(process, Some(image)).is_some();
            bans::condemned(subject, image, denied, listed)
                .and_then(|condemned| self.bans.note(condemned))
        } else {
            None
        };
        let order = ActionRequest {
            process,
            image,
            deed,
            scope: self.config.response.scope,
        };
        let evidence = self.incidents.take(process);
        self.orders.give(order, guard, family, evidence, note);
    }

    /// Tells and counts what came of an order, and whether it is tried again.
    pub(super) fn conclude(&mut self, report: Report) {
        let Report {
            process,
            family,
            image,
            done: ActionResult { outcome, others },
            time,
        } = report;
        let now_ns = monotonic_ns();
        if let Some(subject) = self.collector.subject(process) {
            let given = image.is_some();
            subject.case.action_state =
                orders::after(subject.case.action_state, outcome, given, now_ns);
        }
        // Only what was noted with an order to kill is banned.
        self.bans.ended(process, outcome == Outcome::Gone);
        let (outcome, reason) = match outcome {
            Outcome::Gone => (journal::Outcome::Gone, ""),
            Outcome::Survived => (journal::Outcome::Survived, "still there after SIGKILL"),
            Outcome::Held => (journal::Outcome::Held, ""),
            Outcome::Refused(refusal) => {
                self.metrics.count_refusal(refusal);
                (journal::Outcome::Refused, refusal.name())
            }
        };
        self.metrics
            .count_action(self.config.action, family_label(family), outcome);
        self.tell_action(process, outcome, reason, others, time);
    }

    /// Keeps held what is held, and tells how much that is.
    pub(super) fn keep_up(&mut self, now_ns: u64) {
        if let Some(kept) = self.orders.hold_manager.keep_up(&self.orders.host()) {
            self.metrics.set_held(&kept);
        }
        for change in self.breaker.changes(now_ns) {
            self.metrics.breaker.count(&change);
            self.tell(Event::Breaker((&change).into()));
        }
        self.metrics.breaker.set(&self.breaker);
    }
}

/// What the breaker counts of a process with this image. Nothing of a copy of a banned
/// image: that was recognized by its content, and not judged.
fn counted(breaker: &Breaker, subject: &mut Subject, image: Image) -> Option<Act> {
    if subject.case.banned {
        return None;
    }
    Some(breaker.about(image, subject.facts()))
}
