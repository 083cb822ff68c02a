//! `unjack selftest`: does all of it work on this kernel?
//!
//! A harmless hash loop of its own is started, which mines at a pool of this test,
//! and looked at, judged and ended as `unjack run` would: by the real probes, the
//! shipped model at the default thresholds, and the real way of killing. Every step
//! is told as a line with its time. The loop is found for what it does: nothing here
//! tells the model whom it looks at.
//!
//! | part | owns |
//! |---|---|
//! | `hash` | the loop |
//! | `work` | how it gets work, and brings shares |
//! | `pool` | where it does, on the loopback interface |
//! | `child` | the process it runs in, and its clock |
//! | `daemons` | the `unjack run` there are |
//! | `watch` | the probes on it, up to the verdict |
//! | `report` | the steps, for a person and for a script |
//!
//! Nothing but that child is ever acted on: the order is on the process that was
//! started here, which cannot be another before it is waited for.

mod child;
mod daemons;
mod hash;
mod pool;
mod report;
mod watch;
mod work;

use std::{
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

use self::{
    child::{Child, End},
    daemons::Daemon,
    report::StepReporter,
    watch::Watched,
};
pub use self::{
    hash::run as hash,
    report::{Report, Status, Step},
};
use crate::{
    commands::doctor,
    host,
    kernel::probe::{self, Probes, Settings},
    policy::config::Scope,
    respond::action::{ActionKind, ActionRequest, Outcome, System, kill},
};
use unjack_core::{isa::Arch, profile::SAMPLE_HZ, verdict::Thresholds};

/// Grace of the kill: the loop has no reason to resist SIGTERM.
const GRACE: Duration = Duration::from_secs(2);
/// How long the kernel may take to free what was let go of.
const FREED: Duration = Duration::from_secs(10);
/// Time between two looks at what is still loaded.
const LOOK: Duration = Duration::from_millis(100);

/// Runs all steps, or up to the one without which the others make no sense, and
/// hands each to `tell` when it is done.
pub fn run(mut tell: impl FnMut(&Step)) -> Report {
    let mut report = StepReporter::new(&mut tell);
    // Whatever went wrong was told.
    let _told = steps(&mut report);
    report.finish()
}

/// Nothing if a step failed without which the others make no sense.
fn steps(report: &mut StepReporter<'_>) -> Option<()> {
    let arch = look_at_host(report)?;

    let begun = Instant::now();
    let started = Child::start();
    let mut child = started
        .map_err(|error| report.lacks("child", begun, error.to_string(), error.remedy()))
        .ok()?;
    let found = format!(
        "pid {}: a SHA-256d loop, run from a copy in memory, with a test pool at 127.0.0.1:{}",
        child.pid(),
        child.port()
    );
    report.pass("child", begun, found);

    let begun = Instant::now();
    let window = Duration::from_nanos(Thresholds::DEFAULT.window_ns);
    let settings = Settings::new(Some(child.pid()), SAMPLE_HZ, window);
    let remedy = "run `unjack doctor` to see what this host lacks";
    let mut probes = Probes::attach(settings)
        .map_err(|error| report.lacks("probes", begun, error.to_string(), remedy))
        .ok()?;
    let programs = probes.programs();
    let names: Vec<&str> = programs.keys().map(String::as_str).collect();
    let found = format!("attached: {}, by {}", names.join(", "), probes.source());
    report.pass("probes", begun, found);

    let begun = Instant::now();
    let watched = watch::watch(&mut probes, &mut child, arch)
        .map_err(|error| report.fail("model", begun, error.to_string(), "install unjack again"))
        .ok()?;
    let gone = child.ended();
    watched.tell(gone.is_some(), report);
    if let Some(end) = gone {
        by_another(end, child.pid(), &daemons::all(), begun, report);
    } else if watched.condemned() {
        end(&mut child, &watched, report);
    }
    leave(child, report);
    detach(probes, &programs.into_values().collect::<Vec<_>>(), report);
    Some(())
}

/// Whether the host has what it takes.
fn look_at_host(report: &mut StepReporter<'_>) -> Option<Arch> {
    const STEP: &str = "host";
    let begun = Instant::now();
    match (doctor::preflight(), Arch::HOST) {
        (Ok(()), Some(arch)) => {
            report.pass(STEP, begun, "this host has what the probes need".to_owned());
            Some(arch)
        }
        (failed, _) => {
            let failed = failed.err().unwrap_or_default();
            let found: Vec<String> = (failed.iter())
                .map(|check| format!("{}: {}", check.name, check.found))
                .collect();
            let remedies = failed.into_iter().filter_map(|check| check.remedy);
            let remedy = remedies.collect::<Vec<_>>().join("; ");
            report.lacks(STEP, begun, found.join("; "), remedy);
            None
        }
    }
}

/// Ends the child as a miner would be ended.
fn end(child: &mut Child, watched: &Watched, report: &mut StepReporter<'_>) {
    const STEP: &str = "kill";
    let begun = Instant::now();
    let Some(process) = watched.process else {
        return;
    };
    let order = ActionRequest {
        process,
        image: child.image(),
        deed: ActionKind::Kill { grace: GRACE },
        scope: Scope::Process,
    };
    let signals = System::new(Arc::new(AtomicBool::new(false)));
    let outcome = kill::one(&order, GRACE, &host::lineage(), &signals);
    let pid = child.pid();
    match (outcome, child.ended()) {
        (Outcome::Gone, Some(End::Signal(signal))) => {
            let found = format!(
                "pid {pid} is gone: signal {signal} by its pidfd, after start time and image \
                 were checked again"
            );
            report.pass(STEP, begun, found);
        }
        // Another process's signal arrived before ours was sent.
        (Outcome::Refused(_), Some(end)) => {
            by_another(end, pid, &daemons::all(), begun, report);
        }
        (outcome, _) => {
            let found = match outcome {
                Outcome::Refused(refusal) => format!("refused: {}", refusal.name()),
                Outcome::Gone => format!("pid {pid} is said to be gone, and is not"),
                Outcome::Survived | Outcome::Held => format!("pid {pid} survived SIGKILL"),
            };
            let remedy = "see whether `unjack doctor` warns of capabilities to act; a security \
                          module (SELinux, AppArmor) or a seccomp filter may forbid signals";
            report.fail(STEP, begun, found, remedy);
        }
    }
}

/// The child was ended by another process: by an unjack that runs here and kills,
/// which proves the same in another way, or by an unknown one.
fn by_another(
    end: End,
    pid: u32,
    daemons: &[Daemon],
    begun: Instant,
    report: &mut StepReporter<'_>,
) {
    const STEP: &str = "kill";
    let all = pids(daemons.iter());
    let killers = pids(daemons.iter().filter(|daemon| daemon.kills));
    match end {
        End::Signal(signal @ (libc::SIGTERM | libc::SIGKILL)) if !killers.is_empty() => {
            let found = format!(
                "pid {pid} is gone: signal {signal}, which this test did not send. `unjack run` \
                 with --action kill is running ({killers}): see its events"
            );
            report.by_another(STEP, begun, found);
        }
        // It says why on standard error.
        End::Exit(_) => {
            let found = format!("pid {pid} {end}, not by this test");
            let remedy = "see what it said on standard error; if the pool gave it no work, a \
                          firewall may close 127.0.0.1 to programs of this host";
            report.fail(STEP, begun, found, remedy);
        }
        End::Signal(_) => {
            let whose = match (daemons, killers.as_str()) {
                ([], _) => "no `unjack run` is running".to_owned(),
                (_, "") => format!("no running `unjack run` ({all}) has --action kill"),
                _ => format!("not as `unjack run` ({killers}) ends a process"),
            };
            let remedy = "see the kernel's log: memory may have run out, or a user ended it; \
                          then try again";
            let found = format!("pid {pid} {end}, not by this test; {whose}");
            report.fail(STEP, begun, found, remedy);
        }
    }
}

fn pids<'d>(daemons: impl Iterator<Item = &'d Daemon>) -> String {
    let pids: Vec<_> = daemons.map(|it| format!("pid {}", it.pid)).collect();
    pids.join(", ")
}

