//! Files that processes execute, looked at for what they hold.
//!
//! What is said of a file is only said if it was the same before and after: its
//! inode and change time are compared with what the kernel told.

use std::{
    fs::{File, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use monitor_ebpf::bans::BanKey;

use super::{
    hash::{self, Sha256},
    key as key_of,
    rule::{self, Spared},
};
use crate::{
    config::{self, Rule},
    event::Process,
    host::{self, Image, Seen},
};

/// A file that a process executes.
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) meta: Metadata,
    /// The path it was executed by, hostile.
    pub(super) path: PathBuf,
}

/// A file that was looked at.
pub(super) struct Found {
    /// `None` if it is too large.
    pub(super) sha256: Option<Sha256>,
    pub(super) image: Image,
    pub(super) path: PathBuf,
    /// It may not be banned.
    pub(super) spared: Option<Spared>,
}

/// Opens what a process executes.
///
/// # Errors
/// It is gone.
pub(super) fn open(seen: &Seen) -> Result<Opened, Spared> {
    let file = seen.open_exe().map_err(|_| Spared::Gone)?;
    let meta = file.metadata().map_err(|_| Spared::Gone)?;
    let path = seen.link().map_err(|_| Spared::Gone)?;
    Ok(Opened { file, meta, path })
}

/// Whether the file may be banned.
///
/// # Errors
/// The reason why not.
pub(super) fn file_rule(path: &Path, meta: &Metadata) -> Result<(), Spared> {
    const WRITABLE_BY_OTHERS: u32 = 0o022;
    let own = std::fs::metadata("/proc/self/exe");
    rule::by_file(&rule::Facts {
        path,
        system: host::is_roots_own(path, meta.ino()),
        roots: meta.uid() == 0 && meta.mode() & WRITABLE_BY_OTHERS == 0,
        myself: own.is_ok_and(|own| Image::from(&own) == Image::from(meta)),
    })
}

/// Hashes what a process executes, if that is still the image that `key` is of.
///
/// # Errors
/// It is gone, or executes another image.
pub(super) fn look_at(process: Process, key: &BanKey, allow: &[Rule]) -> Result<Found, Spared> {
    let seen = Seen::open(process).map_err(|_| Spared::Gone)?;
    let opened = open(&seen)?;
    let image = Image::from(&opened.meta);
    let allowed = !allow.is_empty() && {
        let facts = seen.facts().map_err(|_| Spared::Gone)?;
        let exe = seen.host_exe(image);
        let subject = config::Subject {
            exe: exe.as_deref(),
            uid: facts.uid,
            cgroup: &facts.cgroup,
            family: "",
        };
        allow.iter().any(|rule| rule.matches(&subject))
    };
    let found = look(opened, key)?;
    Ok(Found {
        spared: allowed.then_some(Spared::Allowed).or(found.spared),
        ..found
    })
}

/// Hashes a file, if it is still the image that `key` is of. Whatever the process
/// executes by now, another image must not be banned for it.
///
/// # Errors
/// It is another by now, or cannot be read.
pub(super) fn look(opened: Opened, key: &BanKey) -> Result<Found, Spared> {
    let Opened { file, meta, path } = opened;
    let same = |meta: &Metadata| key_of(key.device, meta) == *key;
    if !same(&meta) {
        return Err(Spared::Gone);
    }
    let sha256 = hash::sha256(&file).map_err(|_| Spared::Gone)?;
    // It may have been written to meanwhile.
    if !file.metadata().is_ok_and(|after| same(&after)) {
        return Err(Spared::Gone);
    }
    Ok(Found {
        sha256,
        image: Image::from(&meta),
        spared: file_rule(&path, &meta).err(),
        path,
    })
}
