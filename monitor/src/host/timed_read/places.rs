//! Which reads may take a thread, as far as others hang. Pure.
//!
//! A read that was given up keeps its thread until the kernel answers. So that neither
//! one process nor one user can take the threads of all others:
//!
//! - of a process whose folder hangs nothing else is read, and nothing twice: each
//!   process has as many threads as there are kinds of reads ([`What`]) at the most;
//! - an owner ([`Owner`]) has [`SHARE`] threads;
//! - from [`COMMON`] on only owners of which no read hangs have one, up to [`RESERVED`];
//! - a process that cannot be in the middle of an exec is read even so, up to
//!   [`MAX_HUNG`]: a user's decoys must not make a miner of the same user unreadable.
//!
//! Reads that are still waited for are not counted: there is one for each caller.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    Look, What,
    owner::{About, Owner},
};
use crate::host::error::Cause;

/// Threads that hang for one owner.
pub(super) const SHARE: usize = 16;
/// Threads that hang, of all owners, while any owner may have one more.
const COMMON: usize = 64;
/// The same, while an owner of which no read hangs may have one.
const RESERVED: usize = 96;
/// The same at the most: each has some 20 KiB of memory, and the unit allows 256 tasks.
pub(super) const MAX_HUNG: usize = 128;

/// What a thread reads at the moment.
#[derive(Clone, Debug)]
pub(super) struct Position(Arc<AtomicU64>);

impl Position {
    fn new(look: Look) -> Self {
        Self(Arc::new(AtomicU64::new(pack(look))))
    }

