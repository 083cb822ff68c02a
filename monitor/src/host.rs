//! What `/proc` says of a process. Reads only.
//!
//! A [`Seen`] process is held by a descriptor of its `/proc` folder, so that
//! every read is of that process or fails: its id may be used again, the
//! folder not. All text is cleaned before it leaves here.

pub mod maps;

use std::{
    ffi::OsStr,
    fs::Metadata,
    io::{self, Read},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
};

use procfs::{ProcError, process::Process as ProcFolder};

use crate::{event::Process, text::clean};

/// Characters of a path that are shown.
const PATH_CHARS: usize = 256;
/// Bytes of a name that are read: the kernel's own limit is far below.
const COMM_BYTES: u64 = 256;

/// A process's image, for good: the file it executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Image {
    /// Device of the file system.
    pub device: u64,
    /// Inode in it.
    pub inode: u64,
}

impl From<&Metadata> for Image {
    fn from(meta: &Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
        }
    }
}

/// Why a process could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// It is gone, or its id belongs to another by now.
    #[error("no such process any more")]
    Gone,
    /// It may not be looked at.
    #[error("not permitted: it takes CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, or root")]
    Denied,
    /// Something else.
    #[error("cannot read its /proc entry: {0}")]
    Other(String),
}

impl From<ProcError> for LookError {
    fn from(error: ProcError) -> Self {
        match error {
            ProcError::NotFound(_) => Self::Gone,
            ProcError::PermissionDenied(_) => Self::Denied,
            ProcError::Io(error, _) if error.raw_os_error() == Some(libc::ESRCH) => Self::Gone,
            other => Self::Other(clean(other.to_string().as_bytes(), PATH_CHARS)),
        }
    }
}

impl From<io::Error> for LookError {
    fn from(error: io::Error) -> Self {
        ProcError::from(error).into()
    }
}

/// What is known of a process when it is judged. Text is cleaned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The name it gave itself.
    pub comm: String,
    /// Path of its image as its link in `/proc` reads.
    pub exe: String,
    /// The image itself; `None` for one that could not be read.
    pub image: Option<Image>,
    /// The path again, if on the host it leads to this very image. A path
    /// inside a container, or one that was deleted or replaced, does not.
    pub host_exe: Option<String>,
    /// The user it really runs as.
    pub uid: Option<u32>,
    /// Path of its cgroup: of the unified hierarchy, else of the cpu one.
    pub cgroup: String,
    /// A kernel thread.
    pub kernel_thread: bool,
}

/// A process held by its `/proc` folder.
#[derive(Debug)]
pub struct Seen {
    folder: ProcFolder,
}

impl Seen {
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

    /// Opens the folder of whatever process has this id now.
    ///
    /// # Errors
    /// There is none, or it may not be looked at.
    pub fn open_pid(pid: u32) -> Result<Self, LookError> {
        let pid = i32::try_from(pid).map_err(|_| LookError::Gone)?;
        Ok(Self {
            folder: ProcFolder::new(pid)?,
        })
    }

    /// When it started, in clock ticks since boot.
    ///
    /// # Errors
    /// It is gone or may not be looked at.
    pub fn start_ticks(&self) -> Result<u64, LookError> {
        Ok(self.folder.stat()?.starttime)
    }

