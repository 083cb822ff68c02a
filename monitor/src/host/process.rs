//! A process, by what `/proc` says of it. Reads only.
//!
//! A [`ProcHandle`] holds a process by a descriptor of its `/proc` folder, so that
//! every read is of that process or fails: its id may be used again, the
//! folder not. All text is cleaned before it leaves here.

use std::{
    cell::LazyCell,
    collections::BTreeMap,
    ffi::OsStr,
    io::{self, Read},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use procfs::process::Process as ProcFolder;
use rustix::{
    fd::AsFd,
    fs::{AtFlags, CWD, StatxFlags, makedev, statx},
};

use super::{
    error::LookError,
    image::Image,
    maps, root,
    timed_read::{What, scan, timed_read},
};
use unjack_core::event::Process;

/// Characters of a path that are shown.
pub(super) const PATH_CHARS: usize = 256;
/// Threads that are asked for what the first cannot tell.
const MAX_THREADS: usize = 64;
/// Bytes of a `/proc` text that are read.
pub(super) const TEXT_BYTES: u64 = 16384;

/// A process held by its `/proc` folder.
#[derive(Clone, Debug)]
pub struct ProcHandle {
    /// Shared with the looks at it that last.
    pub(super) folder: Arc<ProcFolder>,
}

impl ProcHandle {
    /// Opens the folder, if it is still of this very process.
    ///
    /// # Errors
    /// It is gone, was replaced, or may not be looked at.
    pub fn open(process: Process) -> Result<Self, LookError> {
        let seen = Self::open_pid(process.tgid)?;
        if seen.start_ticks()? == ticks(process.start_ns) {
            Ok(seen)
        } else {
            Err(LookError::Gone)
        }
    }

    /// Opens the folder, if it is still of this very process, and reads something of it, in
    /// one go: each read on its own waits for another thread.
    ///
    /// # Errors
    /// It is gone, was replaced, or may not be looked at, or that hangs; or those of `read`.
    pub fn ask<T: Send + 'static>(
        process: Process,
        read: impl FnOnce(&Self) -> Result<T, LookError> + Send + 'static,
    ) -> Result<T, LookError> {
        let pid = i32::try_from(process.tgid).map_err(|_| LookError::Gone)?;
        timed_read((pid, What::Folder), move || read(&Self::open(process)?))
    }

    /// Opens the folder of whatever process has this id now.
    ///
    /// # Errors
    /// There is none, or it may not be looked at.
    pub fn open_pid(pid: u32) -> Result<Self, LookError> {
        let pid = i32::try_from(pid).map_err(|_| LookError::Gone)?;
        Ok(Self {
            folder: Arc::new(ProcFolder::new_with_root(root::folder(pid))?),
        })
    }

    /// Its `stat`.
    pub(crate) fn stat(&self) -> Result<procfs::process::Stat, LookError> {
        self.timed(What::Folder, |seen| Ok(seen.folder.stat()?))
    }

    /// Reads something of it that may hang.
    pub(super) fn timed<T: Send + 'static>(
        &self,
        what: What,
        read: impl FnOnce(&Self) -> Result<T, LookError> + Send + 'static,
    ) -> Result<T, LookError> {
        let seen = self.clone();
        timed_read((self.folder.pid(), what), move || read(&seen))
    }

    /// When it started, in clock ticks since boot.
    ///
    /// # Errors
    /// It is gone or may not be looked at.
    pub fn start_ticks(&self) -> Result<u64, LookError> {
        Ok(self.stat()?.starttime)
    }

    /// Whether it still runs: one that has exited and waits for its parent to
    /// notice does not. One that cannot be told about is there.
    #[must_use]
    pub fn is_running(&self) -> bool {
        match self.stat() {
            // A first thread that has ended shows so while others run on.
            Ok(stat) => !matches!(stat.state, 'Z' | 'X') || self.threads().nth(1).is_some(),
            Err(error) => matches!(error, LookError::CannotTell(_)),
        }
    }

    /// Its parent now.
    ///
    /// # Errors
    /// It is gone or may not be looked at.
    pub fn parent(&self) -> Result<u32, LookError> {
        Ok(u32::try_from(self.stat()?.ppid).unwrap_or(0))
    }

    /// The image it executes.
    ///
    /// # Errors
    /// It is gone, has none (a kernel thread) or may not be looked at, or that hangs.
    pub fn image(&self) -> Result<Image, LookError> {
        self.timed(What::Image, Self::read_image)
    }

    fn read_image(&self) -> Result<Image, LookError> {
        let folder = root::folder(self.folder.pid());
        // The links are followed by the kernel, straight to the file.
        let mut file = known(&folder.join("exe"));
        if file.is_err() {
            // If its first thread has ended, the others still have the link.
            let others = self
                .threads()
                .map(|tid| folder.join(format!("task/{tid}/exe")));
            file = others
                .map(|link| known(&link))
                .find(Result::is_ok)
                .unwrap_or(file);
        }
        let image = file?;
        // The paths above are by id: make sure it was still this process's.
        self.start_ticks()?;
        Ok(image)
    }

    /// Path of its image on the host, if there it leads to this very image. One
    /// inside a container, or one that was deleted or replaced, does not.
    ///
    /// # Errors
    /// That hangs: the path may be on any file system.
    pub fn host_exe(&self, image: Image) -> Result<Option<String>, LookError> {
        let found = self.timed(What::Path, move |seen| {
            let path = seen.exe()?;
            let leads_there = known(&path)? == image;
            Ok(leads_there.then(|| path.to_string_lossy().into_owned()))
        });
        match found {
            Err(error @ LookError::CannotTell(_)) => Err(error),
            // Neither it nor its path is there.
            found => Ok(found.ok().flatten()),
        }
    }

    /// The path its link reads, as it is: hostile.
    ///
    /// # Errors
    /// It is gone, has none or may not be looked at.
    pub fn link(&self) -> Result<PathBuf, LookError> {
        self.exe()
    }

    /// Its threads, [`MAX_THREADS`] of them at the most.
    pub(super) fn threads(&self) -> impl Iterator<Item = i32> {
        let tasks = self.folder.tasks().into_iter().flatten().flatten();
        tasks.map(|task| task.tid).take(MAX_THREADS)
    }

    /// The path its link reads: hostile.
    ///
    /// # Errors
    /// It is gone, has none (a kernel thread) or may not be looked at, or that hangs.
    pub fn exe(&self) -> Result<PathBuf, LookError> {
        self.timed(What::Folder, Self::read_exe)
    }

    fn read_exe(&self) -> Result<PathBuf, LookError> {
        let folder = root::folder(self.folder.pid());
        match self.folder.exe() {
            Ok(path) => Ok(path),
            Err(error) => self
                .threads()
                .find_map(|tid| std::fs::read_link(folder.join(format!("task/{tid}/exe"))).ok())
                .ok_or_else(|| error.into()),
        }
    }

    /// Bytes its read and write calls moved so far, cached or not.
    fn io_bytes(&self) -> Result<u64, LookError> {
        let io = self.timed(What::Folder, |seen| Ok(seen.folder.io()?))?;
        Ok(io.rchar.saturating_add(io.wchar))
    }

    /// The kinds of memory its code lies in, and the files: what executes as
    /// `image` is told from others of its name.
    ///
    /// # Errors
    /// It is gone or may not be looked at, or that hangs.
    pub fn maps(&self, image: Option<Image>) -> Result<maps::CodeMap, LookError> {
        self.timed(What::Mappings, move |seen| seen.read_maps(image))
    }

    fn read_maps(&self, image: Option<Image>) -> Result<maps::CodeMap, LookError> {
        // Most need neither.
        let folder = LazyCell::new(|| self.folder.open_relative("map_files").ok());
        let link = LazyCell::new(|| self.exe().map(|link| maps::written(&link)).ok());
        let look = |mapping: &maps::Mapping<'_>| {
            let host = roots_own(Path::new(OsStr::from_bytes(mapping.path)));
            // Of another device it is another file, unless its file system shows
            // another there than `stat` does (btrfs, overlayfs). Who has the path
            // of one it is taken for is asked which it is.
            let differs = |file: Image| file.device != mapping.file.device;
            let asked = host.is_some_and(differs)
                || image.is_some_and(differs) && (*link).as_deref() == Some(mapping.path);
            let known = || {
                // No leading zeros (`dname_to_vma_addr`, fs/proc/base.c).
                let name = format!("{:x}-{:x}", mapping.start, mapping.end);
                known_in((*folder).as_ref()?, Path::new(&name)).ok()
            };
            let file = asked.then(known).flatten().unwrap_or(mapping.file);
            (file, host == Some(file))
        };
        let file = self.folder.open_relative("maps")?;
        Ok(maps::CodeMap::read(file, look)?)
    }

    /// Whether its image is the host's own: on the host its path leads to it,
    /// and only root can have put it there. Not, if that hangs.
    #[must_use]
    pub fn is_system(&self, image: Image) -> bool {
        let path = self.timed(What::Path, |seen| Ok(systems_own(&seen.exe()?)));
        path.is_ok_and(|path| path == Some(image))
    }

    /// Its words on the command line, or as many as are read.
    ///
    /// # Errors
    /// It is gone, or that hangs.
    pub(super) fn words(&self) -> Result<Vec<u8>, LookError> {
        self.timed(What::Words, |seen| {
            seen.bytes("cmdline").ok_or(LookError::Gone)
        })
    }

    pub(super) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = self.folder.open_relative(name).ok()?;
        file.take(TEXT_BYTES).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}

