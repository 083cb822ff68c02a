//! Where things are: the workspace, its target directory, set-up's tools.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::shell;

/// The directories every task works in, all absolute.
pub(crate) struct Workspace {
    /// The folder of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Where cargo builds: `CARGO_TARGET_DIR`, else `target` in the workspace.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Finds the workspace this program was built from.
    pub(crate) fn find() -> Result<Self> {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = package
            .parent()
            .context("xtask has no parent directory")?
            .to_owned();
        let target = match env::var_os("CARGO_TARGET_DIR").filter(|dir| !dir.is_empty()) {
            Some(dir) => env::current_dir()?.join(dir),
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// Where set-up keeps what it need not install into the system.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// The record of the probes' toolchain; the monitor's build script reads it.
    pub(crate) fn record(&self) -> PathBuf {
        self.tools().join("probes.toolchain")
    }

    /// `cargo`, in the workspace, building into [`Self::target`] whatever a
    /// configuration file says, so that tasks know where the results are.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = shell::command("cargo");
        // What `cargo run` says of this program is another package's: ring, for one,
        // would be built anew with everything that stands on it.
        let said =
            |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(said) {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// Builds programs as they are shipped, and gives the path of the first. With the whole
    /// workspace selected cargo compiles what several depend on once, with the features
    /// that any of them asks for, which are a few of libraries' libraries more than what
    /// is shipped.
    pub(crate) fn build(&self, programs: &[&str]) -> Result<PathBuf> {
        let mut cargo = self.cargo(&["build", "--release", "--workspace"]);
        for program in programs {
            cargo.args(["--bin", program]);
        }
        shell::run(&mut cargo)?;
        let first = programs.first().context("nothing to build")?;
        Ok(self.target.join("release").join(first))
    }

    /// `PATH` with set-up's tools first and the system's own tools last: on
    /// Debian the PATH of a user lacks the directories of root's programs.
    pub(crate) fn path(&self) -> Result<OsString> {
        let path = env::var_os("PATH").unwrap_or_default();
        let own = [self.tools().join("bin")];
        let system = shell::SYSTEM_DIRS.map(PathBuf::from);
        Ok(env::join_paths(
            own.into_iter().chain(env::split_paths(&path)).chain(system),
        )?)
    }
}
