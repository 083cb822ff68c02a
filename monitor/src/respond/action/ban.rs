//! Images that are refused at their next exec.
//!
//! In: processes an order to end was given about, each with the image it was
//! judged by; that they are gone; and the kernel's questions about images it does
//! not know. Out: bans in the kernel, and [`Report`]s. Everything happens on a
//! thread of its own, the worker's; files are read by [`mod@crate::host::digest`].
//!
//! An image is held and examined when the order is given ([`Note`]), as the
//! process is gone afterwards, and banned when the process was ended
//! ([`Bans::ended`]), not before and not otherwise.
//!
//! [`rule`] says which images may be banned at all. A ban is by device, inode and
//! change time, which the kernel compares at exec, and by SHA-256, which is
//! compared soon after the exec of an image that is not known: a copy runs for
//! some milliseconds, once. `content` says what is a copy: another owner's is not.

mod content;
pub mod counts;
mod image;
pub mod list;
pub mod origin;
pub mod rule;
mod runtime;
mod worker;

use std::{
    fs::Metadata,
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::Duration,
};

use monitor_ebpf::bans::{
    BAN_BY_HAND, BAN_COPY, BAN_HASHED, BAN_LISTED, Ban, BanCount, BanKey, FAMILY_BYTES, NAME_BYTES,
};
use rustix::{
    event::{EventfdFlags, eventfd},
    time::{ClockId, clock_gettime},
};
use serde::Serialize;
use tokio::sync::mpsc;

use self::{counts::Counts, origin::Origin, rule::Spared, worker::BanWorker};
use crate::{
    detect::{collector::CodeOrigins, reputation::Hashes},
    host::{Image, digest::Digest},
    kernel::probe::ProbeError,
    policy::config::BanPolicy,
};
use unjack_core::{
    event::{ImageKey, Process},
    text::{Quoted, clean},
};

/// Unknown images that are hashed at the same time, by two threads that also hash for
/// others.
pub const MAX_HASHING: usize = 16;
/// More that wait for that: copies of a banned image are started by the dozen, so that some
/// are judged as if they were new. For others the kernel asks again at their next exec.
pub const MAX_WAITING: usize = 256;
/// Requests that may wait for the worker: more than there are orders and files
/// being hashed.
const MAX_REQUESTS: usize = 64;
/// Reports that may wait for the daemon.
const MAX_REPORTS: usize = 64;
/// How long the end of a process may be put off for its image to be held first.
/// It takes a few milliseconds, unless a file system does not answer.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long the beginning waits for the worker: longer than it takes on an
/// emulated machine.
const READY: Duration = Duration::from_mins(1);
/// How long the end waits for the worker to clear up.
const STOP: Duration = Duration::from_secs(2);
/// Characters of a path that are shown.
const PATH_CHARS: usize = 256;

/// A process that is about to be ended.
#[derive(Clone, Copy, Debug)]
pub struct Condemned {
    /// Which.
    pub process: Process,
    /// The image it was judged by.
    pub image: Image,
    /// The same, as the kernel has it.
    pub key: ImageKey,
    /// Where the code lay that it was judged by.
    pub code_origins: CodeOrigins,
    /// The family of its hash.
    pub family: &'static str,
    /// A rule condemned it, and nothing else.
    pub denied: bool,
    /// A list condemned it, by its content.
    pub listed: bool,
}

/// A ban as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// What it is removed by.
    pub id: String,
    /// Path of the image when it was banned, cleaned.
    pub exe: String,
    /// Of its content, if known.
    pub sha256: Option<String>,
    /// `verdict`, `copy` or `hand`.
    pub reason: &'static str,
    /// The same for people: what found it, and what it is a copy of.
    pub why: String,
    /// Execs refused so far.
    pub refused: u64,
    /// Seconds until it ends.
    pub seconds_left: u64,
    /// Device and inode, in hexadecimal.
    pub file: String,
}

impl Listed {
    /// How a ban is shown at a time, nanoseconds of `CLOCK_BOOTTIME`.
    #[must_use]
    pub fn new(key: &BanKey, ban: &Ban, count: &BanCount, now_ns: u64) -> Self {
        Self::of(key, ban, count, now_ns, None)
    }

