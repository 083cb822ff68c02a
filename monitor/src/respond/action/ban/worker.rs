//! The thread that keeps the bans.
//!
//! It sleeps until the daemon, the kernel or a finished hash has something for
//! it, and once a second it looks at the bans themselves: they end, and
//! `unjack bans` changes them behind its back. What the kernel asks about is
//! hashed elsewhere; nothing here reads a file's content.

mod allowed;
mod copies;
mod intents;
mod programs;
mod room;

use std::{
    collections::{HashMap, VecDeque},
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender},
    },
    time::{Duration, Instant},
};

use monitor_ebpf::bans::{BY_SIGNAL, Ban, BanKey, BanRecord, KIND_REFUSED, KIND_UNKNOWN};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::mpsc;
use zerocopy::FromBytes;

use self::intents::IntentRecord;
pub(super) use self::{copies::Hashed, intents::Examined};
use super::{
    Allowed, Report, Request,
    content::Content,
    counts::Counts,
    origin::Origin,
    record::{Listed, boottime_ns},
    warn,
};
use crate::{
    kernel::probe::bans::{PinDir, Programs, Records, Tables},
    policy::config::{BanPolicy, Rule},
};
use unjack_core::event::Process;

/// Time between two looks at the bans.
const TICK: Duration = Duration::from_secs(1);
/// Time between two tries to load the programs.
const RETRY: Duration = Duration::from_mins(1);
/// Processes that were condemned and may still be about.
const MAX_CONDEMNED: usize = 64;
/// Records taken before requests are looked at again.
const MAX_RECORDS: usize = 256;
/// Time for that: a fifth of what the end of a process is put off for its image
/// to be held.
const DRAIN: Duration = Duration::from_millis(10);
/// Refused execs told between two ticks, of all images. The kernel tells four a
/// second of each, and a user with a thousand banned copies may execute them all;
/// each costs a look at eight ancestors, and a line. Sixteen images at full rate
/// are more than a miner's supervisors start.
const MAX_TOLD: u32 = 64;

/// The worker's own way to be reached.
pub(super) struct Own {
    pub(super) requests: SyncSender<Request>,
    pub(super) wake: Arc<OwnedFd>,
    pub(super) listed: Arc<Allowed>,
}

/// Has the worker look at its requests.
pub(super) fn wake(fd: &OwnedFd) {
    // It fails only if the worker has 2^64 wakings before it.
    let _written = rustix::io::write(fd, &1_u64.to_ne_bytes());
}

pub(super) struct BanWorker {
    policy: BanPolicy,
    /// Those of the policy, for the threads that hash.
    allow: Arc<[Rule]>,
    counts: Arc<dyn Counts>,
    reports: mpsc::Sender<Report>,
    own: Own,
    dir: Option<PinDir>,
    /// Loaded if anything may be changed.
    programs: Option<Programs>,
    /// Pinned ones, if nothing may be changed.
    watched: Option<Tables>,
    ring: Option<Records>,
    generation: u32,
    /// Images the kernel does not ask about any more, and what they hold; nothing
    /// of one that may not be banned.
    known: HashMap<BanKey, Option<Content>>,
    /// What is banned, by what its copies hold.
    hashes: HashMap<Content, Ban>,
    hashing: usize,
    /// What is hashed after that, at most [`MAX_WAITING`](super::MAX_WAITING).
    waiting: VecDeque<BanRecord>,
    condemned: VecDeque<Process>,
    /// Those whose order is under way, and whose images are examined.
    intents: VecDeque<IntentRecord>,
    /// When the kernel refused the programs.
    failed: Option<Instant>,
    /// Refused execs told since the last tick.
    told: u32,
    /// Refused execs that were not told, of all.
    untold: u64,
}

impl BanWorker {
    pub(super) fn new(
        policy: BanPolicy,
        counts: Arc<dyn Counts>,
        reports: mpsc::Sender<Report>,
        own: Own,
    ) -> Self {
        Self {
            allow: policy.allow.as_slice().into(),
            policy,
            counts,
            reports,
            own,
            dir: None,
            programs: None,
            watched: None,
            ring: None,
            generation: 1,
            known: HashMap::new(),
            hashes: HashMap::new(),
            hashing: 0,
            waiting: VecDeque::new(),
            condemned: VecDeque::new(),
            intents: VecDeque::new(),
            failed: None,
            told: 0,
            untold: 0,
        }
    }

