//! What is done about a process that mines: which action is ordered, and what came of it.
//! What is to be done is decided in [`super::decide`].

use std::time::Duration;

use super::{
    Daemon, bans,
    decide::{Decision, Observed, counted},
    orders::{self, Report},
    tell::ActionTold,
};
use crate::{
    detect::{detector::family_label, state::ActionState},
    host::{Image, clock::monotonic_ns},
    policy::{config::Action, guard::Guard, judged::matches, refusal::Refusal},
    respond::action::{ActionKind, ActionRequest, ActionResult, Outcome, hold_manager::Escalation},
    telemetry::journal::{self, EscapeEvent, Event},
};
use unjack_core::{event::Process, score::Family};

/// How long until it is looked at again whether a miner is still outside of `--only`: it may
/// have changed its user or cgroup.
const OUTSIDE_NS: u64 = 10_000_000_000;

impl Daemon {
    /// Acts on a process that mines, unless that is under way or settled.
    pub(super) fn act(&mut self, process: Process, now_ns: u64) {
        if !self.is_due(process, now_ns) || self.must_wait(process, now_ns) {
            return;
        }
        let known = self.renew(process, now_ns);
        let guard = self.guard(process);
        let Some((family, decision)) = self.decide(process, &guard, known, now_ns) else {
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
            Decision::Observe(image, why) => self.observe(process, family, (image, why), now_ns),
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

    /// Reports what would have been acted on, once for each image that it executes.
    fn observe(
        &mut self,
        process: Process,
        family: Option<Family>,
        (image, why): (Image, Observed),
        now_ns: u64,
    ) {
        let (action, reason, next) = match why {
            Observed::Everywhere => (Action::Observe, "observe", ActionState::Settled),
            Observed::NotOnly => {
                let next = ActionState::Outside(now_ns.saturating_add(OUTSIDE_NS));
                (self.config.action, Refusal::NotOnly.name(), next)
            }
        };
        if let Some(subject) = self.collector.subject(process) {
            let before = std::mem::replace(&mut subject.case.action_state, next);
            if matches!(before, ActionState::Outside(_)) {
                return;
            }
        }
        if let Some(wanted) = self.incidents.take(process) {
            wanted.observe(process, image);
        }
        let outcome = journal::Outcome::DryRun;
        self.metrics
            .count_action(action, family_label(family), outcome);
        self.tell_action(process, ActionTold::of(outcome, reason), Duration::ZERO);
    }

    /// Has an action carried out on a thread of its own, with its evidence, and with
    /// its image held if that may be banned.
    fn order(
        &mut self,
        process: Process,
        family: Option<Family>,
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
            done:
                ActionResult {
                    outcome,
                    others,
                    fallback,
                },
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
        let told = ActionTold {
            others,
            fallback,
            ..ActionTold::of(outcome, reason)
        };
        self.tell_action(process, told, time);
    }

    /// Keeps held what is held, and tells how much that is.
    pub(super) fn keep_up(&mut self, now_ns: u64) {
        if let Some(kept) = self.orders.hold_manager.keep_up(&self.orders.host()) {
            self.metrics.held.set(&kept);
            for escalation in kept.escalations {
                let Escalation {
                    judged,
                    throttled,
                    rung,
                    escapes,
                    failed,
                } = escalation;
                let action = if throttled {
                    Action::Throttle
                } else {
                    Action::Freeze
                };
                self.tell(Event::Escape(EscapeEvent {
                    pid: judged.pid,
                    action,
                    escapes,
                    now: rung.name(),
                    failed,
                }));
            }
        }
        for change in self.breaker.changes(now_ns) {
            self.metrics.breaker.count(&change);
            self.tell(Event::Breaker((&change).into()));
        }
        self.metrics.breaker.set(&self.breaker);
    }
}
