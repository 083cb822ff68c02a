//! The programs in the kernel that refuse images, and their tables: loaded,
//! attached with the first ban, detached with the last.

use std::time::Instant;

use monitor_ebpf::bans::{Ban, BanKey};

use super::{
    super::{
        record::{Listed, boottime_ns},
        rule::Spared,
        warn,
    },
    BanWorker, RETRY,
    room::{Room, make_room},
};
use crate::kernel::probe::{
    ProbeError,
    bans::{PinDir, Programs, Tables},
};

impl BanWorker {
    pub(super) fn tables(&mut self) -> Option<&mut Tables> {
        match &mut self.programs {
            Some(programs) if programs.is_attached() => Some(&mut programs.tables),
            Some(_) => None,
            None => self.watched.as_mut(),
        }
    }

    pub(super) fn lift(&mut self, key: &BanKey) {
        if let Some(tables) = self.tables()
            && let Err(error) = tables.lift(key)
        {
            warn("a ban that is over stays in the list", &error);
        }
    }

    /// Has the programs that are to be there: loaded if anything may be changed,
    /// and attached if there are any bans.
    pub(super) fn follow(&mut self) -> Result<(), ProbeError> {
        if self.dir.is_none() {
            self.dir = PinDir::find(&self.policy.dir).ok();
        }
        if !self.policy.enforce {
            self.watched = match &self.dir {
                Some(dir) => Tables::pinned(dir)?,
                None => None,
            };
            let ring = self.watched.as_ref().map(Tables::ring).transpose()?;
            self.ring = ring;
            return Ok(());
        }
        let pinned = match &self.dir {
            Some(dir) => Tables::pinned(dir)?,
            None => None,
        };
        let attached = self.programs.as_ref().is_some_and(Programs::is_attached);
        let foreign = match (&self.programs, &pinned) {
            (Some(programs), Some(pinned)) => !programs.tables.is_same(pinned),
            _ => false,
        };
        if foreign {
            // Another process's, made while there were none: they count.
            self.ring = None;
            self.programs = None;
        }
        let needed = pinned.is_some() || !self.policy.ttl.is_zero();
        let again = self.failed.is_none_or(|at| at.elapsed() >= RETRY);
        if self.programs.is_none() && needed && again {
            self.failed = Some(Instant::now());
            self.programs = Some(Programs::load(self.policy.with, self.dir.clone())?);
            self.failed = None;
        }
        if pinned.is_some() && self.programs.is_some() && (foreign || !attached) {
            self.attach()?;
        }
        Ok(())
    }

    /// From now on execs are refused, and asked about.
    pub(super) fn attach(&mut self) -> Result<(), ProbeError> {
        let Some(programs) = &mut self.programs else {
            return Err(ProbeError::Mismatch("programs"));
        };
        if programs.is_attached() {
            return Ok(());
        }
        programs.attach()?;
        self.ring = Some(programs.tables.ring()?);
        let before = programs.tables.state()?.generation;
        self.generation = before.wrapping_add(1).max(1);
        self.known.clear();
        programs.tables.set_state(self.generation, true)?;
        tracing::info!(
            "banned images are refused {}",
            if programs.by_lsm {
                "by BPF LSM"
            } else {
                "by a signal"
            }
        );
        Ok(())
    }

    /// There are no bans: nothing is refused, and nothing costs anything.
    pub(super) fn release(&mut self) {
        self.ring = None;
        self.known.clear();
        if let Some(programs) = &mut self.programs
            && let Err(error) = programs.detach()
        {
            warn("bans stay in the kernel", &error);
        }
    }

    /// The daemon leaves: bans stay, and questions are no longer answered.
    pub(super) fn leave(mut self) {
        self.tick();
        let generation = self.generation;
        if self.policy.enforce
            && let Some(tables) = self.tables()
            && let Err(error) = tables.set_state(generation, false)
        {
            warn(
                "the kernel still reports new images, though there are no bans",
                &error,
            );
        }
    }
    pub(super) fn listed(&mut self, key: &BanKey) -> Option<Listed> {
        let (ban, count) = self.tables()?.get(key).ok()??;
        Some(Listed::new(key, &ban, &count, boottime_ns()))
    }

    /// Writes a ban, if there is no room in the place of the oldest copy's.
    pub(super) fn put(&mut self, key: &BanKey, ban: Ban) -> bool {
        let Some(tables) = self.tables() else {
            return false;
        };
        match make_room(tables, key).and_then(|room| {
            if room != Room::None {
                tables.ban(key, ban)?;
            }
            Ok(room)
        }) {
            Ok(Room::Free) => true,
            Ok(Room::Made) => {
                self.counts.count_spared(Spared::Full);
                true
            }
            Ok(Room::None) => false,
            Err(error) => {
                warn("an image could not be banned", &error);
                false
            }
        }
    }
}
