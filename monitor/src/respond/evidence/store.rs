//! The directory evidence is kept in: bounded, and root's alone.
//!
//! Everything is opened relative to a directory's descriptor and follows no
//! link. A folder is filled under a name of its own and renamed when it is
//! whole: what has a proper name is complete. Folders of other names than ours
//! are not looked at, not counted and not removed.

use std::{
    collections::BTreeMap,
    ffi::CString,
    fs::{DirBuilder, File},
    io::{self, Read, Write},
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, MetadataExt},
    },
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags};
use sha2::{Digest as _, Sha256};

use super::Loss;
use crate::{host::digest::Digest, policy::config::EvidenceLimits};

/// Prefix of a folder that is being filled.
const UNFINISHED: &str = ".unfinished-";
/// Bytes of a folder's texts, for which room is made beforehand; what a folder
/// takes is then counted exactly.
const TEXTS: u64 = 1 << 20;
/// Entries of one folder that are looked at: there are four.
const MAX_FILES: usize = 64;
/// Bytes copied at a time.
const CHUNK: usize = 64 << 10;

/// The directory.
#[derive(Debug)]
pub struct Store {
    directory: Arc<OwnedFd>,
    limits: EvidenceLimits,
    /// The folders and their sizes in bytes, the oldest first.
    kept: BTreeMap<String, u64>,
    /// Bytes promised to folders that are being filled.
    promised: u64,
    /// Folders that are being filled.
    filling: usize,
}

/// A folder that is being filled.
#[derive(Debug)]
pub struct Folder {
    directory: Arc<OwnedFd>,
    inside: OwnedFd,
    name: String,
    /// Bytes its image may have.
    room: u64,
}

impl Store {
    /// Opens the directory, makes it if it is not there, and forgets what was
    /// left unfinished.
    ///
    /// # Errors
    /// It cannot be made or opened, or is not ours alone to write to.
    pub fn open(path: &Path, limits: EvidenceLimits) -> io::Result<Self> {
        match DirBuilder::new().recursive(true).mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty())?;
        let meta = File::from(directory.try_clone()?).metadata()?;
        if meta.uid() != rustix::process::geteuid().as_raw() || meta.mode() & 0o077 != 0 {
            return Err(io::Error::other(
                "it must belong to the user unjack runs as, and be closed to all others: \
                 chown and chmod 700 it, or name another",
            ));
        }
        let mut store = Self {
            directory: Arc::new(directory),
            limits,
            kept: BTreeMap::new(),
            promised: 0,
            filling: 0,
        };
        for name in names(&store.directory, usize::MAX)? {
            if name.starts_with(UNFINISHED) {
                remove(&store.directory, &name)?;
            } else if is_ours(&name) {
                let size = size_of(&enter(&store.directory, &name)?)?;
                store.kept.insert(name, size);
            }
        }
        store.prune(0, 0)?;
        Ok(store)
    }

    /// Makes room for a folder with an image of `image` bytes, and begins to
    /// fill it. If there can be no such room, there is for all but the image.
    /// Returns how many old folders had to go, too.
    ///
    /// # Errors
    /// There is no space, or the directory cannot be written to.
    pub fn begin(&mut self, name: &str, image: u64) -> io::Result<(Folder, u64)> {
        let free = self.limits.size.saturating_sub(self.promised);
        let room = if image.saturating_add(TEXTS) <= free {
            image
        } else {
            0
        };
        let pruned = self.prune(1, room + TEXTS.min(free))?;
        let unfinished = format!("{UNFINISHED}{name}");
        rustix::fs::mkdirat(&self.directory, unfinished.as_str(), Mode::RWXU)?;
        let folder = Folder {
            directory: Arc::clone(&self.directory),
            inside: enter(&self.directory, &unfinished)?,
            name: name.to_owned(),
            room,
        };
        self.promised += room + TEXTS;
        self.filling += 1;
        Ok((folder, pruned))
    }

    /// Gives a folder its name, if it was filled, and else removes it. Returns
    /// how many old folders had to go.
    ///
    /// # Errors
    /// That of filling it, or the directory cannot be written to. Nothing is
    /// left of the folder.
    pub fn finish(&mut self, folder: &Folder, filled: io::Result<()>) -> io::Result<u64> {
        self.promised = self.promised.saturating_sub(folder.room + TEXTS);
        self.filling = self.filling.saturating_sub(1);
        let unfinished = format!("{UNFINISHED}{}", folder.name);
        let named = filled.and_then(|()| {
            let size = size_of(&folder.inside)?;
            if size > self.limits.size {
                return Err(io::Error::from_raw_os_error(libc::EDQUOT));
            }
            rustix::fs::renameat_with(
                &self.directory,
                unfinished.as_str(),
                &self.directory,
                folder.name.as_str(),
                RenameFlags::NOREPLACE,
            )?;
            Ok(size)
        });
        match named {
            Ok(size) => {
                self.kept.insert(folder.name.clone(), size);
                self.prune(0, 0)
            }
            Err(error) => {
                // What went wrong before is the error to tell.
                let _removed = remove(&folder.directory, &unfinished);
                Err(error)
            }
        }
    }

    /// Removes the oldest until there is room for so many and so much more;
    /// how many it were.
    fn prune(&mut self, count: usize, size: u64) -> io::Result<u64> {
        let mut removed = 0;
        while self.kept.len() + self.filling + count > self.limits.count
            || self.size().saturating_add(size) > self.limits.size
        {
            let Some((oldest, _)) = self.kept.pop_first() else {
                break;
            };
            match remove(&self.directory, &oldest) {
                // Another process removed it.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => removed += 1,
            }
        }
        Ok(removed)
    }

    /// Bytes of all that is kept or promised.
    fn size(&self) -> u64 {
        self.kept.values().sum::<u64>() + self.promised
    }
}

