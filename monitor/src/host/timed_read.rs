//! Reads that a process can make hang, on threads beside the one that wants them.
//!
//! In: what to read, and of which process. Out: the answer, or
//! [`LookError::CannotTell`] with its [`Cause`]: a third outcome beside yes and no, which
//! is counted ([`unanswered`]), condemns nothing and excuses nothing for ever. No read is
//! ever made on the caller's thread instead.
//!
//! What can hang, tried on Linux 6.18:
//!
//! | a process | what hangs |
//! |---|---|
//! | executes another image, and one of the files that are closed by that is on a FUSE file system that does not answer | `stat`, `io`, `exe`, `root`, `cwd`, `fd`, `ns`, `maps`, `environ`, a duplicate of a descriptor; not `status`, `comm`, `cgroup`, `cmdline`, `mountinfo` and the list of threads |
//! | has a page of a file on such a file system mapped, and a thread faults on it | `cmdline`, `environ`, `maps` |
//! | sends on a socket from such a page | what is asked of the socket ([`super::connections`]) |
//! | executes a file on a network file system whose server does not answer, or has a path on one | `stat(2)` of the file, or of the path |
//!
//! What is read on the caller's thread takes none of these locks and asks no file system
//! of a process's choice: `status`, `comm`, `cgroup`, the lists of threads, children and
//! processes, files of cgroups and of container runtimes (which only root can write), and
//! the agent's own `mountinfo`.
//!
//! Each line of the table is a kind of read or more (`What`), and one that hangs is in
//! the way of no other kind of the same process, but for the first. `places` says which
//! reads may have a thread, so that threads that hang are bounded for a process, an owner
//! and in all; `patience` how long a thread waits, for one read and in all.
//!
//! A read may read about other processes in turn: then these reads run on the same
//! thread, and whichever hangs is known (`Position`). `scan` reads about many so, and
//! leaves out those that hang.

mod owner;
mod patience;
mod places;
mod slow;

use std::{
    cell::{Cell, RefCell},
    io,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use self::{
    owner::{About, Owner},
    patience::{PATIENCE, SUSPECT_PATIENCE, Waited},
    places::{MAX_HUNG, Places, Position, SHARE},
    slow::{SLOW, Slow, Standing},
};
use super::error::{Cause, LookError};

/// Threads that wait for something to read: as many as read at once most of the time.
const MAX_IDLE: usize = 4;
/// How often a scan is begun, each time without the processes that hung before: as often
/// as one owner's processes may hang one after the other, and once more.
const SCANS: usize = 12;

/// What is read of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// Its folder, but for what follows.
    Folder,
    /// The file it executes, as `stat(2)` tells it.
    Image,
    /// A path on the host's file systems.
    Path,
    /// Its words on the command line.
    Words,
    /// The words it was given besides.
    Environment,
    /// Its mappings.
    Mappings,
    /// Its sockets.
    Sockets,
    /// Many processes, in turn.
    Scan,
}

impl What {
    /// Every kind there is, in order.
    const ALL: [Self; 8] = [
        Self::Folder,
        Self::Image,
        Self::Path,
        Self::Words,
        Self::Environment,
        Self::Mappings,
        Self::Sockets,
        Self::Scan,
    ];

    /// Reads of an owner that may hang when this one is begun, of a process that cannot
    /// be in the middle of an exec. Nothing else that an unprivileged user can do makes
    /// its folder hang; its sockets it can keep locked, but then it is one that hashes.
    const fn share(self) -> usize {
        match self {
            Self::Folder | Self::Image => MAX_HUNG,
            Self::Sockets => 2 * SHARE,
            Self::Path | Self::Words | Self::Environment | Self::Mappings | Self::Scan => SHARE,
        }
    }
}

/// A process, and what of it is read.
type Look = (i32, What);
type Job = Box<dyn FnOnce() + Send>;

