//! SHA-256 of images, off the hot path.
//!
//! The one owner of hashing images. In: what a process executes, or what
//! opens a file. Out, a while later: the digest, or why there is none. [`WORKERS`]
//! threads read; what is asked waits in one of two queues of [`MAX_WAITING`], and what
//! does not fit is to be asked again. A file that did not change (device, inode, time
//! of change, size) is not read again: the newest [`MAX_KNOWN`] are remembered.
//! A file larger than [`MAX_BYTES`] is not read: the user who chose it would keep
//! the threads from all other files. What is read for one user's processes, and in
//! all, has a budget (`budget`), and one user has one thread at a time (`queue`).
//! A caller that waits for an answer gives a time limit ([`wait`]): the loop that
//! judges never waits.
//!
//! What came of all questions is counted, see [`counts`].

mod budget;
mod cache;
mod hasher;
mod key;
mod outcome;
mod queue;
mod read;
mod sha256;

use std::{
    fs::File,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, mpsc::sync_channel},
    thread,
    time::{Duration, Instant},
};

use self::{
    budget::User,
    hasher::Hasher,
    queue::Question,
    read::{of_file, of_process},
};
pub use self::{
    cache::{Cache, MAX_KNOWN},
    key::Key,
    outcome::{OUTCOMES, Unknown, count_late, counts},
    sha256::Digest,
};
use crate::host::{Image, ProcHandle};
use unjack_core::event::Process;

/// Questions that may wait: a second's new programs on a busy host.
pub const MAX_WAITING: usize = 256;
/// Bytes of the largest image that is read, the one bound there is: larger than
/// any miner, and half a second of reading.
pub const MAX_BYTES: u64 = 256 << 20;
/// Threads that read. One that hangs in a file system which never answers is
/// lost for good; another is started in its place, until there are [`MAX_WORKERS`].
pub const WORKERS: usize = 2;
/// Threads there are at most, with those that hang: one for each of so many users that
/// have such a file system.
pub const MAX_WORKERS: usize = 10;
/// How long a digest that may spare a process is waited for, since it was first
/// asked for. A busy machine reads the largest image many times in it; a process
/// that makes reading slower is not spared for it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What a digest is asked for, which decides what goes first, and of whose budget it is
/// read: of that of the user a process runs as, whichever files it executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// This process was judged.
    Judged(Process),
    /// A process was condemned, and may have ended: its image belongs to this user.
    Condemned(u32),
    /// This process executes it.
    Executed(Process),
}

impl Purpose {
    /// Whether it goes before what is only executed, and has a budget apart from that.
    const fn is_urgent(self) -> bool {
        !matches!(self, Self::Executed(_))
    }

    /// The user for whom is read.
    fn user(self) -> Result<User, Unknown> {
        let uid = match self {
            Self::Judged(process) | Self::Executed(process) => ProcHandle::open(process)
                .map_err(|error| Unknown::of(&error))?
                .uid(),
            Self::Condemned(uid) => Some(uid),
        };
        uid.map(User::of).ok_or(Unknown::Gone)
    }
}

/// The threads that read, of which a program has one set; none if they could not
/// be started.
static HASHER: LazyLock<Option<Hasher>> = LazyLock::new(Hasher::start);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks for the digest of what a process executes, which was judged; whether there
/// was room.
#[must_use]
pub fn ask(
    process: Process,
    image: Image,
    answer: impl FnOnce(Result<Digest, Unknown>) + Send + 'static,
) -> bool {
    let open = move || of_process(process, image);
    ask_opened(Purpose::Judged(process), open, answer)
}

/// Asks for the digest of a file that the thread which reads it opens; whether there
/// was room.
#[must_use]
pub fn ask_opened(
    purpose: Purpose,
    open: impl FnOnce() -> Result<File, Unknown> + Send + 'static,
    answer: impl FnOnce(Result<Digest, Unknown>) + Send + 'static,
) -> bool {
    let question = Question {
        purpose,
        open: Box::new(open),
        answer: Box::new(answer),
    };
    HASHER.as_ref().is_some_and(|hasher| hasher.put(question))
}

/// The digest of what a process executes; [`Unknown::Late`] if it is not known
/// within `limit`. One that was waited for longer than [`PATIENCE`] by now, again
/// and again, is [`Unknown::Unreadable`]. Not for the loop that judges.
///
/// # Errors
/// Why there is none.
pub fn wait(process: Process, image: Image, limit: Duration) -> Result<Digest, Unknown> {
    /// Time between two checks whether another caller's question was answered.
    const LOOK: Duration = Duration::from_millis(10);
    let hasher = HASHER.as_ref().ok_or(Unknown::Unreadable)?;
    let deadline = Instant::now() + limit;
    // One thread that hangs in an image is enough.
    while !lock(&hasher.in_work).insert(image) {
        if Instant::now() >= deadline {
            return Err(late(hasher, image));
        }
        thread::sleep(LOOK);
    }
    let (answer, answered) = sync_channel(1);
    let in_work = Arc::clone(&hasher.in_work);
    let asked = ask(process, image, move |digest| {
        lock(&in_work).remove(&image);
        // An error means that the caller no longer waits.
        let _sent = answer.send(digest);
    });
    if !asked {
        lock(&hasher.in_work).remove(&image);
        return Err(late(hasher, image));
    }
    let left = deadline.saturating_duration_since(Instant::now());
    match answered.recv_timeout(left) {
        // There may be budget when it is asked for again.
        Ok(Err(Unknown::OverBudget | Unknown::CannotTell)) | Err(_) => Err(late(hasher, image)),
        Ok(digest) => {
            lock(&hasher.waited_for).remove(&image);
            digest
        }
    }
}

fn late(hasher: &Hasher, image: Image) -> Unknown {
    if hasher.was_patient(image) {
        count_late();
        Unknown::Unreadable
    } else {
        Unknown::Late
    }
}

/// The digest of a file, read by the caller's own thread, whatever is left of any
/// budget: for files that the operator named or the host has.
///
/// # Errors
/// Why there is none.
pub fn of(file: &File) -> Result<Digest, Unknown> {
    static NONE: LazyLock<Mutex<Cache>> = LazyLock::new(Mutex::default);
    let cache = HASHER
        .as_ref()
        .map_or(&*NONE, |hasher| &hasher.shared.cache);
    of_file(cache, file, |_| true)
}

#[cfg(test)]
mod tests;
