//! `cargo xtask lint`: formatting, lints, documentation and words, warnings denied.
//!
//! All checks run, whichever fails, so that one run tells everything.

mod words;

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::setup::{self, Extras, Route, Toolchain};
use crate::shell;
use crate::test::PROFILE;
use crate::timing::Timing;
use crate::workspace::Workspace;

/// Runs every check, and prints how long each took.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let begun = Instant::now();
    let mut timing = Timing::default();
    steps(workspace, &mut timing);
    timing.finish("lint", begun.elapsed())
}

/// Every check is a step. Clippy and the documentation share what they check of
/// libraries, and both share build scripts and macros with the tests.
pub(crate) fn steps(workspace: &Workspace, timing: &mut Timing) {
    let toolchain = timing.step("set-up of lint", || {
        setup::run(workspace, Route::Auto, Extras::None)?;
        ensure_components()?;
        setup::ensure(workspace, Route::Auto, Extras::None)
    });
    let Some(toolchain) = toolchain else { return };
    let mut clippy = workspace.cargo(&["clippy", "--workspace", "--all-targets"]);
    clippy.args(PROFILE).args(["--", "-Dwarnings"]);
    let mut docs = workspace.cargo(&["doc", "--workspace", "--no-deps"]);
    docs.args(PROFILE).env("RUSTDOCFLAGS", "-Dwarnings");
    for (name, mut command) in [
        (
            "formatting (cargo fmt --all mends it)",
            workspace.cargo(&["fmt", "--all", "--check"]),
        ),
        ("clippy", clippy),
        (
            "clippy of the probes, for the BPF target",
            probes(workspace, &toolchain),
        ),
        ("documentation", docs),
    ] {
        timing.step(name, || shell::run(&mut command));
    }
    timing.step("words in text for users", || {
        let found = words::found(workspace)?;
        if found.is_empty() {
            return Ok(());
        }
        for hit in found {
            eprintln!("  {hit}");
        }
        bail!("say what acts, or \"it\"; xtask/src/lint/words.rs has the list")
    });
}

/// rustup's smallest profile lacks the formatter and the linter.
fn ensure_components() -> Result<()> {
    let there =
        |tool: &str| shell::output(shell::command("cargo").args([tool, "--version"])).is_some();
    if there("fmt") && there("clippy") {
        return Ok(());
    }
    if shell::on_path("rustup").is_none() {
        bail!(
            "lint needs `cargo fmt` and `cargo clippy`; beside Debian's compiler they are in \
             the packages rustfmt-web and rust-web-clippy: apt-get install them as root"
        );
    }
    eprintln!("lint: going to add the components clippy and rustfmt to the Rust in use");
    shell::run(shell::command("rustup").args(["component", "add", "clippy", "rustfmt"]))
}

/// Lints the probes as what they are, BPF programs, with the compiler that
/// builds them. Debian's has no clippy beside it; then the compiler's own
/// warnings are what there is.
fn probes(workspace: &Workspace, toolchain: &Toolchain) -> Command {
    let with = |program: &str| match toolchain {
        Toolchain::Named(name) => {
            let mut command = shell::command("rustup");
            command.args(["run", name, program]);
            command
        }
        Toolchain::Directory(dir) => shell::command(format!("{dir}/{program}")),
    };
    let clippy = shell::output(with("cargo-clippy").arg("--version")).is_some();
    let mut command = with("cargo");
    command.arg(if clippy { "clippy" } else { "check" });
    command.args(["--package", "monitor-ebpf", "--bins", "--release"]);
    command.args([
        "--target",
        "bpfel-unknown-none",
        "-Zbuild-std=core",
        "--target-dir",
    ]);
    command.arg(workspace.target.join("probes-lint"));
    // The flags the build script's aya-build gives them, and no warnings.
    let arch = std::env::consts::ARCH;
    let flags = format!("--cfg=bpf_target_arch=\"{arch}\" -Dwarnings");
    command
        .env("RUSTFLAGS", flags)
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("RUSTUP_TOOLCHAIN");
    command.current_dir(&workspace.root);
    command
}
