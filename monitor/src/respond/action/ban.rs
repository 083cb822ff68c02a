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
mod record;
pub mod rule;
mod runtime;
mod worker;

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::Duration,
};

use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::mpsc;

pub use self::record::Listed;
use self::{counts::Counts, origin::Origin, rule::Spared, worker::BanWorker};
use crate::{
    detect::{collector::CodeOrigins, reputation::Hashes},
    host::Image,
    kernel::probe::ProbeError,
    policy::config::BanPolicy,
};
use unjack_core::{
    event::{ImageKey, Process},
    score::Family,
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
    /// The family of its hash, if it is known.
    pub family: Option<Family>,
    /// A rule condemned it, and nothing else.
    pub denied: bool,
    /// A list condemned it, by its content.
    pub listed: bool,
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
