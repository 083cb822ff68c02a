//! What is lost of evidence, and why.

use std::io;

use serde::Serialize;

/// Why evidence was lost, all of it or a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// [`super::MAX_TAKERS`] were being filled. All is lost.
    Busy,
    /// The process was gone, or must not be acted on. At most the verdict is kept.
    Gone,
    /// The action did not wait any longer; what was not read by then may lack.
    Late,
    /// The disk is full, or a quota is.
    DiskFull,
    /// Writing failed otherwise.
    Io,
    /// The image is too large to be kept.
    ImageTooLarge,
    /// The image could not be read, or not in time.
    ImageUnreadable,
    /// A list was cut at its bound.
    Cut,
}

impl Loss {
    /// Every reason there is.
    pub const ALL: [Self; 8] = [
        Self::Busy,
        Self::Gone,
        Self::Late,
        Self::DiskFull,
        Self::Io,
        Self::ImageTooLarge,
        Self::ImageUnreadable,
        Self::Cut,
    ];

    /// Its name in metrics and in `incident.json`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Gone => "gone",
            Self::Late => "late",
            Self::DiskFull => "disk-full",
            Self::Io => "io",
            Self::ImageTooLarge => "image-too-large",
            Self::ImageUnreadable => "image-unreadable",
            Self::Cut => "cut",
        }
    }
}

impl From<&io::Error> for Loss {
    fn from(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT) => Self::DiskFull,
            _ => Self::Io,
        }
    }
}
