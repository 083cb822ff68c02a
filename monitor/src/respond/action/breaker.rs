//! The circuit breaker: many different images that are judged miners within a minute
//! are more likely a mistake of the model than miners.
//!
//! In: each [`Act`] (an image, its user, its cgroup) with its time. Out: whether one
//! more is allowed. It counts what is *new*: an image that a user was acted on for
//! before counts only for that image, and so do further processes of it. Processes that
//! ended because they were in the scope of another, and copies of a banned image, are
//! not counted at all: nothing was judged about them.
//!
//! | level | counts in a minute | opens for |
//! |---|---|---|
//! | [`Level::Image`] | processes of one user with one image | that image of that user |
//! | [`Level::User`] | new images of one user | new images of that user |
//! | [`Level::Cgroup`] | new images in one `domain` | new images in there |
//! | [`Level::Host`] | new images of all | everything |
//!
//! A level opens when its limit is reached, and stays open for a minute. What a user, or
//! a domain, counts for the host is at most its own limit, which is below the host's by
//! default: so what one user starts never decides about another user's image. See
//! [`Act`] for what a user is.
//!
//! Three tables have bounds of their own, as what fills them is started by any user:
//! [`MAX_COUNTED`], [`MAX_KNOWN`], [`MAX_OPEN`]. Each forgets the oldest for one more, and
//! counts it: see [`Breaker::forgotten`]. A breaker that forgets allows more.

mod act;

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher as _, RandomState},
};

use serde::{Deserialize, Serialize};

pub use self::act::Act;
use crate::{
    host::{Facts, Image},
    policy::config::BreakerLimits,
};

/// The time over which is counted, and for which a level stays open.
const MINUTE_NS: u64 = 60_000_000_000;
/// How long an image is known after it was last acted on: an inode number may belong to
/// another file by then.
const KNOWN_NS: u64 = 60 * MINUTE_NS;
/// Counts that are kept for a minute, four of a new image at the most. The highest limit
/// is 10,000; more than twice that in a minute would be 270 processes a second.
pub const MAX_COUNTED: usize = 65_536;
/// Images that are known. One user adds at most the limit of a user in a minute.
pub const MAX_KNOWN: usize = 4096;
/// What is open at the same time. Each took as many processes within a minute as the limit
/// of its level says: as many as there are known images, once all reach theirs.
pub const MAX_OPEN: usize = 4096;

/// What the breaker opens for.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// One image of one user.
    Image,
    /// One user.
    User,
    /// One cgroup, with all below it.
    Cgroup,
    /// The whole host.
    #[default]
    Host,
}

impl Level {
    /// All, in the order in which they are asked.
    pub const ALL: [Self; 4] = [Self::Image, Self::User, Self::Cgroup, Self::Host];

    /// Its name in events and labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::User => "user",
            Self::Cgroup => "cgroup",
            Self::Host => "host",
        }
    }
}

/// What is counted, and opens: a level and a hash of what it is about. The hash has a key
/// of its own in each process, so that no name can be chosen to collide with another.
type Key = (Level, u64);

/// A level that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Which.
    pub level: Level,
    /// What it is open for: a path, a user id, a cgroup; empty for the host. Cleaned.
    pub of: String,
    /// How many in a minute opened it.
    pub limit: u32,
    /// When it closes, nanoseconds of the clock that acts were counted by.
    pub until_ns: u64,
    /// Miners that were not acted on because of it.
    pub let_pass: u64,
}

/// A level opened or closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It opened.
    Opened(Opened),
    /// It closed.
    Closed(Opened),
}

/// Why a process is not acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The level that is open.
    pub level: Level,
    /// When to ask again, nanoseconds of the same clock.
    pub until_ns: u64,
}

/// Counts what was acted on.
#[derive(Debug)]
pub struct Breaker {
    limits: BreakerLimits,
    hasher: RandomState,
    /// What was counted within the last minute, the oldest first.
    recent: VecDeque<(u64, Key)>,
    counts: HashMap<Key, u32>,
    /// Images that were acted on before, with the last time.
    known: HashMap<u64, u64>,
    open: HashMap<Key, Opened>,
    changes: Vec<Change>,
    forgotten: u64,
}

impl Breaker {
    /// One with these limits.
    #[must_use]
    pub fn new(limits: BreakerLimits) -> Self {
        Self {
            limits,
            hasher: RandomState::new(),
            recent: VecDeque::new(),
            counts: HashMap::new(),
            known: HashMap::new(),
            open: HashMap::new(),
            changes: Vec::new(),
            forgotten: 0,
        }
    }

    /// What is counted of a process with this image, of which `facts` are known.
    #[must_use]
    pub fn about(&self, image: Image, facts: Option<&Facts>) -> Act {
        Act::of(image, facts, |value| self.hasher.hash_one(value))
    }

