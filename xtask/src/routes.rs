//! `cargo xtask routes`: builds the probes with each compiler route.
//!
//! People get whichever compiler their machine can fetch, so both must build
//! the probes. A route that cannot be fetched here is reported and allowed; a
//! route that was fetched and does not build fails, and so does having none.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::setup::{self, Extras, Route, Toolchain};
use crate::shell;
use crate::workspace::Workspace;

/// The objects that the probes' crate makes: each of its binaries.
const OBJECTS: [&str; 4] = [
    "unjack-probes",
    "unjack-probes-plain",
    "unjack-empty",
    "unjack-ban",
];
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
/// script. What the monitor depends on is as `cargo xtask lint` left it.
fn build(workspace: &Workspace, toolchain: &Toolchain) -> Result<String> {
    let mut cargo = workspace.cargo(&["check", "--workspace", "--lib"]);
    cargo
        .arg("--message-format=json-render-diagnostics")
        .env("UNJACK_PROBE_TOOLCHAIN", toolchain.name())
        .stderr(Stdio::inherit());
    eprintln!("  $ {}", shell::render(&cargo));
    let told = cargo.output().context("cannot start cargo")?;
    ensure!(told.status.success(), "its own messages are above");
    let out = monitors_output(&told.stdout).context("cargo did not tell of the build script")?;
    let mut made = Vec::new();
    for object in OBJECTS {
        let path = out.join(object);
        let bytes = fs::read(&path)
            .with_context(|| format!("the build left no {object} in {}", out.display()))?;
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

/// The `OUT_DIR` of the monitor's build script, from what cargo tells in JSON:
/// <https://doc.rust-lang.org/cargo/reference/external-tools.html>.
fn monitors_output(told: &[u8]) -> Option<PathBuf> {
    let messages = serde_json::Deserializer::from_slice(told).into_iter::<Value>();
    messages
        .map_while(Result::ok)
        .filter(|message| message["reason"] == "build-script-executed")
        .find(|message| {
            let package = message["package_id"].as_str().unwrap_or_default();
            package.contains("/monitor#")
        })
        .and_then(|message| Some(PathBuf::from(message["out_dir"].as_str()?)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_binary_of_the_probes_crate_is_checked() {
        let manifest = include_str!("../../monitor-ebpf/Cargo.toml");
        let binaries: Vec<&str> = manifest
            .split("[[bin]]")
            .skip(1)
            .filter_map(|bin| bin.lines().find_map(|line| line.strip_prefix("name = ")))
            .map(|name| name.trim_matches('"'))
            .collect();
        assert_eq!(binaries, OBJECTS);
    }

    #[test]
    fn the_monitors_build_script_is_told_from_others() {
        let told = br#"{"reason":"build-script-executed","package_id":"path+file:///x/monitor-ebpf#0.1.0","out_dir":"/a"}
{"reason":"compiler-artifact","package_id":"path+file:///x/monitor#0.1.0"}
{"reason":"build-script-executed","package_id":"path+file:///x/monitor#0.1.0","out_dir":"/b"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(monitors_output(told), Some(PathBuf::from("/b")));
        assert_eq!(monitors_output(b"{\"reason\":\"build-finished\"}"), None);
        assert_eq!(monitors_output(b"no JSON"), None);
    }
}
