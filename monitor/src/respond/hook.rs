//! `--on-verdict`: the operator's own program, run for every verdict.
//!
//! In: a verdict as it is told. Out: a program that was started without a
//! shell, with facts in its environment and the event as a line of JSON on its
//! standard input. Its environment is nothing else but `PATH`; what it prints
//! goes nowhere. Texts in it are cleaned, as everywhere, but a program that
//! hands them to a shell unquoted is on its own: quotes are left in.
//!
//! Bounds: [`MAX_HOOKS`] at a time, others are skipped; and the time limit of
//! the policy, after which its process group is killed. Both are counted. The
//! loop waits for none of it.

use std::{
    fmt,
    fs::File,
    io::{self, Seek, Write},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::MemfdFlags,
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open},
};

use crate::{detect::report::VerdictEvent, host::container::Home, policy::config::HookPolicy};

/// Hooks at a time: verdicts come in bursts when a host is taken over, and a
/// hook that talks to a network may hang.
pub const MAX_HOOKS: usize = 4;
/// Time between two looks at whether the daemon is to stop.
const SLICE: Duration = Duration::from_millis(100);
/// How long hooks may go on when the daemon stops.
const LAST: Duration = Duration::from_secs(1);
/// Where a hook's own commands are found.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What came of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ended with success.
    Done,
    /// It ended otherwise.
    Failed,
    /// It was killed: its time was over, or the daemon's.
    Killed,
    /// It could not be started.
    NotStarted,
    /// [`MAX_HOOKS`] were running.
    Skipped,
}

impl Outcome {
    /// Every one there is.
    pub const ALL: [Self; 5] = [
        Self::Done,
        Self::Failed,
        Self::Killed,
        Self::NotStarted,
        Self::Skipped,
    ];

    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Killed => "killed",
            Self::NotStarted => "not-started",
            Self::Skipped => "skipped",
        }
    }
}

/// A counter of what comes of hooks, handed in by what shows it.
pub trait Counts: fmt::Debug + Send + Sync {
    /// One came to this.
    fn count_hook(&self, outcome: Outcome);
}

/// How a verdict is written as a line of JSON, by the hook's thread.
pub type Encode = fn(SystemTime, &VerdictEvent) -> io::Result<String>;

/// The hooks of the daemon. Dropping it ends those that run.
#[derive(Debug)]
pub struct Hooks {
    policy: Arc<HookPolicy>,
    counts: Arc<dyn Counts>,
    encode: Encode,
    running: Arc<(Mutex<usize>, Condvar)>,
    stop: Arc<AtomicBool>,
}

impl Hooks {
    /// None run yet.
    #[must_use]
    pub fn new(policy: HookPolicy, counts: impl Counts + 'static, encode: Encode) -> Self {
        Self {
            policy: Arc::new(policy),
            counts: Arc::new(counts),
            encode,
            running: Arc::default(),
            stop: Arc::default(),
        }
    }

    /// Runs the hook for a verdict. Does not wait for it.
    pub fn run(&self, verdict: &VerdictEvent) {
        let (running, _) = &*self.running;
        {
            let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
            if *running >= MAX_HOOKS {
                self.counts.count_hook(Outcome::Skipped);
                return;
            }
            *running += 1;
        }
        let place = Place(Arc::clone(&self.running));
        let facts = facts(verdict);
        let (encode, event) = (self.encode, verdict.clone());
        let (policy, stop) = (Arc::clone(&self.policy), Arc::clone(&self.stop));
        let counts = Arc::clone(&self.counts);
        let started = thread::Builder::new()
            .name("hook".to_owned())
            .spawn(move || {
                let outcome = encode(SystemTime::now(), &event)
                    .and_then(|json| start(&policy, &facts, &json))
                    .map(|child| wait(child, policy.limit, &stop));
                let program = policy.program.display();
                counts.count_hook(match outcome {
                    Ok(outcome) => {
                        if outcome != Outcome::Done {
                            tracing::warn!("{program}, of --on-verdict: {}", outcome.name());
                        }
                        outcome
                    }
                    Err(error) => {
                        tracing::warn!("{program}, of --on-verdict, cannot be started: {error}");
                        Outcome::NotStarted
                    }
                });
                drop(place);
            });
        if let Err(error) = started {
            tracing::warn!("no thread for --on-verdict: {error}");
            self.counts.count_hook(Outcome::NotStarted);
        }
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let (running, changed) = &*self.running;
        let running = running.lock().unwrap_or_else(PoisonError::into_inner);
        // What is not gone then hangs in the kernel, killed.
        let _waited = changed.wait_timeout_while(running, LAST + 2 * SLICE, |running| *running > 0);
    }
}

