//! Images that were not seen before: hashed, and compared with those that are
//! banned.
//!
//! The kernel asks about each once. What is known of an image is kept beside its
//! key, so that a ban that comes later finds the copies that came before it. What
//! is another owner's is no copy: see [`content`].

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use monitor_ebpf::bans::{
    ANCESTORS, Ancestor, BAN_COPY, BAN_HASHED, BAN_LISTED, Ban, BanCount, BanKey, BanRecord,
    KNOWN_IMAGES,
};

use super::{
    super::{
        MAX_HASHING, MAX_WAITING, Report, Request,
        content::{self, Content},
        image::{Found, Held, hold_same, look, open},
        origin::Origin,
        record::{Listed, boottime_ns, new_ban},
        rule::Spared,
        warn,
    },
    BanWorker,
};
use crate::host::digest::{self, Purpose, Unknown};
use unjack_core::event::Process;

/// A file the kernel does not know, hashed.
#[derive(Debug)]
pub(in super::super) struct Hashed {
    key: BanKey,
    process: Process,
    lineage: Box<[Ancestor; ANCESTORS]>,
    found: Result<Found, Spared>,
}

/// The flags of the ban of a copy.
fn copied(ban: &Ban) -> u32 {
    BAN_HASHED | BAN_COPY | ban.flags & BAN_LISTED
}

impl BanWorker {
    /// Takes note of which contents are banned. Images that were known before one
    /// was are banned if they have it.
    pub(super) fn learn(&mut self, live: &[(BanKey, Ban, BanCount)]) {
        let hashes = content::banned(live);
        let new: Vec<(Content, Ban)> = hashes
            .iter()
            .filter(|(content, _)| !self.hashes.contains_key(*content))
            .map(|(content, ban)| (*content, *ban))
            .collect();
        self.hashes = hashes;
        for (content, ban) in new {
            self.spread(content, &ban);
        }
    }

    /// Bans the images that are known to be the same as one that is banned, and its
    /// owner's.
    pub(super) fn spread(&mut self, content: Content, ban: &Ban) {
        let same: Vec<BanKey> = self
            .known
            .iter()
            .filter(|(_, known)| **known == Some(content))
            .map(|(key, _)| *key)
            .collect();
        for key in same {
            self.known.remove(&key);
            let copy = Ban {
                flags: copied(ban),
                ..*ban
            };
            self.put(&key, copy);
        }
    }

    /// The kernel asks about an image: it is hashed, if there is anything to
    /// compare the hash with.
    pub(super) fn answer(&mut self, record: &BanRecord) {
        let nothing = self.hashes.is_empty() && self.intents.is_empty();
        if !self.policy.enforce || nothing {
            return;
        }
        if self.hashing >= MAX_HASHING {
            if self.waiting.len() < MAX_WAITING {
                self.waiting.push_back(*record);
            } else {
                self.counts.count_image("deferred");
            }
            return;
        }
        let process = Process {
            tgid: record.lineage[0].tgid,
            start_ns: record.lineage[0].start_ns,
        };
        self.hash(record.key, process, Box::new(record.lineage));
    }