    /// Whether it still runs: one that has exited and waits for its parent to
    /// notice does not.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let state = self.folder.stat().map(|stat| stat.state);
        state.is_ok_and(|state| !matches!(state, 'Z' | 'X'))
    }

    /// Its parent now.
    ///
    /// # Errors
    /// It is gone or may not be looked at.
    pub fn parent(&self) -> Result<u32, LookError> {
        Ok(u32::try_from(self.folder.stat()?.ppid).unwrap_or(0))
    }

    /// The image it executes.
    ///
    /// # Errors
    /// It is gone, has none (a kernel thread) or may not be looked at.
    pub fn image(&self) -> Result<Image, LookError> {
        // The link is followed by the kernel, straight to the file.
        let file = std::fs::metadata(format!("/proc/{}/exe", self.folder.pid()))?;
        // The path above is by id: make sure it was still this process's.
        self.start_ticks()?;
        Ok(Image::from(&file))
    }

    /// Everything a verdict is told.
    ///
    /// # Errors
    /// It is gone or may not be looked at. What may be missing in a process
    /// that is there is `None` or empty instead.
    pub fn facts(&self) -> Result<Facts, LookError> {
        // PF_KTHREAD, include/linux/sched.h.
        const KTHREAD: u32 = 0x0020_0000;
        let stat = self.folder.stat()?;
        let image = self.image().ok();
        let link = self.folder.exe().ok();
        let host_exe = link.as_ref().filter(|path| {
            image.is_some() && std::fs::metadata(path).ok().as_ref().map(Image::from) == image
        });
        Ok(Facts {
            comm: clean(&self.comm().unwrap_or_default(), PATH_CHARS),
            exe: link.as_ref().map_or_else(String::new, |path| {
                clean(path.as_os_str().as_bytes(), PATH_CHARS)
            }),
            image,
            host_exe: host_exe.map(|path| path.to_string_lossy().into_owned()),
            uid: self.folder.status().ok().map(|status| status.ruid),
            cgroup: self.cgroup().unwrap_or_default(),
            kernel_thread: stat.flags & KTHREAD != 0,
        })
    }

    /// The name it gave itself, as it is: hostile.
    ///
    /// # Errors
    /// It is gone or may not be looked at.
    pub fn comm(&self) -> Result<Vec<u8>, LookError> {
        let mut comm = Vec::new();
        self.folder
            .open_relative("comm")?
            .take(COMM_BYTES)
            .read_to_end(&mut comm)?;
        comm.truncate(comm.trim_ascii_end().len());
        Ok(comm)
    }

    /// Bytes its read and write calls moved so far, cached or not.
    #[must_use]
    pub fn io_bytes(&self) -> Option<u64> {
        let io = self.folder.io().ok()?;
        Some(io.rchar.saturating_add(io.wchar))
    }

    /// The kinds of memory its code lies in.
    ///
    /// # Errors
    /// It is gone or may not be looked at.
    pub fn maps(&self) -> Result<maps::CodeMap, LookError> {
        let image = self.folder.exe()?;
        let is_system = |path: &[u8], inode| {
            let path = Path::new(OsStr::from_bytes(path));
            path != image && is_roots_own(path, inode)
        };
        let file = self.folder.open_relative("maps")?;
        Ok(maps::CodeMap::read(file, is_system)?)
    }

    fn cgroup(&self) -> Option<String> {
        let groups = self.folder.cgroups().ok()?.0;
        let unified = groups
            .iter()
            .find(|group| group.hierarchy == 0 && group.pathname != "/");
        let group = unified
            .or_else(|| {
                groups
                    .iter()
                    .find(|g| g.controllers.iter().any(|c| c == "cpu"))
            })
            .or(groups.first())?;
        Some(clean(group.pathname.as_bytes(), PATH_CHARS))
    }
}

/// Whether on the host this path leads to the file with this inode, and only
/// root can have put it there. A container's files are not on the host's paths.
fn is_roots_own(path: &Path, inode: u64) -> bool {
    const WRITABLE_BY_OTHERS: u32 = 0o022;
    std::fs::metadata(path).is_ok_and(|file| {
        file.ino() == inode && file.uid() == 0 && file.mode() & WRITABLE_BY_OTHERS == 0
    })
}

/// Nanoseconds since boot in the clock ticks `/proc/PID/stat` counts in: the
/// kernel's own integer division.
#[must_use]
pub fn ticks(start_ns: u64) -> u64 {
    start_ns / (1_000_000_000 / rustix::param::clock_ticks_per_second())
}

/// This process and all it descends from, itself first. Bounded: a chain of
/// more than 128 is cut.
#[must_use]
pub fn lineage() -> Vec<u32> {
    let mut chain = vec![std::process::id()];
    while let Some(pid) = chain
        .last()
        .copied()
        .filter(|pid| *pid > 1 && chain.len() < 128)
    {
        match Seen::open_pid(pid).and_then(|seen| seen.parent()) {
            Ok(parent) if parent > 0 => chain.push(parent),
            _ => break,
        }
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn myself() -> Process {
        let seen = Seen::open_pid(std::process::id()).expect("/proc is mounted");
        let ticks = seen.start_ticks().expect("own stat is readable");
        let start_ns = ticks * (1_000_000_000 / rustix::param::clock_ticks_per_second());
        Process {
            tgid: std::process::id(),
            start_ns,
        }
    }

    #[test]
    fn own_facts() {
        let facts = Seen::open(myself()).unwrap().facts().unwrap();
        let exe = std::env::current_exe().unwrap();
        assert_eq!(facts.host_exe.as_deref(), exe.to_str());
        assert_eq!(
            facts.image,
            std::fs::metadata(&exe).ok().as_ref().map(Image::from)
        );
        assert_eq!(facts.uid, Some(rustix::process::getuid().as_raw()));
        assert!(!facts.kernel_thread);
    }

    #[test]
    fn another_start_time_is_another_process() {
        let Process { tgid, start_ns } = myself();
        let other = Process {
            tgid,
            start_ns: start_ns + 1_000_000_000,
        };
        assert!(matches!(Seen::open(other), Err(LookError::Gone)));
    }

    #[test]
    fn no_process_has_a_pid_beyond_the_range() {
        assert!(matches!(Seen::open_pid(u32::MAX), Err(LookError::Gone)));
        assert!(matches!(
            Seen::open_pid(i32::MAX as u32),
            Err(LookError::Gone)
        ));
    }

    #[test]
    fn lineage_goes_from_here_to_init() {
        let chain = lineage();
        assert_eq!(chain[0], std::process::id());
        assert_eq!(chain[1], std::os::unix::process::parent_id());
    }
}
