//! `cargo xtask routes`: builds the probes with each compiler route.
//!
//! People get whichever compiler their machine can fetch, so both must build
//! the probes. A route that cannot be fetched here is reported and allowed; a
//! route that was fetched and does not build fails, and so does having none.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::setup::{self, Extras, Route, Toolchain};
use crate::shell;
use crate::workspace::Workspace;

const OBJECTS: [&str; 2] = ["unjack-probes", "unjack-empty"];
/// `e_machine` of an ELF file for BPF, and where it is.
const EM_BPF: [u8; 2] = 247_u16.to_le_bytes();
const E_MACHINE: std::ops::Range<usize> = 18..20;

enum Outcome {
    Built(String),
    Failed(String),
    NotHere(String),
}

/// Tries both routes and reports on each.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut report = Vec::new();
    for (name, route) in [("rustup", Route::Rustup), ("debian", Route::Debian)] {
        eprintln!("routes: {name}");
        let outcome = match setup::ensure(workspace, route, Extras::None) {
            Err(error) => Outcome::NotHere(format!("{error:#}")),
            Ok(toolchain) => match build(workspace, &toolchain) {
                Ok(made) => Outcome::Built(made),
                Err(error) => Outcome::Failed(format!("{error:#}")),
            },
        };
        report.push((name, outcome));
    }
    let (mut built, mut failed) = (0, 0);
    for (name, outcome) in &report {
        match outcome {
            Outcome::Built(made) => {
                built += 1;
                println!("route {name}: built {made}");
            }
            Outcome::Failed(why) => {
                failed += 1;
                println!("route {name}: FAILED: {why}");
            }
            Outcome::NotHere(why) => println!("route {name}: could not be fetched here: {why}"),
        }
    }
    ensure!(
        failed == 0,
        "a compiler route that could be fetched does not build the probes"
    );
    ensure!(
        built > 0,
        "no compiler route could be fetched; see the reasons above"
    );
    Ok(())
}

/// Builds the probes the way every build does, through the monitor's build
/// script. What that left for another route is removed, the rest is of all.
fn build(workspace: &Workspace, toolchain: &Toolchain) -> Result<String> {
    // Directly in the target directory, where the build script looks for tools.
    let target = workspace.target.join("routes");
    for folder in folders(&target) {
        fs::remove_dir_all(folder)?;
    }
    let mut cargo = workspace.cargo(&["check", "--package", "monitor", "--lib"]);
    cargo
        .env("CARGO_TARGET_DIR", &target)
        .env("UNJACK_PROBE_TOOLCHAIN", toolchain.name());
    shell::run(&mut cargo)?;
    let mut made = Vec::new();
    for object in OBJECTS {
        let path = (folders(&target).map(|folder| folder.join("out").join(object)))
            .find(|path| path.is_file())
            .with_context(|| format!("the build left no {object} behind"))?;
        let bytes = fs::read(&path)?;
        ensure!(
            bytes.get(E_MACHINE) == Some(&EM_BPF),
            "{} is not a BPF object",
            path.display()
        );
        made.push(format!("{object} ({} bytes)", bytes.len()));
    }
    let Some(tool) = toolchain_version(toolchain) else {
        bail!("toolchain {} does not tell its version", toolchain.name());
    };
    Ok(format!("{} with {tool}", made.join(" and ")))
}

/// What the monitor's build script has and leaves.
fn folders(target: &Path) -> impl Iterator<Item = PathBuf> {
    let builds = fs::read_dir(target.join("debug/build"));
    (builds.into_iter().flatten().flatten())
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("monitor-"))
        .map(|entry| entry.path())
}

fn toolchain_version(toolchain: &Toolchain) -> Option<String> {
    match toolchain {
        Toolchain::Named(name) => {
            shell::output(shell::command("rustup").args(["run", name, "rustc", "--version"]))
        }
        Toolchain::Directory(dir) => {
            shell::output(shell::command(format!("{dir}/rustc")).arg("--version"))
        }
    }
}
