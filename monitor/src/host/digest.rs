//! SHA-256 of images, off the hot path.
//!
//! The one owner of hashing images. In: what a process executes, or what
//! opens a file. Out, a while later: the digest, or why there is none. [`WORKERS`]
//! threads read; what is asked waits in one of two queues of [`MAX_WAITING`], and what
//! does not fit is to be asked again. A file that did not change (device, inode, time
//! of change, size) is not read again: the newest [`MAX_KNOWN`] are remembered.
//! A file larger than [`MAX_BYTES`] is not read: the user who chose it would keep
//! the threads from all other files. A caller that waits for an answer gives a time
//! limit ([`wait`]): the loop that judges never waits.
//!
//! What came of all questions is counted, see [`counts`].

mod cache;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
    fs::{File, Metadata},
    os::unix::fs::{FileExt, MetadataExt},
    sync::{
        Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::sync_channel,
    },
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest as _, Sha256};

pub use self::cache::{Cache, MAX_KNOWN};
use crate::host::{Image, ProcHandle};
use unjack_core::event::Process;

/// Questions that may wait: a second's new programs on a busy host.
pub const MAX_WAITING: usize = 256;
/// Bytes of the largest image that is read, the one bound there is: larger than
/// any miner, and half a second of reading.
pub const MAX_BYTES: u64 = 256 << 20;
/// Threads that read. One that hangs in a file system which never answers is
/// lost for good; the other goes on.
pub const WORKERS: usize = 2;
/// How long a digest that may spare a process is waited for, since it was first
/// asked for. A busy machine reads the largest image many times in it; a process
/// that makes reading slower is not spared for it.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// An image that no caller waited for in this time is waited for anew; a caller
/// that waits asks every few seconds.
const FORGOTTEN: Duration = Duration::from_secs(15);
/// Bytes read at a time.
const CHUNK: usize = 64 << 10;

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
}

impl Unknown {
    /// Every reason there is.
    pub const ALL: [Self; 4] = [Self::Gone, Self::TooLarge, Self::Unreadable, Self::Late];

    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::TooLarge => "too-large",
            Self::Unreadable => "unreadable",
            Self::Late => "late",
        }
    }
}

/// What was asked for.
enum Question {
    /// What a process executes, if that is this image.
    Process(Process, Image),
    /// What this opens: on the thread that reads, as opening may wait for a
    /// file system.
    Opened(Box<dyn FnOnce() -> Result<File, Unknown> + Send>),
}

/// What is done with the answer, on the thread that read.
type Answer = Box<dyn FnOnce(Result<Digest, Unknown>) + Send>;

/// What came of questions, in the order of [`OUTCOMES`].
static COUNTS: [AtomicU64; OUTCOMES.len()] = [const { AtomicU64::new(0) }; OUTCOMES.len()];

