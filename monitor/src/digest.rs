//! SHA-256 of images, off the hot path.
//!
//! In: a process and the image it executes. Out, a while later: the image's
//! digest, or why there is none. One thread reads; what is asked waits in a
//! queue of [`MAX_WAITING`], and what does not fit is to be asked again. A file
//! that did not change (device, inode, time of change, size) is not read again:
//! the newest [`MAX_KNOWN`] are remembered. A file larger than [`MAX_BYTES`] is
//! not read: whoever chose it would keep the thread from all others.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    fs::{File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread,
};

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::{
    event::Process,
    host::{Image, Seen},
};

/// Questions that may wait: a second's new programs on a busy host.
pub const MAX_WAITING: usize = 256;
/// Digests remembered, of 80 bytes each.
pub const MAX_KNOWN: usize = 4096;
/// Bytes of the largest image that is read: larger than any miner, and half a
/// second of reading.
pub const MAX_BYTES: u64 = 256 << 20;
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

/// The newest digests.
#[derive(Debug, Default)]
pub struct Cache {
    known: HashMap<Key, Digest>,
    order: VecDeque<Key>,
}

impl Cache {
    /// The digest of a file, if it is remembered.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Digest> {
        self.known.get(key).copied()
    }

    /// Remembers one; the oldest makes room.
    pub fn put(&mut self, key: Key, digest: Digest) {
        if self.known.insert(key, digest).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > MAX_KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
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
}

impl Unknown {
    /// Every reason there is.
    pub const ALL: [Self; 3] = [Self::Gone, Self::TooLarge, Self::Unreadable];

    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::TooLarge => "too-large",
            Self::Unreadable => "unreadable",
        }
    }
}

/// An answer: of which process and image, and the digest.
pub type Answer = (Process, Image, Result<Digest, Unknown>);

/// The thread that reads.
#[derive(Debug)]
pub struct Hasher {
    questions: SyncSender<(Process, Image)>,
    answers: Receiver<Answer>,
}

impl Hasher {
    /// Starts it. It ends when this is dropped.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn start() -> io::Result<Self> {
        let (questions, asked) = sync_channel::<(Process, Image)>(MAX_WAITING);
        // Whoever asks takes the answers before asking more; if not, the
        // thread waits.
        let (answer, answers) = sync_channel(MAX_WAITING);
        thread::Builder::new()
            .name("digest".to_owned())
            .spawn(move || {
                let mut cache = Cache::default();
                for (process, image) in asked {
                    let digest = of_process(&mut cache, process, image);
                    if answer.send((process, image, digest)).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self { questions, answers })
    }

    /// Asks for the digest of what a process executes; whether there was room.
    #[must_use]
    pub fn ask(&self, process: Process, image: Image) -> bool {
        match self.questions.try_send((process, image)) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// The answers so far.
    pub fn answers(&self) -> impl Iterator<Item = Answer> {
        self.answers.try_iter()
    }
}

/// Opens, and reads if need be.
fn of_process(cache: &mut Cache, process: Process, image: Image) -> Result<Digest, Unknown> {
    let seen = Seen::open(process).map_err(|_| Unknown::Gone)?;
    let mut file = seen.open_image().map_err(|_| Unknown::Unreadable)?;
    let meta = file.metadata().map_err(|_| Unknown::Unreadable)?;
    let key = Key::from(&meta);
    if key.image != image {
        return Err(Unknown::Gone);
    }
    if let Some(digest) = cache.get(&key) {
        return Ok(digest);
    }
    let digest = of_file(&mut file)?;
    // One that was written to meanwhile is read again when asked again.
    if file.metadata().is_ok_and(|meta| Key::from(&meta) == key) {
        cache.put(key, digest);
    }
    Ok(digest)
}

fn of_file(file: &mut File) -> Result<Digest, Unknown> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut total = 0;
    loop {
        let read = file.read(&mut chunk).map_err(|_| Unknown::Unreadable)?;
        if read == 0 {
            return Ok(Digest(hash.finalize().into()));
        }
        total += read as u64;
        if total > MAX_BYTES {
            return Err(Unknown::TooLarge);
        }
        hash.update(&chunk[..read]);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn key(n: u64) -> Key {
        Key {
            image: Image {
                device: 1,
                inode: n,
            },
            changed: (1, 2),
            size: 3,
        }
    }

    #[test]
    fn a_digest_reads_back_as_it_is_shown() {
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::parse(text).unwrap().to_string(), text);
        assert_eq!(
            Digest::parse(&text.to_uppercase()).unwrap().to_string(),
            text
        );
    }

    #[test]
    fn what_is_no_digest_is_none() {
        let wide = "é".repeat(32);
        for text in ["", "ba78", &"g".repeat(64), &"a".repeat(65), &wide] {
            assert_eq!(Digest::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_cache_forgets_the_oldest_and_keeps_the_rest() {
        let mut cache = Cache::default();
        for n in 0..MAX_KNOWN as u64 + 10 {
            cache.put(key(n), Digest([1; 32]));
            cache.put(key(n), Digest([2; 32]));
        }
        assert_eq!(cache.len(), MAX_KNOWN);
        assert_eq!(cache.get(&key(9)), None);
        assert_eq!(cache.get(&key(10)), Some(Digest([2; 32])));
    }

    #[test]
    fn a_changed_file_is_another() {
        let mut cache = Cache::default();
        cache.put(key(1), Digest([1; 32]));
        let changed = Key {
            changed: (1, 3),
            ..key(1)
        };
        assert_eq!(cache.get(&changed), None);
    }

    /// What the hasher says of this very test.
    fn ask(process: Process, image: Image) -> Result<Digest, Unknown> {
        let hasher = Hasher::start().unwrap();
        assert!(hasher.ask(process, image));
        let begun = Instant::now();
        loop {
            if let Some((_, _, digest)) = hasher.answers().next() {
                return digest;
            }
            assert!(begun.elapsed() < Duration::from_mins(1), "no answer");
            thread::yield_now();
        }
    }

    fn this_process() -> (Process, Image) {
        let tgid = std::process::id();
        let seen = Seen::open_pid(tgid).unwrap();
        let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second();
        let start_ns = seen.start_ticks().unwrap() * tick;
        (Process { tgid, start_ns }, seen.image().unwrap())
    }

    #[test]
    fn the_image_of_a_process_is_hashed() {
        let (process, image) = this_process();
        let bytes = std::fs::read("/proc/self/exe").unwrap();
        let expected = Digest(Sha256::digest(&bytes).into());
        assert_eq!(ask(process, image), Ok(expected));
    }

    #[test]
    fn another_image_or_process_is_not() {
        let (process, image) = this_process();
        let other = Image {
            inode: image.inode + 1,
            ..image
        };
        assert_eq!(ask(process, other), Err(Unknown::Gone));
        let other = Process {
            start_ns: 1,
            ..process
        };
        assert_eq!(ask(other, image), Err(Unknown::Gone));
    }
}