    /// The same, with the ban of which this one's image is a copy, if that is known.
    #[must_use]
    pub fn of(
        key: &BanKey,
        ban: &Ban,
        count: &BanCount,
        now_ns: u64,
        original: Option<&Ban>,
    ) -> Self {
        let reason = if ban.flags & BAN_BY_HAND != 0 {
            "hand"
        } else if ban.flags & BAN_COPY != 0 {
            "copy"
        } else {
            "verdict"
        };
        Self {
            id: id(key, ban),
            exe: name(ban),
            why: why(ban, original),
            sha256: sha256(ban).map(|sha256| sha256.to_string()),
            reason,
            refused: count.refused,
            seconds_left: ban.expires_ns.saturating_sub(now_ns) / 1_000_000_000,
            file: format!("{:x}:{:x}", key.device, key.inode),
        }
    }
}

/// Path of the image when it was banned, cleaned.
fn name(ban: &Ban) -> String {
    let len = (ban.name_len as usize).min(NAME_BYTES);
    clean(&ban.name[..len], PATH_CHARS)
}

/// Why an image is banned, for people. `original` is what it is a copy of.
fn why(ban: &Ban, original: Option<&Ban>) -> String {
    let has = |flag| ban.flags & flag != 0;
    let end = ban.family.iter().position(|byte| *byte == 0);
    let family = clean(&ban.family[..end.unwrap_or(FAMILY_BYTES)], FAMILY_BYTES);
    let found = if has(BAN_LISTED) {
        "on the list of --deny-file".to_owned()
    } else if family.is_empty() {
        String::new()
    } else {
        format!("verdict miner, {family}")
    };
    if !has(BAN_COPY) {
        return match (found.is_empty(), has(BAN_BY_HAND)) {
            (_, true) => "by hand".to_owned(),
            (true, false) => "verdict miner".to_owned(),
            (false, false) => found,
        };
    }
    let of = original.map_or_else(
        || "an image whose own ban is over".to_owned(),
        |original| Quoted(&name(original)).to_string(),
    );
    let by_hand = original.is_some_and(|original| original.flags & BAN_BY_HAND != 0);
    match (found.is_empty(), by_hand) {
        (_, true) => format!("copy of {of}: by hand"),
        (true, false) => format!("copy of {of}"),
        (false, false) => format!("copy of {of}: {found}"),
    }
}

/// The name of a family as a ban has it: its beginning, if it is longer.
fn family_bytes(family: &str) -> [u8; FAMILY_BYTES] {
    let mut bytes = [0; FAMILY_BYTES];
    let kept = family.len().min(FAMILY_BYTES);
    bytes[..kept].copy_from_slice(&family.as_bytes()[..kept]);
    bytes
}

/// The hash of a banned image, if it is known.
fn sha256(ban: &Ban) -> Option<Digest> {
    (ban.flags & BAN_HASHED != 0).then_some(Digest(ban.sha256))
}

/// What a ban is called: the beginning of its hash, which is that of its copies
/// too, or, without one, its file.
fn id(key: &BanKey, ban: &Ban) -> String {
    const DIGITS: usize = 12;
    match sha256(ban) {
        Some(sha256) => sha256.to_string()[..DIGITS].to_owned(),
        None => format!("{:x}-{:x}", key.device, key.inode),
    }
}

/// A ban of a file of `owner`'s that lies under `path`, which is hostile.
fn new_ban(path: &Path, owner: u32, ttl: Duration, flags: u32) -> Ban {
    let path = path.as_os_str().as_encoded_bytes();
    let kept = &path[path.len().saturating_sub(NAME_BYTES)..];
    let mut name = [0; NAME_BYTES];
    name[..kept.len()].copy_from_slice(kept);
    let since_ns = boottime_ns();
    let ttl_ns = u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX);
    Ban {
        expires_ns: since_ns.saturating_add(ttl_ns),
        since_ns,
        sha256: [0; 32],
        flags,
        name_len: u32::try_from(kept.len()).unwrap_or(0),
        owner,
        reserved: 0,
        family: [0; FAMILY_BYTES],
        name,
    }
}

/// A file as the kernel tells it, if it is on `device`.
fn key(device: u32, meta: &Metadata) -> BanKey {
    BanKey {
        inode: meta.ino(),
        ctime_ns: ctime_ns(meta),
        device,
        reserved: 0,
    }
}

/// When a file's inode last changed, nanoseconds since the epoch, as the
/// programs in the kernel reckon it.
fn ctime_ns(meta: &Metadata) -> u64 {
    let seconds = meta.ctime().cast_unsigned();
    seconds
        .wrapping_mul(1_000_000_000)
        .wrapping_add(meta.ctime_nsec().cast_unsigned())
}

