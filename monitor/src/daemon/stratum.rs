//! Whose traffic is looked at, and who spoke Stratum.
//!
//! Only a suspect's, and only its own TCP connections: who hashes, or nearly, or
//! has a verdict, and has not been heard yet. Whoever serves others is not listened
//! to: a proxy or a broker says what its clients say. Suspects are asked for their
//! connections, those that hash before those that nearly do, those that burn most
//! first and then in turn; when there are more sockets than [`WATCHED_SOCKETS`],
//! those that were watched longest make room.
//!
//! Somebody speaks Stratum who says two messages on one connection, a second apart or
//! more, and nothing else in between: one message may be a piece of a file that is
//! sent, or a line of somebody's log. What was heard is remembered while the process
//! lives and executes the same image.

use std::{
    collections::{HashMap, HashSet},
    fs,
    net::SocketAddr,
    os::unix::fs::MetadataExt,
    path::PathBuf,
};

use monitor_ebpf::WATCHED_SOCKETS;

use super::Daemon;
use crate::{
    cgroup::Layout,
    event::{Payload, Process},
    host::{
        LookError, Seen,
        connections::{Connection, Connections},
    },
    metrics::Traffic,
    probe::Probes,
    score::{Evidence, EvidenceKind},
    stratum::recognise,
    verdict::Ruling,
};

/// Suspects asked for their connections in one tick: a look takes a few
/// milliseconds at the most.
const LOOKS_A_TICK: usize = 4;
/// Least time between two looks at one suspect: a miner stays connected.
const LOOK_EVERY_NS: u64 = 5_000_000_000;
/// How long somebody is a suspect after he last looked like one: whose hashing
/// comes and goes is not let go and found again every second.
const HOLD_NS: u64 = 10_000_000_000;
/// How long a socket is watched before it may have to make room: miners send a
/// share or a sign of life a minute, or oftener.
const TURN_NS: u64 = 90_000_000_000;
/// Least time between the two messages: what is sent in one go lies closer.
const APART_NS: u64 = 1_000_000_000;
/// Time until it is tried again after the kernel refused.
const RETRY_NS: u64 = 600_000_000_000;
/// `ino` of the root of the unified tree: no other cgroup has it
/// (`kernfs_create_root`, fs/kernfs/dir.c).
const ROOT_INODE: u64 = 1;

/// A message that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Heard {
    message: &'static str,
    peer: SocketAddr,
    /// [`Suspect::image`].
    image: Option<u32>,
}

/// A suspect.
#[derive(Clone, Copy, Debug, Default)]
struct Suspect {
    /// When it last looked like one, nanoseconds.
    suspected_ns: u64,
    /// When it was last asked for its connections; 0 if it was not.
    looked_ns: u64,
    cores: f64,
    /// Which of its images that is, counted, as soon as that was looked at.
    image: Option<u32>,
    /// It hashes, or has a verdict; the others nearly do.
    hashes: bool,
}

/// A message after which nothing else has been sent so far.
#[derive(Clone, Copy, Debug)]
struct First {
    /// When it was sent, nanoseconds.
    time_ns: u64,
    /// [`Payload::foreign`].
    foreign: u32,
}

/// A socket that is watched.
#[derive(Clone, Debug)]
struct Socket {
    peer: SocketAddr,
    since_ns: u64,
    /// The first message in a row.
    first: Option<First>,
    /// Suspects that hold it: a process shares its sockets with those it forks.
    holders: Vec<Process>,
}

/// Suspects, their sockets, and what was heard on them.
#[derive(Debug)]
pub(crate) struct Stratum {
    /// Anybody's traffic is looked at.
    enabled: bool,
    suspects: HashMap<Process, Suspect>,
    sockets: HashMap<u64, Socket>,
    heard: HashMap<Process, Heard>,
    /// Nothing is watched before this, nanoseconds: it was refused.
    again_ns: u64,
    /// That was said.
    told: bool,
    metrics: Traffic,
}

impl Stratum {
    pub(crate) fn new(enabled: bool, metrics: Traffic) -> Self {
        Self {
            enabled,
            suspects: HashMap::new(),
            sockets: HashMap::new(),
            heard: HashMap::new(),
            again_ns: 0,
            told: false,
            metrics,
        }
    }

    /// Whether a process was heard to speak Stratum.
    pub(crate) fn was_heard(&self, process: Process) -> bool {
        self.heard.contains_key(&process)
    }

