//! Files out of Debian packages that are downloaded and unpacked under
//! `target/`, not installed: no root, no service started, nothing replaced.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::shell;

/// The key Debian signs its archive with, from `debian-archive-keyring`.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A package index to download from.
pub(crate) struct Apt {
    /// The file of settings that makes apt use it; `None` for apt as this
    /// machine has it.
    settings: Option<PathBuf>,
}

impl Apt {
    /// The one this machine is configured with.
    pub(crate) const fn host() -> Self {
        Self { settings: None }
    }

    /// One of another Debian release and processor, kept in `dir`; fetches its lists. The
    /// machine's own configuration is neither used nor changed.
    pub(crate) fn of_suite(suite: &str, processor: &str, dir: &Path) -> Result<Self> {
        if !Path::new(KEYRING).is_file() {
            bail!("{KEYRING} is missing: install the package debian-archive-keyring");
        }
        for needed in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.join(needed))?;
        }
        let line = format!(
            "deb [arch={processor} signed-by={KEYRING}] http://deb.debian.org/debian {suite} main\n"
        );
        fs::write(dir.join("sources.list"), line)?;
        // An empty status file: what this machine has installed does not
        // matter. No translations: only the names of packages are needed.
        fs::write(dir.join("status"), "")?;
        let settings = dir.join("apt.conf");
        let dir = dir.display();
        let text = format!(
            "Dir::Etc::SourceList \"{dir}/sources.list\";\n\
             Dir::Etc::SourceParts \"-\";\n\
             Dir::State::Lists \"{dir}/lists\";\n\
             Dir::State::Status \"{dir}/status\";\n\
             Dir::Cache \"{dir}/cache\";\n\
             APT::Architecture \"{processor}\";\n\
             APT::Architectures \"{processor}\";\n\
             Acquire::Languages \"none\";\n"
        );
        fs::write(&settings, text)?;
        let apt = Self {
            settings: Some(settings),
        };
        shell::run(apt.command("apt-get").arg("update"))
            .with_context(|| format!("cannot fetch the package lists of Debian's {suite}"))?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = shell::command(program);
        if let Some(settings) = &self.settings {
            command.env("APT_CONFIG", settings);
        }
        // Without it, apt as root complains that its unprivileged downloader
        // cannot write into a directory under the workspace.
        command.args(["-o", "APT::Sandbox::User="]);
        command
    }

    /// The packages whose names begin with `prefix`.
    pub(crate) fn names(&self, prefix: &str) -> Vec<String> {
        let names = shell::output(self.command("apt-cache").args(["pkgnames", prefix]));
        names
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Downloads a package and unpacks it into the directory `into`, which is
    /// made anew.
    pub(crate) fn unpack(&self, package: &str, into: &Path) -> Result<()> {
        if into.exists() {
            fs::remove_dir_all(into)?;
        }
        fs::create_dir_all(into)?;
        shell::run(
            self.command("apt-get")
                .args(["download", package])
                .current_dir(into),
        )?;
        let archive = fs::read_dir(into)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .with_context(|| format!("apt-get download {package} left no package behind"))?;
        shell::run(shell::command("dpkg").arg("-x").arg(&archive).arg(into))?;
        Ok(fs::remove_file(archive)?)
    }
}

/// Downloads `package` and copies the first of its files `candidates` that it
/// has to `to`; by way of the directory `scratch`.
pub(crate) fn take_file(
    package: &str,
    candidates: &[&str],
    to: &Path,
    scratch: &Path,
) -> Result<()> {
    Apt::host().unpack(package, scratch)?;
    let file = candidates
        .iter()
        .map(|name| scratch.join(name))
        .find(|file| file.is_file())
        .with_context(|| format!("the package {package} has none of {candidates:?}"))?;
    fs::create_dir_all(to.parent().map_or_else(PathBuf::new, Path::to_owned))?;
    fs::copy(file, to)?;
    Ok(fs::remove_dir_all(scratch)?)
}