/// Lets go of the child: nothing is told of one that goes.
fn leave(child: Child, report: &mut StepReporter<'_>) {
    let begun = Instant::now();
    let pid = child.pid();
    if !child.leave() {
        let found = format!("pid {pid} is still there after SIGKILL: it ends when it next runs");
        let remedy = format!(
            "its cgroup may be frozen: see /proc/{pid}/cgroup; if unjack froze it, `unjack \
             release {pid}` undoes that"
        );
        report.fail("end", begun, found, remedy);
    }
}

/// Lets go of the probes, and sees that they are gone.
fn detach(probes: Probes, programs: &[u32], report: &mut StepReporter<'_>) {
    const STEP: &str = "detach";
    let begun = Instant::now();
    drop(probes);
    loop {
        match probe::still_loaded(programs) {
            Ok(left) if left.is_empty() => {
                let found = format!("none of the {} programs is loaded any more", programs.len());
                return report.pass(STEP, begun, found);
            }
            Ok(_) if begun.elapsed() < FREED => thread::sleep(LOOK),
            Ok(left) => {
                let found = format!("still loaded: programs {left:?}");
                return report.fail(STEP, begun, found, "`bpftool link` shows who holds them");
            }
            Err(error) => {
                let found =
                    format!("detached; whether they are unloaded cannot be checked: {error}");
                return report.skip(STEP, begun, found, "run as root, with CAP_SYS_ADMIN");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(end: End, daemons: &[Daemon]) -> Step {
        let mut ignore = |_: &Step| {};
        let mut reporter = StepReporter::new(&mut ignore);
        by_another(end, 77, daemons, Instant::now(), &mut reporter);
        reporter.finish().steps.remove(0)
    }

    #[test]
    fn only_an_unjack_that_kills_proves_the_same() {
        let daemon = |pid, kills| Daemon { pid, kills };
        let (observes, kills) = (daemon(5, false), daemon(6, true));
        let check = |end, daemons: &[Daemon], status, text: &str| {
            let step = told(end, daemons);
            assert_eq!((step.name, step.status), ("kill", status), "{step}");
            assert!(step.found.contains(text), "{step}");
        };
        for signal in [libc::SIGTERM, libc::SIGKILL] {
            let end = End::Signal(signal);
            check(end, &[], Status::Fail, "no `unjack run` is running");
            check(end, &[observes], Status::Fail, "`unjack run` (pid 5) has");
            check(
                end,
                &[observes, kills],
                Status::Other,
                "is running (pid 6):",
            );
        }
        // Not a signal that unjack sends, and none at all.
        let end = End::Signal(libc::SIGSEGV);
        check(end, &[kills], Status::Fail, "not as `unjack run` (pid 6)");
        check(End::Exit(Some(1)), &[kills], Status::Fail, "exit code 1");
    }
}
