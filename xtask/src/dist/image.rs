//! An OCI image of the program, its libraries and nothing else.
//!
//! Not under `/usr`: there the node's own is mounted, so that paths lead to
//! the node's files (docs/kubernetes.md). So the program brings the loader and
//! the libraries it was built with, and is started through that loader.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Release;
use super::package::tar;
use crate::shell;

/// Where everything is, in the image.
const HOME: &str = "opt/unjack";
/// The loader's name there, whatever it is called on this architecture.
const LOADER: &str = "ld.so";
/// What is mounted on, or written to.
const FOLDERS: [&str; 9] = [
    "dev",
    "etc",
    "proc",
    "run/unjack",
    "sys/fs/cgroup",
    "tmp",
    "usr",
    "var/lib/unjack",
    HOME,
];

/// Makes the image, an OCI archive; gives its path. Asks no network.
pub(super) fn oci(release: &Release) -> Result<PathBuf> {
    let root = release.dir.join("image");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    for folder in FOLDERS {
        fs::create_dir_all(root.join(folder))?;
    }
    // As on every host of today; what /usr holds is the node's.
    for name in ["bin", "sbin", "lib", "lib64"] {
        symlink(format!("usr/{name}"), root.join(name))?;
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/:/sbin/nologin\n")?;
    let home = root.join(HOME);
    let program = release.tree.join("usr/bin/unjack");
    fs::copy(&program, home.join("unjack"))?;
    let linked = shell::output(shell::command("ldd").arg(&program))
        .context("ldd does not tell the program's libraries")?;
    for (name, file) in libraries(&linked) {
        fs::copy(file, home.join(name))?;
    }

    let layer = release.dir.join("image.tar");
    tar(release, &root, &layer, &[])?;
    let name = format!("localhost/unjack:{}", release.version);
    let start =
        format!(r#"ENTRYPOINT ["/{HOME}/{LOADER}","--library-path","/{HOME}","/{HOME}/unjack"]"#);
    let store = release.dir.join("podman");
    shell::run(
        podman(&store)
            .args(["import", "--change", &start])
            .args(["--change", r#"CMD ["run"]"#])
            .arg(&layer)
            .arg(&name),
    )?;
    let archive = release.dir.join(format!(
        "unjack-{}-{}.oci.tar",
        release.version,
        std::env::consts::ARCH
    ));
    if archive.exists() {
        fs::remove_file(&archive)?;
    }
    shell::run(
        podman(&store)
            .args(["save", "--format", "oci-archive", "--output"])
            .arg(&archive)
            .arg(&name),
    )?;
    shell::run(podman(&store).args(["rmi", &name]))?;
    fs::remove_file(layer)?;
    fs::remove_dir_all(root)?;
    Ok(archive)
}

/// podman with images of its own, so that none of the caller's is touched.
fn podman(store: &Path) -> Command {
    let mut command = shell::command("podman");
    command
        .args(["--storage-driver", "vfs", "--events-backend", "none"])
        .arg("--root")
        .arg(store.join("storage"))
        .arg("--runroot")
        .arg(store.join("run"));
    command
}

/// Names and files of what `ldd` lists. The line of the loader has no `=>`, and
/// that of the kernel's vdso no file.
fn libraries(ldd: &str) -> Vec<(&str, &str)> {
    ldd.lines()
        .filter_map(|line| {
            let (entry, _address) = line.trim().split_once(" (")?;
            match entry.split_once(" => ") {
                Some(found) => Some(found),
                None => entry.starts_with('/').then_some((LOADER, entry)),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_loader_are_found_and_the_vdso_is_none() {
        let ldd = "\tlinux-vdso.so.1 (0x00007ffd9e5f2000)\n\
                   \tlibgcc_s.so.1 => /lib/x86_64-linux-gnu/libgcc_s.so.1 (0x00007f9)\n\
                   \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f9)\n\
                   \t/lib64/ld-linux-x86-64.so.2 (0x00007f9)\n";
        assert_eq!(
            libraries(ldd),
            [
                ("libgcc_s.so.1", "/lib/x86_64-linux-gnu/libgcc_s.so.1"),
                ("libc.so.6", "/lib/x86_64-linux-gnu/libc.so.6"),
                (LOADER, "/lib64/ld-linux-x86-64.so.2"),
            ]
        );
    }
}