/// What is read now.
static PLACES: Mutex<Places> = Mutex::new(Places::new());
/// Owners whose processes make reads slow.
static SLOW_OWNERS: Mutex<Slow> = Mutex::new(Slow::new());
/// Threads that wait for something to read.
static IDLE: Mutex<Vec<Sender<Job>>> = Mutex::new(Vec::new());
/// Reads that were not answered, in the order of [`Cause::ALL`].
static UNANSWERED: [AtomicU64; Cause::ALL.len()] = [const { AtomicU64::new(0) }; Cause::ALL.len()];

thread_local! {
    /// How long this thread has waited for reads.
    static WAITED: Cell<Waited> = const { Cell::new(Waited::new()) };
    /// What this thread reads, if that is what it is for.
    static READS: RefCell<Option<Position>> = const { RefCell::new(None) };
}

/// Reads that were not answered so far, by cause.
pub fn unanswered() -> impl Iterator<Item = (Cause, u64)> {
    Cause::ALL
        .into_iter()
        .zip(UNANSWERED.iter().map(|count| count.load(Ordering::Relaxed)))
}

/// Reads that were given up and still hang, each on a thread of its own.
#[must_use]
pub fn hanging() -> usize {
    lock(&PLACES).hung()
}

fn cannot_tell(cause: Cause) -> LookError {
    UNANSWERED[cause as usize].fetch_add(1, Ordering::Relaxed);
    LookError::CannotTell(cause)
}

fn lock<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A read, until it is dropped.
struct Turn {
    id: u64,
    position: Position,
}

impl Turn {
    fn begin(look: Look) -> Self {
        let (id, position) = lock(&PLACES).begin(look);
        Self { id, position }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock(&PLACES).end(self.id);
    }
}

/// Whether a read may be begun; then how long it is waited for at the most.
fn admit(look: Look) -> Result<Duration, LookError> {
    // Only when any read hangs, or was slow, is it asked whose this would be.
    let wanted = hanging() > 0 || !lock(&SLOW_OWNERS).is_empty();
    let about = wanted.then(|| About::of(look.0));
    let standing = about.as_ref().map_or(Standing::Fine, |about| {
        lock(&SLOW_OWNERS).of(&about.owner, Instant::now())
    });
    let admitted = lock(&PLACES).admit(look, about.as_ref());
    let of_owner = admitted.map_err(cannot_tell)?;
    let runs = about.is_some_and(|about| about.runs) && look.1.share() > SHARE;
    match standing {
        Standing::Spent if !runs => Err(cannot_tell(Cause::Share)),
        // A scan is waited for again for each process that it gets on to.
        Standing::Fine if of_owner == 0 && look.1 != What::Scan => Ok(PATIENCE),
        _ => Ok(SUSPECT_PATIENCE),
    }
}

/// Reads about a process without waiting for long.
///
/// # Errors
/// Those of the read; or [`LookError::CannotTell`].
pub(super) fn timed_read<T: Send + 'static>(
    look: Look,
    read: impl FnOnce() -> Result<T, LookError> + Send + 'static,
) -> Result<T, LookError> {
    if let Some(position) = READS.with_borrow(Option::clone) {
        return within(&position, look, read);
    }
    let most = admit(look)?;
    let begun = Instant::now();
    let mut waited = WAITED.get();
    let patience = waited.patience(begun, most);
    WAITED.set(waited);
    let patience = patience.ok_or_else(|| cannot_tell(Cause::Budget))?;
    let idle = lock(&IDLE).pop();
    let reader = idle.map_or_else(|| start("reads"), Ok)?;
    // Of many processes as long as it gets on.
    let in_all = match look.1 {
        What::Scan => waited.left(PATIENCE),
        _ => patience,
    };
    let found = ask(&reader, look, (patience, in_all), read);
    let time = begun.elapsed();
    waited.add(time);
    WAITED.set(waited);
    let found = found?;
    if time >= SLOW && look.1 != What::Scan {
        charge(About::of(look.0).owner, time);
    }
    let mut idle = lock(&IDLE);
    if idle.len() < MAX_IDLE {
        idle.push(reader);
    }
    drop(idle);
    found
}

