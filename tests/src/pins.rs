//! A folder for pinned bans, of one test alone.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{daemon, host};

/// Where no ban is ever pinned: for a daemon that is to know of none, neither of
/// the host's nor of an earlier test's.
pub const NONE: &str = "/sys/fs/bpf/unjack-tests-none";

/// A folder for pins. What is banned in it is lifted when dropped: a ban that
/// outlives its test is enforced, and counted, in those after it.
pub struct Pins(PathBuf);

impl Pins {
    /// A folder of the BPF file system that is named like `home`, and is no
    /// folder yet.
    ///
    /// # Panics
    ///
    /// When `home` has no name of its own.
    #[must_use]
    pub fn beside(home: &TempDir) -> Self {
        let name = home.path().file_name().expect("it has a name");
        // A name with a dot is reserved there.
        let name = name.to_string_lossy().replace('.', "-");
        Self(Path::new("/sys/fs/bpf").join(name))
    }

    /// The folder, which is there only while something is pinned.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// For a command line.
    ///
    /// # Panics
    ///
    /// Never: the names of temporary folders are ASCII.
    #[must_use]
    pub fn arg(&self) -> &str {
        self.0.to_str().expect("plain ASCII")
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        let mut command = daemon::command(&host::unjack());
        command.args(["bans", "flush", "--pin-dir", self.arg()]);
        let _ = command.output();
    }
}
