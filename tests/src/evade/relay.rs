//! A program that is replaced before it is noticed: each of its processes lives
//! for a moment, and the next one goes on.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, pidfd_open};

use crate::Workload;

/// One process of the relay.
pub struct Runner {
    workload: Workload,
    end: Instant,
}

/// How a runner ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The process that it was.
    pub pid: u32,
    /// The signal by which someone else ended it, before its time was over.
    pub killed: Option<i32>,
}

impl Runner {
    /// Gives a process that was just started this long to live.
    #[must_use]
    pub fn new(workload: Workload, life: Duration) -> Self {
        let end = Instant::now() + life;
        Self { workload, end }
    }

    /// Waits until the process has ended or its time is over, and ends it
    /// then.
    ///
    /// # Panics
    ///
    /// When the kernel does not tell, or the process ended by itself.
    #[must_use]
    pub fn run(mut self) -> Run {
        let pid = self.workload.pid();
        // Ours until it is waited for, so the number is still its own.
        let number = i32::try_from(pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        let process = pidfd_open(number.expect("a pid"), PidfdFlags::empty())
            .expect("the child is not reaped yet");
        let left = self.end.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).expect("a short time");
        let mut ended = [PollFd::new(&process, PollFlags::IN)];
        let ready = poll(&mut ended, Some(&left)).expect("a descriptor of a process");
        let killed = (ready > 0).then(|| {
            let status = self.workload.ended().expect("the kernel said so");
            status
                .signal()
                .unwrap_or_else(|| panic!("process {pid} ended by itself: {status}"))
        });
        Run { pid, killed }
    }
}
