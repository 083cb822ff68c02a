//! What differs from one kind of guest to the other: its packages, its build, and the
//! command that emulates it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::setup::Extras;
use crate::shell;
use crate::workspace::Workspace;

/// The processor of the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Guest {
    /// Runs this machine's own build.
    #[default]
    #[value(name = "x86_64")]
    X86,
    /// Runs a static build that is made for it.
    #[value(name = "aarch64")]
    Arm,
}

/// The compiler's name for the Arm guest.
const TARGET: &str = "aarch64-unknown-linux-gnu";
/// Its C compiler, which links, too.
const CC: &str = "aarch64-linux-gnu-gcc";

impl Guest {
    /// What the machine needs for it.
    pub(super) const fn extras(self) -> Extras {
        match self {
            Self::X86 => Extras::Vm,
            Self::Arm => Extras::VmArm,
        }
    }

    /// Debian's name for its processor.
    pub(super) const fn debian(self) -> &'static str {
        match self {
            Self::X86 => "amd64",
            Self::Arm => "arm64",
        }
    }

    /// Builds the programs; the directory they are in.
    pub(super) fn build(self, workspace: &Workspace, programs: &[&str]) -> Result<PathBuf> {
        match self {
            Self::X86 => {
                workspace.build(programs)?;
                Ok(workspace.target.join("release"))
            }
            Self::Arm => build_arm(workspace, programs),
        }
    }

    /// The emulator with that kernel and initramfs.
    pub(super) fn machine(self, kernel: &Path, initramfs: &Path) -> Command {
        let (program, arguments, console) = match self {
            Self::X86 => (
                "qemu-system-x86_64",
                &["-accel", "tcg", "-m", "2G"][..],
                // On a busy machine the guest sees too few interrupts of its timer, and
                // old kernels panic for that.
                "ttyS0 no_timer_check",
            ),
            // Its samples are taken where an interrupt is, and without counting
            // instructions that is only ever at the first of a block: a loop of one long
            // block would never be seen. One virtual processor at a time, eight
            // nanoseconds to an instruction, which is about as fast as emulation is.
            Self::Arm => (
                "qemu-system-aarch64",
                &[
                    "-M",
                    "virt",
                    "-accel",
                    "tcg,thread=single",
                    "-icount",
                    "shift=3",
                    "-m",
                    "3G",
                ][..],
                "ttyAMA0",
            ),
        };
        let mut qemu = shell::command(program);
        qemu.args(arguments)
            .args(["-cpu", "max", "-smp", "2", "-no-reboot", "-nodefaults"]);
        qemu.args(["-display", "none", "-serial", "stdio", "-kernel"])
            .arg(kernel);
        qemu.arg("-initrd").arg(initramfs).arg("-append");
        qemu.arg(format!(
            "console={console} quiet panic=-1 lsm=capability,bpf"
        ));
        qemu
    }
}

fn build_arm(workspace: &Workspace, programs: &[&str]) -> Result<PathBuf> {
    let libdir = shell::output(shell::command("rustc").args([
        "--print",
        "target-libdir",
        "--target",
        TARGET,
    ]))
    .context("rustc does not say where its standard libraries are")?;
    if !Path::new(libdir.trim()).is_dir() && shell::on_path("rustup").is_some() {
        shell::run(shell::command("rustup").args(["target", "add", TARGET]))
            .with_context(|| format!("rustup cannot fetch the standard library for {TARGET}"))?;
    }
    if !Path::new(libdir.trim()).is_dir() {
        bail!("the compiler has no standard library for {TARGET}: install it and try again");
    }
    let mut cargo = workspace.cargo(&["build", "--release", "--target", TARGET]);
    // Of the packages alone: the workspace's other programs are not for this guest.
    cargo.args(["--package", "monitor", "--package", "workloads"]);
    for program in programs {
        cargo.args(["--bin", program]);
    }
    let variable = TARGET.replace('-', "_");
    cargo.env(
        format!("CARGO_TARGET_{}_LINKER", variable.to_uppercase()),
        CC,
    );
    cargo.env(
        format!("CARGO_TARGET_{}_RUSTFLAGS", variable.to_uppercase()),
        "-C target-feature=+crt-static",
    );
    cargo.env(format!("CC_{variable}"), CC);
    // hashtree's own makefile knows no other.
    cargo.env("CC", CC).env("HOST_CC", "cc");
    shell::run(&mut cargo)?;
    Ok(workspace.target.join(TARGET).join("release"))
}
