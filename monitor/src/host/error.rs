//! Why a process could not be looked at.

use std::{fmt, io};

use procfs::ProcError;

use unjack_core::text::clean;

/// Characters of a path that an error shows.
const PATH_CHARS: usize = 256;

/// Why a process cannot be told about now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The read lasts longer than it is waited for.
    Timeout,
    /// A read like it hangs since before.
    Pending,
    /// Too many reads of its user, container or unit hang.
    Share,
    /// Too many reads hang.
    Full,
    /// Too much time was spent waiting in the last seconds.
    Budget,
}

impl Cause {
    /// Every one there is, in order.
    pub const ALL: [Self; 5] = [
        Self::Timeout,
        Self::Pending,
        Self::Share,
        Self::Full,
        Self::Budget,
    ];

    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Pending => "pending",
            Self::Share => "share",
            Self::Full => "full",
            Self::Budget => "budget",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "the read timed out",
            Self::Pending => "an earlier read of it still hangs",
            Self::Share => "too many reads of its user or container hang",
            Self::Full => "too many reads hang",
            Self::Budget => "too much time was spent waiting for reads that hang",
        })
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
    /// Reading about it hangs, or is not tried, as others hang. It neither condemns a
    /// process nor excuses one for ever: it is tried again.
    #[error("cannot tell now: {0}")]
    CannotTell(Cause),
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
