//! Room for a ban among those there are.

use monitor_ebpf::bans::{BAN_COPY, BanKey, MAX_BANS};

use crate::kernel::probe::{ProbeError, bans::Tables};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// There was room.
    Free,
    /// The oldest copy's ban was lifted.
    Made,
    /// There is none.
    None,
}

/// Sees to it that a ban of `key` fits.
pub(super) fn make_room(tables: &mut Tables, key: &BanKey) -> Result<Room, ProbeError> {
    let all = tables.all()?;
    let known = all.iter().any(|(other, _, _)| other == key);
    if known || all.len() < MAX_BANS as usize {
        return Ok(Room::Free);
    }
    let copies = all.iter().filter(|(_, ban, _)| ban.flags & BAN_COPY != 0);
    match copies.min_by_key(|(_, ban, _)| ban.since_ns) {
        Some((oldest, _, _)) => tables.lift(oldest).map(|()| Room::Made),
        None => Ok(Room::None),
    }
}
