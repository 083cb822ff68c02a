//! Programs that lie in no file system: memfd and execve, as fileless loaders
//! do (Ezuri; the article "In-memory-only ELF execution" by Stuart of 2017).

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, memfd_create};

/// A copy of a program in anonymous memory.
pub struct Image(File);

impl Image {
    /// Copies the program.
    ///
    /// # Panics
    ///
    /// When it cannot be read or there is no room.
    #[must_use]
    pub fn of(program: &Path) -> Self {
        // Closed on exec, so that only the kernel's own reference is left, as
        // the loaders leave it.
        let fd = memfd_create(c"", MemfdFlags::CLOEXEC).expect("the kernel has memfd");
        let mut image = File::from(fd);
        let mut source = File::open(program)
            .unwrap_or_else(|error| panic!("cannot open {}: {error}", program.display()));
        std::io::copy(&mut source, &mut image).expect("there is memory for a program");
        Self(image)
    }

    /// What to execute while this lives.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()).into()
    }
}