fn enter(directory: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(directory, name, flags, Mode::empty())?)
}

fn remove(directory: &OwnedFd, name: &str) -> io::Result<()> {
    let folder = enter(directory, name)?;
    for file in names(&folder, MAX_FILES)? {
        rustix::fs::unlinkat(&folder, file.as_str(), AtFlags::empty())?;
    }
    rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR)?;
    Ok(())
}

impl Folder {
    /// Writes a file of it.
    ///
    /// # Errors
    /// There is no space, or writing failed.
    pub fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.create(name)?.write_all(content)
    }

    /// Copies a file into it, of at most `most` bytes and for at most `time`;
    /// nothing of it stays if that is not enough.
    ///
    /// # Errors
    /// Why there is no copy.
    pub fn copy(
        &self,
        name: &str,
        mut from: File,
        most: u64,
        time: Duration,
    ) -> Result<Digest, Loss> {
        let copied = self.try_copy(name, &mut from, most.min(self.room), Instant::now() + time);
        if copied.is_err() {
            // It may not be there at all.
            let _removed = rustix::fs::unlinkat(&self.inside, name, AtFlags::empty());
        }
        copied
    }

    fn try_copy(
        &self,
        name: &str,
        from: &mut File,
        most: u64,
        until: Instant,
    ) -> Result<Digest, Loss> {
        let mut to = self.create(name).map_err(|error| Loss::from(&error))?;
        let mut hash = Sha256::new();
        let mut chunk = vec![0; CHUNK];
        let mut total = 0;
        loop {
            let read = from.read(&mut chunk).map_err(|_| Loss::ImageUnreadable)?;
            if read == 0 {
                return Ok(Digest(hash.finalize().into()));
            }
            total += read as u64;
            if total > most {
                return Err(Loss::ImageTooLarge);
            }
            if Instant::now() > until {
                return Err(Loss::ImageUnreadable);
            }
            hash.update(&chunk[..read]);
            to.write_all(&chunk[..read])
                .map_err(|error| Loss::from(&error))?;
        }
    }

    fn create(&self, name: &str) -> io::Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        Ok(rustix::fs::openat(&self.inside, name, flags, mode)?.into())
    }
}

/// Whether a folder has a name as this module's user gives them:
/// `20261124T191108.123Z-4242-1a2b3c4d`.
fn is_ours(name: &str) -> bool {
    let mut parts = name.split('-');
    let (time, pid, hash) = (parts.next(), parts.next(), parts.next());
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    parts.next().is_none()
        && time.is_some_and(|time| {
            time.len() == 20
                && time.ends_with('Z')
                && time
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || b"T.Z".contains(&byte))
        })
        && pid.is_some_and(digits)
        && hash.is_some_and(|hash| {
            hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
}

/// The names in a directory, at most so many; those that are no UTF-8 are not
/// ours.
fn names(directory: &OwnedFd, most: usize) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)?.take(most.saturating_add(2)) {
        let name: CString = entry?.file_name().to_owned();
        if let Ok(name) = name.into_string()
            && name != "."
            && name != ".."
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// Bytes of the files in a folder.
fn size_of(folder: &OwnedFd) -> io::Result<u64> {
    let mut size = 0;
    for name in names(folder, MAX_FILES)? {
        let stat = rustix::fs::statat(folder, name.as_str(), AtFlags::SYMLINK_NOFOLLOW)?;
        size += u64::try_from(stat.st_size).unwrap_or(0);
    }
    Ok(size)
}

#[cfg(test)]
mod tests;