    /// Whether this process may be acted on; if not, that is counted.
    ///
    /// # Errors
    /// It may not; by which level, and when to ask again.
    pub fn allows(&mut self, now_ns: u64, act: &Act) -> Result<(), Stop> {
        self.expire(now_ns);
        let last_ns = self.known.get(&act.image);
        let known = last_ns.is_some_and(|last_ns| is_known(*last_ns, now_ns));
        for level in Level::ALL {
            // An image that is known is no news of its user or cgroup.
            if known && matches!(level, Level::User | Level::Cgroup) {
                continue;
            }
            if let Some(opened) = self.open.get_mut(&(level, act.key(level))) {
                opened.let_pass += 1;
                return Err(Stop {
                    level,
                    until_ns: opened.until_ns,
                });
            }
        }
        Ok(())
    }

    /// A process was judged and is acted on.
    pub fn count(&mut self, now_ns: u64, act: &Act) {
        self.expire(now_ns);
        let new = self.learn(now_ns, act.image);
        for level in Level::ALL {
            if new || level == Level::Image {
                self.add(now_ns, level, act);
            }
        }
    }

    /// How much of a level is open, as of when anything was last asked.
    #[must_use]
    pub fn open_at(&self, level: Level) -> usize {
        self.open.keys().filter(|key| key.0 == level).count()
    }

    /// What is open now, the narrowest level first.
    pub fn open(&mut self, now_ns: u64) -> Vec<Opened> {
        self.expire(now_ns);
        let mut open: Vec<_> = self.open.values().cloned().collect();
        open.sort_by(|a, b| (a.level, &a.of).cmp(&(b.level, &b.of)));
        open
    }

    /// What opened and closed since this was last asked.
    pub fn changes(&mut self, now_ns: u64) -> Vec<Change> {
        self.expire(now_ns);
        std::mem::take(&mut self.changes)
    }

    /// How often one of the tables was full and forgot its oldest entry.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Remembers an image; whether it was unknown.
    fn learn(&mut self, now_ns: u64, image: u64) -> bool {
        let before_ns = self.known.insert(image, now_ns);
        if before_ns.is_some_and(|last_ns| is_known(last_ns, now_ns)) {
            return false;
        }
        if self.known.len() > MAX_KNOWN {
            self.known.retain(|_, last_ns| is_known(*last_ns, now_ns));
        }
        if self.known.len() > MAX_KNOWN {
            let others = self.known.iter().filter(|(other, _)| **other != image);
            let oldest = others.min_by_key(|(_, last_ns)| **last_ns);
            if let Some(oldest) = oldest.map(|(oldest, _)| *oldest) {
                self.known.remove(&oldest);
                self.forgotten += 1;
            }
        }
        true
    }

    fn add(&mut self, now_ns: u64, level: Level, act: &Act) {
        let key = (level, act.key(level));
        if self.recent.len() == MAX_COUNTED
            && let Some((_, oldest)) = self.recent.pop_front()
        {
            self.discount(oldest);
            self.forgotten += 1;
        }
        self.recent.push_back((now_ns, key));
        let limit = self.limit(level);
        let count = self.counts.entry(key).or_default();
        *count += 1;
        if *count < limit || self.open.contains_key(&key) {
            return;
        }
        self.make_room(now_ns);
        let opened = Opened {
            level,
            of: act.text(level),
            limit,
            until_ns: now_ns + MINUTE_NS,
            let_pass: 0,
        };
        self.changes.push(Change::Opened(opened.clone()));
        self.open.insert(key, opened);
    }

    fn limit(&self, level: Level) -> u32 {
        let BreakerLimits { host, user, image } = self.limits;
        match level {
            Level::Image => image,
            Level::User | Level::Cgroup => user,
            Level::Host => host,
        }
    }

    /// Closes what would close next, if too much is open. Never the host.
    fn make_room(&mut self, now_ns: u64) {
        if self.open.len() < MAX_OPEN {
            return;
        }
        let closable = self.open.iter().filter(|(key, _)| key.0 != Level::Host);
        let next = closable.min_by_key(|(_, opened)| opened.until_ns);
        if let Some(key) = next.map(|(key, _)| *key)
            && let Some(opened) = self.open.get_mut(&key)
        {
            opened.until_ns = now_ns;
            self.forgotten += 1;
            self.close(now_ns);
        }
    }

    fn discount(&mut self, key: Key) {
        if let Some(count) = self.counts.get_mut(&key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.remove(&key);
            }
        }
    }

    fn expire(&mut self, now_ns: u64) {
        let is_old = |at_ns: u64| now_ns.saturating_sub(at_ns) >= MINUTE_NS;
        while let Some((_, key)) = self.recent.pop_front_if(|(at_ns, _)| is_old(*at_ns)) {
            self.discount(key);
        }
        self.close(now_ns);
    }

    fn close(&mut self, now_ns: u64) {
        let closing = self.open.extract_if(|_, opened| now_ns >= opened.until_ns);
        let changes = closing.map(|(_, opened)| Change::Closed(opened));
        self.changes.extend(changes);
    }
}

/// Whether an image that was last acted on then still counts as known.
fn is_known(last_ns: u64, now_ns: u64) -> bool {
    now_ns.saturating_sub(last_ns) < KNOWN_NS
}

#[cfg(test)]
mod tests;
