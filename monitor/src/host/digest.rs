//! SHA-256 of images, off the hot path.
//!
//! The one owner of hashing images. In: what a process executes, or what
//! opens a file. Out, a while later: the digest, or why there is none. [`WORKERS`]
//! threads read; what is asked waits in one of two queues of [`MAX_WAITING`], and what
//! does not fit is to be asked again. A file that did not change (device, inode, time
//! of change, size) is not read again: the newest [`MAX_KNOWN`] are remembered.
//! A file larger than [`MAX_BYTES`] is not read: the user who chose it would keep
//! the threads from all other files. What is read for one user's processes, and in
//! all, has a budget ([`budget`]), and one user has one thread at a time ([`queue`]).
//! A caller that waits for an answer gives a time limit ([`wait`]): the loop that
//! judges never waits.
//!
//! What came of all questions is counted, see [`counts`].

mod budget;
mod cache;
mod queue;
mod read;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    fs::{File, Metadata},
    os::unix::fs::MetadataExt,
    sync::{
        Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::sync_channel,
    },
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

pub use self::cache::{Cache, MAX_KNOWN};
use self::{
    budget::{Budget, User},
    queue::{Question, Queue},
    read::{of_file, of_process},
};
use crate::host::{Image, LookError, ProcHandle};
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
/// An image that no caller waited for in this time is waited for anew; a caller
/// that waits asks every few seconds.
const FORGOTTEN: Duration = Duration::from_secs(15);

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut digest = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (byte, digits) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |at: usize| char::from(digits[at]).to_digit(16);
            *byte = u8::try_from(16 * digit(0)? + digit(1)?).ok()?;
        }
        Some(Self(digest))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not 64 hexadecimal digits"))
    }
}

/// What tells one content of a file from another. The time of change is the
/// kernel's and cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The file.
    pub image: Image,
    /// Its time of change: seconds and nanoseconds.
    pub changed: (i64, i64),
    /// Its size in bytes.
    pub size: u64,
}

impl From<&Metadata> for Key {
    fn from(meta: &Metadata) -> Self {
        Self {
            image: Image::from(meta),
            changed: (meta.ctime(), meta.ctime_nsec()),
            size: meta.size(),
        }
    }
}

/// Why an image has no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Its process is gone, or executes another image by now.
    Gone,
    /// It is larger than [`MAX_BYTES`].
    TooLarge,
    /// It cannot be read.
    Unreadable,
    /// It is not known yet.
    Late,
    /// Enough was read for that user, or in all: it is to be asked for again.
    OverBudget,
    /// Reading about the process hangs: the same.
    CannotTell,
}

impl Unknown {
    /// Every reason there is.
    pub const ALL: [Self; 6] = [
        Self::Gone,
        Self::TooLarge,
        Self::Unreadable,
        Self::Late,
        Self::OverBudget,
        Self::CannotTell,
    ];

    /// Why the process that executes an image cannot be looked at.
    fn of(error: &LookError) -> Self {
        match error {
            LookError::CannotTell(_) => Self::CannotTell,
            _ => Self::Gone,
        }
    }

    /// Whether it is to be asked for again.
    #[must_use]
    pub const fn passes(self) -> bool {
        matches!(self, Self::OverBudget | Self::CannotTell)
    }

    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::TooLarge => "too-large",
            Self::Unreadable => "unreadable",
            Self::Late => "late",
            Self::OverBudget => "over-budget",
            Self::CannotTell => "cannot-tell",
        }
    }
}

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

/// What is done with the answer, on the thread that read.
type Answer = Box<dyn FnOnce(Result<Digest, Unknown>) + Send>;

/// What came of questions, in the order of [`OUTCOMES`].
static COUNTS: [AtomicU64; OUTCOMES.len()] = [const { AtomicU64::new(0) }; OUTCOMES.len()];

/// What can come of a question: answered; not taken, as too many waited; the thread
/// that read was lost; and why there is no digest.
pub const OUTCOMES: [&str; 9] = [
    "hashed",
    "deferred",
    "lost",
    Unknown::OverBudget.name(),
    Unknown::CannotTell.name(),
    Unknown::Gone.name(),
    Unknown::TooLarge.name(),
    Unknown::Unreadable.name(),
    Unknown::Late.name(),
];

/// What came of questions since this program started, by [`OUTCOMES`].
pub fn counts() -> impl Iterator<Item = (&'static str, u64)> {
    OUTCOMES
        .into_iter()
        .zip(COUNTS.iter().map(|count| count.load(Ordering::Relaxed)))
}

