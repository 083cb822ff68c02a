//! Looks that a process can make last, on a thread beside the one that wants them.
//!
//! To read the words or the mappings of a process takes the lock of its memory. A
//! process can have the kernel hold that for as long as it likes, by a page of a file
//! system that it serves itself (FUSE) and that never comes: `ps` hangs on it, too.
//! What is asked of a socket can last as well ([`super::connections`]).
//!
//! So the caller of such a look waits for it only for a limited time, and the
//! thread that looks is left to itself when that is over: the next look has a new
//! one.

use std::{
    collections::BTreeSet,
    io,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use super::LookError;

/// How long a look is waited for at the most. One at the words takes some
/// 70 µs this way, where it is 3 µs without; on a busy host more, until its thread
/// runs. It is made once of who burned 0.4 CPU seconds; mappings have a budget a second.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long all looks together are waited for in a [`SPELL`]: the loop that judges
/// waits here, and the watchdog for it.
const ALLOWANCE: Duration = Duration::from_secs(4);
/// Time after which there is patience again.
const SPELL: Duration = Duration::from_secs(10);
/// How long one is waited for when there is none left: a look at who does not keep
/// us waiting is done by then.
const LEAST_PATIENCE: Duration = Duration::from_millis(10);
/// Looks under way, each at another process or at something else of it: those that
/// no caller waits for any more are held up by the process that is looked at.
const MAX_LOOKS: usize = 64;

/// What of a process is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// Its words on the command line.
    Words,
    /// The words it was given besides.
    Environment,
    /// Its mappings.
    Mappings,
    /// Its sockets.
    Sockets,
}

/// A look at a process.
type Look = (i32, What);
type Job = Box<dyn FnOnce() + Send>;

/// What is looked at now.
static UNDER_WAY: Mutex<BTreeSet<Look>> = Mutex::new(BTreeSet::new());
/// The thread that looks, while it has nothing to do.
static IDLE: Mutex<Option<Sender<Job>>> = Mutex::new(None);
/// What is left of our patience.
static WAITED: Mutex<Waited> = Mutex::new(Waited {
    since: None,
    time: Duration::ZERO,
});
/// See [`late`].
static LATE: AtomicU64 = AtomicU64::new(0);

/// Looks that were given up so far, or not begun because one like it lasts.
#[must_use]
pub fn late() -> u64 {
    LATE.load(Ordering::Relaxed)
}

fn is_late() -> LookError {
    LATE.fetch_add(1, Ordering::Relaxed);
    LookError::Late
}

fn lock<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A look, until it is dropped.
struct Turn(Look);

impl Turn {
    /// `None` if there are too many.
    ///
    /// # Errors
    /// One like it lasts.
    fn take(look: Look) -> Result<Option<Self>, LookError> {
        let mut under_way = lock(&UNDER_WAY);
        if under_way.contains(&look) {
            return Err(is_late());
        }
        let room = under_way.len() < MAX_LOOKS && under_way.insert(look);
        // Not `then_some`: one that is not taken must not be dropped, either.
        Ok(room.then(|| Self(look)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock(&UNDER_WAY).remove(&self.0);
    }
}

/// How long looks were waited for.
struct Waited {
    /// When the spell began.
    since: Option<Instant>,
    /// In this spell.
    time: Duration,
}

impl Waited {
    /// How long a look is waited for, now.
    fn patience(&mut self, now: Instant) -> Duration {
        if (self.since).is_none_or(|since| now.saturating_duration_since(since) >= SPELL) {
            (self.since, self.time) = (Some(now), Duration::ZERO);
        }
        let left = ALLOWANCE.saturating_sub(self.time);
        left.clamp(LEAST_PATIENCE, PATIENCE)
    }
}

/// Looks at a process without waiting for long. What keeps us waiting is not looked
/// at again until that look is done.
///
/// # Errors
/// Those of the look; or it lasts.
pub(super) fn timed_read<T: Send + 'static>(
    at: Look,
    look: impl FnOnce() -> Result<T, LookError> + Send + 'static,
) -> Result<T, LookError> {
    let Some(turn) = Turn::take(at)? else {
        // What all those do must not cost this one what may excuse it.
        return look();
    };
    let idle = lock(&IDLE).take();
    let looker = idle.map_or_else(|| start("looks"), Ok)?;
    let begun = Instant::now();
    let patience = lock(&WAITED).patience(begun);
    let found = ask(&looker, turn, patience, look);
    lock(&WAITED).time += begun.elapsed();
    let found = found?;
    *lock(&IDLE) = Some(looker);
    found
}

/// The same on a thread of its own, that ends with the look.
///
/// # Errors
/// Those of the look; or it lasts, or too many do.
pub(super) fn alone<T: Send + 'static>(
    at: Look,
    patience: Duration,
    look: impl FnOnce() -> Result<T, LookError> + Send + 'static,
) -> Result<T, LookError> {
    let turn = Turn::take(at)?.ok_or_else(is_late)?;
    ask(&start("sockets")?, turn, patience, look)?
}

