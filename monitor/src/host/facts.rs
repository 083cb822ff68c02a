//! What a verdict is told of a process: its names, its user, where it belongs, and
//! whether it hides.

use std::{io::Read, os::unix::ffi::OsStrExt};

use serde::{Deserialize, Serialize};

use super::{
    LookError, ProcHandle,
    process::{PATH_CHARS, TEXT_BYTES},
    root,
    timed_read::What,
    user_namespace,
};
use crate::host::cgroup::{Membership, identity::Identity, path_to_match};
use unjack_core::text::clean;

/// Bytes of a name that are read: the kernel's own limit is far below.
const COMM_BYTES: u64 = 256;

/// What is known of a process when it is judged. Text is cleaned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The name it gave itself.
    pub comm: String,
    /// Path of its image as its link in `/proc` reads.
    pub exe: String,
    /// The user it really runs as.
    pub uid: Option<u32>,
    /// The user that made the user namespace it is in; `None` in the initial one, and
    /// where that cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<u32>,
    /// Path of its cgroup: of the unified hierarchy, else of the cpu one. Not
    /// cleaned: it is matched, never shown.
    pub cgroup: String,
    /// The unit and the container it belongs to.
    pub identity: Identity,
    /// A kernel thread.
    pub kernel_thread: bool,
    /// It is no kernel thread, and shows as one: `[kworker/0:1]`.
    pub poses: bool,
    /// The host's `/proc` does not show it, or shows something else instead.
    pub hidden: bool,
}

impl ProcHandle {
    /// Everything a verdict is told.
    ///
    /// # Errors
    /// It is gone or may not be looked at, or that hangs. What may be missing in a
    /// process that is there is `None` or empty instead.
    pub fn facts(&self) -> Result<Facts, LookError> {
        self.facts_and_whole().map(|(facts, _)| facts)
    }

    /// The same, and whether that is all: if not, it may pose all the same, as reading its
    /// command line hung.
    ///
    /// # Errors
    /// The same.
    pub fn facts_and_whole(&self) -> Result<(Facts, bool), LookError> {
        let (facts, comm) = self.timed(What::Folder, Self::read_facts)?;
        // On its own: a thread that faults on a page which never comes has this hang alone.
        let words = self.words();
        let whole = !matches!(words, Err(LookError::CannotTell(_)));
        let poses = !facts.kernel_thread && poses(&comm, &words.unwrap_or_default());
        Ok((Facts { poses, ..facts }, whole))
    }

    /// All but its command line; and its name as it is.
    fn read_facts(&self) -> Result<(Facts, Vec<u8>), LookError> {
        // PF_KTHREAD, include/linux/sched.h.
        const KTHREAD: u32 = 0x0020_0000;
        let stat = self.stat()?;
        let link = self.exe().ok();
        let kernel_thread = stat.flags & KTHREAD != 0;
        let comm = self.comm().unwrap_or_default();
        let facts = Facts {
            hidden: root::hides(self.folder.pid(), stat.starttime),
            comm: clean(&comm, PATH_CHARS),
            exe: link.map_or_else(String::new, |path| {
                clean(path.as_os_str().as_bytes(), PATH_CHARS)
            }),
            uid: self.uid(),
            owner: self
                .folder
                .open_relative("ns/user")
                .ok()
                .and_then(|namespace| user_namespace::maker(namespace.into())),
            cgroup: self.cgroup().unwrap_or_default(),
            identity: self.identity().unwrap_or_default(),
            kernel_thread,
            poses: false,
        };
        Ok((facts, comm))
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

    /// The user it really runs as. Read as bytes: a process's name is in the same
    /// file, in any bytes.
    pub(super) fn uid(&self) -> Option<u32> {
        let status = self.bytes("status")?;
        let line = status
            .split(|byte| *byte == b'\n')
            .find(|line| line.starts_with(b"Uid:"))?;
        let real = line.split(|byte| *byte == b'\t').nth(1)?;
        str::from_utf8(real).ok()?.parse().ok()
    }

    fn cgroup(&self) -> Option<String> {
        path_to_match(&self.bytes("cgroup")?)
    }

    /// Its cgroups.
    ///
    /// # Errors
    /// It is gone or may not be looked at.
    pub fn membership(&self) -> Result<Membership, LookError> {
        let mut text = Vec::new();
        let file = self.folder.open_relative("cgroup")?;
        file.take(TEXT_BYTES).read_to_end(&mut text)?;
        Ok(Membership::parse(&text))
    }

    /// The unit and the container it belongs to.
    ///
    /// # Errors
    /// It is gone or may not be looked at.
    pub fn identity(&self) -> Result<Identity, LookError> {
        self.membership().map(|membership| identity(&membership))
    }
}

fn identity(membership: &Membership) -> Identity {
    let paths = membership.paths();
    let paths: Vec<_> = paths.iter().map(|path| path.to_string_lossy()).collect();
    Identity::of(paths.iter().map(AsRef::as_ref))
}

/// Whether a process of this name and command line shows as a kernel thread:
/// `ps` puts brackets around what has no command line, and all names of kernel
/// threads that a host has by the dozen end in a processor's number.
fn poses(comm: &[u8], cmdline: &[u8]) -> bool {
    const NAMES: [&[u8]; 5] = [
        b"kworker/",
        b"ksoftirqd/",
        b"migration/",
        b"cpuhp/",
        b"irq/",
    ];
    cmdline.starts_with(b"[") || NAMES.iter().any(|name| comm.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shows_as_a_kernel_thread_poses() {
        assert!(poses(b"x", b"[kworker/0:1]\0"));
        assert!(poses(b"kworker/0:1", b""));
        assert!(!poses(b"nginx", b"nginx: worker process\0"));
        assert!(!poses(b"nginx", b""));
    }
}
