//! Processes that are stopped by SIGSTOP, all the time or most of it.
//!
//! For where there is no cgroup to throttle or freeze a process in, and for processes
//! that leave theirs. One thread looks at all of them every [`SLOT`]: it stops each
//! that has used more CPU time than its share of the time since it was first
//! looked at, and continues it once it has not. A process that another has
//! continued meanwhile is stopped again, and that is counted: a process's own user
//! may send it SIGCONT at any time, and a tracer may keep SIGSTOP from it.
//!
//! Every signal goes through a pidfd, after start time and image were checked. The
//! thread starts with the first such process and waits while there is none.

use std::{
    collections::{HashMap, HashSet},
    sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

use super::{Signal, Signals, check};
use crate::host::{
    Image, Member,
    deep::{Pulse, pulses},
};

/// Time between two looks at a process: with fewer a share of some percent would be
/// a pause of seconds.
const SLOT: Duration = Duration::from_millis(20);
/// Processes that are looked at. Each look is some ten microseconds, so that all of
/// them are a few percent of a core. Those that get a share come first; of more that
/// are only stopped no look finds out that they are continued.
pub(super) const MAX_PACED: usize = 64;
/// CPU time that a process which did not use its share may make up for: more would
/// let a miner save it up.
const MAX_CREDIT: Duration = Duration::from_millis(200);
/// CPU time that is charged at most: a process on a hundred processors uses two
/// seconds of it in a slot, and at 1 % would be stopped for minutes.
const MAX_DEBT: Duration = Duration::from_secs(2);

/// A process that is kept stopped, or stopped and continued in turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paced {
    /// Which.
    pub member: Member,
    /// What it executes: another image has a verdict of its own.
    pub image: Image,
    /// The share of a core it may use; 0 if none.
    pub share: f64,
}

/// What is known of such a process.
#[derive(Debug)]
struct State {
    paced: Paced,
    pace: Pace,
    /// It was stopped by this.
    stopped: bool,
    /// How often another continued it since that was last asked for.
    continued: u32,
}

/// When a process may run, by the CPU time it has used. Pure.
#[derive(Clone, Copy, Debug)]
struct Pace {
    share: f64,
    /// CPU seconds it may use now; below zero it has used more than its share.
    left: f64,
    /// Its CPU time and the time at the last look.
    last: Option<(Duration, Instant)>,
}

impl Pace {
    const fn new(share: f64) -> Self {
        Self {
            share,
            left: 0.0,
            last: None,
        }
    }

    /// Whether it may run until the next look, if it has used this much CPU time.
    fn may_run(&mut self, used: Duration, now: Instant) -> bool {
        if let Some((before, then)) = self.last {
            let spent = used.saturating_sub(before).as_secs_f64();
            let passed = now.saturating_duration_since(then).as_secs_f64();
            self.left += passed * self.share - spent;
            let (debt, credit) = (MAX_DEBT.as_secs_f64(), MAX_CREDIT.as_secs_f64());
            self.left = self.left.clamp(-debt, credit);
        }
        self.last = Some((used, now));
        self.share > 0.0 && self.left > 0.0
    }
}

#[derive(Default)]
struct Pacer {
    states: Mutex<HashMap<Member, State>>,
    more: Condvar,
    started: AtomicBool,
}

static PACER: LazyLock<Pacer> = LazyLock::new(Pacer::default);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on these processes, and no others, are kept so; see [`super::Signals::pace`].
pub(super) fn pace<S>(processes: &[Paced], signals: &S) -> Vec<(Member, u32)>
where
    S: Signals + Clone + Send + 'static,
{
    use std::sync::atomic::Ordering;
    let pacer = &*PACER;
    if processes.is_empty() && !pacer.started.load(Ordering::Relaxed) {
        return Vec::new();
    }
    let mut states = lock(&pacer.states);
    let wanted = |member: &Member| processes.iter().any(|one| one.member == *member);
    states.retain(|member, state| {
        let stays = wanted(member);
        if !stays && state.stopped {
            signal(state.paced, Signal::Continue, signals);
        }
        stays
    });
    take_over(&mut states, processes);
    if !states.is_empty() && !pacer.started.swap(true, Ordering::Relaxed) {
        let signals = signals.clone();
        let begun = thread::Builder::new()
            .name("pace".to_owned())
            .spawn(move || work(&PACER, &signals));
        if let Err(error) = begun {
            pacer.started.store(false, Ordering::Relaxed);
            tracing::error!("processes are not throttled by signals: {error}");
        }
    }
    pacer.more.notify_one();
    let counts = states
        .iter_mut()
        .map(|(member, state)| (*member, std::mem::take(&mut state.continued)));
    counts.filter(|(_, count)| *count > 0).collect()
}

/// Begins with new processes, and goes on with those it has. A process that is held anew,
/// as it executes another image by now, is held by that one.
fn take_over(states: &mut HashMap<Member, State>, processes: &[Paced]) {
    let mut seen = HashSet::new();
    for paced in processes.iter().take(MAX_PACED) {
        // Of two holds of one process the first counts.
        if !seen.insert(paced.member) {
            continue;
        }
        let state = states.entry(paced.member).or_insert_with(|| State {
            paced: *paced,
            pace: Pace::new(paced.share),
            stopped: false,
            continued: 0,
        });
        if state.paced != *paced {
            state.paced = *paced;
            state.pace = Pace::new(paced.share);
        }
    }
}

