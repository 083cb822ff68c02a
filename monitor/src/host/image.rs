//! The file a process executes.

use std::{fs::Metadata, os::unix::fs::MetadataExt};

/// A process's image, for good: the file it executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Image {
    /// Device of the file system.
    pub device: u64,
    /// Inode in it.
    pub inode: u64,
}

impl From<&Metadata> for Image {
    fn from(meta: &Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
        }
    }
}