/// The same on a thread of its own, that ends with the read.
///
/// # Errors
/// The same.
pub(super) fn alone<T: Send + 'static>(
    look: Look,
    patience: Duration,
    read: impl FnOnce() -> Result<T, LookError> + Send + 'static,
) -> Result<T, LookError> {
    let _most = admit(look)?;
    ask(&start("sockets")?, look, (patience, patience), read)?
}

/// Reads about many processes in one go. If one of them hangs, again without it: reads
/// about it fail at once by then.
///
/// # Errors
/// [`LookError::CannotTell`].
pub(super) fn scan<T: Send + 'static>(
    read: impl Fn() -> T + Clone + Send + 'static,
) -> Result<T, LookError> {
    let own = std::process::id().cast_signed();
    let once = || {
        let read = read.clone();
        timed_read((own, What::Scan), move || Ok(read()))
    };
    (1..SCANS)
        .map(|_| once())
        .find(|found| !matches!(found, Err(LookError::CannotTell(Cause::Timeout))))
        .unwrap_or_else(once)
}

/// A process of this owner was waited for so long.
fn charge(owner: Owner, time: Duration) {
    // One that is gone has none.
    if owner != Owner::Unknown {
        lock(&SLOW_OWNERS).charge(owner, time, Instant::now());
    }
}

/// A read as part of the one that this thread is at.
fn within<T>(
    position: &Position,
    look: Look,
    read: impl FnOnce() -> Result<T, LookError>,
) -> Result<T, LookError> {
    let _most = admit(look)?;
    let before = position.get();
    position.set(look);
    let found = read();
    position.set(before);
    found
}

/// A thread that reads, until no caller can have a job for it any more.
///
/// # Errors
/// There can be no more threads.
fn start(name: &str) -> Result<Sender<Job>, LookError> {
    let (reader, jobs) = mpsc::channel::<Job>();
    let started: io::Result<_> = thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || jobs.into_iter().for_each(|job| job()));
    match started {
        Ok(_) => Ok(reader),
        Err(error) => {
            tracing::error!("no thread can be started for reading /proc: {error}");
            Err(cannot_tell(Cause::Full))
        }
    }
}

/// Has a thread read, and waits so long for what it finds or for it to get on, and so long
/// in all.
///
/// # Errors
/// It lasts.
fn ask<T: Send + 'static>(
    reader: &Sender<Job>,
    look: Look,
    patience: (Duration, Duration),
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LookError> {
    let turn = Turn::begin(look);
    let (id, position) = (turn.id, turn.position.clone());
    let (answer, answered) = mpsc::sync_channel(1);
    let job = move || {
        READS.set(Some(turn.position.clone()));
        let found = read();
        READS.set(None);
        drop(turn);
        // The caller may have stopped waiting.
        let _ = answer.send(found);
    };
    // A thread that is gone never answers.
    let _ = reader.send(Box::new(job));
    if let Some(found) = wait(&answered, &position, patience) {
        return Ok(found);
    }
    let (pid, what) = position.get();
    let owner = About::of(pid).owner;
    // Of a scan the time at this process.
    charge(owner.clone(), patience.0);
    lock(&PLACES).give_up(id, owner);
    tracing::warn!(pid, ?what, "reading about a process timed out");
    Err(cannot_tell(Cause::Timeout))
}

/// The answer, if it comes in time.
fn wait<T>(
    answered: &Receiver<T>,
    position: &Position,
    (patience, in_all): (Duration, Duration),
) -> Option<T> {
    let begun = Instant::now();
    let mut before = position.get();
    loop {
        match answered.recv_timeout(patience) {
            Ok(found) => return Some(found),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = position.get();
        if now == before || begun.elapsed() >= in_all {
            return None;
        }
        before = now;
    }
}

#[cfg(test)]
mod tests;