    /// Somebody is suspected, at this moment; or nearly so, if it does not hash.
    pub(crate) fn suspect(&mut self, process: Process, cores: f64, hashes: bool, now_ns: u64) {
        if !self.enabled || self.was_heard(process) {
            return;
        }
        let suspect = self.suspects.entry(process).or_default();
        suspect.suspected_ns = now_ns;
        suspect.cores = cores;
        suspect.hashes = hashes;
    }

    /// A process executes another image, which has said nothing yet.
    pub(crate) fn executes(&mut self, process: Process) {
        self.heard.remove(&process);
        // Nobody else holds a socket here; most who execute something are none.
        if self.suspects.remove(&process).is_some() {
            for socket in self.sockets.values_mut() {
                socket.holders.retain(|holder| *holder != process);
            }
        }
    }

    /// Takes what a packet holds that was sent on a watched socket.
    pub(crate) fn hear(&mut self, payload: &Payload) {
        let Some(socket) = self.sockets.get_mut(&payload.cookie) else {
            return;
        };
        let Some(message) = recognise(payload.bytes()) else {
            socket.first = None;
            return;
        };
        let Payload {
            time_ns, foreign, ..
        } = *payload;
        let begins = First { time_ns, foreign };
        let goes_on = socket.first.filter(|first| first.foreign == foreign);
        let first = goes_on.unwrap_or(begins);
        socket.first = Some(first);
        if time_ns.saturating_sub(first.time_ns) < APART_NS {
            return;
        }
        for process in &socket.holders {
            let suspect = self.suspects.get(process);
            let heard = Heard {
                message,
                peer: socket.peer,
                image: suspect.and_then(|suspect| suspect.image),
            };
            if self.heard.insert(*process, heard).is_none() {
                self.metrics.heard.inc();
            }
        }
    }

    /// Says in a ruling what was heard, where it would say that something was.
    pub(super) fn explain(&self, process: Process, ruling: &mut Ruling) {
        let Some(Heard { message, peer, .. }) = self.heard.get(&process) else {
            return;
        };
        let text = format!("speaks Stratum on a socket of its own: {message} to {peer}");
        Evidence::detail(&mut ruling.evidence, EvidenceKind::Stratum, text);
    }

    /// Forgets who is gone, and who is no suspect any more; asks those whose
    /// turn it is for their connections. `images` is which of its images somebody
    /// executes, counted, and `look` his connections: nothing for who is gone.
    fn turn(
        &mut self,
        now_ns: u64,
        images: impl Fn(Process) -> Option<u32>,
        mut look: impl FnMut(Process) -> Option<Connections>,
    ) {
        // An exec whose record was lost is known by the count of images alone.
        let same = |process, before: Option<u32>| {
            images(process).is_some_and(|now| before.is_none_or(|before| before == now))
        };
        self.heard.retain(|process, heard| {
            let same = same(*process, heard.image);
            heard.image = images(*process);
            same
        });
        let heard = &self.heard;
        self.suspects.retain(|process, suspect| {
            let same = same(*process, suspect.image);
            suspect.image = images(*process);
            same && !heard.contains_key(process)
                && now_ns.saturating_sub(suspect.suspected_ns) < HOLD_NS
        });
        let suspects = &self.suspects;
        self.sockets.retain(|_, socket| {
            socket
                .holders
                .retain(|holder| suspects.contains_key(holder));
            !socket.holders.is_empty()
        });
        for process in self.due(now_ns) {
            let Connections { kept, serves } = look(process).unwrap_or_default();
            if let Some(suspect) = self.suspects.get_mut(&process) {
                suspect.looked_ns = now_ns;
            }
            self.hold(now_ns, process, if serves { &[] } else { &kept });
        }
        self.metrics.set_sockets(self.sockets.len());
    }

    /// Whose turn it is.
    fn due(&self, now_ns: u64) -> Vec<Process> {
        let mut due: Vec<(Process, Suspect)> = self
            .suspects
            .iter()
            .filter(|(_, suspect)| {
                suspect.looked_ns == 0 || now_ns.saturating_sub(suspect.looked_ns) >= LOOK_EVERY_NS
            })
            .map(|(process, suspect)| (*process, *suspect))
            .collect();
        due.sort_by(|(_, a), (_, b)| {
            (b.hashes.cmp(&a.hashes))
                .then(a.looked_ns.cmp(&b.looked_ns))
                .then(b.cores.total_cmp(&a.cores))
        });
        due.into_iter()
            .take(LOOKS_A_TICK)
            .map(|(process, _)| process)
            .collect()
    }

