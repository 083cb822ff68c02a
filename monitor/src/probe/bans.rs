//! The programs that refuse banned images: loaded, attached, pinned, adopted.
//!
//! They are an object of their own. Loaded they cost nothing; attached they are
//! pinned with their maps, and hold until somebody detaches them, whatever
//! becomes of this process. Who loads them where they are pinned takes the maps
//! over and exchanges the programs, without a moment between the two.

use std::{collections::BTreeMap, os::fd::AsFd};

use aya::{
    Btf, Ebpf, EbpfError, EbpfLoader, include_bytes_aligned,
    maps::{Array, HashMap, Map, MapData, MapError, RingBuf},
    programs::{BtfTracePoint, Lsm, ProgramError, links::FdLink},
};
use clap::ValueEnum;
use monitor_ebpf::bans::{Ban, BanCount, BanKey, BanState, BanStats, KnownImage, LAYOUT, MAX_BANS};
use zerocopy::transmute;

pub use super::pins::{PinDir, PinError};
use super::{ProbeError, pins, program};
use crate::btf::{Ctime, Offsets, VMLINUX};

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/unjack-ban"));

const BANS: &str = "BANS";
const COUNTS: &str = "BAN_COUNTS";
const IMAGES: &str = "BAN_IMAGES";
const EVENTS: &str = "BAN_EVENTS";
const STATE: &str = "BAN_STATE";
const STATS: &str = "BAN_STATS";
const MAPS: [&str; 6] = [BANS, COUNTS, IMAGES, EVENTS, STATE, STATS];

const EXEC: &str = "ban_exec";
const CHECK: &str = "ban_check";
/// The programs, whose links are pinned under the same names.
const PROGRAMS: [&str; 2] = [EXEC, CHECK];

/// How an exec is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum With {
    /// By BPF LSM where it is active, else by a signal.
    Auto,
    /// The exec fails; takes BPF LSM.
    Lsm,
    /// The process is killed before it executes an instruction.
    Signal,
}

/// Whether the kernel asks BPF programs about security.
#[must_use]
pub fn lsm_is_active() -> bool {
    pins::security_modules()
        .inspect_err(|error| tracing::debug!("securityfs cannot be read: {error}"))
        .is_ok_and(|list| list.trim().split(',').any(|name| name == "bpf"))
}

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

    /// The programs' records. Each belongs to whoever takes it first.
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

    fn pin(&self, dir: &PinDir) -> Result<(), ProbeError> {
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

fn pin_failed(error: aya::pin::PinError) -> ProbeError {
    let source = match error {
        aya::pin::PinError::SyscallError(error) => error.io_error,
        other => std::io::Error::other(other),
    };
    ProbeError::Io {
        what: "pinning bans",
        source,
    }
}

/// The loaded programs, and their maps.
pub struct Programs {
    ebpf: Ebpf,
    /// Their maps.
    pub tables: Tables,
    /// Whether execs fail, or else processes are killed.
    pub by_lsm: bool,
    with: With,
    dir: Option<PinDir>,
    links: Vec<FdLink>,
}

impl Programs {
    /// Loads them. Where some are pinned their maps are taken over; nothing is
    /// attached yet.
    ///
    /// # Errors
    /// The kernel lacks something or refuses.
    pub fn load(with: With, dir: Option<PinDir>) -> Result<Self, ProbeError> {
        let offsets = Offsets::read(VMLINUX.as_ref())?;
        let btf = Btf::from_sys_fs().map_err(EbpfError::from)?;
        let adopted = match &dir {
            Some(dir) => Tables::pinned(dir)?.map(|tables| (dir, tables)),
            None => None,
        };
        let mut ebpf = load(&offsets, adopted.as_ref().map(|(dir, _)| *dir))?;
        let by_lsm = match with {
            With::Signal => false,
            With::Lsm => {
                load_check(&mut ebpf, &btf)?;
                true
            }
            With::Auto => {
                lsm_is_active()
                    && load_check(&mut ebpf, &btf)
                        .inspect_err(|error| tracing::warn!("bans go by signal: {error}"))
                        .is_ok()
            }
        };
        let exec: &mut BtfTracePoint = program(&mut ebpf, EXEC)?;
        exec.load("sched_process_exec", &btf)
            .map_err(|source| ProbeError::Program { name: EXEC, source })?;
        let maps = MAPS.map(|name| Some((name, ebpf.take_map(name)?)));
        let mut tables = Tables(maps.into_iter().flatten().collect());
        if adopted.is_none() {
            tables.set_state(1, false)?;
        }
        // Reading BTF took tens of megabytes for a moment; give them back.
        // SAFETY: malloc_trim has no preconditions.
        #[cfg(target_env = "gnu")]
        unsafe {
            libc::malloc_trim(0);
        }
        Ok(Self {
            ebpf,
            tables,
            by_lsm,
            with,
            dir,
            links: Vec::new(),
        })
    }

    /// Whether they are attached, by this process.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        !self.links.is_empty()
    }

    /// Attaches and pins them, in the place of those that were pinned before.
    ///
    /// # Errors
    /// The kernel refuses. What was attached stays so.
    pub fn attach(&mut self) -> Result<(), ProbeError> {
        if self.is_attached() {
            return Ok(());
        }
        let mut links: Vec<(&str, FdLink)> = Vec::new();
        if self.by_lsm {
            match attach_check(&mut self.ebpf) {
                Ok(link) => links.push((CHECK, link)),
                // Some processors load what they cannot attach.
                Err(error) if self.with == With::Auto => {
                    tracing::warn!("bans go by signal: {error}");
                    self.by_lsm = false;
                }
                Err(error) => return Err(error),
            }
        }
        let exec: &mut BtfTracePoint = program(&mut self.ebpf, EXEC)?;
        let link = exec.attach().and_then(|id| exec.take_link(id));
        let refused = |source| ProbeError::Program { name: EXEC, source };
        links.push((EXEC, link.map_err(refused)?.into()));
        let Some(dir) = &self.dir else {
            self.links = links.into_iter().map(|(_, link)| link).collect();
            return Ok(());
        };
        let pinned = dir.create().map_err(pin_refused).and_then(|()| {
            if Tables::pinned(dir)?.is_none() {
                // Of another layout, or half of them; or nothing at all.
                unpin(dir)?;
                dir.create().map_err(pin_refused)?;
            }
            self.tables.pin(dir)
        });
        if let Err(error) = pinned {
            tracing::warn!("bans will end with this process: {error}");
            self.links = links.into_iter().map(|(_, link)| link).collect();
            return Ok(());
        }
        for name in PROGRAMS {
            dir.remove(name).map_err(pin_refused)?;
        }
        for (name, link) in links {
            let pinned = link.pin(dir.pin(name)).map_err(pin_failed)?;
            self.links.push(pinned.into());
        }
        Ok(())
    }

    /// Detaches and unpins them: nothing is refused any more, unless somebody
    /// pinned others meanwhile.
    ///
    /// # Errors
    /// A pin cannot be removed.
    pub fn detach(&mut self) -> Result<(), ProbeError> {
        self.links.clear();
        let Some(dir) = &self.dir else {
            return Ok(());
        };
        match Tables::pinned(dir)? {
            Some(others) if !others.is_same(&self.tables) => Ok(()),
            _ => unpin(dir),
        }
    }
}

