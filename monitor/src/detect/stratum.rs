//! Whose traffic is looked at, and who spoke Stratum.
//!
//! Only a suspect's, and only its own TCP connections: a process that hashes, or
//! nearly, or has a verdict, and has not been heard yet. A process that serves
//! others is not listened to: a proxy or a broker says what its clients say.
//! Suspects are asked for their connections, those that hash before those that
//! nearly do, those that burn most first and then in turn; when there are more
//! sockets than [`WATCHED_SOCKETS`], those that were watched longest make room. The
//! same looks tell how the connections behave, of servers too ([`Shapes`]), and go
//! on when Stratum was heard.
//!
//! A process speaks Stratum if it sends two messages on one connection, a second
//! apart or more, and nothing else in between: one message may be a piece of a file
//! that is sent, or a line of a log. What was heard is remembered while the process
//! lives and executes the same image.

mod sight;

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use monitor_ebpf::WATCHED_SOCKETS;

use self::sight::{Sight, TICK_PATIENCE};
use super::{
    counts::Counts,
    shapes::{Next, Shapes},
};
use unjack_core::{
    event::{Payload, Process},
    score::{Evidence, EvidenceKind},
    shape::{Observation, Shape},
    stratum::recognise,
    verdict::{Detection, Suspicion},
};

/// Suspects asked for their connections before processes are judged, and after: each
/// with two relatives at the most. On a host of two busy processors a look took 0.3 ms (median; 3.5 ms in one of
/// twenty) at a process with 17 sockets, 11 ms at one with 1,000, and a search for
/// relatives, once a minute, 6 to 14 ms. [`TICK_PATIENCE`] bounds what all take.
const LOOKS_AT_ONCE: usize = 16;
/// Least time between two looks at one that hashes, a little less than a tick, while
/// it is new: the verdict depends on it.
const NEW_EVERY_NS: u64 = 900_000_000;
/// How long it is new.
const NEW_NS: u64 = 60_000_000_000;
/// Least time between two looks at one that hashes, later: a little less than two
/// ticks.
const HASHES_EVERY_NS: u64 = 1_900_000_000;
/// Least time between two looks at one that nearly does.
const NEARLY_EVERY_NS: u64 = 5_000_000_000;
/// How long a process stays a suspect after it last looked like one: a process that
/// hashes on and off is not let go and found again every second.
const HOLD_NS: u64 = 10_000_000_000;
/// How long a socket is watched before it may have to make room: miners send a
/// share or a sign of life a minute, or oftener.
const TURN_NS: u64 = 90_000_000_000;
/// Least time between the two messages: what is sent in one go lies closer.
const APART_NS: u64 = 1_000_000_000;
/// Time until it is tried again after the kernel refused.
const RETRY_NS: u64 = 600_000_000_000;
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
    /// When it first did, nanoseconds.
    hashes_since_ns: Option<u64>,
}

impl Suspect {
    /// Least time between two looks at it.
    fn every_ns(&self, now_ns: u64) -> u64 {
        let since_ns = self.hashes_since_ns.unwrap_or(now_ns);
        match self.hashes {
            true if now_ns.saturating_sub(since_ns) < NEW_NS => NEW_EVERY_NS,
            true => HASHES_EVERY_NS,
            false => NEARLY_EVERY_NS,
        }
    }

    fn is_due(&self, now_ns: u64) -> bool {
        self.looked_ns == 0 || now_ns.saturating_sub(self.looked_ns) >= self.every_ns(now_ns)
    }
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
    /// Connections are looked at at all.
    enabled: bool,
    shapes: Shapes,
    suspects: HashMap<Process, Suspect>,
    sockets: HashMap<u64, Socket>,
    heard: HashMap<Process, Heard>,
    /// The tick that looks are made in, nanoseconds, and the time left for them.
    tick_ns: u64,
    left: Duration,
    /// Nothing is watched before this, nanoseconds: it was refused.
    again_ns: u64,
    /// That was said.
    told: bool,
    counts: Arc<dyn Counts>,
}

impl Stratum {
    pub(crate) fn new(enabled: bool, counts: impl Counts + 'static) -> Self {
        let counts: Arc<dyn Counts> = Arc::new(counts);
        Self {
            enabled,
            shapes: Shapes::new(Arc::clone(&counts)),
            suspects: HashMap::new(),
            sockets: HashMap::new(),
            heard: HashMap::new(),
            tick_ns: 0,
            left: TICK_PATIENCE,
            again_ns: 0,
            told: false,
            counts,
        }
    }

    /// Whether a process was heard to speak Stratum.
    pub(crate) fn was_heard(&self, process: Process) -> bool {
        self.heard.contains_key(&process)
    }

    /// How the connections of a process behaved so far.
    pub(crate) fn shape(&self, process: Process) -> Shape {
        self.shapes.of(process)
    }