/// A running hook's place, given back however it ends.
struct Place(Arc<(Mutex<usize>, Condvar)>);

impl Drop for Place {
    fn drop(&mut self) {
        let (running, changed) = &*self.0;
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        *running = running.saturating_sub(1);
        changed.notify_all();
    }
}

/// The facts, as a hook finds them in its environment. None has the name of a
/// flag's variable: a hook may well call `unjack`.
#[must_use]
pub fn facts(verdict: &VerdictEvent) -> Vec<(&'static str, String)> {
    let VerdictEvent {
        pid,
        thread,
        start_time,
        exe,
        comm,
        home,
        verdict,
        unexplained,
        family,
        score,
        cpu_percent,
        burn_seconds,
        evidence: _,
        code: _,
    } = verdict;
    let Home {
        unit,
        container,
        pod,
    } = home;
    let container = container.as_ref();
    let pod = pod.as_ref();
    let text = |text: Option<&String>| text.cloned().unwrap_or_default();
    vec![
        ("UNJACK_PID", pid.to_string()),
        (
            "UNJACK_THREAD",
            thread.map_or_else(String::new, |tid| tid.to_string()),
        ),
        ("UNJACK_START_TIME", start_time.to_string()),
        ("UNJACK_EXE", exe.clone().unwrap_or_default()),
        ("UNJACK_COMM", comm.clone()),
        ("UNJACK_UNIT", text(unit.as_ref())),
        ("UNJACK_CONTAINER", text(container.map(|it| &it.id))),
        (
            "UNJACK_CONTAINER_RUNTIME",
            container
                .and_then(|it| it.runtime)
                .map_or_else(String::new, |runtime| runtime.name().to_owned()),
        ),
        (
            "UNJACK_CONTAINER_NAME",
            text(container.and_then(|it| it.name.as_ref())),
        ),
        (
            "UNJACK_CONTAINER_IMAGE",
            text(container.and_then(|it| it.image.as_ref())),
        ),
        ("UNJACK_POD", text(pod.and_then(|it| it.uid.as_ref()))),
        (
            "UNJACK_POD_NAMESPACE",
            text(pod.and_then(|it| it.namespace.as_ref())),
        ),
        ("UNJACK_POD_NAME", text(pod.and_then(|it| it.name.as_ref()))),
        ("UNJACK_VERDICT", (*verdict).to_owned()),
        ("UNJACK_UNEXPLAINED", unexplained.to_string()),
        ("UNJACK_FAMILY", (*family).to_owned()),
        ("UNJACK_SCORE", format!("{score:.4}")),
        ("UNJACK_CPU_PERCENT", format!("{cpu_percent:.1}")),
        ("UNJACK_BURN_SECONDS", format!("{burn_seconds:.1}")),
    ]
}

/// Starts the program, in a process group of its own.
fn start(policy: &HookPolicy, facts: &[(&'static str, String)], json: &str) -> io::Result<Child> {
    // Not a pipe: a hook that does not read must not make us wait.
    let mut input: File = rustix::fs::memfd_create("event", MemfdFlags::CLOEXEC)?.into();
    input.write_all(json.as_bytes())?;
    input.rewind()?;
    Command::new(&policy.program)
        .args(&policy.arguments)
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .envs(facts.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .process_group(0)
        .stdin(input)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// Waits for its end, or brings it about.
fn wait(mut child: Child, limit: Duration, stop: &AtomicBool) -> Outcome {
    let mut deadline = Instant::now() + limit;
    let mut stopping = false;
    while !ended(
        &child,
        SLICE.min(deadline.saturating_duration_since(Instant::now())),
    ) {
        if stop.load(Ordering::Relaxed) && !stopping {
            stopping = true;
            deadline = deadline.min(Instant::now() + LAST);
        }
        if Instant::now() >= deadline {
            // Not waited for yet, so the id of the group is still its own.
            let _killed = kill_process_group(Pid::from_child(&child), Signal::KILL);
            let _status = child.wait();
            return Outcome::Killed;
        }
    }
    match child.wait() {
        Ok(status) if status.success() => Outcome::Done,
        _ => Outcome::Failed,
    }
}

/// Whether it ends within `time`. It is not reaped.
fn ended(child: &Child, time: Duration) -> bool {
    let Ok(pidfd) = pidfd_open(Pid::from_child(child), PidfdFlags::empty()) else {
        thread::sleep(time);
        return false;
    };
    let timeout = Timespec {
        tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    };
    poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests;
