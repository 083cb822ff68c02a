//! Whose a process is, and where it came from: what a built-in protection rests on.
//!
//! All of it is the kernel's: user ids, namespaces, the root directory, the cgroup
//! and the file that is executed. A process without root's rights cannot change
//! any of it to be taken for the host's own. A path counts only with the file that
//! it leads to on the host, and a fact that cannot be read is `None`: never a yes.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, StatxFlags, makedev, statx};
use serde::{Deserialize, Serialize};

use super::{
    Image, LookError, ProcHandle, cgroup::identity::Identity, process::known, root,
    timed_read::What,
};

/// What the kernel appends to the path of a file that was deleted or replaced.
const DELETED: &str = " (deleted)";
/// `PROC_USER_INIT_INO`, `include/linux/proc_ns.h`.
const INITIAL_USER_NAMESPACE: &str = "user:[4026531837]";
/// How much of a list of mounts is read: some 5000 mounts, and `/` is among the first of a
/// mount namespace.
const MOUNTINFO_BYTES: u64 = 1 << 20;
/// Permission bits for others than the owner to write.
const WRITABLE_BY_OTHERS: u16 = 0o022;

/// Whether a process executes a file that only root can have put there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostFile {
    /// On the host its path leads to it; root owns it, and no other user may write
    /// to it.
    Own,
    /// It was such a file until an upgrade replaced it: it has no name any more.
    Replaced,
    /// Any other file, or it cannot be told.
    #[default]
    Other,
}

/// The user ids of a process, in the initial user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uids {
    /// The user it belongs to.
    pub real: u32,
    /// The user it may become again.
    pub saved: u32,
}

/// Whose a process is, and where it came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// The file that it executes.
    pub file: HostFile,
    /// Its users. The effective one may be another for a moment: sshd reads a user's
    /// keys as that user.
    pub uids: Option<Uids>,
    /// It is in the initial user namespace.
    pub initial_user_namespace: Option<bool>,
    /// Its root directory is that of process 1.
    pub host_root: Option<bool>,
    /// Its unit and its container.
    pub identity: Option<Identity>,
}

/// A path of `/proc/PID/exe` without what the kernel appends to it, and whether that
/// was there.
#[must_use]
pub fn without_deleted(path: &str) -> (&str, bool) {
    path.strip_suffix(DELETED)
        .map_or((path, false), |path| (path, true))
}

impl ProcHandle {
    /// Whose it is, and where it came from, if it executes this image. Looks at the
    /// path its image has: only for a path that is on a list. `None` if that hangs.
    #[must_use]
    pub fn provenance(&self, image: Image) -> Option<Provenance> {
        let read = move |seen: &Self| seen.read_provenance(image);
        self.timed(What::Path, read).ok()
    }

    fn read_provenance(&self, image: Image) -> Result<Provenance, LookError> {
        Ok(Provenance {
            file: self.host_file(image)?,
            uids: self.bytes("status").as_deref().and_then(uids),
            initial_user_namespace: self.in_initial_user_namespace(),
            host_root: self.has_host_root(),
            identity: self.identity().ok(),
        })
    }

    fn host_file(&self, image: Image) -> Result<HostFile, LookError> {
        let path = match self.exe() {
            Err(error @ LookError::CannotTell(_)) => return Err(error),
            Err(_) => return Ok(HostFile::Other),
            Ok(path) => path,
        };
        if roots_file(&on_host(&path)).is_some_and(|file| file.image == image) {
            return Ok(HostFile::Own);
        }
        let replaced = path.to_str().is_some_and(|path| without_deleted(path).1);
        // The link leads to the file itself, with or without a name.
        let link = root::folder(self.folder.pid()).join("exe");
        let unnamed = |file: RootsFile| file.image == image && file.links == 0;
        if replaced && roots_file(&link).is_some_and(unnamed) && self.start_ticks().is_ok() {
            Ok(HostFile::Replaced)
        } else {
            Ok(HostFile::Other)
        }
    }

