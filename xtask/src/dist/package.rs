//! A Debian package and a tarball, made of the tree.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::Release;
use crate::shell;
use crate::workspace::Workspace;

const DESCRIPTION: &str = "\
Description: finds cryptocurrency miners by the instructions they execute
 unjack accounts every process's CPU time in the kernel, looks at the
 instructions of those that burn enough of it, and tells proof-of-work hashing
 from other work, whatever the program calls itself. It can throttle, freeze or
 kill miners; by default it only observes.
";

/// Makes the package; gives its path.
pub(super) fn deb(workspace: &Workspace, release: &Release) -> Result<PathBuf> {
    if shell::on_path("dpkg-deb").is_none() {
        bail!("dpkg-deb is missing: install the package dpkg, which every Debian has");
    }
    let root = release.dir.join("deb");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    shell::run(
        shell::command("cp")
            .args(["-a", "--"])
            .args([&release.tree, &root]),
    )?;
    let control = root.join("DEBIAN");
    fs::create_dir(&control)?;
    fs::set_permissions(&control, fs::Permissions::from_mode(0o755))?;
    for script in ["postinst", "prerm", "postrm"] {
        let to = control.join(script);
        fs::copy(workspace.root.join("packaging/debian").join(script), &to)?;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?;
    }
    let arch = shell::output(shell::command("dpkg").arg("--print-architecture"))
        .context("dpkg does not tell this machine's architecture")?;
    let program = fs::read(release.tree.join("usr/bin/unjack"))?;
    let libc = newest_glibc(&program).context("unjack is not linked with glibc")?;
    let text = format!(
        "Package: unjack\nVersion: {}\nArchitecture: {arch}\n\
         Maintainer: the unjack developers <unjack@localhost>\n\
         Installed-Size: {}\nDepends: libc6 (>= {libc}), libgcc-s1\n\
         Section: admin\nPriority: optional\n{DESCRIPTION}",
        release.version,
        size(&release.tree)?.div_ceil(1024),
    );
    fs::write(control.join("control"), text)?;
    fs::write(control.join("conffiles"), "/etc/default/unjack\n")?;
    for file in ["control", "conffiles"] {
        fs::set_permissions(control.join(file), fs::Permissions::from_mode(0o644))?;
    }
    let package = release
        .dir
        .join(format!("unjack_{}_{arch}.deb", release.version));
    shell::run(
        shell::command("dpkg-deb")
            .env("SOURCE_DATE_EPOCH", &release.time)
            .args(["--root-owner-group", "-Zxz", "--build"])
            .args([&root, &package]),
    )?;
    fs::remove_dir_all(root)?;
    Ok(package)
}

/// Makes the tarball; gives its path. Its one folder holds the tree.
pub(super) fn tarball(release: &Release) -> Result<PathBuf> {
    let name = format!("unjack-{}-{}", release.version, std::env::consts::ARCH);
    let archive = release.dir.join(format!("{name}.tar.gz"));
    let name = format!("--transform=s,^\\.,{name},");
    tar(release, &release.tree, &archive, &["--gzip", &name])?;
    Ok(archive)
}

/// Archives what is in a folder, the same for the same content.
pub(super) fn tar(release: &Release, folder: &Path, archive: &Path, more: &[&str]) -> Result<()> {
    shell::run(
        shell::command("tar")
            .args(["--create", "--sort=name", "--numeric-owner"])
            .args(["--owner=0", "--group=0"])
            .arg(format!("--mtime=@{}", release.time))
            .args(more)
            .arg("--file")
            .arg(archive)
            .arg("--directory")
            .arg(folder)
            .arg("."),
    )
}

/// Bytes of all files below.
fn size(path: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() {
            size(&entry.path())?
        } else {
            entry.metadata()?.len()
        };
    }
    Ok(bytes)
}

/// The newest version of glibc that a program's symbols are from: `2.34`.
fn newest_glibc(program: &[u8]) -> Option<String> {
    const MARK: &[u8] = b"GLIBC_2.";
    let minors = program
        .windows(MARK.len() + 3)
        .filter(|bytes| bytes.starts_with(MARK));
    let newest = minors
        .filter_map(|bytes| {
            let digits = bytes[MARK.len()..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit());
            let text: String = digits.map(|byte| char::from(*byte)).collect();
            text.parse::<u32>().ok()
        })
        .max()?;
    Some(format!("2.{newest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_named_is_what_is_needed() {
        for (program, expected) in [
            (
                &b"\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.4\0\0\0"[..],
                Some("2.34"),
            ),
            (b"\0GLIBC_2.9\0GLIBC_PRIVATE\0\0\0", Some("2.9")),
            (b"static", None),
        ] {
            assert_eq!(newest_glibc(program).as_deref(), expected, "{program:?}");
        }
    }
}
