//! The package in a clean Debian: installed, tried, removed and purged.
//!
//! The root is debootstrap's, made once and kept under `target/`; each check
//! works on a copy. It is entered with chroot, so no service starts there.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::Release;
use crate::shell::{self, Privilege};

/// The release of Debian to install on: the oldest that is supported.
const SUITE: &str = "bookworm";
const EVIDENCE: &str = "var/lib/unjack/evidence/incident.json";
const SETTINGS: &str = "etc/default/unjack";
const PROGRAM: &str = "usr/bin/unjack";
const ALERTS: &str = "usr/share/unjack/monitoring/prometheus/unjack.alerts.yml";

/// Installs, tries, removes and purges `package`.
pub(super) fn run(package: &Path, release: &Release) -> Result<()> {
    let privilege = Privilege::detect();
    let root = |program: &str| privilege.elevate(Path::new(program), &[]);
    let clean = release.dir.join("debian");
    if !clean.join("complete").exists() {
        shell::run(
            root("rm")?
                .args(["-rf", "--one-file-system", "--"])
                .arg(&clean),
        )?;
        shell::run(
            root("debootstrap")?
                .args(["--variant=minbase", SUITE])
                .arg(&clean),
        )?;
        shell::run(root("touch")?.arg(clean.join("complete")))?;
    }
    let tree = release.dir.join("installed");
    shell::run(
        root("rm")?
            .args(["-rf", "--one-file-system", "--"])
            .arg(&tree),
    )?;
    shell::run(root("cp")?.args(["-a", "--"]).args([&clean, &tree]))?;
    shell::run(root("cp")?.arg(package).arg(tree.join("unjack.deb")))?;

    let inside = |words: &[&str]| -> Result<Command> {
        let mut command = root("chroot")?;
        command.arg(&tree).args(words);
        Ok(command)
    };
    shell::run(&mut inside(&["dpkg", "--install", "/unjack.deb"])?)?;
    let version = shell::output(&mut inside(&["unjack", "--version"])?);
    let expected = format!("unjack {}", release.version);
    ensure!(
        version.as_ref() == Some(&expected),
        "the installed unjack says {version:?}, not {expected:?}"
    );
    doctor(&tree, release, &root)?;
    let there = |file: &str| tree.join(file).exists();
    for file in [SETTINGS, ALERTS] {
        ensure!(there(file), "{file} was not installed");
    }

    // As the service would have left it.
    let evidence = tree.join(EVIDENCE);
    let folder = evidence.parent().context("evidence has a folder")?;
    shell::run(root("mkdir")?.arg("-p").arg(folder))?;
    shell::run(root("touch")?.arg(&evidence))?;
    shell::run(&mut inside(&["dpkg", "--remove", "unjack"])?)?;
    for file in [PROGRAM, "usr/share/unjack"] {
        ensure!(!there(file), "removal left {file}");
    }
    ensure!(there(SETTINGS), "removal took {SETTINGS}");
    ensure!(there(EVIDENCE), "removal took {EVIDENCE}");
    shell::run(&mut inside(&["dpkg", "--purge", "unjack"])?)?;
    let left: Vec<_> = [SETTINGS, EVIDENCE, "var/lib/unjack", "run/unjack"]
        .into_iter()
        .filter(|file| there(file))
        .collect();
    ensure!(left.is_empty(), "purge left {left:?}");
    let units = shell::output(&mut inside(&[
        "find",
        "/etc/systemd",
        "/usr/lib/systemd",
        "-name",
        "*unjack*",
    ])?);
    ensure!(
        units.as_deref() == Some(""),
        "purge left units, or links to them: {units:?}"
    );
    shell::run(
        root("rm")?
            .args(["-rf", "--one-file-system", "--"])
            .arg(&tree),
    )?;
    eprintln!("dist: installed, tried, removed and purged: as it should be");
    Ok(())
}

/// Shows the package's program this host, in a mount namespace that goes with
/// it: nothing stays mounted below the tree, whatever happens.
const LOOK: &str = "mount --rbind /proc \"$1/proc\" && mount --rbind /sys \"$1/sys\" && \
    exec chroot \"$1\" unjack doctor";

/// `unjack doctor` must find the same fault with this host, or none, from
/// there as from here.
fn doctor(tree: &Path, release: &Release, root: &dyn Fn(&str) -> Result<Command>) -> Result<()> {
    let program = release.tree.join(PROGRAM).display().to_string();
    let here = root(&program)?.arg("doctor").output()?;
    let there = root("unshare")?
        .args(["--mount", "--propagation", "private"])
        .args(["sh", "-c", LOOK, "sh"])
        .arg(tree)
        .output()?;
    let said = String::from_utf8_lossy(&there.stdout);
    ensure!(
        there.status.code() == here.status.code() && matches!(there.status.code(), Some(0 | 3)),
        "unjack doctor from the package ended with {}, here with {}:\n{said}{}",
        there.status,
        here.status,
        String::from_utf8_lossy(&there.stderr)
    );
    eprint!("{said}");
    Ok(())
}
