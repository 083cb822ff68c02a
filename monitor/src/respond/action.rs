//! The only module that changes anything outside this process.
//!
//! In: an [`ActionRequest`] on one process and the image it was judged by. Out: an
//! [`Outcome`]. Nothing is signalled by number: a pidfd is taken first, then
//! start time and image are checked once more, then the signal goes through
//! the pidfd. A cgroup takes only numbers, so there the same is checked once
//! more afterwards, before the cgroup does anything. Whatever cannot be
//! established is a refusal.
//!
//! | part | owns |
//! |---|---|
//! | [`kill`] | signals that end |
//! | [`hold`] | throttling and freezing, and the undoing of both |
//! | [`hold_manager`] | what is held, be it for a moment: written down, watched, let go |
//! | `pace` | processes that are stopped by signals, all the time or most of it |
//! | [`scope`] | which processes an action reaches, and which forbid that |
//! | [`breaker`] | how many a minute |

pub mod ban;
pub mod breaker;
pub mod folders;
mod forks;
pub mod hold;
pub mod hold_manager;
pub mod kill;
mod pace;
mod proc_snapshot;
pub mod scope;
mod signals;
mod stop_guard;
pub mod store;
mod transient_stop;

use std::{io, time::Duration};

use self::{folders::Folders, hold_manager::HoldManager};
pub use self::{
    forks::Recorded,
    pace::Paced,
    proc_snapshot::ProcSnapshot,
    scope::{Looks, World},
    signals::System,
    stop_guard::{StopGuard, stop_briefly},
    transient_stop::TransientStop,
};
use crate::policy::refusal::Refusal;
use crate::{
    host::{Image, LookError, Member},
    policy::{
        config::Scope,
        guard::{Guard, never_act_on},
    },
};
use unjack_core::event::Process;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ActionKind {
    /// End it.
    Kill {
        /// Time between SIGTERM and SIGKILL; with none SIGKILL comes at once.
        grace: Duration,
    },
    /// Leave it this fraction of a core.
    Throttle {
        /// 0.01 and more.
        share: f64,
    },
    /// Stop it.
    Freeze,
}

/// Something to be done about a process.
#[derive(Clone, Copy, Debug)]
pub struct ActionRequest {
    /// Which.
    pub process: Process,
    /// The image it was judged by.
    pub image: Image,
    /// What.
    pub deed: ActionKind,
    /// To whom else.
    pub scope: Scope,
}

impl ActionRequest {
    /// The process, as `/proc` tells it apart.
    #[must_use]
    pub fn judged(&self) -> Member {
        self.process.into()
    }
}

/// What came of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The process is gone.
    Gone,
    /// It was signalled and is still there.
    Survived,
    /// It is throttled or frozen.
    Held,
    /// Nothing was done, or not the second signal sent.
    Refused(Refusal),
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionResult {
    /// What came of it for the process that was judged.
    pub outcome: Outcome,
    /// How many other processes it was done to.
    pub others: u32,
    /// It was not done in the scope that was asked for.
    pub fallback: Option<Fallback>,
}

/// An action in a narrower scope than was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// What was asked for.
    pub requested: Scope,
    /// Why that was refused.
    pub refused: Refusal,
    /// In which it was done.
    pub scope: Scope,
}

impl From<Outcome> for ActionResult {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            others: 0,
            fallback: None,
        }
    }
}

impl From<Refusal> for ActionResult {
    fn from(refusal: Refusal) -> Self {
        Outcome::Refused(refusal).into()
    }
}

/// The signals there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
    /// SIGSTOP.
    Stop,
    /// SIGCONT.
    Continue,
}

/// What a process is at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its start in clock ticks since boot.
    pub start_ticks: u64,
    /// Its image.
    pub image: Image,
}

/// How processes are held, looked at and signalled. Only tests have another
/// than [`System`].
pub trait Signals {
    /// A process held so that its id cannot come to mean another.
    type Held;

    /// Takes hold of whatever process has this id.
    ///
    /// # Errors
    /// There is none, or it cannot be held.
    fn hold(&self, pid: u32) -> io::Result<Self::Held>;

    /// What the process with this id is.
    ///
    /// # Errors
    /// It cannot be established.
    fn identify(&self, pid: u32) -> Result<Identity, LookError>;

