//! By what a file that did not change is recognized.

use std::{fs::Metadata, os::unix::fs::MetadataExt};

use crate::host::Image;

/// What tells one content of a file from another. The time of change is the
/// kernel's and cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The file.
    pub image: Image,
    /// Its time of change: seconds and nanoseconds.
    pub changed: (i64, i64),
    /// Its size in bytes.
    pub size: u64,
}

impl From<&Metadata> for Key {
    fn from(meta: &Metadata) -> Self {
        Self {
            image: Image::from(meta),
            changed: (meta.ctime(), meta.ctime_nsec()),
            size: meta.size(),
        }
    }
}