    fn in_initial_user_namespace(&self) -> Option<bool> {
        let link = root::folder(self.folder.pid()).join("ns/user");
        let link = std::fs::read_link(link).ok()?;
        // The path above is by id: make sure it was still this process's.
        self.start_ticks().ok()?;
        Some(link == Path::new(INITIAL_USER_NAMESPACE))
    }

    fn has_host_root(&self) -> Option<bool> {
        let folder = root::folder(self.folder.pid());
        let init = root::folder(1);
        let directory = |folder: &Path| known(&folder.join("root")).ok();
        let same = match (directory(&folder), directory(&init)) {
            (Some(own), Some(hosts)) => own == hosts,
            // A security module may keep even root from looking into process 1.
            _ => RootMount::of(&folder)? == RootMount::of(&init)?,
        };
        // The paths above are by id: make sure it was still this process's.
        self.start_ticks().ok()?;
        Some(same)
    }
}

/// A path as process 1 sees it: an agent in a container has a few of the host's folders,
/// and files of its own under the paths of others. Without the right to look there
/// (`CAP_SYS_PTRACE`), the path as it is.
fn on_host(path: &Path) -> PathBuf {
    let host = root::folder(1).join("root");
    match (known(&host), path.strip_prefix("/")) {
        (Ok(_), Ok(below)) => host.join(below),
        _ => path.to_owned(),
    }
}

/// What a process has mounted at its `/`. `/proc/PID/mountinfo` may be read without the
/// right to trace, and lists what is below the process's root directory only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RootMount {
    /// A mount, by its id. Each mount namespace has mounts of its own.
    Id(u64),
    /// Its root directory is inside a mount: it called chroot.
    Inside,
}

impl RootMount {
    /// `None` if it cannot be read, or is not among the first [`MOUNTINFO_BYTES`].
    fn of(folder: &Path) -> Option<Self> {
        let mut text = Vec::new();
        let file = File::open(folder.join("mountinfo")).ok()?;
        file.take(MOUNTINFO_BYTES).read_to_end(&mut text).ok()?;
        let whole = u64::try_from(text.len()).is_ok_and(|read| read < MOUNTINFO_BYTES);
        Self::parse(&text).or(whole.then_some(Self::Inside))
    }

    /// Fields of `proc_pid_mountinfo(5)`: id, parent, device, root, mount point.
    fn parse(mountinfo: &[u8]) -> Option<Self> {
        mountinfo.split(|byte| *byte == b'\n').find_map(|line| {
            let mut fields = line.split(|byte| *byte == b' ');
            let id = str::from_utf8(fields.next()?).ok()?.parse().ok()?;
            (fields.nth(3)? == b"/").then_some(Self::Id(id))
        })
    }
}

/// A file that root owns, and to which no other user may write.
struct RootsFile {
    image: Image,
    links: u32,
}

/// The file there, as the kernel has it in memory: a file system that does not
/// answer is not asked.
fn roots_file(path: &Path) -> Option<RootsFile> {
    let wanted = StatxFlags::INO | StatxFlags::UID | StatxFlags::MODE | StatxFlags::NLINK;
    let file = statx(CWD, path, AtFlags::STATX_DONT_SYNC, wanted).ok()?;
    let roots = file.stx_uid == 0 && file.stx_mode & WRITABLE_BY_OTHERS == 0;
    roots.then(|| RootsFile {
        image: Image {
            device: makedev(file.stx_dev_major, file.stx_dev_minor),
            inode: file.stx_ino,
        },
        links: file.stx_nlink,
    })
}

