//! Which user made a user namespace.
//!
//! A user namespace has user ids of its own, and with a range of `/etc/subuid` any user
//! can make one whose processes run on the host under other ids. The kernel knows the
//! user that made it.

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

/// `NS_GET_PARENT` and `NS_GET_OWNER_UID` (`include/uapi/linux/nsfs.h`, since Linux 4.11).
const NS_GET_PARENT: libc::Ioctl = 0xb702;
const NS_GET_OWNER_UID: libc::Ioctl = 0xb704;
/// How deep user namespaces can be nested (`create_user_ns` in `kernel/user_namespace.c`).
const MAX_DEPTH: usize = 33;

/// The user that made the outermost user namespace below our own that `namespace` is in;
/// `None` if it is our own, or the kernel does not tell.
pub(super) fn maker(namespace: OwnedFd) -> Option<u32> {
    let mut namespace = namespace;
    let mut maker = None;
    for _ in 0..MAX_DEPTH {
        // Refused of our own namespace: nothing above it is told.
        let Some(above) = parent(&namespace) else {
            return maker;
        };
        maker = Some(owner(&namespace)?);
        namespace = above;
    }
    maker
}

fn parent(namespace: &OwnedFd) -> Option<OwnedFd> {
    // SAFETY: the descriptor is open for as long as the reference lives, and this request
    // takes no argument.
    let fd = unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_PARENT) };
    // SAFETY: the kernel has just made this descriptor for us, and nothing else has it.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}

fn owner(namespace: &OwnedFd) -> Option<u32> {
    let mut uid: libc::uid_t = 0;
    // SAFETY: the descriptor is open for as long as the reference lives, and the kernel
    // writes one uid_t, which `uid` is and nothing else has a reference to.
    let done = unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_OWNER_UID, &raw mut uid) };
    (done == 0).then_some(uid)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::unix::process::CommandExt as _, process::Command};

    use super::*;

    fn of(pid: u32) -> Option<u32> {
        let namespace = File::open(format!("/proc/{pid}/ns/user")).unwrap();
        maker(namespace.into())
    }

    #[test]
    fn our_own_has_no_maker() {
        assert_eq!(of(std::process::id()), None);
    }

    /// Two, one in the other: the user that made the outer one counts, whatever user id the
    /// process has in the inner one. Where the kernel allows no user namespaces, or this
    /// test may not become another user, there is nothing to be seen.
    #[test]
    fn the_maker_of_the_outermost_counts() {
        let mut command = Command::new("unshare");
        command.args(["-Ur", "unshare", "-U", "sh", "-c", "echo; exec sleep 60"]);
        let command = command.stdout(std::process::Stdio::piped()).uid(1001);
        let Ok(mut child) = command.spawn() else {
            return;
        };
        let mut first = [0];
        let mut out = child.stdout.take().unwrap();
        let started = std::io::Read::read_exact(&mut out, &mut first).is_ok();
        let found = of(child.id());
        let _ = child.kill();
        let _ = child.wait();
        if started {
            assert_eq!(found, Some(1001));
        }
    }
}