    /// A process is suspected so much at this moment.
    pub(crate) fn suspect(
        &mut self,
        process: Process,
        cores: f64,
        suspicion: Suspicion,
        now_ns: u64,
    ) {
        if !self.enabled || suspicion == Suspicion::None {
            return;
        }
        let hashes = suspicion == Suspicion::Hashes;
        let suspect = self.suspects.entry(process).or_default();
        suspect.suspected_ns = now_ns;
        suspect.cores = cores;
        suspect.hashes = hashes;
        if hashes {
            suspect.hashes_since_ns.get_or_insert(now_ns);
        }
    }

    /// A process executes another image, which has said nothing yet.
    pub(crate) fn executes(&mut self, process: Process) {
        self.heard.remove(&process);
        self.shapes.executes(process);
        // Only suspects hold sockets here; most processes that execute an image are
        // not suspects.
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
                self.counts.heard();
            }
        }
    }

    /// Says in a detection what was heard, where it would say that something was.
    pub(crate) fn explain(&self, process: Process, detection: &mut Detection) {
        let Some(Heard { message, peer, .. }) = self.heard.get(&process) else {
            return;
        };
        let text = format!("speaks Stratum on a socket of its own: {message} to {peer}");
        Evidence::detail(&mut detection.evidence, EvidenceKind::Stratum, text);
    }

    /// Forgets processes that are gone, and that are no suspects any more; looks at
    /// the connections of those whose turn it is. They are watched if `watches`.
    fn turn(&mut self, now_ns: u64, watches: bool, sight: &mut impl Sight) {
        // An exec whose record was lost is known by the count of images alone.
        let same = |process, before: Option<u32>| {
            let now = sight.images(process);
            now.is_some_and(|now| before.is_none_or(|before| before == now))
        };
        self.heard.retain(|process, heard| {
            let same = same(*process, heard.image);
            heard.image = sight.images(*process);
            same
        });
        self.shapes.retain(|process| sight.images(process));
        self.suspects.retain(|process, suspect| {
            let same = same(*process, suspect.image);
            suspect.image = sight.images(*process);
            same && now_ns.saturating_sub(suspect.suspected_ns) < HOLD_NS
        });
        let (suspects, heard) = (&self.suspects, &self.heard);
        self.sockets.retain(|_, socket| {
            socket
                .holders
                .retain(|holder| suspects.contains_key(holder) && !heard.contains_key(holder));
            !socket.holders.is_empty()
        });
        for process in self.due(now_ns) {
            let found = sight.connections(process);
            if let Some(suspect) = self.suspects.get_mut(&process) {
                suspect.looked_ns = now_ns;
            }
            if let Some(found) = &found {
                self.shapes.take(process, sight.cpu_ns(process), found);
                self.look_around(now_ns, process, sight);
            }
            let said = found.filter(|found| watches && !found.serves && !self.was_heard(process));
            self.hold(now_ns, process, &said.unwrap_or_default().kept);
        }
        self.counts.set_sockets(self.sockets.len());
    }

    /// Looks at processes that may connect for a suspect, or for such.
    fn look_around(&mut self, now_ns: u64, process: Process, sight: &mut impl Sight) {
        for next in self.shapes.next(process, now_ns) {
            match next {
                Next::Nothing => {}
                Next::Search => {
                    let found = sight.relatives(process);
                    self.shapes.take_relatives(process, now_ns, &found);
                }
                Next::Relative(relative) => {
                    let found = sight.connections(relative);
                    self.shapes.take_relative(process, relative, found.as_ref());
                }
            }
        }
    }

    /// Whose turn it is.
    fn due(&self, now_ns: u64) -> Vec<Process> {
        let mut due: Vec<(Process, Suspect)> = self
            .suspects
            .iter()
            .filter(|(_, suspect)| suspect.is_due(now_ns))
            .map(|(process, suspect)| (*process, *suspect))
            .collect();
        due.sort_by(|(_, a), (_, b)| {
            (b.hashes.cmp(&a.hashes))
                .then(a.looked_ns.cmp(&b.looked_ns))
                .then(b.cores.total_cmp(&a.cores))
        });
        due.into_iter()
            .take(LOOKS_AT_ONCE)
            .map(|(process, _)| process)
            .collect()
    }

    /// Has a process hold these connections and no others.
    fn hold(&mut self, now_ns: u64, process: Process, connections: &[Observation]) {
        self.sockets.retain(|cookie, socket| {
            if connections.iter().all(|found| found.cookie != *cookie) {
                socket.holders.retain(|holder| *holder != process);
            }
            !socket.holders.is_empty()
        });
        for Observation { cookie, peer, .. } in connections {
            if let Some(socket) = self.sockets.get_mut(cookie) {
                if !socket.holders.contains(&process) {
                    socket.holders.push(process);
                }
                continue;
            }
            if self.sockets.len() >= WATCHED_SOCKETS as usize && !self.make_room(now_ns, process) {
                self.counts.unwatched();
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
        self.counts.set_sockets(0);
        self.again_ns = now_ns.saturating_add(RETRY_NS);
        if !std::mem::replace(&mut self.told, true) {
            tracing::warn!("the connections of suspects are not checked for Stratum: {why}");
        }
    }
}

#[cfg(test)]
mod tests;
