//! The processes to be judged: workloads and whatever else a suite runs.
//!
//! Every one is the leader of its own process group and dies with its handle,
//! so that a failed test leaves nothing burning.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::host;
use crate::output::Output;

/// How long a miner may prepare; `RandomX` fills its cache, or its dataset.
const FIRST_HASH: Duration = Duration::from_mins(3);

/// A running program and its descendants, killed when dropped.
pub struct Workload {
    child: Child,
    /// What it prints.
    pub stdout: Output,
}

impl Workload {
    /// Starts any program. Its stderr is the test's.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let stdout = Output::collect(child.stdout.take().expect("is piped"));
        Self { child, stdout }
    }

    /// Starts the workload program with these arguments.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn start<S: AsRef<OsStr>>(args: &[S]) -> Self {
        Self::spawn(Command::new(host::workload()).args(args))
    }

    /// Copies the workload program to `path` and starts the copy.
    ///
    /// # Panics
    ///
    /// When it cannot be copied or started.
    #[must_use]
    pub fn start_as<S: AsRef<OsStr>>(path: &Path, args: &[S]) -> Self {
        fs::copy(host::workload(), path).unwrap_or_else(|error| {
            panic!("cannot copy the workload to {}: {error}", path.display())
        });
        Self::spawn(Command::new(path).args(args))
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the first hash (or, of a burner, the first round): when it
    /// was told.
    ///
    /// # Panics
    ///
    /// When there is none within three minutes.
    #[must_use]
    pub fn first_hash(&self) -> Instant {
        self.stdout
            .wait(FIRST_HASH, |line| {
                line.json
                    .as_ref()
                    .is_some_and(|json| json["event"] == "first-hash" || json["event"] == "started")
            })
            .unwrap_or_else(|| {
                panic!(
                    "process {} worked nothing within {FIRST_HASH:?}",
                    self.pid()
                )
            })
            .at
    }

    /// How it ended, if it did.
    ///
    /// # Panics
    ///
    /// When the kernel does not tell.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the child is ours")
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    ///
    /// When it has not by the deadline.
    pub fn wait_end(&mut self, what: &str, deadline: Instant) -> ExitStatus {
        let limit = deadline.saturating_duration_since(Instant::now());
        host::eventually(what, limit, || {
            self.ended().ok_or_else(|| {
                let (pid, cpu) = (self.pid(), host::schedstat_seconds(self.pid()));
                format!("process {pid} lives and has used {cpu:?} s of CPU")
            })
        })
    }

    /// Waits until a signal has ended it.
    ///
    /// # Panics
    ///
    /// When it lives at the deadline, or ended by itself.
    pub fn wait_killed(&mut self, what: &str, deadline: Instant) {
        let status = self.wait_end(what, deadline);
        assert!(
            status.signal().is_some(),
            "{what}: ended by itself: {status}"
        );
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        // The group outlives its leader while any descendant does.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}
