//! A cgroup of the test's own, as a service manager or a container engine makes
//! one: in the unified tree, which is there on hybrid hosts too.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The cgroup, removed when dropped. Whatever runs in it must be dropped before.
pub struct Scope(PathBuf);

impl Scope {
    /// Makes the cgroup right below the root.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let unified = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
            .map(Path::new)
            .into_iter()
            .find(|dir| dir.join("cgroup.controllers").exists())
            .expect("a unified tree");
        let dir = unified.join(name);
        fs::create_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        Self(dir)
    }

    /// Starts the program within, under the pid that the command gets.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", r#"echo $$ >"$0" && exec "$@""#])
            .arg(self.0.join("cgroup.procs"))
            .arg(program);
        command
    }

    /// Its folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// Leaves it to a user, as systemd leaves `user@UID.service`: all files too, as
    /// those of the cgroups that the user's own manager makes.
    ///
    /// # Panics
    ///
    /// When the kernel refuses.
    pub fn delegate(&self, user: u32) {
        let owner = |path: &Path| chown(path, Some(user), Some(user)).expect("root may");
        owner(&self.0);
        for file in fs::read_dir(&self.0).expect("the cgroup is ours").flatten() {
            owner(&file.path());
        }
    }

    /// Moves a process in.
    ///
    /// # Panics
    ///
    /// When the kernel refuses.
    pub fn take(&self, pid: u32) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).expect("the cgroup is ours");
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        super::remove_cgroup(&self.0);
    }
}