/// A thread that looks, until no caller can have a job for it any more.
fn start(name: &str) -> io::Result<Sender<Job>> {
    let (looker, jobs) = mpsc::channel::<Job>();
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || jobs.into_iter().for_each(|job| job()))?;
    Ok(looker)
}

/// Has a thread look, and waits so long for what it finds.
///
/// # Errors
/// It lasts.
fn ask<T: Send + 'static>(
    looker: &Sender<Job>,
    turn: Turn,
    patience: Duration,
    look: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LookError> {
    let (pid, what) = turn.0;
    let (answer, answered) = mpsc::sync_channel(1);
    let job = move || {
        let found = look();
        drop(turn);
        // The caller may have stopped waiting.
        let _ = answer.send(found);
    };
    // A thread that is gone never answers.
    let _ = looker.send(Box::new(job));
    answered.recv_timeout(patience).map_err(|_| {
        tracing::warn!(pid, ?what, "reading the /proc entry of a process timed out");
        is_late()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No process has such an id: looks at it are in the way of no other test.
    const NO_PROCESS: i32 = -3;

    #[test]
    fn a_look_that_lasts_is_in_no_other_looks_way() {
        let (go_on, wait) = mpsc::sync_channel::<()>(1);
        let before = late();
        let slow = move || wait.recv().map_err(|_| LookError::Gone);
        let given_up = timed_read((NO_PROCESS, What::Words), slow);
        assert!(matches!(given_up, Err(LookError::Late)), "{given_up:?}");
        // At something else, and at another, on another thread; at the same not.
        let name = || Ok(thread::current().name().map(str::to_owned));
        let looks = Some("looks".to_owned());
        assert_eq!(
            timed_read((NO_PROCESS, What::Mappings), name).unwrap(),
            looks
        );
        assert_eq!(
            timed_read((NO_PROCESS - 1, What::Words), name).unwrap(),
            looks
        );
        assert!(timed_read((NO_PROCESS, What::Words), || Ok(())).is_err());
        assert!(late() >= before + 2);
        go_on.send(()).unwrap();
        wait_turn((NO_PROCESS, What::Words));
    }

    /// A turn ends right after the answer.
    fn wait_turn(look: Look) {
        while timed_read(look, || Ok(())).is_err() {
            thread::yield_now();
        }
    }

    #[test]
    fn a_look_that_panics_is_late_and_the_next_is_not() {
        let look = (NO_PROCESS - 2, What::Words);
        let panicked: Result<(), _> = timed_read(look, || panic!("as this test wants it"));
        assert!(matches!(panicked, Err(LookError::Late)));
        wait_turn(look);
    }

    #[test]
    fn who_keeps_a_thread_of_his_own_waiting_is_given_up_until_it_is_done() {
        let look = (NO_PROCESS - 3, What::Sockets);
        let (go_on, wait) = mpsc::sync_channel::<()>(1);
        let slow = move || wait.recv().map_err(|_| LookError::Gone);
        assert!(alone(look, Duration::ZERO, slow).is_err());
        assert!(alone(look, Duration::from_mins(1), || Ok(())).is_err());
        go_on.send(()).unwrap();
        while alone(look, Duration::from_mins(1), || Ok(())).is_err() {
            thread::yield_now();
        }
    }

    #[test]
    fn all_that_last_are_waited_for_less_long_than_the_watchdog_waits() {
        // Whether they end just before they are given up or never. All that there
        // may be in one go: mappings of a tick, and words and environments of all.
        let looks = 32 + 2 * 512;
        let mut waited = Waited {
            since: None,
            time: Duration::ZERO,
        };
        let begun = Instant::now();
        let mut now = begun;
        for _ in 0..looks {
            let patience = waited.patience(now);
            waited.time += patience;
            now += patience;
        }
        let all = now - begun;
        assert!(all < Duration::from_secs(20), "{all:?}");
        // There is patience again when that is over.
        assert_eq!(waited.patience(now + SPELL), PATIENCE);
    }
}
