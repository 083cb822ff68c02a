//! One process and its signals; then a host of several, with its cgroups.

mod kernel;
mod stop;
mod world;

use std::{cell::RefCell, collections::VecDeque};

use super::*;
use crate::policy::guard::never_act_on;

const IMAGE: Image = Image {
    device: 1,
    inode: 2,
};
const OTHER: Image = Image {
    device: 1,
    inode: 3,
};
const PID: u32 = 4242;
const START_NS: u64 = 50_000_000_000;
const LINEAGE: [u32; 3] = [900, 800, 1];

/// A process table of one: what it is at each look, and how many signals it
/// takes to end it.
struct Fake {
    looks: RefCell<VecDeque<Result<Identity, LookError>>>,
    signals_to_die: usize,
    sent: RefCell<Vec<Signal>>,
    hold_error: Option<i32>,
    /// Signals after which the order is called off.
    cancelled_after: usize,
    /// The signal that the kernel does not send, and why.
    unsent: Option<(Signal, i32)>,
    gone: bool,
    stopped: bool,
}

impl Fake {
    fn new(signals_to_die: usize) -> Self {
        Self {
            looks: RefCell::default(),
            signals_to_die,
            sent: RefCell::default(),
            hold_error: None,
            cancelled_after: usize::MAX,
            unsent: None,
            gone: false,
            stopped: false,
        }
    }

    fn then(self, look: Result<Identity, LookError>) -> Self {
        self.looks.borrow_mut().push_back(look);
        self
    }
}

fn is(image: Image) -> Identity {
    Identity {
        start_ticks: crate::host::ticks(START_NS),
        image,
    }
}

impl Signals for Fake {
    type Held = ();

    fn hold(&self, _: u32) -> io::Result<()> {
        self.hold_error
            .map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno)))
    }

    fn identify(&self, _: u32) -> Result<Identity, LookError> {
        self.looks
            .borrow_mut()
            .pop_front()
            .unwrap_or_else(|| Ok(is(IMAGE)))
    }

    fn is_stopped(&self, _: u32) -> bool {
        self.stopped
    }

    fn is_killed(&self, _: u32) -> bool {
        false
    }

    fn pace(&self, _: &[Paced]) -> Vec<(Member, u32)> {
        Vec::new()
    }

    fn is_cancelled(&self) -> bool {
        self.sent.borrow().len() >= self.cancelled_after
    }

    fn send(&self, (): &(), signal: Signal) -> io::Result<()> {
        if let Some((unsent, errno)) = self.unsent
            && unsent == signal
        {
            return Err(io::Error::from_raw_os_error(errno));
        }
        self.sent.borrow_mut().push(signal);
        Ok(())
    }

    fn wait(&self, (): &(), _: Duration) -> io::Result<bool> {
        Ok(self.gone || self.sent.borrow().len() >= self.signals_to_die)
    }
}

fn order(pid: u32, grace: u64) -> ActionRequest {
    let process = Process {
        tgid: pid,
        start_ns: START_NS,
    };
    ActionRequest {
        process,
        image: IMAGE,
        deed: ActionKind::Kill {
            grace: Duration::from_secs(grace),
        },
        scope: Scope::Process,
    }
}

fn kill<S: Signals>(order: &ActionRequest, signals: &S) -> Outcome {
    let ActionKind::Kill { grace } = order.deed else {
        panic!("no kill: {order:?}")
    };
    kill::one(order, grace, &LINEAGE, signals)
}

#[track_caller]
fn check(fake: &Fake, order: &ActionRequest, outcome: Outcome, sent: &[Signal]) {
    assert_eq!(kill(order, fake), outcome);
    assert_eq!(*fake.sent.borrow(), sent);
}

use Signal::{Kill, Terminate};

#[test]
fn one_that_heeds_term_is_spared_the_kill() {
    check(&Fake::new(1), &order(PID, 2), Outcome::Gone, &[Terminate]);
}

#[test]
fn one_that_does_not_is_killed() {
    check(
        &Fake::new(2),
        &order(PID, 2),
        Outcome::Gone,
        &[Terminate, Kill],
    );
}

#[test]
fn without_grace_it_is_killed_at_once() {
    check(&Fake::new(1), &order(PID, 0), Outcome::Gone, &[Kill]);
}

#[test]
fn one_that_survives_is_reported_so() {
    check(
        &Fake::new(9),
        &order(PID, 2),
        Outcome::Survived,
        &[Terminate, Kill],
    );
}

