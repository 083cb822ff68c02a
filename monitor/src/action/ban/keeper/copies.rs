//! Images that nobody has seen yet: hashed, and compared with those that are
//! banned.
//!
//! The kernel asks about each once. What is known of an image is kept beside its
//! key, so that a ban that comes later finds the copies that came before it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use monitor_ebpf::bans::{
    ANCESTORS, Ancestor, BAN_COPY, BAN_HASHED, Ban, BanCount, BanKey, BanRecord, KNOWN_IMAGES,
};

use super::{
    super::{
        Listed, MAX_HASHING, Report, Request, boottime_ns,
        image::{Found, Held, hold_same, look, open},
        new_ban,
        origin::Origin,
        rule::Spared,
        sha256, warn,
    },
    Keeper,
};
use crate::{
    digest::{self, Digest, Unknown},
    event::Process,
};

/// A file the kernel does not know, hashed.
#[derive(Debug)]
pub(in super::super) struct Hashed {
    key: BanKey,
    process: Process,
    lineage: Box<[Ancestor; ANCESTORS]>,
    found: Result<Found, Spared>,
}

impl Keeper {
    /// Takes note of which hashes are banned. Images that were known before one
    /// was are banned if they have it.
    pub(super) fn learn(&mut self, live: &[(BanKey, Ban, BanCount)]) {
        let mut hashes: HashMap<Digest, Ban> = HashMap::new();
        for (_, ban, _) in live {
            if let Some(sha256) = sha256(ban) {
                let known = hashes.entry(sha256).or_insert(*ban);
                if ban.expires_ns > known.expires_ns {
                    *known = *ban;
                }
            }
        }
        let new: Vec<(Digest, Ban)> = hashes
            .iter()
            .filter(|(sha256, _)| !self.hashes.contains_key(*sha256))
            .map(|(sha256, ban)| (*sha256, *ban))
            .collect();
        self.hashes = hashes;
        for (sha256, ban) in new {
            self.spread(sha256, &ban);
        }
    }

    /// Bans the images that are known to be the same as one that is banned.
    pub(super) fn spread(&mut self, sha256: Digest, ban: &Ban) {
        let same: Vec<BanKey> = self
            .known
            .iter()
            .filter(|(_, (known, may))| *known == sha256 && *may)
            .map(|(key, _)| *key)
            .collect();
        for key in same {
            self.known.remove(&key);
            let copy = Ban {
                flags: BAN_HASHED | BAN_COPY,
                ..*ban
            };
            self.put(&key, copy);
        }
    }

    /// The kernel asks about an image: it is hashed, if there is anything to
    /// compare the hash with.
    pub(super) fn answer(&mut self, record: &BanRecord) {
        let nothing = self.hashes.is_empty() && self.noted.is_empty();
        if !self.policy.enforce || nothing {
            return;
        }
        if self.hashing >= MAX_HASHING {
            self.metrics.count_ban_image("deferred");
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
        let asked = digest::ask_opened(open, move |digest| {
            let hashed = Hashed {
                key,
                process,
                lineage,
                found: lock(&held).and_then(|held| look(held, &key, digest)),
            };
            // An error means that the keeper is gone.
            let _sent = requests.send(Request::Hashed(Box::new(hashed)));
            super::wake(&wake);
        });
        if asked {
            self.hashing += 1;
        } else {
            self.metrics.count_ban_image("deferred");
        }
    }

    pub(super) fn take_hash(&mut self, hashed: Hashed) {
        self.hashing -= 1;
        let Hashed {
            key,
            process,
            lineage,
            found,
        } = hashed;
        match found {
            Ok(found) => self.recognise(&key, process, &found, &lineage),
            Err(Spared::TooLarge) => {
                self.metrics.count_ban_image("too-large");
                self.mark_known(&key);
            }
            Err(reason) => {
                self.metrics.count_ban_image("unreadable");
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
        let Some(ban) = self.banned(sha256) else {
            self.metrics.count_ban_image("clean");
            self.remember(key, sha256, found.spared.is_none());
            return;
        };
        let runners = || self.allows_runners().then_some(Spared::Runners);
        let allowed = || self.allows_digest(sha256).then_some(Spared::Allowed);
        if let Some(reason) = found.spared.or_else(allowed).or_else(runners) {
            self.metrics.count_ban_image("spared");
            tracing::warn!(
                "a copy of a banned image is spared ({}): {}",
                reason.name(),
                crate::text::clean(found.path.as_os_str().as_encoded_bytes(), 256)
            );
            self.remember(key, sha256, false);
            return;
        }
        self.metrics.count_ban_image("banned");
        let copy = Ban {
            expires_ns: ban.expires_ns,
            sha256: sha256.0,
            flags: BAN_HASHED | BAN_COPY,
            ..new_ban(&found.path, Duration::ZERO, 0)
        };
        self.put(key, copy);
        let listed = Listed::new(key, &copy, &BanCount::default(), boottime_ns());
        let report = Report::Recognised {
            process,
            image: found.image,
            ban: listed,
            origin: Origin::of(lineage),
        };
        self.report(report);
    }

    /// The ban of a hash. `unjack bans` may have lifted it since the last tick.
    fn banned(&mut self, digest: Digest) -> Option<Ban> {
        let ban = self.hashes.get(&digest).copied()?;
        let all = self.tables().and_then(|tables| tables.all().ok());
        let now_ns = boottime_ns();
        let lives = |(_, ban, _): &(BanKey, Ban, BanCount)| {
            sha256(ban) == Some(digest) && ban.expires_ns > now_ns
        };
        if all.iter().flatten().any(lives) {
            return Some(ban);
        }
        self.hashes.remove(&digest);
        None
    }

    /// The kernel need not ask about this image again.
    fn remember(&mut self, key: &BanKey, sha256: Digest, may_be_banned: bool) {
        if self.known.len() >= KNOWN_IMAGES as usize {
            // Begin anew: the kernel then asks about all of them again.
            self.known.clear();
            self.generation = self.generation.wrapping_add(1).max(1);
            let generation = self.generation;
            if let Some(tables) = self.tables()
                && let Err(error) = tables.set_state(generation, true)
            {
                return warn("the kernel cannot be told", &error);
            }
        }
        self.known.insert(*key, (sha256, may_be_banned));
        self.mark_known(key);
    }

    fn mark_known(&mut self, key: &BanKey) {
        let generation = self.generation;
        if let Some(tables) = self.tables()
            && let Err(error) = tables.mark_known(key, generation)
        {
            warn("the kernel asks about an image again", &error);
        }
    }
}