/// Removes everything that is pinned: with no collector running, all of it is
/// unloaded.
///
/// # Errors
/// A pin cannot be removed.
pub fn unpin(dir: &PinDir) -> Result<(), ProbeError> {
    for name in PROGRAMS.iter().chain(&MAPS) {
        dir.remove(name).map_err(pin_refused)?;
    }
    dir.remove_dir();
    Ok(())
}

fn pin_refused(error: PinError) -> ProbeError {
    ProbeError::Io {
        what: "pinning bans",
        source: std::io::Error::other(error),
    }
}

fn load_check(ebpf: &mut Ebpf, btf: &Btf) -> Result<(), ProbeError> {
    let check: &mut Lsm = program(ebpf, CHECK)?;
    check
        .load("bprm_check_security", btf)
        .map_err(|source: ProgramError| ProbeError::Program {
            name: CHECK,
            source,
        })
}

fn attach_check(ebpf: &mut Ebpf) -> Result<FdLink, ProbeError> {
    let check: &mut Lsm = program(ebpf, CHECK)?;
    let link = check.attach().and_then(|id| check.take_link(id));
    link.map(FdLink::from)
        .map_err(|source| ProbeError::Program {
            name: CHECK,
            source,
        })
}

fn load(offsets: &Offsets, adopt: Option<&PinDir>) -> Result<Ebpf, ProbeError> {
    let Ctime {
        seconds,
        nanoseconds,
    } = &offsets.inode_ctime;
    let mut loader = EbpfLoader::new();
    for name in MAPS {
        if let Some(dir) = adopt {
            loader.map_pin_path(name, dir.pin(name));
        }
    }
    Ok(loader
        .override_global("BPRM_FILE", &offsets.bprm_file, true)
        .override_global("FILE_INODE", &offsets.file_inode, true)
        .override_global("INODE_NUMBER", &offsets.inode_number, true)
        .override_global("INODE_SUPER", &offsets.inode_super, true)
        .override_global("INODE_CTIME_SEC", seconds, true)
        .override_global("INODE_CTIME_NSEC", nanoseconds, true)
        .override_global("SUPER_DEVICE", &offsets.super_device, true)
        .override_global("TASK_TGID", &offsets.task_tgid, true)
        .override_global("TASK_LEADER", &offsets.task_leader, true)
        .override_global("TASK_START", &offsets.task_start, true)
        .override_global("TASK_PARENT", &offsets.task_parent, true)
        .override_global("TASK_COMM", &offsets.task_comm, true)
        .load(OBJECT)?)
}