/// The line `Uid:` of `/proc/PID/status`: real, effective, saved, file system. Read as
/// bytes, as a process's name is in the same file, in any bytes.
fn uids(status: &[u8]) -> Option<Uids> {
    let line = status
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"Uid:\t"))?;
    let mut ids = line
        .split(|byte| *byte == b'\t')
        .map(|id| str::from_utf8(id).ok()?.parse().ok());
    Some(Uids {
        real: ids.next()??,
        saved: ids.nth(1)??,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_ids_are_read_whatever_the_name() {
        let check = |text: &[u8], expected| assert_eq!(uids(text), expected);
        let root = Uids { real: 0, saved: 0 };
        check(b"Name:\tx\nUid:\t0\t1000\t0\t1000\nGid:\t0\n", Some(root));
        let user = Uids {
            real: 1000,
            saved: 0,
        };
        check(b"Name:\t\xff\nUid:\t1000\t0\t0\t0\n", Some(user));
        // A name's line break is escaped by the kernel, so no name begins a line.
        check(
            b"Name:\tUid:\\t0\nUid:\t7\t7\t7\t7\n",
            Some(Uids { real: 7, saved: 7 }),
        );
        check(b"Uid:\t0\n", None);
        check(b"", None);
    }

    #[test]
    fn the_mount_at_the_root_is_found() {
        let check = |text: &[u8], expected| assert_eq!(RootMount::parse(text), expected);
        let proc = b"22 27 0:21 / /proc rw - proc proc rw\n".as_slice();
        let root = b"27 1 254:0 / / rw - ext4 /dev/vda rw\n".as_slice();
        check(&[proc, root].concat(), Some(RootMount::Id(27)));
        check(proc, None);
        check(b"27 1 254:0 /\n\nx 1 254:0 / / rw\n", None);
        check(b"", None);
    }

    /// Also where process 1 may not be looked into.
    #[test]
    fn a_chroot_is_not_the_hosts_root() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let pid = std::process::id();
        let own = RootMount::of(&root::folder(pid.cast_signed()));
        assert!(matches!(own, Some(RootMount::Id(_))), "{own:?}");
        let mut child = std::process::Command::new("chroot")
            .args(["/usr", "/bin/sleep", "60"])
            .spawn()
            .unwrap();
        let folder = root::folder(child.id().cast_signed());
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while RootMount::of(&folder) == own && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        let chrooted = RootMount::of(&folder);
        child.kill().unwrap();
        child.wait().unwrap();
        // `Inside`, unless /usr is a mount of its own.
        assert!(chrooted.is_some() && chrooted != own, "{chrooted:?}");
    }

    #[test]
    fn what_was_replaced_is_told_by_its_suffix() {
        assert_eq!(without_deleted("/usr/sbin/sshd"), ("/usr/sbin/sshd", false));
        let replaced = "/usr/sbin/sshd (deleted)";
        assert_eq!(without_deleted(replaced), ("/usr/sbin/sshd", true));
    }

    #[test]
    fn this_process_is_looked_at() {
        let seen = ProcHandle::open_pid(std::process::id()).unwrap();
        let found = seen.provenance(seen.image().unwrap()).unwrap();
        let user = rustix::process::getuid().as_raw();
        assert_eq!(found.uids.unwrap().real, user);
        assert!(found.identity.is_some());
    }

    /// As an upgrade does to what runs.
    #[test]
    fn a_file_that_was_removed_is_replaced_and_a_users_is_not() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        for (mode, expected) in [(0o755, HostFile::Replaced), (0o777, HostFile::Other)] {
            use std::os::unix::fs::PermissionsExt as _;
            let path = dir.path().join("sleep");
            std::fs::copy("/bin/sleep", &path).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let mut child = std::process::Command::new(&path).arg("60").spawn().unwrap();
            let seen = ProcHandle::open_pid(child.id()).unwrap();
            let image = seen.image().unwrap();
            let named = seen.provenance(image).unwrap().file;
            std::fs::remove_file(&path).unwrap();
            let unnamed = seen.provenance(image).unwrap().file;
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(named == HostFile::Own, mode == 0o755);
            assert_eq!(unnamed, expected);
        }
    }
}
