//! `/proc/PID` behind a bind mount, as Commando Cat and Diicot do: `ps`, `top`
//! and whatever else reads `/proc` finds an empty directory there.

use std::fs;
use std::path::PathBuf;

use rustix::mount::{UnmountFlags, mount_bind, unmount};
use tempfile::TempDir;

/// An empty directory over a process's own, until dropped.
pub struct Cover {
    target: PathBuf,
    _empty: TempDir,
}

impl Cover {
    /// Covers the process's directory, in the mount namespace of the tests
    /// and so in that of the daemon.
    ///
    /// # Panics
    ///
    /// When it cannot be mounted, or the process still shows.
    #[must_use]
    pub fn over(pid: u32) -> Self {
        let empty = tempfile::tempdir().expect("a temporary directory");
        let target = PathBuf::from(format!("/proc/{pid}"));
        mount_bind(empty.path(), &target)
            .unwrap_or_else(|error| panic!("cannot mount over {}: {error}", target.display()));
        // Made first: a panic below must unmount too.
        let cover = Self {
            target,
            _empty: empty,
        };
        assert!(cover.hides(), "process {pid} still shows");
        cover
    }

    /// Whether the process's directory shows nothing of it.
    #[must_use]
    pub fn hides(&self) -> bool {
        fs::read_dir(&self.target).is_ok_and(|mut entries| entries.next().is_none())
    }
}

impl Drop for Cover {
    fn drop(&mut self) {
        // The kernel took it away already if the process has ended.
        let _ = unmount(&self.target, UnmountFlags::DETACH);
    }
}
