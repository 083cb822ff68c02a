//! `cargo xtask dist`: what is given to others, in `target/dist`.
//!
//! [`stage`] lays out one tree as it is to be on a host; a .deb and a tarball
//! are made of it, with Debian's own tools, and are the same for the same
//! commit and compiler. `image` makes an OCI image of its program, `check`
//! installs the package in a clean Debian.

mod check;
mod image;
mod package;
mod stage;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::setup::{self, Extras, Route};
use crate::shell;
use crate::workspace::Workspace;

/// What is packed.
struct Release {
    /// Where everything goes.
    dir: PathBuf,
    /// The tree as on a host.
    tree: PathBuf,
    version: String,
    /// Of the last commit, in seconds since 1970: what all files are dated.
    time: String,
}

/// Builds and packs; with `image`, an OCI image too; with `check`, installs and
/// removes the package in a clean Debian.
pub(crate) fn run(workspace: &Workspace, image: bool, check: bool) -> Result<()> {
    let extras = match (image, check) {
        (false, false) => Extras::None,
        (true, false) => Extras::Image,
        (_, true) => Extras::Dist,
    };
    setup::run(workspace, Route::Auto, extras)?;
    eprintln!("dist: 1 building");
    shell::run(&mut workspace.cargo(&[
        "build",
        "--release",
        "--package",
        "monitor",
        "--package",
        "packaging",
        "--bins",
    ]))?;
    let release = Release::find(workspace)?;
    eprintln!("dist: 2 laying out {}", release.tree.display());
    stage::fill(workspace, &release)?;
    eprintln!("dist: 3 packing");
    let package = package::deb(workspace, &release)?;
    let archive = package::tarball(&release)?;
    let mut made = vec![package.clone(), archive];
    if image {
        eprintln!("dist: 4 making an image");
        made.push(image::oci(&release)?);
    }
    if check {
        eprintln!("dist: 5 installing and removing it in a clean Debian");
        check::run(&package, &release)?;
    }
    for file in made {
        let size = fs::metadata(&file)?.len();
        eprintln!("dist: {} ({:.1} MB)", file.display(), size as f64 / 1e6);
    }
    Ok(())
}

impl Release {
    fn find(workspace: &Workspace) -> Result<Self> {
        let dir = workspace.target.join("dist");
        // The tree and what is made of it; what else is there is not ours.
        let tree = dir.join("tree");
        let program = workspace.target.join("release/unjack");
        let version = shell::output(shell::command(program).arg("--version"))
            .and_then(|line| Some(line.strip_prefix("unjack ")?.to_owned()))
            .context("the built unjack does not tell its version")?;
        let time = shell::output(
            shell::command("git")
                .args(["log", "-1", "--format=%ct"])
                .current_dir(&workspace.root),
        );
        Ok(Self {
            dir,
            tree,
            version,
            // Without git, in an unpacked archive of the sources, any will do.
            time: time.unwrap_or_else(|| "0".to_owned()),
        })
    }
}