/// The file a path leads to, as the kernel has it in memory: a file system that
/// does not answer, such as one of a process's own making (FUSE), is not asked.
pub(super) fn known(path: &Path) -> io::Result<Image> {
    known_in(CWD, path)
}

/// The same, of a path in a folder.
fn known_in(folder: impl AsFd, path: &Path) -> io::Result<Image> {
    let file = statx(folder, path, AtFlags::STATX_DONT_SYNC, StatxFlags::INO)?;
    Ok(Image {
        device: makedev(file.stx_dev_major, file.stx_dev_minor),
        inode: file.stx_ino,
    })
}

/// The file this path leads to on the host, if only root can have put it there. A
/// container's files are not on the host's paths, and what a process has mounted
/// for itself is another file: of another device, whatever its inode.
fn roots_own(path: &Path) -> Option<Image> {
    // Only where the system keeps its own: a look at any path a process has
    // mapped could wake a network file system.
    ["/usr", "/lib", "/lib64"]
        .iter()
        .any(|system| path.starts_with(system))
        .then(|| only_roots(path))
        .flatten()
}

/// The same, or where programs lie that are not one with `/usr`.
fn systems_own(path: &Path) -> Option<Image> {
    let older = || ["/bin", "/sbin"].iter().any(|dir| path.starts_with(dir));
    roots_own(path).or_else(|| older().then(|| only_roots(path)).flatten())
}