/// What can come of a question: answered; not taken, as too many waited; and why
/// there is no digest.
pub const OUTCOMES: [&str; 6] = [
    "hashed",
    "deferred",
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

/// What waits for a thread. What a judged process executes goes first: whether that
/// process is spared may depend on it, and a user who has many other images
/// executed must not be able to delay it.
#[derive(Default)]
struct Queue {
    judged: VecDeque<(Question, Answer)>,
    others: VecDeque<(Question, Answer)>,
}

impl Queue {
    /// Whether there was room.
    fn put(&mut self, question: Question, answer: Answer) -> bool {
        let queue = match question {
            Question::Process(..) => &mut self.judged,
            Question::Opened(_) => &mut self.others,
        };
        let room = queue.len() < MAX_WAITING;
        if room {
            queue.push_back((question, answer));
        }
        room
    }

    fn next(&mut self) -> Option<(Question, Answer)> {
        self.judged.pop_front().or_else(|| self.others.pop_front())
    }
}

#[derive(Default)]
struct Questions {
    queue: Mutex<Queue>,
    more: Condvar,
}

struct Hasher {
    questions: Arc<Questions>,
    cache: Arc<Mutex<Cache>>,
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
        let (questions, cache) = (Arc::<Questions>::default(), Arc::<Mutex<Cache>>::default());
        for _ in 0..WORKERS {
            let (asked, cache) = (Arc::clone(&questions), Arc::clone(&cache));
            thread::Builder::new()
                .name("digest".to_owned())
                .spawn(move || work(&asked, &cache))
                .inspect_err(|error| tracing::error!("images cannot be hashed: {error}"))
                .ok()?;
        }
        Some(Self {
            questions,
            cache,
            waited_for: Mutex::default(),
            in_work: Arc::default(),
        })
    }

    fn put(&self, question: Question, answer: Answer) -> bool {
        let room = lock(&self.questions.queue).put(question, answer);
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

fn work(questions: &Questions, cache: &Mutex<Cache>) {
    loop {
        let mut queue = lock(&questions.queue);
        let (question, answer) = loop {
            match queue.next() {
                Some(next) => break next,
                None => {
                    queue = (questions.more.wait(queue)).unwrap_or_else(PoisonError::into_inner);
                }
            }
        };
        drop(queue);
        let digest = match question {
            Question::Process(process, image) => of_process(cache, process, image),
            Question::Opened(open) => open().and_then(|file| of_file(cache, &file)),
        };
        count(digest.map_or_else(Unknown::name, |_| "hashed"));
        answer(digest);
    }
}

/// Asks for the digest of what a process executes; whether there was room.
#[must_use]
pub fn ask(
    process: Process,
    image: Image,
    answer: impl FnOnce(Result<Digest, Unknown>) + Send + 'static,
) -> bool {
    let question = Question::Process(process, image);
    HASHER
        .as_ref()
        .is_some_and(|hasher| hasher.put(question, Box::new(answer)))
}

/// Asks for the digest of a file that the thread which reads it opens; whether
/// there was room.
#[must_use]
pub fn ask_opened(
    open: impl FnOnce() -> Result<File, Unknown> + Send + 'static,
    answer: impl FnOnce(Result<Digest, Unknown>) + Send + 'static,
) -> bool {
    let question = Question::Opened(Box::new(open));
    HASHER
        .as_ref()
        .is_some_and(|hasher| hasher.put(question, Box::new(answer)))
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
        Ok(digest) => {
            lock(&hasher.waited_for).remove(&image);
            digest
        }
        Err(_) => Err(late(hasher, image)),
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

/// The digest of a file, read by the caller's own thread.
///
/// # Errors
/// Why there is none.
pub fn of(file: &File) -> Result<Digest, Unknown> {
    static NONE: LazyLock<Mutex<Cache>> = LazyLock::new(Mutex::default);
    of_file(HASHER.as_ref().map_or(&NONE, |hasher| &hasher.cache), file)
}

/// Opens, and reads if need be.
fn of_process(cache: &Mutex<Cache>, process: Process, image: Image) -> Result<Digest, Unknown> {
    let seen = ProcHandle::open(process).map_err(|_| Unknown::Gone)?;
    let file = seen.open_image().map_err(|_| Unknown::Unreadable)?;
    let meta = file.metadata().map_err(|_| Unknown::Unreadable)?;
    if Image::from(&meta) != image {
        return Err(Unknown::Gone);
    }
    of_file(cache, &file)
}

/// Reads from the beginning, if that was not done.
fn of_file(cache: &Mutex<Cache>, file: &File) -> Result<Digest, Unknown> {
    let meta = file.metadata().map_err(|_| Unknown::Unreadable)?;
    let key = Key::from(&meta);
    if let Some(digest) = lock(cache).get(&key) {
        return Ok(digest);
    }
    if meta.len() > MAX_BYTES {
        return Err(Unknown::TooLarge);
    }
    let digest = read(file)?;
    // One that was written to meanwhile is read again when asked again.
    if file.metadata().is_ok_and(|meta| Key::from(&meta) == key) {
        lock(cache).put(key, digest);
    }
    Ok(digest)
}

fn read(file: &File) -> Result<Digest, Unknown> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut at = 0;
    loop {
        let read = match file.read_at(&mut chunk, at) {
            Ok(0) => return Ok(Digest(hash.finalize().into())),
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => return Err(Unknown::Unreadable),
        };
        at += read as u64;
        // It may grow meanwhile, or say that it is empty.
        if at > MAX_BYTES {
            return Err(Unknown::TooLarge);
        }
        hash.update(&chunk[..read]);
    }
}

#[cfg(test)]
mod tests;
