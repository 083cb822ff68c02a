//! The maps of the programs that refuse images: read and written, in this
//! process or pinned.

use std::{collections::BTreeMap, os::fd::AsFd};

use aya::maps::{Array, HashMap, Map, MapData, MapError, RingBuf};
use monitor_ebpf::bans::{Ban, BanCount, BanKey, BanState, BanStats, KnownImage, LAYOUT, MAX_BANS};
use zerocopy::transmute;

use super::{ProbeError, pins::PinDir};

const BANS: &str = "BANS";
const COUNTS: &str = "BAN_COUNTS";
const IMAGES: &str = "BAN_IMAGES";
const EVENTS: &str = "BAN_EVENTS";
const STATE: &str = "BAN_STATE";
const STATS: &str = "BAN_STATS";
pub(super) const MAPS: [&str; 6] = [BANS, COUNTS, IMAGES, EVENTS, STATE, STATS];

fn failed(name: &'static str) -> impl FnOnce(MapError) -> ProbeError {
    move |source| ProbeError::Map { name, source }
}

/// The programs' records, as bytes.
pub type Records = RingBuf<MapData>;

/// The maps: in this process, or pinned.
#[derive(Debug)]
pub struct Tables(BTreeMap<&'static str, Map>);

type Bytes<T> = <T as Wire>::Bytes;

/// A record of the ABI as the bytes it travels in.
trait Wire: Sized {
    type Bytes: aya::Pod;
    fn to_bytes(self) -> Self::Bytes;
    fn of(bytes: Self::Bytes) -> Self;
}

macro_rules! wire {
    ($($record:ty),*) => {$(
        impl Wire for $record {
            type Bytes = [u8; size_of::<$record>()];
            fn to_bytes(self) -> Self::Bytes {
                transmute!(self)
            }
            fn of(bytes: Self::Bytes) -> Self {
                transmute!(bytes)
            }
        }
    )*};
}
wire!(BanKey, Ban, BanCount, KnownImage, BanState, BanStats);

impl Tables {
    /// Those of an object.
    pub(super) fn of(maps: impl Iterator<Item = (&'static str, Map)>) -> Self {
        Self(maps.collect())
    }

    /// Those that are pinned; `None` if there are none, or of another layout.
    ///
    /// # Errors
    /// They cannot be opened.
    pub fn pinned(dir: &PinDir) -> Result<Option<Self>, ProbeError> {
        if !MAPS.iter().all(|name| dir.has(name)) {
            return Ok(None);
        }
        let mut maps = BTreeMap::new();
        for name in MAPS {
            let map = MapData::from_pin(dir.pin(name)).and_then(Map::from_map_data);
            maps.insert(name, map.map_err(failed(name))?);
        }
        let tables = Self(maps);
        let layout = tables.state().map_or(0, |state| state.layout);
        Ok((layout == LAYOUT).then_some(tables))
    }

    fn map(&self, name: &'static str) -> Result<&Map, ProbeError> {
        self.0.get(name).ok_or(ProbeError::Mismatch(name))
    }

    fn map_mut(&mut self, name: &'static str) -> Result<&mut Map, ProbeError> {
        self.0.get_mut(name).ok_or(ProbeError::Mismatch(name))
    }

    fn hash<V: Wire>(
        &self,
        name: &'static str,
    ) -> Result<HashMap<&MapData, Bytes<BanKey>, Bytes<V>>, ProbeError> {
        HashMap::try_from(self.map(name)?).map_err(failed(name))
    }

    fn put<V: Wire>(
        &mut self,
        name: &'static str,
        key: &BanKey,
        value: V,
        flags: u64,
    ) -> Result<(), ProbeError> {
        HashMap::<_, Bytes<BanKey>, Bytes<V>>::try_from(self.map_mut(name)?)
            .and_then(|mut map| map.insert(key.to_bytes(), value.to_bytes(), flags))
            .map_err(failed(name))
    }

    fn drop_entry<V: Wire>(&mut self, name: &'static str, key: &BanKey) -> Result<(), ProbeError> {
        let removed = HashMap::<_, Bytes<BanKey>, Bytes<V>>::try_from(self.map_mut(name)?)
            .and_then(|mut map| map.remove(&key.to_bytes()));
        match removed {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(MapError::SyscallError(error))
                if error.io_error.raw_os_error() == Some(libc::ENOENT) =>
            {
                Ok(())
            }
            Err(error) => Err(failed(name)(error)),
        }
    }

    fn single<V: Wire>(&self, name: &'static str) -> Result<V, ProbeError> {
        Array::<_, Bytes<V>>::try_from(self.map(name)?)
            .and_then(|map| map.get(&0, 0))
            .map(V::of)
            .map_err(failed(name))
    }

    /// Whether these are the very maps that others are.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let id = |tables: &Self| match tables.map(STATE) {
            Ok(Map::Array(data)) => data.info().ok().map(|info| info.id()),
            _ => None,
        };
        id(self).is_some() && id(self) == id(other)
    }

    /// Every ban, and how often it was hit.
    ///
    /// # Errors
    /// A map cannot be read.
    pub fn all(&self) -> Result<Vec<(BanKey, Ban, BanCount)>, ProbeError> {
        let bans = self.hash::<Ban>(BANS)?;
        let counts = self.hash::<BanCount>(COUNTS)?;
        let mut found = BTreeMap::new();
        // A table that changes under the iteration may show an entry twice.
        for entry in bans.iter().take(2 * MAX_BANS as usize) {
            let (key, ban) = entry.map_err(failed(BANS))?;
            let count = counts.get(&key, 0).map(BanCount::of).unwrap_or_default();
            found.insert(BanKey::of(key), (Ban::of(ban), count));
        }
        let triple = |(key, (ban, count))| (key, ban, count);
        Ok(found.into_iter().map(triple).collect())
    }

    /// The ban of an image, if there is one, and how often it was hit.
    ///
    /// # Errors
    /// A map cannot be read.
    pub fn get(&self, key: &BanKey) -> Result<Option<(Ban, BanCount)>, ProbeError> {
        let key = key.to_bytes();
        let ban = match self.hash::<Ban>(BANS)?.get(&key, 0) {
            Ok(ban) => Ban::of(ban),
            Err(MapError::KeyNotFound) => return Ok(None),
            Err(error) => return Err(failed(BANS)(error)),
        };
        let counted = self.hash::<BanCount>(COUNTS)?.get(&key, 0);
        let count = counted.map(BanCount::of).unwrap_or_default();
        Ok(Some((ban, count)))
    }

    /// Bans an image, or changes its ban; its count goes on.
    ///
    /// # Errors
    /// There is no room, or the map cannot be written.
    pub fn ban(&mut self, key: &BanKey, ban: Ban) -> Result<(), ProbeError> {
        const ONLY_IF_NEW: u64 = 1; // BPF_NOEXIST
        let counted = self
            .hash::<BanCount>(COUNTS)?
            .get(&key.to_bytes(), 0)
            .is_ok();
        if !counted {
            self.put(COUNTS, key, BanCount::default(), ONLY_IF_NEW)?;
        }
        self.put(BANS, key, ban, 0)
    }

    /// Lifts a ban, if there is one.
    ///
    /// # Errors
    /// A map cannot be written.
    pub fn lift(&mut self, key: &BanKey) -> Result<(), ProbeError> {
        self.drop_entry::<Ban>(BANS, key)?;
        self.drop_entry::<BanCount>(COUNTS, key)
    }

    /// Has the kernel no longer ask about an image until the generation changes.
    ///
    /// # Errors
    /// The map cannot be written.
    pub fn mark_known(&mut self, key: &BanKey, generation: u32) -> Result<(), ProbeError> {
        let known = KnownImage {
            asked_ns: 0,
            generation,
            reserved: 0,
        };
        self.put(IMAGES, key, known, 0)
    }

    /// What the programs are told.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn state(&self) -> Result<BanState, ProbeError> {
        self.single(STATE)
    }

    /// Tells the programs.
    ///
    /// # Errors
    /// The map cannot be written.
    pub fn set_state(&mut self, generation: u32, asking: bool) -> Result<(), ProbeError> {
        let state = BanState {
            layout: LAYOUT,
            generation,
            asking: asking.into(),
            reserved: 0,
        };
        Array::<_, Bytes<BanState>>::try_from(self.map_mut(STATE)?)
            .and_then(|mut map| map.set(0, state.to_bytes(), 0))
            .map_err(failed(STATE))
    }

    /// What the programs counted.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn stats(&self) -> Result<BanStats, ProbeError> {
        self.single(STATS)
    }

    /// The programs' records. Each goes to the reader that takes it first.
    ///
    /// # Errors
    /// The map cannot be mapped.
    pub fn ring(&self) -> Result<Records, ProbeError> {
        let Map::RingBuf(data) = self.map(EVENTS)? else {
            return Err(ProbeError::Mismatch(EVENTS));
        };
        let own = duplicate(data)?;
        RingBuf::try_from(Map::RingBuf(own)).map_err(failed(EVENTS))
    }

    pub(super) fn pin(&self, dir: &PinDir) -> Result<(), ProbeError> {
        for (name, map) in &self.0 {
            if !dir.has(name) {
                map.pin(dir.pin(name)).map_err(pin_failed)?;
            }
        }
        Ok(())
    }
}

fn duplicate(data: &MapData) -> Result<MapData, ProbeError> {
    let fd = data.fd().as_fd().try_clone_to_owned();
    let fd = fd.map_err(|source| ProbeError::Io {
        what: "duplicating a map's descriptor",
        source,
    })?;
    MapData::from_fd(fd).map_err(failed(EVENTS))
}

pub(super) fn pin_failed(error: aya::pin::PinError) -> ProbeError {
    let source = match error {
        aya::pin::PinError::SyscallError(error) => error.io_error,
        other => std::io::Error::other(other),
    };
    ProbeError::Io {
        what: "pinning bans",
        source,
    }
}
