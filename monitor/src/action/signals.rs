//! Pidfds and `/proc`: the real [`Signals`].

use std::{
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal as UnixSignal, pidfd_open, pidfd_send_signal},
};

use super::{Identity, Signal, Signals};
use crate::host::{LookError, Seen};

/// The host's own processes.
#[derive(Clone, Copy, Debug)]
pub struct System;

impl Signals for System {
    type Held = OwnedFd;

    fn hold(&self, pid: u32) -> io::Result<OwnedFd> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or(io::Error::from_raw_os_error(libc::ESRCH))?;
        Ok(pidfd_open(pid, PidfdFlags::empty())?)
    }

    fn identify(&self, pid: u32) -> Result<Identity, LookError> {
        let seen = Seen::open_pid(pid)?;
        Ok(Identity {
            start_ticks: seen.start_ticks()?,
            image: seen.image()?,
        })
    }

    fn send(&self, held: &OwnedFd, signal: Signal) -> io::Result<()> {
        let signal = match signal {
            Signal::Terminate => UnixSignal::TERM,
            Signal::Kill => UnixSignal::KILL,
        };
        Ok(pidfd_send_signal(held, signal)?)
    }

    fn wait(&self, held: &OwnedFd, time: Duration) -> io::Result<bool> {
        let deadline = Instant::now() + time;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            // A pidfd becomes readable when its process has exited.
            match poll(&mut [PollFd::new(held, PollFlags::IN)], Some(&left)) {
                Ok(ready) => return Ok(ready > 0),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}
