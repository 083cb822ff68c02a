//! Where pinned programs and maps lie: a folder of a BPF file system.
//!
//! The kernel lets every user create folders at the top of one, so a folder that is
//! not root's own, or that others may write to, is refused: its owner could lift
//! every ban.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, StatFs, statfs},
    mount::{FsMountFlags, FsOpenFlags, MoveMountFlags, fsconfig_set_string, move_mount},
    mount::{MountAttrFlags, fsconfig_create, fsmount, fsopen},
};

/// Where BPF file systems are mounted by custom; the one place this mounts one.
const CUSTOM: &str = "/sys/fs/bpf";
/// `BPF_FS_MAGIC`, include/uapi/linux/magic.h.
const BPF_FS: u32 = 0xcafe_4a11;

/// Nothing can be pinned there.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// It is in no BPF file system.
    #[error(
        "{path} is in no BPF file system: mount one (`mount -t bpf bpf /sys/fs/bpf`) and name a \
         folder of it with --pin-dir"
    )]
    NoBpffs {
        /// The folder.
        path: String,
    },
    /// Others than root may change it.
    #[error("{path} is not a folder of root's alone: remove it, or name another with --pin-dir")]
    NotOurs {
        /// The folder.
        path: String,
    },
    /// A system call.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: String,
        /// Why it failed.
        source: io::Error,
    },
}

/// A folder for pins. It need not exist yet.
#[derive(Clone, Debug)]
pub struct PinDir(PathBuf);

impl PinDir {
    /// A folder whose parent is in a BPF file system. Mounts one if it is the
    /// customary place and has none.
    ///
    /// # Errors
    /// [`PinError`].
    pub fn prepare(path: &Path) -> Result<Self, PinError> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        if !is_bpffs(parent) && parent == Path::new(CUSTOM) {
            mount().map_err(|errno| failed("mount a BPF file system at", parent)(errno.into()))?;
        }
        Self::find(path)
    }

    /// The same, without changing anything.
    ///
    /// # Errors
    /// [`PinError`].
    pub fn find(path: &Path) -> Result<Self, PinError> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        if !is_bpffs(parent) {
            return Err(PinError::NoBpffs {
                path: path.display().to_string(),
            });
        }
        let dir = Self(path.to_owned());
        dir.check()?;
        Ok(dir)
    }

    /// Makes the folder, if it is not there.
    ///
    /// # Errors
    /// [`PinError`].
    pub fn create(&self) -> Result<(), PinError> {
        match DirBuilder::new().mode(0o700).create(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(failed("create", &self.0)(error))
            }
            _ => self.check(),
        }
    }

    /// Whether it is not there, or root's alone.
    fn check(&self) -> Result<(), PinError> {
        const OTHERS: u32 = 0o077;
        match fs::symlink_metadata(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Ok(meta) if meta.is_dir() && meta.uid() == 0 && meta.mode() & OTHERS == 0 => Ok(()),
            Ok(_) => Err(PinError::NotOurs {
                path: self.0.display().to_string(),
            }),
            Err(error) => Err(failed("look at", &self.0)(error)),
        }
    }

    /// Where something of this name is pinned.
    #[must_use]
    pub fn pin(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Whether something of this name is pinned.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.pin(name).exists()
    }

    /// Removes a pin, if it is there.
    ///
    /// # Errors
    /// [`PinError`].
    pub fn remove(&self, name: &str) -> Result<(), PinError> {
        let path = self.pin(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Removes the folder, if it is there and empty.
    pub fn remove_dir(&self) {
        // Anything else in it was put there by another program, which is to remove
        // it.
        let _ = fs::remove_dir(&self.0);
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PinError {
    let path = path.display().to_string();
    move |source| PinError::Io { what, path, source }
}

fn is_bpffs(path: &Path) -> bool {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "magic numbers have 32 bits; the field's width differs by architecture"
    )]
    let magic = |found: StatFs| found.f_type as u32;
    statfs(path).is_ok_and(|found| magic(found) == BPF_FS)
}

fn mount() -> rustix::io::Result<()> {
    let bpffs = fsopen("bpf", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&bpffs, "mode", "0700")?;
    fsconfig_create(&bpffs)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let mounted = fsmount(&bpffs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    move_mount(
        mounted,
        "",
        CWD,
        CUSTOM,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
}

/// The security modules that are active, as `securityfs` lists them. It is
/// mounted nowhere for that.
///
/// # Errors
/// The kernel's.
pub(super) fn security_modules() -> io::Result<String> {
    use rustix::fs::{Mode, OFlags, openat};
    let fs = fsopen("securityfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&fs)?;
    let mounted = fsmount(
        &fs,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::MOUNT_ATTR_RDONLY,
    )?;
    let file = openat(
        &mounted,
        "lsm",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    io::read_to_string(fs::File::from(file))
}
