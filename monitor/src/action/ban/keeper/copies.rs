//! Images that nobody has seen yet: hashed, and compared with those that are
//! banned.
//!
//! The kernel asks about each once. What is known of an image is kept beside its
//! key, so that a ban that comes later finds the copies that came before it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use monitor_ebpf::bans::{
    ANCESTORS, Ancestor, BAN_COPY, BAN_HASHED, Ban, BanCount, BanKey, BanRecord, KNOWN_IMAGES,
};

use super::{
    super::{
        Listed, MAX_HASHING, Report, Request, boottime_ns,
        hash::Sha256,
        image::{Found, Opened, look, look_at},
        new_ban,
        origin::Origin,
        rule::Spared,
        sha256, warn,
    },
    Keeper,
};
use crate::event::Process;

/// What is asked about a file.
#[derive(Clone, Debug)]
pub(super) enum Why {
    /// It was just banned.
    Banned,
    /// The kernel does not know it.
    Unknown(Box<[Ancestor; ANCESTORS]>),
}

/// A file, hashed.
pub(in super::super) struct Hashed {
    key: BanKey,
    process: Process,
    why: Why,
    found: Result<Found, Spared>,
}

impl Keeper {
    /// Takes note of which hashes are banned. Images that were known before one
    /// was are banned if they have it.
    pub(super) fn learn(&mut self, live: &[(BanKey, Ban, BanCount)]) {
        let mut hashes: HashMap<Sha256, Ban> = HashMap::new();
        for (_, ban, _) in live {
            if let Some(sha256) = sha256(ban) {
                let known = hashes.entry(sha256).or_insert(*ban);
                if ban.expires_ns > known.expires_ns {
                    *known = *ban;
                }
            }
        }
        let new: Vec<(Sha256, Ban)> = hashes
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
    fn spread(&mut self, sha256: Sha256, ban: &Ban) {
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
        // One that is being hashed may be of an image that was just banned.
        let nothing = self.hashes.is_empty() && self.hashing == 0;
        if !self.policy.enforce || nothing {
            return;
        }
        if self.hashing >= MAX_HASHING {
            self.metrics.count_hashed("deferred");
            return;
        }
        let process = Process {
            tgid: record.lineage[0].tgid,
            start_ns: record.lineage[0].start_ns,
        };
        self.hash(
            record.key,
            process,
            Why::Unknown(Box::new(record.lineage)),
            None,
        );
    }

    /// Hashes the image of a process on a thread of its own. One that hangs in a
    /// file system that does not answer takes its place for good.
    pub(super) fn hash(&mut self, key: BanKey, process: Process, why: Why, opened: Option<Opened>) {
        let (requests, wake) = (self.own.requests.clone(), Arc::clone(&self.own.wake));
        let allow = Arc::clone(&self.allow);
        let started = std::thread::Builder::new()
            .name("hash".to_owned())
            .spawn(move || {
                let found = match opened {
                    Some(opened) => look(opened, &key),
                    None => look_at(process, &key, &allow),
                };
                let hashed = Hashed {
                    key,
                    process,
                    why,
                    found,
                };
                // An error means that the keeper is gone.
                let _sent = requests.send(Request::Hashed(Box::new(hashed)));
                super::wake(&wake);
            });
        match started {
            Ok(_) => self.hashing += 1,
            Err(error) => tracing::warn!("cannot hash an image: {error}"),
        }
    }

    pub(super) fn take_hash(&mut self, hashed: Hashed) {
        self.hashing -= 1;
        let Hashed {
            key,
            process,
            why,
            found,
        } = hashed;
        let found = match found {
            Ok(found) => found,
            Err(reason) => {
                self.metrics.count_hashed("unreadable");
                tracing::debug!("an image was not hashed: {}", reason.name());
                return self.tell_banned(&key, &why);
            }
        };
        let Some(sha256) = found.sha256 else {
            self.metrics.count_hashed("too-large");
            self.mark_known(&key);
            return self.tell_banned(&key, &why);
        };
        match why {
            Why::Banned => {
                self.metrics.count_hashed("banned");
                self.name_ban(&key, sha256);
                self.tell_banned(&key, &why);
            }
            Why::Unknown(lineage) => self.recognise(&key, process, &found, sha256, &lineage),
        }
    }

    fn tell_banned(&mut self, key: &BanKey, why: &Why) {
        if matches!(why, Why::Banned)
            && let Some(listed) = self.listed(key)
        {
            self.report(Report::Banned(listed));
        }
    }

    /// The hash of an image that was just banned is known now.
    fn name_ban(&mut self, key: &BanKey, sha256: Sha256) {
        let all = self.tables().and_then(|tables| tables.all().ok());
        let found = all.into_iter().flatten().find(|(known, _, _)| known == key);
        if let Some((_, ban, _)) = found {
            let named = Ban {
                sha256: sha256.0,
                flags: ban.flags | BAN_HASHED,
                ..ban
            };
            self.put(key, named);
            self.hashes.insert(sha256, named);
            self.spread(sha256, &named);
        }
    }

    /// Compares an unknown image with those that are banned.
    fn recognise(
        &mut self,
        key: &BanKey,
        process: Process,
        found: &Found,
        sha256: Sha256,
        lineage: &[Ancestor; ANCESTORS],
    ) {
        let Some(ban) = self.hashes.get(&sha256).copied() else {
            self.metrics.count_hashed("clean");
            self.remember(key, sha256, found.spared.is_none());
            return;
        };
        if let Some(reason) = found.spared {
            self.metrics.count_hashed("spared");
            tracing::warn!(
                "a copy of a banned image is spared ({}): {}",
                reason.name(),
                crate::text::clean(found.path.as_os_str().as_encoded_bytes(), 256)
            );
            self.remember(key, sha256, false);
            return;
        }
        self.metrics.count_hashed("banned");
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

    /// The kernel need not ask about this image again.
    fn remember(&mut self, key: &BanKey, sha256: Sha256, may_be_banned: bool) {
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
