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
    content::owner,
    record::key as key_of,
    rule::{self, Spared},
    runtime,
};
use crate::{
    host::{
        self, Image, ProcHandle,
        deep::reopen,
        digest::{Digest, Unknown},
    },
    policy::config::{Rule, Subject},
};
use unjack_core::event::Process;

/// A file that a process executes, or executed: held, not opened.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) file: File,
    pub(super) meta: Metadata,
    /// The path it was executed by, hostile.
    pub(super) path: PathBuf,
    /// An `--allow` rule is about its process.
    pub(super) allowed: bool,
}

/// A file that was looked at.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) digest: Digest,
    /// Whose it is, or `NO_OWNER`.
    pub(super) owner: u32,
    pub(super) image: Image,
    pub(super) path: PathBuf,
    /// It may not be banned.
    pub(super) spared: Option<Spared>,
}

/// Holds what a process executes.
///
/// # Errors
/// It is gone.
pub(super) fn hold(seen: &ProcHandle) -> Result<Held, Spared> {
    let file = seen.hold_image().map_err(|_| Spared::Gone)?;
    let meta = file.metadata().map_err(|_| Spared::Gone)?;
    let path = seen.link().map_err(|_| Spared::Gone)?;
    Ok(Held {
        file,
        meta,
        path,
        allowed: false,
    })
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
        system: host::is_systems_own(path, Image::from(meta)),
        roots: meta.uid() == 0 && meta.mode() & WRITABLE_BY_OTHERS == 0,
        myself: own.is_ok_and(|own| Image::from(&own) == Image::from(meta)),
    })
}

/// Holds what a process executes, if that is still the image that `key` is of.
/// Whatever the process executes by now, another image must not be banned for it.
///
/// # Errors
/// It is gone, or executes another image.
pub(super) fn hold_same(process: Process, key: &BanKey, allow: &[Rule]) -> Result<Held, Spared> {
    let seen = ProcHandle::open(process).map_err(|_| Spared::Gone)?;
    let held = hold(&seen)?;
    if !is_same(&held.meta, key) {
        return Err(Spared::Gone);
    }
    let allowed = !allow.is_empty() && {
        let facts = seen.facts().map_err(|_| Spared::Gone)?;
        let exe = seen
            .host_exe(Image::from(&held.meta))
            .map_err(|_| Spared::Unreadable)?;
        let subject = Subject {
            exe: exe.as_deref(),
            ..facts.subject(None)
        };
        allow.iter().any(|rule| rule.matches(&subject))
    };
    Ok(Held { allowed, ..held })
}

fn is_same(meta: &Metadata, key: &BanKey) -> bool {
    key_of(key.device, meta) == *key
}

/// Opens what is held, to be read.
pub(super) fn open(held: &File) -> Result<File, Unknown> {
    reopen(held).map_err(|_| Unknown::Unreadable)
}

/// What is to be said of a file that was hashed, if it is the same as before.
///
/// # Errors
/// It is another by now, or could not be read.
pub(super) fn look(
    held: Held,
    key: &BanKey,
    digest: Result<Digest, Unknown>,
) -> Result<Found, Spared> {
    let Held {
        file,
        meta,
        path,
        allowed,
    } = held;
    let digest = digest.map_err(|unknown| match unknown {
        Unknown::Gone => Spared::Gone,
        Unknown::TooLarge => Spared::TooLarge,
        Unknown::Unreadable | Unknown::Late | Unknown::OverBudget | Unknown::CannotTell => {
            Spared::Unreadable
        }
    })?;
    // It may have been written to meanwhile.
    if !is_same(&meta, key) || !file.metadata().is_ok_and(|after| is_same(&after, key)) {
        return Err(Spared::Gone);
    }
    let spared = if allowed {
        Some(Spared::Allowed)
    } else {
        file_rule(&path, &meta).err()
    };
    Ok(Found {
        digest,
        owner: owner(&file, &meta),
        image: Image::from(&meta),
        path,
        spared,
    })
}

/// The same of an image that was condemned, which is also looked at for what it
/// holds: it is the first of its content.
///
/// # Errors
/// The reason why it may not be banned.
pub(super) fn examine(
    held: Held,
    key: &BanKey,
    digest: Result<Digest, Unknown>,
) -> Result<Found, Spared> {
    let file = open(&held.file).map_err(|_| Spared::Unreadable);
    let size = held.meta.len();
    let found = look(held, key, digest)?;
    if let Some(reason) = found.spared {
        return Err(reason);
    }
    if runtime::is_the_systems(size, found.digest) {
        return Err(Spared::System);
    }
    if runtime::has_marks(&file?) {
        return Err(Spared::Runtime);
    }
    Ok(found)
}