    /// Has the image of a process hashed.
    fn hash(&mut self, key: BanKey, process: Process, lineage: Box<[Ancestor; ANCESTORS]>) {
        let (requests, wake) = (self.own.requests.clone(), Arc::clone(&self.own.wake));
        let allow = Arc::clone(&self.allow);
        // Filled when it is opened, taken when it was read.
        let held: Arc<Mutex<Result<Held, Spared>>> = Arc::new(Mutex::new(Err(Spared::Gone)));
        let opened = Arc::clone(&held);
        let lock = |held: &Mutex<Result<Held, Spared>>| {
            let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *held, Err(Spared::Gone))
        };
        let open = move || {
            let held = hold_same(process, &key, &allow).map_err(|_| Unknown::Gone)?;
            let file = open(&held.file)?;
            *opened.lock().unwrap_or_else(PoisonError::into_inner) = Ok(held);
            Ok(file)
        };
        let asked = digest::ask_opened(Purpose::Executed(process), open, move |digest| {
            let hashed = Hashed {
                key,
                process,
                lineage,
                found: lock(&held).and_then(|held| look(held, &key, digest)),
            };
            // An error means that the worker is gone.
            let _sent = requests.send(Request::Hashed(Box::new(hashed)));
            super::wake(&wake);
        });
        if asked {
            self.hashing += 1;
        } else {
            self.counts.count_image("deferred");
        }
    }

    pub(super) fn take_hash(&mut self, hashed: Hashed) {
        // An answer that was not asked for must not wrap it: then no image would
        // ever be hashed again.
        self.hashing = self.hashing.saturating_sub(1);
        if let Some(record) = self.waiting.pop_front() {
            self.answer(&record);
        }
        let Hashed {
            key,
            process,
            lineage,
            found,
        } = hashed;
        match found {
            Ok(found) => self.recognise(&key, process, &found, &lineage),
            Err(Spared::TooLarge) => {
                self.counts.count_image("too-large");
                self.mark_known(&key);
            }
            Err(reason) => {
                self.counts.count_image("unreadable");
                tracing::debug!("an image was not hashed: {}", reason.name());
            }
        }
    }

    /// Compares an unknown image with those that are banned.
    fn recognise(
        &mut self,
        key: &BanKey,
        process: Process,
        found: &Found,
        lineage: &[Ancestor; ANCESTORS],
    ) {
        let sha256 = found.digest;
        let content = Content::new(sha256, found.owner);
        let Some(ban) = content.and_then(|content| self.banned(content)) else {
            let anothers = self.hashes.keys().any(|banned| banned.holds(sha256));
            if anothers {
                tracing::info!(
                    "another owner's copy of a banned image is not refused: {}",
                    unjack_core::text::clean(found.path.as_os_str().as_encoded_bytes(), 256)
                );
            }
            let result = if anothers { "spared" } else { "clean" };
            self.counts.count_image(result);
            self.remember(key, content.filter(|_| found.spared.is_none()));
            return;
        };
        let runners = || self.allows_runners().then_some(Spared::Runners);
        let limited = || self.is_limited().then_some(Spared::Limited);
        let allowed = || self.allows_digest(sha256).then_some(Spared::Allowed);
        if let Some(reason) = found
            .spared
            .or_else(allowed)
            .or_else(runners)
            .or_else(limited)
        {
            self.counts.count_image("spared");
            tracing::warn!(
                "a copy of a banned image is not banned ({}): {}",
                reason.name(),
                unjack_core::text::clean(found.path.as_os_str().as_encoded_bytes(), 256)
            );
            self.remember(key, None);
            return;
        }
        self.counts.count_image("banned");
        let copy = Ban {
            expires_ns: ban.expires_ns,
            sha256: sha256.0,
            flags: copied(&ban),
            family: ban.family,
            ..new_ban(&found.path, found.owner, Duration::ZERO, 0)
        };
        self.put(key, copy);
        let listed = Listed::of(key, &copy, &BanCount::default(), boottime_ns(), Some(&ban));
        let report = Report::Recognised {
            process,
            image: found.image,
            ban: listed,
            origin: Origin::of(lineage),
        };
        self.report(report);
    }

    /// The ban of a content. `unjack bans` may have lifted it since the last tick.
    fn banned(&mut self, content: Content) -> Option<Ban> {
        let ban = self.hashes.get(&content).copied()?;
        let all = self.tables().and_then(|tables| tables.all().ok());
        let now_ns = boottime_ns();
        let lives = |(_, ban, _): &(BanKey, Ban, BanCount)| {
            Content::of(ban) == Some(content) && ban.expires_ns > now_ns
        };
        if all.iter().flatten().any(lives) {
            return Some(ban);
        }
        self.hashes.remove(&content);
        None
    }

    /// The kernel need not ask about this image again. It is banned when its content
    /// is, if it has one.
    fn remember(&mut self, key: &BanKey, content: Option<Content>) {
        if self.known.len() >= KNOWN_IMAGES as usize {
            // Begin anew: the kernel then asks about all of them again.
            self.known.clear();
            self.generation = self.generation.wrapping_add(1).max(1);
            let generation = self.generation;
            if let Some(tables) = self.tables()
                && let Err(error) = tables.set_state(generation, true)
            {
                return warn("the kernel's table of known images cannot be reset", &error);
            }
        }
        self.known.insert(*key, content);
        self.mark_known(key);
    }

    fn mark_known(&mut self, key: &BanKey) {
        let generation = self.generation;
        if let Some(tables) = self.tables()
            && let Err(error) = tables.mark_known(key, generation)
        {
            warn("the kernel will report a known image again", &error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use monitor_ebpf::bans::BanStats;
    use rustix::event::{EventfdFlags, eventfd};
    use tokio::sync::mpsc;
    use zerocopy::FromZeros as _;

    use super::{super::Own, *};
    use crate::{
        kernel::probe::bans::With,
        policy::config::BanPolicy,
        respond::action::ban::{Allowed, counts::Counts},
    };

    struct Uncounted;

    impl Counts for Uncounted {
        fn clear(&self) {}
        fn mirror(&self, _: usize, _: &BanStats, _: u64) {}
        fn count_image(&self, _: &'static str) {}
        fn count_spared(&self, _: Spared) {}
    }

    fn worker(enforce: bool) -> BanWorker {
        let policy = BanPolicy {
            ttl: Duration::ZERO,
            with: With::Auto,
            dir: "/nonexistent".into(),
            enforce,
            allow: Vec::new(),
            only: Vec::new(),
        };
        let own = Own {
            requests: sync_channel(1).0,
            wake: Arc::new(eventfd(0, EventfdFlags::CLOEXEC).unwrap()),
            listed: Arc::new(Allowed::default()),
        };
        BanWorker::new(policy, Arc::new(Uncounted), mpsc::channel(1).0, own)
    }

    fn answer() -> Hashed {
        Hashed {
            key: BanKey {
                inode: 1,
                ctime_ns: 2,
                device: 3,
                reserved: 0,
            },
            process: Process {
                tgid: 4,
                start_ns: 5,
            },
            lineage: Box::new([Ancestor::default(); ANCESTORS]),
            found: Err(Spared::Gone),
        }
    }

    #[test]
    fn an_answer_that_was_not_asked_for_takes_no_place() {
        let mut worker = worker(false);
        worker.hashing = 1;
        worker.take_hash(answer());
        worker.take_hash(answer());
        assert_eq!(worker.hashing, 0);
    }

    /// More images than are hashed at once wait, as many as there is room for.
    #[test]
    fn images_that_are_too_many_at_once_wait_for_their_turn() {
        let mut worker = worker(true);
        let content = Content::new(digest::Digest([1; 32]), 1000).unwrap();
        worker.hashes.insert(content, Ban::new_zeroed());
        worker.hashing = MAX_HASHING;
        for _ in 0..MAX_WAITING + 3 {
            worker.answer(&BanRecord::new_zeroed());
        }
        assert_eq!(
            (worker.hashing, worker.waiting.len()),
            (MAX_HASHING, MAX_WAITING)
        );
        worker.take_hash(answer());
        assert_eq!(
            (worker.hashing, worker.waiting.len()),
            (MAX_HASHING, MAX_WAITING - 1)
        );
    }
}