#[test]
fn another_start_time_is_another_process() {
    let reused = Ok(Identity {
        start_ticks: 1,
        image: IMAGE,
    });
    check(
        &Fake::new(1).then(reused),
        &order(PID, 2),
        Outcome::Refused(Refusal::Vanished),
        &[],
    );
}

#[test]
fn another_image_is_another_program() {
    check(
        &Fake::new(1).then(Ok(is(OTHER))),
        &order(PID, 2),
        Outcome::Refused(Refusal::Replaced),
        &[],
    );
}

#[test]
fn one_that_executes_another_image_under_term_is_not_killed() {
    let fake = Fake::new(9).then(Ok(is(IMAGE))).then(Ok(is(OTHER)));
    check(
        &fake,
        &order(PID, 2),
        Outcome::Refused(Refusal::Replaced),
        &[Terminate],
    );
}

#[test]
fn one_that_cannot_be_seen_after_term_but_runs_is_not_taken_for_gone() {
    let fake = Fake::new(9).then(Ok(is(IMAGE))).then(Err(LookError::Gone));
    let outcome = Outcome::Refused(Refusal::Vanished);
    check(&fake, &order(PID, 2), outcome, &[Terminate]);
}

#[test]
fn one_that_was_gone_before_the_first_signal_is_not_ours() {
    let fake = Fake {
        gone: true,
        ..Fake::new(9).then(Err(LookError::Gone))
    };
    check(
        &fake,
        &order(PID, 2),
        Outcome::Refused(Refusal::Vanished),
        &[],
    );
}

#[test]
fn an_order_called_off_sends_nothing_more() {
    let fake = Fake {
        cancelled_after: 1,
        ..Fake::new(9)
    };
    let outcome = Outcome::Refused(Refusal::Cancelled);
    check(&fake, &order(PID, 2), outcome, &[Terminate]);
}

#[test]
fn what_cannot_be_identified_is_left_alone() {
    let denied = Fake::new(1).then(Err(LookError::Denied));
    check(
        &denied,
        &order(PID, 2),
        Outcome::Refused(Refusal::NoPermission),
        &[],
    );
    let odd = Fake::new(1).then(Err(LookError::Other(String::new())));
    check(
        &odd,
        &order(PID, 2),
        Outcome::Refused(Refusal::Unreadable),
        &[],
    );
    let gone = Fake::new(1).then(Err(LookError::Gone));
    check(
        &gone,
        &order(PID, 0),
        Outcome::Refused(Refusal::Vanished),
        &[],
    );
}

#[test]
fn what_cannot_be_held_is_left_alone() {
    for (errno, refusal) in [
        (libc::ESRCH, Refusal::Vanished),
        (libc::EPERM, Refusal::NoPermission),
        (libc::EMFILE, Refusal::NoPidfd),
    ] {
        let fake = Fake {
            hold_error: Some(errno),
            ..Fake::new(1)
        };
        check(&fake, &order(PID, 2), Outcome::Refused(refusal), &[]);
    }
}

#[test]
fn init_kernel_threads_self_and_ancestors_are_sacred() {
    for (pid, refusal) in [
        (1, Refusal::Init),
        (2, Refusal::KernelThread),
        (0, Refusal::KernelThread),
        (900, Refusal::Myself),
        (800, Refusal::Ancestor),
    ] {
        check(
            &Fake::new(1),
            &order(pid, 2),
            Outcome::Refused(refusal),
            &[],
        );
    }
    assert_eq!(never_act_on(PID, false, &LINEAGE), Ok(()));
}

#[test]
fn a_real_child_is_ended_and_a_real_stranger_is_not() {
    let system = System::new(std::sync::Arc::default());
    let mut child = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    let seen = crate::host::ProcHandle::open_pid(child.id()).unwrap();
    let ticks = seen.start_ticks().unwrap();
    let start_ns = ticks * (1_000_000_000 / rustix::param::clock_ticks_per_second());
    let pid = child.id();
    let order = |start_ns, image| ActionRequest {
        process: Process {
            tgid: pid,
            start_ns,
        },
        image,
        deed: ActionKind::Kill {
            grace: Duration::ZERO,
        },
        scope: Scope::Process,
    };
    let image = seen.image().unwrap();
    let stranger = order(start_ns + 1_000_000_000, image);
    assert_eq!(
        kill(&stranger, &system),
        Outcome::Refused(Refusal::Vanished)
    );
    let replaced = order(start_ns, OTHER);
    assert_eq!(
        kill(&replaced, &system),
        Outcome::Refused(Refusal::Replaced)
    );
    assert_eq!(child.try_wait().unwrap(), None, "it was signalled");
    assert_eq!(kill(&order(start_ns, image), &system), Outcome::Gone);
    child.wait().unwrap();
}
