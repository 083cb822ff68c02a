//! What is done about those who mine: who is spared, which order is given, and
//! what came of it.

use std::{sync::Arc, time::Duration};

use super::{
    Daemon, bans,
    orders::{self, Report},
};
use crate::{
    detect::{collector::ActionState, detector::family_label},
    host::{self, clock::monotonic_ns},
    policy::{
        config::Action,
        guard::Guard,
        judged::{self, matches},
        refusal::Refusal,
    },
    respond::action::{ActionKind, ActionRequest, ActionResult, Outcome, hold_manager::Escalation},
    telemetry::journal::{self, EscapeEvent},
};
use unjack_core::event::Process;

impl Daemon {
    /// Acts on a process that mines, unless that is under way or settled.
    pub(super) fn act(&mut self, process: Process, now_ns: u64) {
        let Some(subject) = self.collector.subject(process) else {
            return;
        };
        let due = match subject.case.action_state {
            ActionState::Open => true,
            ActionState::UnderWay | ActionState::Settled => false,
            ActionState::Again(at_ns) => now_ns >= at_ns,
        };
        if !due {
            return;
        }
        // Its digest may yet allow it: also that of one which burns too little to
        // have been asked for, and is a miner as others like it are.
        let image = subject.image();
        self.reputation.ask(process, image, now_ns);
        if self.reputation.undecided(process, now_ns) {
            return;
        }
        if self.orders.full() {
            self.metrics.orders_deferred.inc();
            return;
        }
        let family = subject.case.family;
        let digest = self.reputation.digest(process, image);
        // Of what is allowed by who it belongs to, and not only by its image, all
        // may have changed since it was judged.
        let known = self.config.policy.allow.is_empty()
            || (subject.renew_facts()).is_some_and(|facts| facts.uid.is_some());
        subject.case.allowed = self.reputation.allowed(process, image)
            || matches(&self.config.policy.allow, subject, family, digest);
        let guard = Guard {
            lineage: host::lineage(),
            allow: Arc::clone(&self.allow),
            listed: self.reputation.allow_list(),
            builtin: !self.config.response.no_builtin_protection,
        };
        let image = judged::spared(subject, &guard);
        let image = image.and_then(|image| known.then_some(image).ok_or(Refusal::Unreadable));
        let observed = self.config.action == Action::Observe;
        let image = match image {
            Ok(image) if !observed => match self.breaker.allows(now_ns, image) {
                Ok(()) => Ok(image),
                Err(until_ns) => {
                    subject.case.action_state = ActionState::Again(until_ns);
                    Err(Refusal::Breaker)
                }
            },
            image => image,
        };
        // One that was told to end and executed another image instead had its
        // grace.
        let grace = if subject.signalled {
            Duration::ZERO
        } else {
            self.config.grace
        };
        let deed = match (image, self.config.action) {
            (Err(refusal), _) => {
                return self.conclude(Report {
                    process,
                    family,
                    image: None,
                    done: refusal.into(),
                    time: Duration::ZERO,
                });
            }
            (Ok(image), Action::Observe) => {
                subject.case.action_state = ActionState::Settled;
                if let Some(wanted) = self.incidents.take(process) {
                    wanted.observe(process, image);
                }
                let outcome = journal::Outcome::DryRun;
                self.metrics
                    .count_action(Action::Observe, family_label(family), outcome);
                return self.tell_action(process, outcome, "observe", 0, Duration::ZERO);
            }
            (Ok(image), Action::Kill) => (image, ActionKind::Kill { grace }),
            (Ok(image), Action::Freeze) => (image, ActionKind::Freeze),
            (Ok(image), Action::Throttle) => {
                let share = self.config.response.throttle_to;
                (image, ActionKind::Throttle { share })
            }
        };
        let (image, deed) = deed;
        subject.signalled |= matches!(deed, ActionKind::Kill { .. });
        subject.case.action_state = ActionState::UnderWay;
        self.breaker.count(now_ns, image);
        let order = ActionRequest {
            process,
            image,
            deed,
            scope: self.config.response.scope,
        };
        let note = if matches!(deed, ActionKind::Kill { .. }) {
            let denied = matches(&self.config.policy.deny, subject, family, digest);
            let listed = self.reputation.denied(process, Some(image)).is_some();
            bans::condemned(subject, image, denied, listed)
                .and_then(|condemned| self.bans.note(condemned))
        } else {
            None
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
        // The judged one was counted when the order was given.
        for image in image.iter().cycle().take(others as usize) {
            self.breaker.count(now_ns, *image);
        }
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
                self.tell(journal::Event::Escape(EscapeEvent {
                    pid: judged.pid,
                    action,
                    escapes,
                    now: rung.name(),
                    failed,
                }));
            }
        }
        self.metrics.set_breaker(self.breaker.is_open(now_ns));
    }
}
