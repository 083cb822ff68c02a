//! The processes to be judged: workloads and whatever else a suite runs.
//!
//! Every one is the leader of its own process group and dies with its handle,
//! so that a failed test leaves nothing burning.

use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::host;
use crate::output::Output;
use crate::pool::{self, Pool};

/// How long a miner may prepare; `RandomX` fills its cache, or its dataset.
const FIRST_HASH: Duration = Duration::from_mins(3);

/// What a workload mines at, in its environment.
pub const POOL: &str = "POOL";

/// The suites' pool has work oftener than others, so that they take less time; how long a
/// verdict takes with a pool like others measures `cargo xtask bench -- latency`.
const JOB_EVERY: Duration = Duration::from_secs(3);

/// A running program and its descendants, killed when dropped.
pub struct Workload {
    child: Child,
    /// What it prints.
    pub stdout: Output,
}

/// Where the workloads of this process mine: behind TLS, as most miners do today.
///
/// # Panics
///
/// When the pool cannot be started.
pub fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| {
        let options = pool::Options {
            job_every: JOB_EVERY,
            ..pool::Options::default()
        };
        Pool::start(options).expect("a pool on loopback")
    })
}

/// How long honest work must live beside a daemon that kills: 60 s, or what
/// `UNJACK_TEST_BENIGN_SECONDS` says.
///
/// # Panics
///
/// When that is no number.
#[must_use]
pub fn benign_time() -> Duration {
    let seconds = std::env::var("UNJACK_TEST_BENIGN_SECONDS").map_or(60, |text| {
        text.parse()
            .expect("UNJACK_TEST_BENIGN_SECONDS is a number of seconds")
    });
    Duration::from_secs(seconds)
}

impl Workload {
    /// Starts any program. Its stderr is the test's. `POOL` in its environment is a
    /// [`pool()`] of this process, unless the command says something of it; what mines
    /// with a general-purpose hash would not be a miner without.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn spawn(command: &mut Command) -> Self {
        if !command.get_envs().any(|(name, _)| name == POOL) {
            command.env(POOL, pool().tls_url());
        }
        Self::spawn_as_is(command)
    }

    /// Starts any program that is to hash for itself, with no pool to bring it to.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn spawn_without_pool(command: &mut Command) -> Self {
        Self::spawn_as_is(command.env_remove(POOL))
    }

    fn spawn_as_is(command: &mut Command) -> Self {
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

    /// The same, without a pool.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn start_without_pool<S: AsRef<OsStr>>(args: &[S]) -> Self {
        Self::spawn_without_pool(Command::new(host::workload()).args(args))
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

    /// Where a server listens, which it told when it [started](Self::first_hash).
    ///
    /// # Panics
    ///
    /// When it has not.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let said = self.stdout.wait(FIRST_HASH, |line| {
            line.json
                .as_ref()
                .is_some_and(|json| json["address"].is_string())
        });
        let told = said.and_then(|line| line.json?["address"].as_str()?.parse().ok());
        told.unwrap_or_else(|| panic!("process {} listens nowhere", self.pid()))
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
