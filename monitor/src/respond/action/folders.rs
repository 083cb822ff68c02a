//! Cgroups' folders and files.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use super::System;
use crate::host::{
    ProcHandle,
    cgroup::{Layout, Membership},
};

/// Bytes of a cgroup's file that are read: some hundred thousand ids.
const FILE_BYTES: u64 = 1 << 20;
/// Who may write to a folder besides its owner.
const OTHERS_WRITE: u32 = 0o022;

/// Cgroups as the host has them. Only tests have another than [`System`].
pub trait Folders {
    /// The trees that are mounted.
    fn layout(&self) -> &Layout;

    /// Where a process is.
    ///
    /// # Errors
    /// It is gone or may not be looked at.
    fn membership(&self, pid: u32) -> io::Result<Membership>;

    /// Reads a file.
    ///
    /// # Errors
    /// The kernel's.
    fn read(&self, file: &Path) -> io::Result<String>;

    /// Writes to a file that is there, in one piece.
    ///
    /// # Errors
    /// The kernel's.
    fn write(&self, file: &Path, text: &str) -> io::Result<()>;

    /// Makes a cgroup.
    ///
    /// # Errors
    /// The kernel's.
    fn make(&self, dir: &Path) -> io::Result<()>;

    /// Removes an empty cgroup.
    ///
    /// # Errors
    /// The kernel's; a process is in it.
    fn remove(&self, dir: &Path) -> io::Result<()>;

    /// Whether it is there.
    fn exists(&self, dir: &Path) -> bool;

    /// Whether only this daemon's user can make cgroups in it and move processes to
    /// and from it: neither another user owns it, as in a subtree that is delegated, nor
    /// may others write to it.
    fn is_roots(&self, dir: &Path) -> bool;

    /// Whether systemd has left it to the unit to make cgroups below it.
    fn is_delegated(&self, dir: &Path) -> bool;

    /// The cgroups right below one.
    ///
    /// # Errors
    /// The kernel's.
    fn below(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;
}

/// Trees are mounted when a host starts, and stay.
static LAYOUT: LazyLock<Layout> =
    LazyLock::new(|| Layout::parse(&fs::read("/proc/self/mountinfo").unwrap_or_default()));

impl Folders for System {
    fn layout(&self) -> &Layout {
        &LAYOUT
    }

    fn membership(&self, pid: u32) -> io::Result<Membership> {
        ProcHandle::open_pid(pid)
            .and_then(|seen| seen.membership())
            .map_err(io::Error::other)
    }

    fn read(&self, file: &Path) -> io::Result<String> {
        let mut text = String::new();
        let file = fs::File::open(file)?;
        file.take(FILE_BYTES).read_to_string(&mut text)?;
        Ok(text)
    }

    fn write(&self, file: &Path, text: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(file)?;
        file.write_all(text.as_bytes())
    }

    fn make(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir(dir)
    }

    fn remove(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir(dir)
    }

    fn exists(&self, dir: &Path) -> bool {
        dir.exists()
    }

    fn is_roots(&self, dir: &Path) -> bool {
        let owner = rustix::process::geteuid().as_raw();
        let ours = |path: &Path| {
            let meta = fs::symlink_metadata(path);
            meta.is_ok_and(|meta| meta.uid() == owner && meta.mode() & OTHERS_WRITE == 0)
        };
        let threads = dir.join("cgroup.threads");
        ours(dir) && ours(&dir.join("cgroup.procs")) && (!threads.exists() || ours(&threads))
    }

    fn is_delegated(&self, dir: &Path) -> bool {
        // systemd.resource-control(5), Delegate=: the second since version 252, for all
        // that may not read the first.
        ["trusted.delegate", "user.delegate"].iter().any(|name| {
            let mut value = [0; 1];
            rustix::fs::getxattr(dir, *name, &mut value).is_ok() && value == *b"1"
        })
    }

    fn below(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut below = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                below.push(entry.path());
            }
        }
        Ok(below)
    }
}

/// The ids in a cgroup's list.
pub(super) fn ids(folders: &impl Folders, file: &Path) -> io::Result<Vec<u32>> {
    let text = folders.read(file)?;
    // A process of a pid namespace that we do not see shows as 0.
    let ids = text.lines().filter_map(|line| line.trim().parse().ok());
    Ok(ids.filter(|id| *id != 0).collect())
}

/// Whether a cgroup has threads only: their processes are those of the nearest
/// one above it that has not.
pub(super) fn is_threaded(folders: &impl Folders, dir: &Path) -> bool {
    let kind = folders.read(&dir.join("cgroup.type"));
    kind.is_ok_and(|kind| kind.trim() == "threaded")
}

/// The processes in a cgroup and below it.
pub(super) fn all_processes(folders: &impl Folders, dir: &Path) -> io::Result<Vec<u32>> {
    /// Cgroups below each other: the kernel's own files stop long before.
    const MAX_FOLDERS: usize = 4096;
    let mut pids = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    let mut seen = 0;
    while let Some(dir) = dirs.pop() {
        seen += 1;
        if seen > MAX_FOLDERS {
            return Err(io::Error::other("too many cgroups below one"));
        }
        match ids(folders, &dir.join("cgroup.procs")) {
            Ok(found) => pids.extend(found),
            // In a threaded cgroup, whose processes the one above lists, if that
            // was asked.
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) && seen > 1 => {}
            // It was just removed.
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
        dirs.extend(folders.below(&dir).unwrap_or_default());
    }
    pids.sort_unstable();
    pids.dedup();
    Ok(pids)
}

pub(super) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}