fn count(outcome: &str) {
    if let Some(at) = OUTCOMES.iter().position(|known| *known == outcome) {
        COUNTS[at].fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts an action that was not put off any longer for a digest.
pub fn count_late() {
    count(Unknown::Late.name());
}

/// The threads that read, of which a program has one set; none if they could not
/// be started.
static HASHER: LazyLock<Option<Hasher>> = LazyLock::new(Hasher::start);

#[derive(Default)]
struct Questions {
    queue: Mutex<Queue>,
    more: Condvar,
}

/// What the threads share.
struct Shared {
    cache: Mutex<Cache>,
    /// Of what is urgent, and of all else.
    budgets: [Mutex<Budget>; 2],
}

impl Default for Shared {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            cache: Mutex::default(),
            budgets: [Budget::new(now), Budget::new(now)].map(Mutex::new),
        }
    }
}

impl Shared {
    /// Whether so many bytes may be read now.
    fn may_read(&self, purpose: Purpose, user: User, bytes: u64) -> bool {
        let [urgent, others] = &self.budgets;
        let budget = if purpose.is_urgent() { urgent } else { others };
        lock(budget).take(user, bytes, Instant::now())
    }
}

struct Hasher {
    questions: Arc<Questions>,
    shared: Arc<Shared>,
    /// Threads that were started.
    workers: Mutex<usize>,
    /// Images that a caller waits for: since when, and when last. Which of them a
    /// thread has.
    waited_for: Mutex<HashMap<Image, (Instant, Instant)>>,
    in_work: Arc<Mutex<HashSet<Image>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hasher {
    fn start() -> Option<Self> {
        let hasher = Self {
            questions: Arc::default(),
            shared: Arc::default(),
            workers: Mutex::default(),
            waited_for: Mutex::default(),
            in_work: Arc::default(),
        };
        (0..WORKERS).all(|_| hasher.add_worker()).then_some(hasher)
    }

    /// Starts a thread; whether that was possible.
    fn add_worker(&self) -> bool {
        let (asked, shared) = (Arc::clone(&self.questions), Arc::clone(&self.shared));
        let begun = thread::Builder::new()
            .name("digest".to_owned())
            .spawn(move || work(&asked, &shared));
        match begun {
            Ok(_) => {
                *lock(&self.workers) += 1;
                true
            }
            Err(error) => {
                tracing::error!("images cannot be hashed: {error}");
                false
            }
        }
    }

    fn put(&self, question: Question) -> bool {
        let mut queue = lock(&self.questions.queue);
        let lost = queue.lost(Instant::now());
        let room = queue.put(question).is_ok();
        drop(queue);
        let workers = *lock(&self.workers);
        if workers < (WORKERS + lost).min(MAX_WORKERS) && self.add_worker() {
            count("lost");
        }
        if room {
            self.questions.more.notify_one();
        } else {
            count("deferred");
        }
        room
    }

    /// Whether this image is not worth waiting for any more.
    fn was_patient(&self, image: Image) -> bool {
        let mut waited_for = lock(&self.waited_for);
        if waited_for.len() >= MAX_WAITING {
            waited_for.retain(|_, (_, last)| last.elapsed() < FORGOTTEN);
        }
        if waited_for.len() >= MAX_WAITING && !waited_for.contains_key(&image) {
            return false;
        }
        let now = Instant::now();
        let (since, last) = waited_for.entry(image).or_insert((now, now));
        // Another time altogether.
        if last.elapsed() >= FORGOTTEN {
            *since = now;
        }
        *last = now;
        since.elapsed() >= PATIENCE
    }
}

fn work(questions: &Questions, shared: &Shared) {
    loop {
        let mut queue = lock(&questions.queue);
        let question = loop {
            match queue.next() {
                Some(next) => break next,
                None => {
                    queue = (questions.more.wait(queue)).unwrap_or_else(PoisonError::into_inner);
                }
            }
        };
        drop(queue);
        let user = match question.purpose.user() {
            Ok(user) => user,
            Err(unknown) => {
                finish(question.answer, Err(unknown));
                continue;
            }
        };
        let begun = lock(&questions.queue).begin(user, question, Instant::now());
        match begun {
            Ok(None) => {}
            Err(question) => finish(question.answer, Err(Unknown::OverBudget)),
            Ok(Some(question)) => {
                let Question {
                    purpose,
                    open,
                    answer,
                } = question;
                let may_read = |bytes| shared.may_read(purpose, user, bytes);
                let digest = open().and_then(|file| of_file(&shared.cache, &file, may_read));
                lock(&questions.queue).end(user);
                // The next of this user's may have been waiting.
                questions.more.notify_one();
                finish(answer, digest);
            }
        }
    }
}

fn finish(answer: Answer, digest: Result<Digest, Unknown>) {
    count(digest.map_or_else(Unknown::name, |_| "hashed"));
    answer(digest);
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
