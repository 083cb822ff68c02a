//! Why a process could not be looked at.

use std::io;

use procfs::ProcError;

use unjack_core::text::clean;

/// Characters of a path that an error shows.
const PATH_CHARS: usize = 256;

/// Why a process could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// It is gone, or its id belongs to another by now.
    #[error("no such process any more")]
    Gone,
    /// It may not be looked at.
    #[error("not permitted: it takes CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, or root")]
    Denied,
    /// It lasts longer than we wait.
    #[error("reading its /proc entry timed out")]
    Late,
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