    pub(super) fn set(&self, look: Look) {
        self.0.store(pack(look), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Look {
        let packed = self.0.load(Ordering::Relaxed);
        // Cannot be another: `pack` made it.
        let what = usize::try_from(packed >> 32).ok();
        let what = what.and_then(|index| What::ALL.get(index).copied());
        let pid = u32::try_from(packed & u64::from(u32::MAX)).unwrap_or(0);
        (pid.cast_signed(), what.unwrap_or(What::Folder))
    }
}

fn pack((pid, what): Look) -> u64 {
    u64::from(pid.cast_unsigned()) | (what as u64) << 32
}

/// A read under way.
#[derive(Debug)]
struct Place {
    position: Position,
    /// It was given up: whose process hangs.
    hung: Option<Owner>,
}

/// The reads under way.
#[derive(Debug)]
pub(super) struct Places {
    under_way: BTreeMap<u64, Place>,
    next: u64,
    hung: usize,
}

impl Places {
    pub(super) const fn new() -> Self {
        Self {
            under_way: BTreeMap::new(),
            next: 0,
            hung: 0,
        }
    }

    /// Reads that were given up and are not over.
    pub(super) const fn hung(&self) -> usize {
        self.hung
    }

    fn given_up(&self) -> impl Iterator<Item = (Look, &Owner)> {
        let places = self.under_way.values();
        places.filter_map(|place| Some((place.position.get(), place.hung.as_ref()?)))
    }

    /// Whether a read may be begun; then how many reads of the same owner hang. `about`
    /// is wanted when any read hangs.
    pub(super) fn admit(&self, look: Look, about: Option<&About>) -> Result<usize, Cause> {
        let (pid, what) = look;
        let in_its_way = |(at, of): Look| at == pid && (of == what || of == What::Folder);
        if self.given_up().any(|(look, _)| in_its_way(look)) {
            return Err(Cause::Pending);
        }
        let of_owner = about.map_or(0, |about| {
            let its = self.given_up().filter(|(_, owner)| **owner == about.owner);
            its.count()
        });
        let runs = about.is_some_and(|about| about.runs) && of_owner < what.share();
        match self.hung {
            MAX_HUNG.. => Err(Cause::Full),
            _ if runs && what.share() > SHARE => Ok(of_owner),
            _ if of_owner >= SHARE => Err(Cause::Share),
            RESERVED.. => Err(Cause::Full),
            COMMON.. if of_owner > 0 => Err(Cause::Full),
            _ => Ok(of_owner),
        }
    }

    /// A read is begun.
    pub(super) fn begin(&mut self, look: Look) -> (u64, Position) {
        let position = Position::new(look);
        let id = self.next;
        self.next += 1;
        let place = Place {
            position: position.clone(),
            hung: None,
        };
        self.under_way.insert(id, place);
        (id, position)
    }

    /// A read is over.
    pub(super) fn end(&mut self, id: u64) {
        if let Some(place) = self.under_way.remove(&id) {
            self.hung -= usize::from(place.hung.is_some());
        }
    }

    /// A read is not waited for any longer. Whose process hangs.
    pub(super) fn give_up(&mut self, id: u64, owner: Owner) {
        // It may have ended meanwhile.
        if let Some(place) = self.under_way.get_mut(&id)
            && place.hung.replace(owner).is_none()
        {
            self.hung += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(user: u32, runs: bool) -> About {
        About {
            owner: Owner::User(user),
            runs,
        }
    }

    /// Has so many reads of a user's processes hang, each of another process.
    fn hang(places: &mut Places, user: u32, pids: std::ops::Range<i32>) {
        for pid in pids {
            let (id, _) = places.begin((pid, What::Folder));
            places.give_up(id, Owner::User(user));
        }
    }

    fn admit(places: &Places, pid: i32, what: What, about: &About) -> Result<usize, Cause> {
        places.admit((pid, what), Some(about))
    }

    #[test]
    fn what_a_thread_reads_is_kept_whole() {
        for what in What::ALL {
            for pid in [0, 1, 4_194_304, -3, i32::MAX] {
                assert_eq!(Position::new((pid, what)).get(), (pid, what));
            }
        }
    }

    #[test]
    fn of_a_process_whose_folder_hangs_nothing_is_read() {
        let mut places = Places::new();
        hang(&mut places, 1, 10..11);
        for what in What::ALL {
            assert_eq!(admit(&places, 10, what, &of(1, true)), Err(Cause::Pending));
        }
        assert_eq!(admit(&places, 11, What::Folder, &of(1, false)), Ok(1));
        places.end(0);
        assert_eq!(admit(&places, 10, What::Folder, &of(1, false)), Ok(0));
    }

    #[test]
    fn what_waits_for_its_memory_hangs_for_itself() {
        let mut places = Places::new();
        let (id, _) = places.begin((10, What::Words));
        // Another caller's read that is waited for is in no way.
        assert_eq!(admit(&places, 10, What::Words, &of(1, false)), Ok(0));
        places.give_up(id, Owner::User(1));
        assert_eq!(
            admit(&places, 10, What::Words, &of(1, true)),
            Err(Cause::Pending)
        );
        assert_eq!(admit(&places, 10, What::Folder, &of(1, false)), Ok(1));
    }

    #[test]
    fn a_users_decoys_leave_the_others_and_its_own_miner_readable() {
        let mut places = Places::new();
        hang(&mut places, 1, 0..16);
        let refused = Err(Cause::Share);
        assert_eq!(admit(&places, 200, What::Folder, &of(1, false)), refused);
        // What runs can be read, but for what waits for its memory.
        assert_eq!(admit(&places, 200, What::Image, &of(1, true)), Ok(16));
        assert_eq!(admit(&places, 200, What::Mappings, &of(1, true)), refused);
        assert_eq!(admit(&places, 200, What::Sockets, &of(1, true)), Ok(16));
        hang(&mut places, 1, 16..32);
        assert_eq!(admit(&places, 200, What::Sockets, &of(1, true)), refused);
        assert_eq!(admit(&places, 200, What::Folder, &of(1, true)), Ok(32));
        assert_eq!(admit(&places, 200, What::Mappings, &of(2, false)), Ok(0));
    }

    #[test]
    fn many_owners_leave_places_for_those_of_which_nothing_hangs() {
        let mut places = Places::new();
        for user in 1..5_u32 {
            let first = user.cast_signed() * 100;
            hang(&mut places, user, first..first + 16);
        }
        hang(&mut places, 5, 500..501);
        let full = Err(Cause::Full);
        assert_eq!(admit(&places, 600, What::Folder, &of(5, false)), full);
        assert_eq!(admit(&places, 600, What::Folder, &of(6, false)), Ok(0));
        for user in 6..37_u32 {
            hang(
                &mut places,
                user,
                1000 + user.cast_signed()..1001 + user.cast_signed(),
            );
        }
        assert_eq!(places.hung(), RESERVED);
        assert_eq!(admit(&places, 600, What::Folder, &of(99, false)), full);
        assert_eq!(admit(&places, 600, What::Folder, &of(99, true)), Ok(0));
    }

    #[test]
    fn there_is_an_end_to_it() {
        let mut places = Places::new();
        hang(&mut places, 1, 0..128);
        let about = of(2, true);
        assert_eq!(admit(&places, 600, What::Folder, &about), Err(Cause::Full));
        (0..128).for_each(|id| places.end(id));
        assert_eq!((places.hung(), places.under_way.len()), (0, 0));
        assert_eq!(admit(&places, 600, What::Folder, &about), Ok(0));
    }

    #[test]
    fn a_read_that_ended_as_it_was_given_up_does_not_hang() {
        let mut places = Places::new();
        let (id, _) = places.begin((1, What::Folder));
        places.end(id);
        places.give_up(id, Owner::User(1));
        assert_eq!(places.hung(), 0);
    }
}