    /// Works until it is told to stop. Drops `begun` once it is ready.
    pub(super) fn run(mut self, requests: &Receiver<Request>, begun: SyncSender<()>) {
        if self.policy.enforce && !self.policy.ttl.is_zero() {
            self.dir = PinDir::prepare(&self.policy.dir)
                .inspect_err(|error| tracing::warn!("bans will end with this process: {error}"))
                .ok();
        }
        if let Err(error) = self.follow() {
            warn("bans cannot be kept", &error);
        }
        // The daemon takes reports once it is told, and what is lifted now may be
        // more than wait for it.
        drop(begun);
        self.tick();
        let mut ticked = Instant::now();
        loop {
            self.wait(TICK.saturating_sub(ticked.elapsed()));
            for request in requests.try_iter() {
                match request {
                    Request::Note(condemned, _done) => self.note(&condemned),
                    Request::Ended(process, gone) => self.ended(process, gone),
                    Request::Examined(process, examined) => self.examined(process, *examined),
                    Request::Hashed(hashed) => self.take_hash(*hashed),
                    Request::Stop => return self.leave(),
                }
            }
            self.drain();
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                self.tick();
            }
        }
    }

    fn wait(&self, time: Duration) {
        let mut fds = vec![PollFd::new(&self.own.wake, PollFlags::IN)];
        if let Some(ring) = &self.ring {
            fds.push(PollFd::from_borrowed_fd(ring.as_fd(), PollFlags::IN));
        }
        let timeout = Timespec {
            tv_sec: time.as_secs().try_into().unwrap_or(1),
            tv_nsec: time.subsec_nanos().into(),
        };
        // Whatever it was that ended it, everything is looked at.
        let _ready = poll(&mut fds, Some(&timeout));
        let mut count = [0; 8];
        // There may be nothing to read.
        let _read = rustix::io::read(&self.own.wake, &mut count);
    }

    /// Looks at the bans: adopts, lifts what is over, tells the kernel and the
    /// metrics.
    fn tick(&mut self) {
        self.told = 0;
        if let Err(error) = self.follow() {
            warn("bans cannot be kept", &error);
        }
        let now_ns = boottime_ns();
        let enforce = self.policy.enforce;
        let Some(tables) = self.tables() else {
            self.counts.clear();
            self.hashes.clear();
            return;
        };
        let all = match tables.all() {
            Ok(all) => all,
            Err(error) => return warn("bans cannot be read", &error),
        };
        let (mut live, over): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|(_, ban, _)| ban.expires_ns > now_ns);
        if enforce {
            for (key, _, _) in over {
                self.lift(&key);
            }
            live.retain(|(key, ban, count)| {
                let allowed = self.allows(key, ban);
                if allowed {
                    self.lift(key);
                    self.report(Report::Lifted(Listed::new(key, ban, count, now_ns)));
                }
                !allowed
            });
        }
        let Some(tables) = self.tables() else {
            return;
        };
        match tables.stats() {
            Ok(stats) => self.counts.mirror(live.len(), &stats, self.untold),
            Err(error) => warn("the bans' counters cannot be read", &error),
        }
        self.learn(&live);
        if enforce && live.is_empty() {
            self.release();
        }
    }

    /// Takes the kernel's records; what is left is taken after the next requests.
    fn drain(&mut self) {
        let begun = Instant::now();
        for _ in 0..MAX_RECORDS {
            if begun.elapsed() >= DRAIN {
                return;
            }
            let record = self.ring.as_mut().and_then(|ring| {
                ring.next()
                    .map(|bytes| BanRecord::read_from_bytes(&bytes).ok())
            });
            match record {
                None => return,
                Some(Some(record)) if record.kind == KIND_REFUSED => self.tell_refused(&record),
                Some(Some(record)) if record.kind == KIND_UNKNOWN => self.answer(&record),
                Some(_) => {
                    tracing::error!("the programs that refuse images are of another version");
                }
            }
        }
    }

    /// Tells of a refused exec, unless enough was told. All are counted.
    fn tell_refused(&mut self, record: &BanRecord) {
        if self.told >= MAX_TOLD {
            self.untold += 1;
            return;
        }
        self.told += 1;
        let Some(listed) = self.listed(&record.key) else {
            return; // lifted meanwhile
        };
        let report = Report::Refused {
            pid: record.lineage[0].tgid,
            killed: record.by == BY_SIGNAL,
            ban: listed,
            origin: Origin::of(&record.lineage),
        };
        // A daemon that has its hands full is not waited for: orders would wait too.
        if self.reports.try_send(report).is_err() {
            self.untold += 1;
        }
    }

    fn report(&self, report: Report) {
        // An error means that the daemon is on its way out.
        let _sent = self.reports.blocking_send(report);
    }
}
