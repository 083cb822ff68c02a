//! Images of processes that are being ended: held and examined while their
//! orders are under way, banned when they are gone.

use std::{collections::BTreeSet, os::unix::fs::MetadataExt as _, sync::Arc};

use monitor_ebpf::bans::{BAN_HASHED, BAN_LISTED, Ban, BanCount, BanKey};

use super::{
    super::{
        Condemned, Report, Request,
        content::Content,
        image::{self, Found, Held, examine, file_rule},
        origin::Origin,
        record::{Listed, boottime_ns, family_bytes, key, new_ban},
        rule::{self, Spared},
        warn,
    },
    BanWorker, MAX_CONDEMNED,
};
use crate::host::{
    self, Image, ProcHandle,
    digest::{self, Purpose},
};
use unjack_core::{event::Process, score::Family};

/// What was found of an image, or why it may not be banned.
pub(in super::super) type Examined = Result<Found, Spared>;

/// A process an order was given about.
#[derive(Debug)]
pub(super) struct IntentRecord {
    process: Process,
    image: Image,
    /// As the kernel has it; nothing of one that may not be banned.
    key: Option<BanKey>,
    /// Who executed the image when the order was given.
    there: BTreeSet<u32>,
    examined: Option<Examined>,
    /// The family of hash that it was judged to mine with.
    family: Option<Family>,
    /// Its content is on a list.
    listed: bool,
    /// It was ended.
    gone: bool,
}

impl BanWorker {
    /// Holds the image of a process that is to be ended, and has it examined.
    pub(super) fn note(&mut self, condemned: &Condemned) {
        let process = condemned.process;
        if self.condemned.len() == MAX_CONDEMNED {
            self.condemned.pop_front();
        }
        self.condemned.push_back(process);
        // Ordered once more: what was found before does not count.
        self.intents.retain(|intents| intents.process != process);
        if self.intents.len() == MAX_CONDEMNED
            && let Some(forgotten) = self.intents.pop_front()
        {
            self.spare(forgotten.process, Spared::Full);
        }
        let mut intents = IntentRecord {
            process,
            image: condemned.image,
            key: None,
            there: BTreeSet::new(),
            examined: None,
            family: condemned.family,
            listed: condemned.listed,
            gone: false,
        };
        match self.hold(condemned, &mut intents.there) {
            Ok((key, held)) => {
                intents.key = Some(key);
                intents.examined = self.read(process, key, held).err().map(Err);
            }
            Err(reason) => intents.examined = Some(Err(reason)),
        }
        self.intents.push_back(intents);
    }

    /// All that can be told without reading the file.
    fn hold(
        &self,
        condemned: &Condemned,
        there: &mut BTreeSet<u32>,
    ) -> Result<(BanKey, Held), Spared> {
        let Condemned {
            process,
            image,
            key: told,
            code_origins,
            family,
            denied,
            listed,
        } = condemned;
        if *denied && !*listed {
            return Err(Spared::Denied);
        }
        if self.allows_runners() {
            return Err(Spared::Runners);
        }
        if self.is_limited() {
            return Err(Spared::Limited);
        }
        if !*listed {
            rule::by_code(*family, *code_origins)?;
        }
        let seen = ProcHandle::open(*process).map_err(|_| Spared::Gone)?;
        let held = image::hold(&seen)?;
        let meta = &held.meta;
        if Image::from(meta) != *image || image.inode != told.inode {
            return Err(Spared::Gone);
        }
        file_rule(&held.path, meta)?;
        if !*listed {
            let facts = seen.facts().map_err(|_| Spared::Gone)?;
            rule::by_owner(facts.uid, meta.uid())?;
        }
        let executing = host::executing(*image).map_err(|_| Spared::Unreadable)?;
        there.extend(executing.keys());
        rule::by_use(process.tgid, &executing, |pid| {
            let known = self.condemned.iter().find(|known| known.tgid == pid);
            // Its id may be another's by now.
            known.is_some_and(|known| ProcHandle::open(*known).is_ok())
        })?;
        Ok((key(told.device, meta), held))
    }

