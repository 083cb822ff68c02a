//! The tree as it is to be on a host.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::Release;
use crate::shell;
use crate::workspace::Workspace;

/// Where documentation goes.
const DOC: &str = "usr/share/doc/unjack";
/// Where rules, dashboard and examples go: they are loaded from there.
const MONITORING: &str = "usr/share/unjack/monitoring";
/// Where man pages go.
const MAN: &str = "usr/share/man/man1";

/// Files of the checkout, and where they go; modes are 0644.
const FILES: [(&str, &str); 7] = [
    (
        "packaging/systemd/unjack.service",
        "usr/lib/systemd/system/unjack.service",
    ),
    (
        "packaging/debian/copyright",
        "usr/share/doc/unjack/copyright",
    ),
    ("LICENSE-MIT", "usr/share/doc/unjack/LICENSE-MIT"),
    ("LICENSE-APACHE", "usr/share/doc/unjack/LICENSE-APACHE"),
    ("README.md", "usr/share/doc/unjack/README.md"),
    ("ARCHITECTURE.md", "usr/share/doc/unjack/ARCHITECTURE.md"),
    ("CHANGELOG.md", "usr/share/doc/unjack/CHANGELOG.md"),
];

/// What `manuals` makes, and where it goes.
const MADE: [(&str, &str); 4] = [
    ("default/unjack", "etc/default/unjack"),
    (
        "completions/bash/unjack.bash",
        "usr/share/bash-completion/completions/unjack",
    ),
    (
        "completions/zsh/_unjack",
        "usr/share/zsh/vendor-completions/_unjack",
    ),
    (
        "completions/fish/unjack.fish",
        "usr/share/fish/vendor_completions.d/unjack.fish",
    ),
];

/// Makes the tree anew.
pub(super) fn fill(workspace: &Workspace, release: &Release) -> Result<()> {
    let tree = &release.tree;
    for old in [tree, &release.dir.join("manuals")] {
        if old.exists() {
            fs::remove_dir_all(old)?;
        }
    }
    let built = workspace.target.join("release");
    let made = release.dir.join("manuals");
    shell::run(shell::command(built.join("manuals")).arg(&made))?;

    let program = tree.join("usr/bin/unjack");
    put(&built.join("unjack"), &program)?;
    // What is left is what backtraces name functions by.
    shell::run(shell::command("strip").arg("--strip-debug").arg(&program))?;
    for (from, to) in FILES {
        put(&workspace.root.join(from), &tree.join(to))?;
    }
    for (from, to) in MADE {
        put(&made.join(from), &tree.join(to))?;
    }
    all(&workspace.root.join("docs"), &tree.join(DOC).join("docs"))?;
    let content = workspace.root.join("deploy/monitoring");
    tree_of(&content, &tree.join(MONITORING))?;
    all(&made.join("man"), &tree.join(MAN))?;
    let pages = fs::read_dir(tree.join(MAN))?;
    let pages: Vec<_> = pages
        .map(|page| page.map(|page| page.path()))
        .collect::<Result<_, _>>()?;
    // Without name and date in it: the same page is the same file.
    shell::run(shell::command("gzip").arg("-9n").args(pages))?;
    modes(tree, &program)
}

/// Copies a file to where it goes.
fn put(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

/// Copies the files of a folder.
fn all(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            put(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Copies the files of a folder and of those in it.
fn tree_of(from: &Path, to: &Path) -> Result<()> {
    all(from, to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            tree_of(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Gives everything the mode it is to have, whatever the caller's umask.
fn modes(path: &Path, program: &Path) -> Result<()> {
    let executable = path.is_dir() || path == program;
    let mode = if executable { 0o755 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            modes(&entry?.path(), program)?;
        }
    }
    Ok(())
}