/// Nanoseconds of the clock bans end by: it runs on while the host sleeps.
fn boottime_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// What the worker tells the daemon.
#[derive(Clone, Debug)]
pub enum Report {
    /// An image is banned.
    Banned(Listed),
    /// An image that might have been banned is not.
    Spared {
        /// The process that was condemned.
        process: Process,
        /// Why its image is not banned.
        reason: Spared,
    },
    /// A ban was lifted, as a rule or list allows the image.
    Lifted(Listed),
    /// An exec of a banned image was refused.
    Refused {
        /// The process that tried.
        pid: u32,
        /// It was killed, or else the exec failed.
        killed: bool,
        /// The ban.
        ban: Listed,
        /// Who started it.
        origin: Origin,
    },
    /// A process executes a copy of a banned image, which is banned now too, or
    /// the image itself, since before it was banned.
    Recognised {
        /// The process.
        process: Process,
        /// What it executes.
        image: Image,
        /// The ban of the copy.
        ban: Listed,
        /// Who started it.
        origin: Origin,
    },
}

#[derive(Debug)]
enum Request {
    /// Hold its image; the sender is dropped when that is done.
    Note(Condemned, SyncSender<()>),
    /// What came of its order: it is gone, or not.
    Ended(Process, bool),
    /// A file was hashed.
    Hashed(Box<worker::Hashed>),
    /// The image of a process that is being ended was examined.
    Examined(Process, Box<worker::Examined>),
    /// The daemon leaves.
    Stop,
}

/// The worker, as the daemon has it.
pub struct Bans {
    requests: SyncSender<Request>,
    wake: Arc<OwnedFd>,
    reports: mpsc::Receiver<Report>,
    /// Its sender is dropped when the worker is done.
    done: Receiver<()>,
    /// Its sender is dropped when the worker is ready.
    ready: Receiver<()>,
    /// New images are banned.
    active: bool,
    listed: Arc<Allowed>,
}

/// The images of `--allow-file`, as of the last reading.
#[derive(Debug, Default)]
struct Allowed(Mutex<Arc<Hashes>>);

impl Allowed {
    fn lock(&self) -> MutexGuard<'_, Arc<Hashes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process that an order to end is about, for the code that carries the order
/// out.
#[derive(Debug)]
pub struct Note {
    condemned: Condemned,
    requests: SyncSender<Request>,
    wake: Arc<OwnedFd>,
}

impl Note {
    /// Has its image held, before anything is done to the process. Waits for that,
    /// but not for long.
    pub fn take(self) {
        let Self {
            condemned,
            requests,
            wake,
        } = self;
        let (done, wait): (_, Receiver<()>) = sync_channel(0);
        if requests.try_send(Request::Note(condemned, done)).is_ok() {
            worker::wake(&wake);
            // Nothing is ever sent: the end of the channel is the answer.
            let _done = wait.recv_timeout(PATIENCE);
        }
    }
}

impl Bans {
    /// Starts the worker. `listed` is what `--allow-file` has. Bans that are pinned
    /// are adopted, or, if nothing may be changed, watched.
    ///
    /// # Errors
    /// No thread can be started. That the kernel refuses is told in the log, and
    /// then nothing is banned.
    pub fn start(
        policy: BanPolicy,
        counts: Arc<dyn Counts>,
        listed: Arc<Hashes>,
    ) -> io::Result<Self> {
        let listed = Arc::new(Allowed(Mutex::new(listed)));
        let (requests, receiver) = sync_channel(MAX_REQUESTS);
        let (reporter, reports) = mpsc::channel(MAX_REPORTS);
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let active = policy.enforce && !policy.ttl.is_zero();
        let own = worker::Own {
            requests: requests.clone(),
            wake: Arc::clone(&wake),
            listed: Arc::clone(&listed),
        };
        let (finished, done) = sync_channel(0);
        let (begun, ready) = sync_channel(0);
        std::thread::Builder::new()
            .name("bans".to_owned())
            .spawn(move || {
                BanWorker::new(policy, counts, reporter, own).run(&receiver, begun);
                drop(finished);
            })?;
        Ok(Self {
            requests,
            wake,
            reports,
            done,
            ready,
            active,
            listed,
        })
    }

    /// Waits until bans that were pinned are adopted, and others could be made:
    /// loading what that takes may need a second or more.
    pub fn wait_ready(&self) {
        // Nothing is ever sent: the end of the channel is the answer.
        if self.ready.recv_timeout(READY) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("bans are not ready after {READY:?}: killing continues without bans");
        }
    }