    /// Has the image hashed and looked at.
    fn read(&self, process: Process, key: BanKey, held: Held) -> Result<(), Spared> {
        let own = held.file.try_clone().map_err(|_| Spared::Unreadable)?;
        let owner = held.meta.uid();
        let open = move || image::open(&own);
        let (requests, wake) = (self.own.requests.clone(), Arc::clone(&self.own.wake));
        let asked = digest::ask_opened(Purpose::Condemned(owner), open, move |digest| {
            let examined = Box::new(examine(held, &key, digest));
            // An error means that the worker is gone.
            let _sent = requests.send(Request::Examined(process, examined));
            super::wake(&wake);
        });
        if asked {
            Ok(())
        } else {
            Err(Spared::Unreadable)
        }
    }

    /// What was found of the image of a process that is being ended.
    pub(super) fn examined(&mut self, process: Process, examined: Examined) {
        if let Some(intents) = self
            .intents
            .iter_mut()
            .find(|intents| intents.process == process)
        {
            intents.examined = Some(examined);
            self.settle(process);
        }
    }

    /// What came of the order about a process.
    pub(super) fn ended(&mut self, process: Process, gone: bool) {
        if !gone {
            self.intents.retain(|intents| intents.process != process);
        } else if let Some(intents) = self
            .intents
            .iter_mut()
            .find(|intents| intents.process == process)
        {
            intents.gone = true;
            self.settle(process);
        }
    }

    /// Bans the image of a process that is gone, once it was examined.
    fn settle(&mut self, process: Process) {
        let due = |intents: &IntentRecord| {
            intents.process == process && intents.gone && intents.examined.is_some()
        };
        let Some(at) = self.intents.iter().position(due) else {
            return;
        };
        let Some(mut intents) = self.intents.remove(at) else {
            return;
        };
        let examined = intents.examined.take().unwrap_or(Err(Spared::Gone));
        let settled = examined.and_then(|found| self.ban(&intents, &found));
        if let Err(reason) = settled {
            self.spare(process, reason);
        }
    }

    fn spare(&self, process: Process, reason: Spared) {
        self.counts.count_spared(reason);
        self.report(Report::Spared { process, reason });
    }

    fn ban(&mut self, intents: &IntentRecord, found: &Found) -> Result<(), Spared> {
        let key = intents.key.ok_or(Spared::Gone)?;
        // The lists may have changed since.
        if self.allows_digest(found.digest) {
            return Err(Spared::Allowed);
        }
        if self.listed(&key).is_none() {
            // A user may have pinned bans by hand since the last tick.
            self.follow()
                .and_then(|()| self.attach())
                .map_err(|error| {
                    warn("an image could not be banned", &error);
                    Spared::Failed
                })?;
            let flags = if intents.listed {
                BAN_HASHED | BAN_LISTED
            } else {
                BAN_HASHED
            };
            let ban = Ban {
                sha256: found.digest.0,
                family: family_bytes(intents.family),
                ..new_ban(&found.path, found.owner, self.policy.ttl, flags)
            };
            if !self.put(&key, ban) {
                return Err(Spared::Full);
            }
            if let Some(content) = Content::of(&ban) {
                self.hashes.insert(content, ban);
                self.spread(content, &ban);
            }
            let listed = Listed::new(&key, &ban, &BanCount::default(), boottime_ns());
            self.report(Report::Banned(listed));
        }
        self.catch_up(intents, &key);
        Ok(())
    }

    /// A process that was started between the order and the ban executes the image:
    /// nothing refused that.
    fn catch_up(&mut self, intents: &IntentRecord, key: &BanKey) {
        let Some(ban) = self.listed(key) else {
            return;
        };
        // Those of which reading hangs are found by their hash when they are judged.
        let executing = host::executing(intents.image).unwrap_or_default();
        for pid in executing.into_keys() {
            if intents.there.contains(&pid) {
                continue;
            }
            let Some((process, origin)) = Origin::now(pid) else {
                continue;
            };
            self.report(Report::Recognised {
                process,
                image: intents.image,
                ban: ban.clone(),
                origin,
            });
        }
    }
}