    /// Has a process hold these connections and no others.
    fn hold(&mut self, now_ns: u64, process: Process, connections: &[Connection]) {
        self.sockets.retain(|cookie, socket| {
            if connections.iter().all(|found| found.cookie != *cookie) {
                socket.holders.retain(|holder| *holder != process);
            }
            !socket.holders.is_empty()
        });
        for Connection { cookie, peer } in connections {
            if let Some(socket) = self.sockets.get_mut(cookie) {
                if !socket.holders.contains(&process) {
                    socket.holders.push(process);
                }
                continue;
            }
            if self.sockets.len() >= WATCHED_SOCKETS as usize && !self.make_room(now_ns, process) {
                self.metrics.unwatched.inc();
                continue;
            }
            let socket = Socket {
                peer: *peer,
                since_ns: now_ns,
                first: None,
                holders: vec![process],
            };
            self.sockets.insert(*cookie, socket);
        }
    }

    /// Lets a socket go for one of this process: the one that was watched longest,
    /// if it had its turn. Those of who hashes do not wait for those of who does not.
    fn make_room(&mut self, now_ns: u64, process: Process) -> bool {
        let suspects = &self.suspects;
        let hashes = |holder: &Process| suspects.get(holder).is_some_and(|it| it.hashes);
        let comes_first = hashes(&process);
        let yields = |socket: &Socket| comes_first && !socket.holders.iter().any(hashes);
        let longest = self
            .sockets
            .iter()
            .min_by_key(|(_, socket)| (!yields(socket), socket.since_ns))
            .filter(|(_, socket)| {
                yields(socket) || now_ns.saturating_sub(socket.since_ns) >= TURN_NS
            })
            .map(|(cookie, _)| *cookie);
        longest.is_some_and(|cookie| self.sockets.remove(&cookie).is_some())
    }

    fn cookies(&self) -> HashSet<u64> {
        self.sockets.keys().copied().collect()
    }

    /// Nothing is watched for a while. Says so once.
    fn give_up(&mut self, now_ns: u64, why: &str) {
        self.sockets.clear();
        self.metrics.set_sockets(0);
        self.again_ns = now_ns.saturating_add(RETRY_NS);
        if !std::mem::replace(&mut self.told, true) {
            tracing::warn!("what suspects say on their connections is not looked at: {why}");
        }
    }
}

impl Stratum {
    /// Looks at the traffic of whoever is suspected now, and of nobody else.
    /// `images` says how many images somebody has executed, if he is still there.
    pub(crate) fn listen(
        &mut self,
        now_ns: u64,
        probes: &mut Probes,
        images: impl Fn(Process) -> Option<u32>,
    ) {
        let refused = now_ns < self.again_ns;
        let unwatched = self.metrics.unwatched.clone();
        self.turn(now_ns, images, |process| {
            let seen = (!refused)
                .then(|| Seen::open(process))
                .and_then(Result::ok)?;
            let found = seen.connections();
            if matches!(found, Err(LookError::Late | LookError::Other(_))) {
                unwatched.inc();
            }
            found.ok()
        });
        let cookies = self.cookies();
        let root = if cookies.is_empty() {
            Ok(PathBuf::new())
        } else {
            root()
        };
        let watched = root.and_then(|root| {
            let watched = probes.watch_sockets(&root, &cookies);
            watched.map_err(|error| error.to_string())
        });
        if let Err(why) = watched {
            self.give_up(now_ns, &why);
        }
    }
}

impl Daemon {
    /// Listens to the suspects.
    pub(super) fn listen(&mut self, now_ns: u64) {
        let collector = &self.collector;
        self.stratum.listen(now_ns, &mut self.probes, |process| {
            collector.images(process)
        });
    }
}

/// The root of the unified cgroup tree, below which all sockets are.
fn root() -> Result<PathBuf, String> {
    let mounts = fs::read("/proc/self/mountinfo").map_err(|error| error.to_string())?;
    let point = Layout::parse(&mounts).unified_point().ok_or(
        "no unified cgroup tree is mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified",
    )?;
    let inode = fs::metadata(&point)
        .map_err(|error| error.to_string())?
        .ino();
    if inode == ROOT_INODE {
        Ok(point)
    } else {
        Err(format!(
            "{} is not the root of the unified cgroup tree: in a container, run with the host's \
             cgroup namespace (--cgroupns=host) and mount the host's /sys/fs/cgroup",
            point.display()
        ))
    }
}

#[cfg(test)]
mod tests;
