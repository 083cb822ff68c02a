//! Pidfds and `/proc`: the real [`Signals`].

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal as UnixSignal, pidfd_open, pidfd_send_signal},
};

use super::{
    Identity, Signal, Signals,
    pace::{self, Paced},
};
use crate::{
    host::{LookError, Member, ProcHandle},
    policy::{
        ancestry::Record,
        refusal::{self, Refusal},
    },
};

/// Time between two looks at whether the order was called off.
const PATIENCE: Duration = Duration::from_millis(200);

/// The host's own processes, until the order is called off.
#[derive(Clone)]
pub struct System {
    cancelled: Arc<AtomicBool>,
    /// Who forked whom.
    pub(super) record: Option<Arc<dyn Record>>,
}

impl System {
    /// Signals until `cancelled` is set.
    #[must_use]
    pub fn new(cancelled: Arc<AtomicBool>) -> Self {
        Self {
            cancelled,
            record: None,
        }
    }

    /// The same, which knows who forked whom.
    #[must_use]
    pub fn with_forks(self, record: Arc<dyn Record>) -> Self {
        Self {
            record: Some(record),
            ..self
        }
    }
}

impl Signals for System {
    type Held = OwnedFd;

    fn hold(&self, pid: u32) -> io::Result<OwnedFd> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or(io::Error::from_raw_os_error(libc::ESRCH))?;
        Ok(pidfd_open(pid, PidfdFlags::empty())?)
    }

    fn identify(&self, pid: u32) -> Result<Identity, LookError> {
        let seen = ProcHandle::open_pid(pid)?;
        Ok(Identity {
            start_ticks: seen.start_ticks()?,
            image: seen.image()?,
        })
    }

    fn start_ticks(&self, pid: u32) -> Result<u64, LookError> {
        ProcHandle::open_pid(pid)?.start_ticks()
    }

    fn is_stopped(&self, pid: u32) -> bool {
        ProcHandle::open_pid(pid).is_ok_and(|seen| seen.is_stopped())
    }

    fn is_killed(&self, pid: u32) -> bool {
        ProcHandle::open_pid(pid).is_ok_and(|seen| seen.is_killed())
    }

    fn pace(&self, processes: &[Paced]) -> Vec<(Member, u32)> {
        pace::pace(processes, &Self::new(Arc::default()))
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn send(&self, held: &OwnedFd, signal: Signal) -> io::Result<()> {
        let signal = match signal {
            Signal::Terminate => UnixSignal::TERM,
            Signal::Kill => UnixSignal::KILL,
            Signal::Stop => UnixSignal::STOP,
            Signal::Continue => UnixSignal::CONT,
        };
        Ok(pidfd_send_signal(held, signal)?)
    }

    fn wait(&self, held: &OwnedFd, time: Duration) -> io::Result<bool> {
        let deadline = Instant::now() + time;
        loop {
            let left = deadline
                .saturating_duration_since(Instant::now())
                .min(PATIENCE);
            let timeout = Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            // A pidfd becomes readable when the last thread has exited.
            match poll(&mut [PollFd::new(held, PollFlags::IN)], Some(&timeout)) {
                Ok(0) if Instant::now() < deadline && !self.is_cancelled() => {}
                Ok(ready) => return Ok(ready > 0),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

pub(super) fn hold<S: Signals>(pid: u32, signals: &S) -> Result<S::Held, Refusal> {
    signals
        .hold(pid)
        .map_err(|error| match error.raw_os_error() {
            // A thread of another process has the id by now: pidfd_open(2).
            Some(libc::EINVAL | libc::ENOENT) => Refusal::Vanished,
            _ => refusal::of(&error, Refusal::NoPidfd),
        })
}

pub(super) fn send<S: Signals>(held: &S::Held, signal: Signal, signals: &S) -> Result<(), Refusal> {
    signals
        .send(held, signal)
        .map_err(|error| refusal::of(&error, Refusal::NoPermission))
}

pub(super) fn wait<S: Signals>(
    held: &S::Held,
    time: Duration,
    signals: &S,
) -> Result<bool, Refusal> {
    signals
        .wait(held, time)
        .map_err(|error| refusal::of(&error, Refusal::Unreadable))
}