    /// What is to be taken before a process is ended, for its image to be banned
    /// afterwards; nothing if nothing is banned.
    #[must_use]
    pub fn note(&self, condemned: Condemned) -> Option<Note> {
        self.active.then(|| Note {
            condemned,
            requests: self.requests.clone(),
            wake: Arc::clone(&self.wake),
        })
    }

    /// Tells what came of an order. If the process is gone, and was noted, its
    /// image is banned if it may be.
    pub fn ended(&self, process: Process, gone: bool) {
        if self.active {
            // Without room nothing is banned for it.
            let sent = self.requests.try_send(Request::Ended(process, gone));
            if sent.is_err() && gone {
                tracing::warn!("the image of a process that was ended is not banned: too many");
            }
            worker::wake(&self.wake);
        }
    }

    /// Replaces what `--allow-file` has. A ban that is about it is lifted within a
    /// second.
    pub fn allow(&self, listed: Arc<Hashes>) {
        *self.listed.lock() = listed;
    }

    /// The next report.
    pub async fn next(&mut self) -> Report {
        match self.reports.recv().await {
            Some(report) => report,
            // The worker is gone: nothing more will come.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Bans {
    fn drop(&mut self) {
        self.reports.close();
        let sent = self.requests.try_send(Request::Stop).is_ok();
        worker::wake(&self.wake);
        if !sent || self.done.recv_timeout(STOP) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("a file system does not answer: bans were left as they are");
        }
    }
}

/// Something the programs in the kernel were asked for did not happen.
fn warn(what: &str, error: &ProbeError) {
    tracing::warn!("{what}: {error}");
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: BanKey = BanKey {
        inode: 0x1f,
        ctime_ns: 7,
        device: 0x80_0001,
        reserved: 0,
    };

    fn check(name: &str, flags: u32, expected: (&str, &str, &str)) {
        let ban = Ban {
            sha256: [0xab; 32],
            ..new_ban(Path::new(name), 0, Duration::from_mins(1), flags)
        };
        let listed = Listed::new(&KEY, &ban, &BanCount::default(), ban.since_ns);
        let shown = (listed.id.as_str(), listed.exe.as_str(), listed.reason);
        assert_eq!(shown, expected);
        assert_eq!(listed.seconds_left, 60);
        assert_eq!(listed.file, "800001:1f");
    }

    #[test]
    fn bans_are_called_by_hash_or_file() {
        check("/tmp/x", BAN_HASHED, ("abababababab", "/tmp/x", "verdict"));
        check("/tmp/x", BAN_BY_HAND, ("800001-1f", "/tmp/x", "hand"));
    }

    #[test]
    fn hostile_names_are_cleaned_and_long_ones_keep_their_end() {
        check(
            "/tmp/a\nb\x1b[31m",
            BAN_COPY,
            ("800001-1f", "/tmp/a\\x0ab\\x1b[31m", "copy"),
        );
        let long = format!("/{}/end", "d".repeat(4000));
        let shown = format!("{}/end", "d".repeat(NAME_BYTES - 4));
        check(&long, BAN_COPY, ("800001-1f", &shown, "copy"));
    }

    #[test]
    fn a_ban_says_what_found_it_and_what_it_is_a_copy_of() {
        let ban = |name: &str, family: &str, flags| Ban {
            family: family_bytes(family),
            ..new_ban(Path::new(name), 0, Duration::from_mins(1), flags)
        };
        let original = ban("/tmp/a b", "randomx", BAN_HASHED);
        assert_eq!(why(&original, None), "verdict miner, randomx");
        assert_eq!(why(&ban("/x", "", BAN_BY_HAND), None), "by hand");
        let listed = ban("/x", "sha256d", BAN_LISTED);
        assert_eq!(why(&listed, None), "on the list of --deny-file");
        let copy = ban("/tmp/b", "randomx", BAN_HASHED | BAN_COPY);
        assert_eq!(
            why(&copy, Some(&original)),
            "copy of \"/tmp/a b\": verdict miner, randomx"
        );
        assert_eq!(
            why(&copy, None),
            "copy of an image whose own ban is over: verdict miner, randomx"
        );
        let by_hand = ban("/opt/tool", "", BAN_BY_HAND);
        let copy = ban("/tmp/b", "", BAN_HASHED | BAN_COPY);
        assert_eq!(why(&copy, Some(&by_hand)), "copy of \"/opt/tool\": by hand");
    }

    #[test]
    fn every_familys_name_fits() {
        for family in unjack_core::score::FAMILIES {
            assert!(family.len() <= FAMILY_BYTES, "{family}");
        }
    }
}