fn work<S: Signals>(pacer: &Pacer, signals: &S) {
    loop {
        let mut states = lock(&pacer.states);
        while states.is_empty() {
            states = pacer
                .more
                .wait(states)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let members: Vec<Member> = states.keys().copied().collect();
        drop(states);
        // Not under the lock, as it may last: the judging loop takes that.
        let pulses = pulses(members.iter().map(|member| member.pid).collect());
        let mut states = lock(&pacer.states);
        for (member, pulse) in members.iter().zip(pulses) {
            if let Some(state) = states.get_mut(member)
                && let Some(pulse) = pulse
            {
                look(state, pulse, signals);
            }
        }
        drop(states);
        thread::sleep(SLOT);
    }
}

/// Looks at one process, as it was just seen, and stops or continues it.
fn look<S: Signals>(state: &mut State, seen: Pulse, signals: &S) {
    let paced = state.paced;
    let runs = !seen.is_stopped();
    let may = state.pace.may_run(seen.used, Instant::now());
    if may == runs {
        // As it is to be.
        state.stopped = !may;
        return;
    }
    if may {
        if signal(paced, Signal::Continue, signals) {
            state.stopped = false;
        }
    } else if signal(paced, Signal::Stop, signals) {
        // It was stopped before, and not only told to.
        if state.stopped && !seen.is_uninterruptible() {
            state.continued = state.continued.saturating_add(1);
        }
        state.stopped = true;
    }
}

/// Sends a signal to this very process, if it still executes its image: another image
/// has a verdict of its own. To continue it, its start alone has to be the same.
fn signal<S: Signals>(paced: Paced, signal: Signal, signals: &S) -> bool {
    let Paced { member, image, .. } = paced;
    let Ok(held) = signals.hold(member.pid) else {
        return false;
    };
    let same = if signal == Signal::Continue {
        let now = signals.start_ticks(member.pid);
        now.is_ok_and(|now| now == member.start_time)
    } else {
        check(member, image, signals).is_ok()
    };
    same && signals.send(&held, signal).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{host::ProcHandle, respond::action::System};

    fn pulse(pid: u32) -> Pulse {
        pulses(vec![pid]).remove(0).expect("it is there")
    }

    /// The share of a core that a process of `threads` gets, which runs whenever it may.
    #[track_caller]
    fn check_share(share: f64, threads: u32) {
        let mut pace = Pace::new(share);
        let mut now = Instant::now();
        let mut used = Duration::ZERO;
        let begun = now;
        for _ in 0..10_000 {
            if pace.may_run(used, now) {
                used += SLOT * threads;
            }
            now += SLOT;
        }
        let got = used.as_secs_f64() / (now - begun).as_secs_f64();
        assert!((got - share).abs() < 0.1 * share + 0.01, "{got} of {share}");
    }

    #[test]
    fn a_process_gets_its_share_of_a_core_however_many_threads_it_has() {
        for (share, threads) in [(0.05, 1), (0.05, 2), (0.5, 4), (0.01, 8), (1.0, 2)] {
            check_share(share, threads);
        }
    }

    #[test]
    fn a_process_without_a_share_never_runs() {
        let mut pace = Pace::new(0.0);
        let now = Instant::now();
        assert!(!pace.may_run(Duration::ZERO, now));
        assert!(!pace.may_run(Duration::ZERO, now + Duration::from_mins(1)));
    }

    #[test]
    fn what_was_not_used_is_not_saved_up() {
        let mut pace = Pace::new(0.1);
        let now = Instant::now();
        pace.may_run(Duration::ZERO, now);
        let later = now + Duration::from_hours(1);
        assert!(pace.may_run(Duration::ZERO, later));
        assert!(!pace.may_run(MAX_CREDIT * 2, later + SLOT));
    }

    /// Or it could be stopped never again: its new image is not the one of the first hold.
    #[test]
    fn a_process_that_is_held_anew_is_held_by_its_new_image() {
        let paced = |inode, share| Paced {
            member: Member {
                pid: 50,
                start_time: 7,
            },
            image: Image { device: 1, inode },
            share,
        };
        let mut states = HashMap::new();
        for (processes, expected) in [
            (&[paced(2, 0.0)][..], paced(2, 0.0)),
            (&[paced(3, 0.1)], paced(3, 0.1)),
            // Held with another, too: the first counts.
            (&[paced(4, 0.1), paced(2, 0.0)], paced(4, 0.1)),
        ] {
            take_over(&mut states, processes);
            let state = &states[&expected.member];
            assert_eq!(state.paced, expected);
            assert!((state.pace.share - expected.share).abs() < f64::EPSILON);
        }
    }

    /// A real process, and another that continues it all the time.
    #[test]
    fn a_process_that_is_continued_is_stopped_again_and_that_is_counted() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let seen = ProcHandle::open_pid(child.id()).unwrap();
        let paced = Paced {
            member: Member {
                pid: child.id(),
                start_time: seen.start_ticks().unwrap(),
            },
            image: seen.image().unwrap(),
            share: 0.0,
        };
        let system = System::new(std::sync::Arc::default());
        let mut state = State {
            paced,
            pace: Pace::new(0.0),
            stopped: false,
            continued: 0,
        };
        let until = |stopped: bool| {
            while seen.is_stopped() != stopped {
                thread::yield_now();
            }
        };
        look(&mut state, pulse(child.id()), &system);
        until(true);
        assert!(state.stopped);
        assert!(signal(paced, Signal::Continue, &system));
        until(false);
        look(&mut state, pulse(child.id()), &system);
        until(true);
        assert_eq!(state.continued, 1);
        // Another image is not stopped.
        assert!(signal(paced, Signal::Continue, &system));
        until(false);
        state.paced.image = Image {
            device: 0,
            inode: 0,
        };
        look(&mut state, pulse(child.id()), &system);
        assert!(!seen.is_stopped());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
