//! Carrying out one step of a plan. The command that is announced is the
//! command that runs.

use std::process::Command;

use anyhow::Result;

use super::packages::Proof;
use super::plan::{DEBIAN_NAME, Step};
use crate::deb;
use crate::shell::{self, Privilege};
use crate::workspace::Workspace;

/// The step's command; `None` for a step that is more than one.
pub(super) fn command(
    step: &Step,
    workspace: &Workspace,
    privilege: Privilege,
) -> Result<Option<Command>> {
    let rustup = |arguments: &[&str]| {
        let mut command = shell::command("rustup");
        command.args(arguments);
        command
    };
    Ok(Some(match step {
        Step::UpdateLists => {
            let mut command = apt_get(privilege)?;
            command.arg("update");
            command
        }
        Step::Install(packages) => {
            let mut command = apt_get(privilege)?;
            // Never at the price of something the machine's owner installed.
            command.args(["install", "--yes", "--no-remove", "--no-install-recommends"]);
            command.args(packages.iter().map(|package| package.name));
            command
        }
        Step::Take(_) => return Ok(None),
        Step::RustupInstall(name) => rustup(&[
            "toolchain",
            "install",
            name,
            "--profile",
            "minimal",
            "--component",
            "rust-src",
            "--no-self-update",
        ]),
        Step::RustupSource(name) => rustup(&["component", "add", "rust-src", "--toolchain", name]),
        Step::RustupLink => rustup(&["toolchain", "link", DEBIAN_NAME, "/usr"]),
        Step::BuildLinker => {
            let mut command = shell::command("cargo");
            command.env("LLVM_PREFIX", "/usr/lib/llvm-22");
            command.args([
                "install",
                "bpf-linker",
                "--version",
                "^0.13",
                "--locked",
                "--force",
            ]);
            command.args(["--no-default-features", "--features", "llvm-22", "--root"]);
            command.arg(workspace.tools());
            command
        }
    }))
}

/// Carries a step out.
pub(super) fn run(step: &Step, workspace: &Workspace, privilege: Privilege) -> Result<()> {
    if let Step::Take(package) = step
        && let Proof::Taken(program, files) = package.proof
    {
        let to = workspace.tools().join("bin").join(program);
        return deb::take_file(
            package.name,
            files,
            &to,
            &workspace.tools().join("unpacked"),
        );
    }
    command(step, workspace, privilege)?.map_or(Ok(()), |mut command| shell::run(&mut command))
}

fn apt_get(privilege: Privilege) -> Result<Command> {
    let variables = [("DEBIAN_FRONTEND".to_owned(), "noninteractive".to_owned())];
    privilege.elevate("apt-get".as_ref(), &variables)
}
