//! Why nothing was done.

use std::io;

use crate::host::LookError;

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A rule allows it.
    Allowed,
    /// Process 1.
    Init,
    /// A kernel thread.
    KernelThread,
    /// This daemon.
    Myself,
    /// This daemon descends from it.
    Ancestor,
    /// It is gone, or its id belongs to another by now.
    Vanished,
    /// It executes another image than the one it was judged by.
    Replaced,
    /// What it is could not be read.
    Unreadable,
    /// The kernel does not let us.
    NoPermission,
    /// No pidfd could be had.
    NoPidfd,
    /// The daemon was told to stop.
    Cancelled,
    /// It is one of the host's own programs that the built-in list protects.
    Guarded,
    /// Whether the built-in list protects it could not be read yet.
    ProtectionUnknown,
    /// Its cgroup holds this daemon.
    OwnCgroup,
    /// It is in no cgroup of its own: the root, a slice, or one that others
    /// share.
    SharedCgroup,
    /// There is no cgroup tree to do it in, or the kernel refuses.
    NoCgroup,
    /// It could not be written down, so that it could not be undone.
    NoState,
    /// Too many were acted on in the last minute.
    Breaker,
    /// The SHA-256 that may allow it is not known yet.
    Undecided,
    /// No rule of `--only` is about it, and it is in the scope of one that one is about.
    NotOnly,
}

impl Refusal {
    /// Every reason there is.
    pub const ALL: [Self; 20] = [
        Self::Allowed,
        Self::Init,
        Self::KernelThread,
        Self::Myself,
        Self::Ancestor,
        Self::Vanished,
        Self::Replaced,
        Self::Unreadable,
        Self::NoPermission,
        Self::NoPidfd,
        Self::Cancelled,
        Self::Guarded,
        Self::ProtectionUnknown,
        Self::OwnCgroup,
        Self::SharedCgroup,
        Self::NoCgroup,
        Self::NoState,
        Self::Breaker,
        Self::Undecided,
        Self::NotOnly,
    ];

    /// Its name in events and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Init => "init",
            Self::KernelThread => "kernel-thread",
            Self::Myself => "self",
            Self::Ancestor => "ancestor",
            Self::Vanished => "vanished",
            Self::Replaced => "replaced",
            Self::Unreadable => "unreadable",
            Self::NoPermission => "no-permission",
            Self::NoPidfd => "no-pidfd",
            Self::Cancelled => "cancelled",
            Self::Guarded => "guarded",
            Self::ProtectionUnknown => "protection-unknown",
            Self::OwnCgroup => "own-cgroup",
            Self::SharedCgroup => "shared-cgroup",
            Self::NoCgroup => "no-cgroup",
            Self::NoState => "no-state",
            Self::Breaker => "breaker",
            Self::Undecided => "undecided",
            Self::NotOnly => "not-only",
        }
    }
}

impl From<LookError> for Refusal {
    fn from(error: LookError) -> Self {
        match error {
            LookError::Gone => Self::Vanished,
            LookError::Denied => Self::NoPermission,
            LookError::CannotTell(_) | LookError::Other(_) => Self::Unreadable,
        }
    }
}

/// The reason for an error of a system call on a process; `otherwise` if it is
/// none that tells.
pub(crate) fn of(error: &io::Error, otherwise: Refusal) -> Refusal {
    match error.raw_os_error() {
        Some(libc::ESRCH) => Refusal::Vanished,
        Some(libc::EPERM | libc::EACCES) => Refusal::NoPermission,
        _ => otherwise,
    }
}