    /// When the process with this id was started, in clock ticks since boot: also
    /// of one whose image cannot be looked at.
    ///
    /// # Errors
    /// It cannot be established.
    fn start_ticks(&self, pid: u32) -> Result<u64, LookError> {
        self.identify(pid).map(|now| now.start_ticks)
    }

    /// Whether the process with this id is stopped by a signal.
    fn is_stopped(&self, pid: u32) -> bool;

    /// Whether the process with this id was sent SIGKILL and has not ended, as in a
    /// frozen cgroup of version 1.
    fn is_killed(&self, pid: u32) -> bool;

    /// From now on these processes, and no others, are kept stopped, or stopped and
    /// continued in turn. Returns how often each was continued by another process
    /// since the last call.
    fn pace(&self, processes: &[Paced]) -> Vec<(Member, u32)>;

    /// Whether the order was called off.
    fn is_cancelled(&self) -> bool;

    /// Sends a signal.
    ///
    /// # Errors
    /// The kernel's.
    fn send(&self, held: &Self::Held, signal: Signal) -> io::Result<()>;

    /// Waits until it is gone, or the time is up; whether it is gone.
    ///
    /// # Errors
    /// It cannot be waited for.
    fn wait(&self, held: &Self::Held, time: Duration) -> io::Result<bool>;
}

/// Carries an order out: if its scope is refused, in a narrower one. Blocks for at most
/// the grace and some seconds in each scope.
pub fn carry_out<H>(
    order: &ActionRequest,
    guard: &Guard,
    host: &H,
    hold_manager: &HoldManager,
) -> ActionResult
where
    H: Signals + Looks + Folders,
{
    if let Err(refusal) = never_act_on(order.process.tgid, false, &guard.lineage) {
        return refusal.into();
    }
    let world = World { host, guard };
    let (mut scope, mut first) = (order.scope, None);
    loop {
        let order = ActionRequest { scope, ..*order };
        let refusal = match carry_out_in_scope(&order, &world, hold_manager) {
            Ok(done) => return fell_back(done, order.scope, first),
            Err(refusal) => refusal,
        };
        let first = first.get_or_insert((order.scope, refusal));
        match scope::narrower(scope, refusal) {
            Some(narrower) => scope = narrower,
            // For the same reason in every scope: that has nothing to do with scopes.
            None if first.1 == refusal => return refusal.into(),
            None => return fell_back(refusal.into(), scope, Some(*first)),
        }
    }
}

/// A result in `scope`, after `first` was refused.
fn fell_back(done: ActionResult, scope: Scope, first: Option<(Scope, Refusal)>) -> ActionResult {
    let fallback = first.map(|(requested, refused)| Fallback {
        requested,
        refused,
        scope,
    });
    ActionResult { fallback, ..done }
}

fn carry_out_in_scope<H>(
    order: &ActionRequest,
    world: &World<'_, H>,
    hold_manager: &HoldManager,
) -> Result<ActionResult, Refusal>
where
    H: Signals + Looks + Folders,
{
    match (order.deed, order.scope) {
        (ActionKind::Kill { grace }, Scope::Process) => {
            match kill::one(order, grace, &world.guard.lineage, world.host) {
                Outcome::Refused(refusal) => Err(refusal),
                outcome => Ok(outcome.into()),
            }
        }
        (ActionKind::Kill { grace }, Scope::Tree) => kill::tree(order, grace, world),
        (ActionKind::Kill { grace }, Scope::Cgroup) => {
            kill::cgroup(order, grace, world, hold_manager)
        }
        (ActionKind::Throttle { .. } | ActionKind::Freeze, _) => {
            let others = hold_manager.hold(order, world)?;
            Ok(ActionResult {
                others,
                ..Outcome::Held.into()
            })
        }
    }
}

/// Whether a process is still the one that was judged, by start and image.
fn check<S: Signals>(member: Member, image: Image, signals: &S) -> Result<(), Refusal> {
    let now = signals.identify(member.pid)?;
    if now.start_ticks != member.start_time {
        return Err(Refusal::Vanished);
    }
    if now.image != image {
        return Err(Refusal::Replaced);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
