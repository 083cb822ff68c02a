//! The process that hashes: this program's own image, copied to memory.
//!
//! The child executes a copy that lies nowhere, as some miners do. A copy is an
//! image of its own: a ban of it by an unjack that runs here is a ban of nothing
//! else.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::process::{CommandExt as _, ExitStatusExt as _},
    },
    process::{self, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{MemfdFlags, memfd_create},
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::pool::Pool;
use crate::host::{Image, LookError, ProcHandle, clock::monotonic_ns, connections::Connections};
use unjack_core::text::Quoted;

/// What the copy and the process are called: for who looks at `ps`.
const NAME: &str = "unjack-selftest";
/// How long it may take to go when it is let go of. A freezer of version 1 holds
/// even who got SIGKILL.
const LEAVE: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

/// The child could not be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    /// Its image could not be copied.
    #[error("its own program cannot be copied to memory: {0}")]
    Copy(io::Error),
    /// There is no pool to mine at.
    #[error("no connection can be made on the loopback interface: {0}")]
    Pool(io::Error),
    /// The copy could not be executed.
    #[error("a program in memory cannot be executed: {0}")]
    Execute(io::Error),
    /// It cannot be looked at.
    #[error("it cannot be looked at: {0}")]
    Look(#[from] LookError),
}

impl StartError {
    /// What to do about it.
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Copy(_) | Self::Execute(_) => {
                "see whether `sysctl vm.memfd_noexec` is 2, or a security module forbids it"
            }
            Self::Pool(_) => {
                "see whether the interface `lo` is up (`ip link set lo up`), and whether a \
                 firewall closes 127.0.0.1 to programs of this host"
            }
            Self::Look(_) => "run as root",
        }
    }
}

/// How the child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By itself.
    Exit(Option<i32>),
    /// By a signal.
    Signal(i32),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(Some(code)) => write!(f, "ended by itself with exit code {code}"),
            Self::Exit(None) => f.write_str("ended by itself"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
        }
    }
}

/// The child. It is ended when dropped, and by the kernel if this process goes.
pub(super) struct Child {
    running: Running,
    /// What it mines at, as long as it runs.
    pool: Pool,
    start: ChildStdin,
    first: ChildStdout,
    image: Image,
    /// Its cgroups when it was started.
    cgroups: Vec<String>,
}

