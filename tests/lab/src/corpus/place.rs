//! Where the corpus is, and the environment its programs run in.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use ::tests::host;

/// Where programs are that the PATH of a user may lack: root's, and Debian's
/// games, among them honest burners such as chess engines.
const SYSTEM_DIRS: [&str; 4] = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/games"];

/// The directories that programs are told, all absolute.
pub(super) struct Place {
    /// Where programs and their inputs are, and where they run.
    pub(super) corpus: PathBuf,
    /// The checkout.
    pub(super) repo: PathBuf,
    /// The workload program.
    workload: PathBuf,
}

/// The directory of the manifests.
pub(super) fn manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus")
}

/// The corpus's directory: as the command line says, else beside the build.
pub(super) fn corpus(told: Option<PathBuf>) -> Result<PathBuf> {
    let dir = match told {
        Some(dir) => dir,
        // This program is target/PROFILE/corpus.
        None => env::current_exe()?
            .ancestors()
            .nth(2)
            .context("this program is in no target directory; say --corpus")?
            .join("corpus"),
    };
    Ok(std::path::absolute(dir)?)
}

impl Place {
    /// Finds the place, and makes the directory.
    pub(super) fn find(told: Option<PathBuf>) -> Result<Self> {
        let corpus = corpus(told)?;
        fs::create_dir_all(&corpus).with_context(|| format!("cannot make {}", corpus.display()))?;
        Ok(Self {
            corpus,
            repo: Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../..")
                .canonicalize()?,
            workload: host::workload().canonicalize()?,
        })
    }

    /// Where `cargo install` puts programs.
    pub(super) fn cargo(&self) -> PathBuf {
        self.corpus.join("cargo")
    }

    /// The corpus's own Python.
    pub(super) fn venv(&self) -> PathBuf {
        self.corpus.join("venv")
    }

    /// Where npm installs.
    pub(super) fn node(&self) -> PathBuf {
        self.corpus.join("node")
    }

    /// A command in the corpus's directory and environment.
    pub(super) fn command(&self, program: impl AsRef<Path>) -> Result<Command> {
        let modules = self.node().join("node_modules");
        let mut command = Command::new(program.as_ref());
        command
            .current_dir(&self.corpus)
            .env("CORPUS", &self.corpus)
            .env("REPO", &self.repo)
            .env("WORKLOAD", &self.workload)
            .env("PATH", self.path(&modules)?)
            .env("NODE_PATH", modules)
            // Cargo's, for programs it runs: they would lead others astray.
            .env_remove("LD_LIBRARY_PATH")
            .env_remove("CARGO_TARGET_DIR");
        Ok(command)
    }

    /// PATH: what the manifests install first, since a user may have other
    /// programs of the same names; so `python3` has what pip installed.
    fn path(&self, modules: &Path) -> Result<OsString> {
        let path = env::var_os("PATH").unwrap_or_default();
        let own = [self.cargo().join("bin"), self.venv().join("bin")];
        // Last: packages of npm bring programs that were not asked for.
        let last = [modules.join(".bin")];
        Ok(env::join_paths(
            own.into_iter()
                .chain(env::split_paths(&path))
                .chain(SYSTEM_DIRS.map(PathBuf::from))
                .chain(last),
        )?)
    }
}
