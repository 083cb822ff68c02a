//! A `/proc` of this process's own.
//!
//! Root can mount something over `/proc/PID` to hide a process from `ps` and from
//! us. A procfs that is mounted nowhere cannot be mounted over. Without the right
//! to make one (`CAP_SYS_ADMIN`), or before Linux 5.2, the host's is used.

use std::{
    os::fd::{AsRawFd, OwnedFd},
    path::PathBuf,
    sync::LazyLock,
};

use procfs::process::Process;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

/// Held as long as this process lives.
static OWN: LazyLock<Option<OwnedFd>> = LazyLock::new(|| {
    mount()
        .inspect_err(|error| {
            tracing::debug!("no private mount of /proc ({error}): the host's /proc is trusted");
        })
        .ok()
});

fn mount() -> rustix::io::Result<OwnedFd> {
    let procfs = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&procfs)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(&procfs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Where to read about a process.
pub(super) fn folder(pid: i32) -> PathBuf {
    match OWN.as_ref() {
        Some(own) => format!("/proc/self/fd/{}/{pid}", own.as_raw_fd()),
        None => format!("/proc/{pid}"),
    }
    .into()
}

/// The ids of all processes.
pub(super) fn pids() -> Vec<u32> {
    let all = match OWN.as_ref() {
        Some(own) => format!("/proc/self/fd/{}/", own.as_raw_fd()),
        None => "/proc".to_owned(),
    };
    let entries = std::fs::read_dir(all).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Whether the host's `/proc` shows another process with this id than the one
/// that started at `start_ticks`, or none.
pub(super) fn hides(pid: i32, start_ticks: u64) -> bool {
    let shown = Process::new(pid).and_then(|folder| folder.stat());
    match shown {
        Ok(stat) => stat.starttime != start_ticks,
        // It may have gone meanwhile.
        Err(_) => Process::new_with_root(folder(pid))
            .and_then(|folder| folder.stat())
            .is_ok_and(|stat| stat.starttime == start_ticks),
    }
}