impl Child {
    /// Starts it; it waits for [`begin`](Self::begin).
    pub(super) fn start() -> Result<Self, StartError> {
        let copy = copy().map_err(StartError::Copy)?;
        let pool = Pool::start().map_err(StartError::Pool)?;
        let mut running = Running::of(
            Command::new(format!("/proc/self/fd/{}", copy.as_raw_fd()))
                .arg0(NAME)
                .args(["selftest", "hash"])
                .env_clear()
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .map_err(StartError::Execute)?,
        );
        let pipes = (running.child.stdin.take()).zip(running.child.stdout.take());
        let (start, first) =
            pipes.ok_or_else(|| StartError::Execute(io::ErrorKind::Other.into()))?;
        let seen = ProcHandle::open_pid(running.child.id())?;
        Ok(Self {
            image: seen.image()?,
            cgroups: seen.cgroups()?.kept,
            running,
            pool,
            start,
            first,
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.running.child.id()
    }

    /// The port of 127.0.0.1 that it mines at.
    pub(super) fn port(&self) -> u16 {
        self.pool.port()
    }

    /// What it executes.
    pub(super) fn image(&self) -> Image {
        self.image
    }

    /// Has it get work and hash. It may be gone by now.
    pub(super) fn begin(&mut self) {
        // A failed write means that it is gone, which the next check finds.
        let _gone = self.start.write_all(&self.pool.port().to_ne_bytes());
    }

    /// When its first hash was done, nanoseconds of `CLOCK_MONOTONIC`; `None` if
    /// it has not been yet.
    pub(super) fn first_hash_ns(&mut self) -> Option<u64> {
        let mut ready = [PollFd::new(&self.first, PollFlags::IN)];
        if poll(&mut ready, Some(&Timespec::default())) != Ok(1) {
            return None;
        }
        let mut bytes = [0; 8];
        self.first.read_exact(&mut bytes).ok()?;
        Some(u64::from_ne_bytes(bytes))
    }

    /// Its own clock, `CLOCK_PROCESS_CPUTIME_ID`, as it would read it: nanoseconds.
    pub(super) fn clock_ns(&self) -> Option<u64> {
        let pid = libc::pid_t::try_from(self.pid()).ok()?;
        let mut clock = 0;
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: both calls write to the variable they are handed, which lives on.
        let read = unsafe {
            libc::clock_getcpuclockid(pid, &raw mut clock) == 0
                && libc::clock_gettime(clock, &raw mut time) == 0
        };
        let (seconds, nanoseconds) = (time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?);
        let time = Duration::new(seconds, nanoseconds);
        read.then(|| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<End> {
        let status = self.running.child.try_wait().ok()??;
        Some(match status.signal() {
            Some(signal) => End::Signal(signal),
            None => End::Exit(status.code()),
        })
    }

    /// Ends it if it is there still. Whether it is gone.
    pub(super) fn leave(mut self) -> bool {
        self.running.end()
    }

    /// Its connections now, if they could be looked at.
    pub(super) fn connections(&self) -> Option<Connections> {
        ProcHandle::open_pid(self.pid()).ok()?.connections().ok()
    }

    /// Why it may not get any CPU time, if another process stopped or moved it.
    pub(super) fn hindered(&self) -> Option<String> {
        let seen = ProcHandle::open_pid(self.pid()).ok()?;
        if seen.is_stopped() {
            return Some("it was stopped by a signal".to_owned());
        }
        let now = seen.cgroups().ok()?.kept;
        let moved = now.iter().find(|line| !self.cgroups.contains(line))?;
        Some(format!("it was moved to the cgroup {}", Quoted(moved)))
    }
}

/// A process that is ended and waited for when dropped, but not for ever.
struct Running {
    child: process::Child,
    /// Whether it was waited for in vain.
    stays: bool,
}

impl Running {
    fn of(child: process::Child) -> Self {
        Self {
            child,
            stays: false,
        }
    }

    fn is_gone(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Kills it and waits for its end, for [`LEAVE`] at the most. Whether it is
    /// gone.
    fn end(&mut self) -> bool {
        // A process that is gone was waited for, and its id may be another's.
        if self.is_gone() {
            return true;
        }
        if self.stays {
            return false;
        }
        // Fails only if it was waited for already.
        let _ended = self.child.kill();
        if let Ok(held) = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty()) {
            let mut ready = [PollFd::new(&held, PollFlags::IN)];
            // What came of it is asked next.
            let _waited = rustix::io::retry_on_intr(|| poll(&mut ready, Some(&LEAVE)));
        }
        self.stays = !self.is_gone();
        !self.stays
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A process that stays, with SIGKILL pending, was already reported where
        // possible.
        let _gone = self.end();
    }
}

/// A file in memory with this program, and a tail that makes it one of a kind:
/// what comes after its sections is nothing to the kernel.
fn copy() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC;
    let copy = match memfd_create(NAME, flags | MemfdFlags::EXEC) {
        // Before Linux 6.3 all of them were executable, and the flag is not known.
        Err(rustix::io::Errno::INVAL) => memfd_create(NAME, flags),
        created => created,
    }?;
    let mut file = File::from(copy);
    io::copy(&mut File::open("/proc/self/exe")?, &mut file)?;
    write!(file, "{NAME} {} {}", process::id(), monotonic_ns())?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeping() -> Running {
        Running::of(Command::new("sleep").arg("60").spawn().unwrap())
    }

    #[test]
    fn who_runs_is_ended_and_waited_for() {
        let mut running = sleeping();
        assert!(!running.is_gone());
        assert!(running.end());
        assert_eq!(
            running.child.try_wait().unwrap().unwrap().signal(),
            Some(libc::SIGKILL)
        );
        // Once more is no harm.
        assert!(running.end());
    }

    #[test]
    fn who_stays_is_waited_for_once() {
        let mut running = sleeping();
        running.stays = true;
        assert!(!running.end());
        assert!(!running.is_gone());
        running.stays = false;
    }
}
