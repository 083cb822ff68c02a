//! The only module that changes anything outside this process.
//!
//! In: an [`Order`] on one process and the image it was judged by. Out: an
//! [`Outcome`]. Nothing is signalled by number: a pidfd is taken first, then
//! start time and image are checked once more, then the signal goes through
//! the pidfd. Whatever cannot be established is a refusal.

pub mod ban;
mod signals;

use std::{io, time::Duration};

pub use self::signals::System;
use crate::{
    event::Process,
    host::{Image, LookError},
};

/// How long a process may take to go after SIGKILL: it may be deep in the
/// kernel.
const KILL_WAIT: Duration = Duration::from_secs(5);

/// A process to be ended.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Which.
    pub process: Process,
    /// The image it was judged by.
    pub image: Image,
    /// Time between SIGTERM and SIGKILL; with none SIGKILL comes at once.
    pub grace: Duration,
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A rule allows it.
    Allowed,
    /// Process 1.
    Init,
    /// A kernel thread.
    KernelThread,
    /// This daemon.
    Myself,
    /// This daemon descends from it.
    Ancestor,
    /// It is gone, or its id belongs to another by now.
    Vanished,
    /// It executes another image than the one it was judged by.
    Replaced,
    /// What it is could not be read.
    Unreadable,
    /// The kernel does not let us.
    NoPermission,
    /// No pidfd could be had.
    NoPidfd,
    /// The daemon was told to stop.
    Cancelled,
}

impl Refusal {
    /// Every reason there is.
    pub const ALL: [Self; 11] = [
        Self::Allowed,
        Self::Init,
        Self::KernelThread,
        Self::Myself,
        Self::Ancestor,
        Self::Vanished,
        Self::Replaced,
        Self::Unreadable,
        Self::NoPermission,
        Self::NoPidfd,
        Self::Cancelled,
    ];

    /// Its name in events and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Init => "init",
            Self::KernelThread => "kernel-thread",
            Self::Myself => "self",
            Self::Ancestor => "ancestor",
            Self::Vanished => "vanished",
            Self::Replaced => "replaced",
            Self::Unreadable => "unreadable",
            Self::NoPermission => "no-permission",
            Self::NoPidfd => "no-pidfd",
            Self::Cancelled => "cancelled",
        }
    }
}

impl From<LookError> for Refusal {
    fn from(error: LookError) -> Self {
        match error {
            LookError::Gone => Self::Vanished,
            LookError::Denied => Self::NoPermission,
            LookError::Other(_) => Self::Unreadable,
        }
    }
}

/// What came of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The process is gone.
    Gone,
    /// It was signalled and is still there.
    Survived,
    /// It was not signalled, or not by the second signal.
    Refused(Refusal),
}

/// The two signals there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
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

/// Who must never be signalled, whatever the verdict. `lineage` is this
/// process and all it descends from, itself first.
///
/// # Errors
/// The reason.
pub fn guard(process: Process, kernel_thread: bool, lineage: &[u32]) -> Result<(), Refusal> {
    match process.tgid {
        1 => Err(Refusal::Init),
        // The parent of all kernel threads, and every one that shows as such.
        0 | 2 => Err(Refusal::KernelThread),
        _ if kernel_thread => Err(Refusal::KernelThread),
        pid if lineage.first() == Some(&pid) => Err(Refusal::Myself),
        pid if lineage.contains(&pid) => Err(Refusal::Ancestor),
        _ => Ok(()),
    }
}

/// Ends a process and waits until it is gone. Blocks for at most the grace and
/// five seconds.
pub fn kill<S: Signals>(order: &Order, lineage: &[u32], signals: &S) -> Outcome {
    match try_kill(order, lineage, signals) {
        Ok(true) => Outcome::Gone,
        Ok(false) => Outcome::Survived,
        Err(refusal) => Outcome::Refused(refusal),
    }
}

fn try_kill<S: Signals>(order: &Order, lineage: &[u32], signals: &S) -> Result<bool, Refusal> {
    guard(order.process, false, lineage)?;
    let held = signals
        .hold(order.process.tgid)
        .map_err(|error| refusal(&error, Refusal::NoPidfd))?;
    // The pidfd means one process for good. If the one that was judged is
    // still there now, it already was when the pidfd was taken: it is that one.
    let step = |signal, time| -> Result<bool, Refusal> {
        if signals.is_cancelled() {
            return Err(Refusal::Cancelled);
        }
        let wait = |time| {
            signals
                .wait(&held, time)
                .map_err(|error| refusal(&error, Refusal::Unreadable))
        };
        match check(order, signals) {
            // It may have gone by itself or by the signal before; but only the
            // pidfd knows, as a process may lack all else and still run.
            Err(refusal) if wait(Duration::ZERO)? => {
                return if signal == Signal::Kill && !order.grace.is_zero() {
                    Ok(true)
                } else {
                    Err(refusal)
                };
            }
            checked => checked?,
        }
        signals
            .send(&held, signal)
            .map_err(|error| refusal(&error, Refusal::NoPermission))?;
        wait(time)
    };
    if !order.grace.is_zero() && step(Signal::Terminate, order.grace)? {
        return Ok(true);
    }
    step(Signal::Kill, KILL_WAIT)
}

/// Whether the process is still the one that was judged, by start and image.
fn check<S: Signals>(order: &Order, signals: &S) -> Result<(), Refusal> {
    let Identity { start_ticks, image } = signals.identify(order.process.tgid)?;
    if start_ticks != crate::host::ticks(order.process.start_ns) {
        return Err(Refusal::Vanished);
    }
    if image != order.image {
        return Err(Refusal::Replaced);
    }
    Ok(())
}

fn refusal(error: &io::Error, otherwise: Refusal) -> Refusal {
    match error.raw_os_error() {
        Some(libc::ESRCH) => Refusal::Vanished,
        Some(libc::EPERM | libc::EACCES) => Refusal::NoPermission,
        _ => otherwise,
    }
}

#[cfg(test)]
mod tests;
