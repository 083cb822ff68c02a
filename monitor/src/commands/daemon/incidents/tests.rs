use std::{cell::RefCell, io, time::Duration};

use super::*;
use crate::{
    detect::report::VerdictEvent,
    host::{LookError, Member, container::Home},
    policy::{
        config::{Action, EvidenceLimits, Scope},
        refusal::Refusal,
    },
    respond::action::{Identity, Outcome, Paced, Signal, kill, store::Store},
    telemetry::metrics::Metrics,
};
use unjack_core::profile::Summary;

const IMAGE: Image = Image {
    device: 1,
    inode: 2,
};
/// No process has such an id, so there is nothing to be read of it.
const PROCESS: Process = Process {
    tgid: u32::MAX - 1,
    start_ns: 0,
};

/// A process that ends by SIGKILL only, and executes another image after so
/// many looks.
struct Fake {
    sent: RefCell<Vec<Signal>>,
    looks: RefCell<usize>,
    replaced_after: usize,
}

impl Signals for Fake {
    type Held = ();

    fn hold(&self, _: u32) -> io::Result<()> {
        Ok(())
    }

    fn identify(&self, _: u32) -> Result<Identity, LookError> {
        *self.looks.borrow_mut() += 1;
        let inode = if *self.looks.borrow() > self.replaced_after {
            IMAGE.inode + 1
        } else {
            IMAGE.inode
        };
        Ok(Identity {
            start_ticks: 0,
            image: Image { inode, ..IMAGE },
        })
    }

    fn is_stopped(&self, _: u32) -> bool {
        false
    }

    fn is_killed(&self, _: u32) -> bool {
        false
    }

    fn pace(&self, _: &[Paced]) -> Vec<(Member, u32)> {
        Vec::new()
    }

    fn is_cancelled(&self) -> bool {
        false
    }

    fn send(&self, (): &(), signal: Signal) -> io::Result<()> {
        self.sent.borrow_mut().push(signal);
        Ok(())
    }

    fn wait(&self, (): &(), _: Duration) -> io::Result<bool> {
        Ok(self.sent.borrow().contains(&Signal::Kill))
    }
}

fn incident() -> Incident {
    Incident {
        verdict: VerdictEvent {
            pid: PROCESS.tgid,
            thread: None,
            start_time: 0,
            exe: None,
            comm: String::new(),
            home: Home::default(),
            verdict: "miner",
            unexplained: false,
            family: "randomx",
            score: 1.0,
            cpu_percent: 100.0,
            burn_seconds: 5.0,
            evidence: Vec::new(),
            code: Vec::new(),
        },
        action: Action::Kill,
        delay_seconds: 5.0,
        summary: Summary::default(),
        code: Vec::new(),
    }
}

/// Ends a process with evidence; what came of it and what was sent.
#[track_caller]
fn check(grace: u64, replaced_after: usize, outcome: Outcome, sent: &[Signal]) {
    let grace = Duration::from_secs(grace);
    check_deed(
        ActionKind::Kill { grace },
        replaced_after,
        outcome,
        sent,
        |order, fake| kill::one(order, grace, &[1], fake),
    );
}

/// Has an order carried out with evidence.
#[track_caller]
fn check_deed(
    deed: ActionKind,
    replaced_after: usize,
    outcome: Outcome,
    sent: &[Signal],
    act: impl FnOnce(&ActionRequest, &Fake) -> Outcome,
) {
    let home = tempfile::tempdir().unwrap();
    let metrics = Metrics::new("1.2.3").unwrap().response;
    let limits = EvidenceLimits {
        size: 16 << 20,
        count: 1,
    };
    let directory = home.path().join("kept");
    let (writer, _told) = EvidenceWriter::open(&directory, limits, metrics.clone()).unwrap();
    let wanted = Wanted {
        writer: writer.clone(),
        incident: incident(),
        metrics,
    };
    let store =
        action::hold_manager::HoldManager::new(Store::new(home.path().join("state")), false);
    let fake = Fake {
        sent: RefCell::default(),
        looks: RefCell::default(),
        replaced_after,
    };
    let order = ActionRequest {
        process: PROCESS,
        image: IMAGE,
        deed,
        scope: Scope::Process,
    };
    let done = wanted.before(&order, &[1], &fake, &store, || act(&order, &fake).into());
    assert_eq!(done.outcome, outcome);
    assert_eq!(*fake.sent.borrow(), sent);
    writer.finish();
}

use Signal::{Continue, Kill, Stop, Terminate};

#[test]
fn one_that_is_killed_at_once_does_not_run_again() {
    check(0, usize::MAX, Outcome::Gone, &[Stop, Kill, Continue]);
}

#[test]
fn one_that_gets_grace_goes_on_before_it_is_asked() {
    let sent = [Stop, Continue, Terminate, Kill];
    check(1, usize::MAX, Outcome::Gone, &sent);
}

#[test]
fn one_that_was_replaced_while_it_stood_goes_on() {
    let refused = Outcome::Refused(Refusal::Replaced);
    check(0, 1, refused, &[Stop, Continue]);
    check(1, 1, refused, &[Stop, Continue]);
}

#[test]
fn one_that_must_not_be_touched_is_not_stopped() {
    check(0, 0, Outcome::Refused(Refusal::Replaced), &[]);
}

#[test]
fn one_that_is_frozen_by_a_signal_stays_stopped() {
    let act = |_: &ActionRequest, fake: &Fake| {
        fake.send(&(), Stop).unwrap();
        Outcome::Held
    };
    let sent = [Stop, Continue, Stop];
    check_deed(ActionKind::Freeze, usize::MAX, Outcome::Held, &sent, act);
}