/// Whether this is the system's own file at this path.
pub(crate) fn is_systems_own(path: &Path, file: Image) -> bool {
    systems_own(path) == Some(file)
}

/// The file there, if root owns it, and no other user may write to it.
fn only_roots(path: &Path) -> Option<Image> {
    const WRITABLE_BY_OTHERS: u32 = 0o022;
    let file = std::fs::metadata(path).ok()?;
    (file.uid() == 0 && file.mode() & WRITABLE_BY_OTHERS == 0).then(|| Image::from(&file))
}

/// Nanoseconds since boot in the clock ticks `/proc/PID/stat` counts in: the
/// kernel's own integer division.
#[must_use]
pub fn ticks(start_ns: u64) -> u64 {
    start_ns / tick_ns()
}

/// Nanoseconds of a clock tick.
pub(crate) fn tick_ns() -> u64 {
    1_000_000_000 / rustix::param::clock_ticks_per_second()
}

/// This process and all it descends from, itself first; as they last were, if reading
/// about one hangs. Bounded: a chain of more than 128 is cut.
#[must_use]
pub fn lineage() -> Vec<u32> {
    static LAST: Mutex<Vec<u32>> = Mutex::new(Vec::new());
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let found = timed_read((own(), What::Scan), || Ok(read_lineage()));
    let found = found.unwrap_or_else(|_| vec![std::process::id()]);
    // What hangs cuts the chain: an ancestor is one for good, or ends.
    if found.len() >= last.len() || found.last().is_some_and(|pid| *pid <= 1) {
        last.clone_from(&found);
    }
    last.clone()
}

fn own() -> i32 {
    std::process::id().cast_signed()
}

fn read_lineage() -> Vec<u32> {
    let mut chain = vec![std::process::id()];
    while let Some(pid) = chain
        .last()
        .copied()
        .filter(|pid| *pid > 1 && chain.len() < 128)
    {
        match ProcHandle::open_pid(pid).and_then(|seen| seen.parent()) {
            Ok(parent) if parent > 0 => chain.push(parent),
            _ => break,
        }
    }
    chain
}

/// Whether a process is there and executes this image.
#[must_use]
pub fn executes(process: Process, image: Image) -> bool {
    ProcHandle::open(process)
        .and_then(|seen| seen.image())
        .is_ok_and(|now| now == image)
}

/// Bytes that the read and write calls of these processes moved so far, cached or not, in
/// this order; `None` of one that is gone or of which reading hangs.
#[must_use]
pub fn io_bytes(of: Vec<ProcHandle>) -> Vec<Option<u64>> {
    let (all, of) = (of.len(), Arc::<[ProcHandle]>::from(of));
    let read = move || of.iter().map(|seen| seen.io_bytes().ok()).collect();
    scan(read).unwrap_or_else(|_| vec![None; all])
}

/// All processes that execute an image, with the parent each has now. Those of which
/// reading hangs are left out.
///
/// # Errors
/// Too many hang.
pub fn executing(image: Image) -> Result<BTreeMap<u32, u32>, LookError> {
    scan(move || read_executing(image))
}

fn read_executing(image: Image) -> BTreeMap<u32, u32> {
    let folders = root::folder(1)
        .parent()
        .map(std::fs::read_dir)
        .into_iter()
        .flatten();
    folders
        .flatten()
        .flatten()
        .filter_map(|folder| {
            let pid = folder.file_name().to_str()?.parse().ok()?;
            let seen = ProcHandle::open_pid(pid).ok()?;
            (seen.image().ok()? == image).then_some((pid, seen.parent().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests;
