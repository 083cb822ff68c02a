//! `cargo xtask vm VERSION`: the real daemon on another kernel.
//!
//! [`kernel`] fetches Debian's kernel of that version, this module puts the
//! daemon and a hash loop into an initramfs, boots both under QEMU's software
//! emulation (no KVM, no root, no disk, no network), and believes the checks
//! that `vm/init.sh` prints on the console. Everything stays in `target/vm`.

mod guest;
mod kernel;

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

pub(crate) use self::guest::Guest;
use crate::setup::{self, Route};
use crate::shell;
use crate::workspace::Workspace;

/// For the whole life of the machine. A boot takes under ten seconds and the
/// checks about a minute; emulation on a busy machine may be some times slower.
const TIME_LIMIT: Duration = Duration::from_mins(10);
/// What the guest runs.
const PROGRAMS: [&str; 2] = ["unjack", "workload"];
/// What the guest must report, in the words of `vm/init.sh`.
const CHECKS: [&str; 11] = [
    "doctor",
    "selftest",
    "ready",
    "stratum",
    "killed",
    "cpu-seconds",
    "samples",
    "banned",
    "many-processes",
    "shutdown",
    "dmesg",
];
const INIT: &str = include_str!("vm/init.sh");

/// Boots the kernel and fails unless every check in the guest held.
pub(crate) fn run(workspace: &Workspace, guest: Guest, version: &str, keep: bool) -> Result<()> {
    ensure!(
        std::env::consts::ARCH == "x86_64",
        "the virtual machine is emulated on x86_64 alone: use an x86_64 machine"
    );
    setup::run(workspace, Route::Auto, guest.extras())?;
    let home = workspace
        .target
        .join("vm")
        .join(format!("{version}-{}", guest.debian()));
    let kernel = kernel::fetch(version, guest, &home)?;
    let built = guest.build(workspace, &PROGRAMS)?;
    let packer = workspace.tools().join("bin/busybox");
    let busybox = match guest {
        Guest::X86 => packer.clone(),
        Guest::Arm => kernel::busybox(version, guest, &home)?,
    };

    let initramfs = home.join("initramfs.cpio");
    let tree = home.join("initramfs");
    fill(&tree, &busybox, &PROGRAMS.map(|name| built.join(name)))?;
    pack(&tree, &packer, &initramfs)?;

    let mut machine = guest.machine(&kernel, &initramfs);
    eprintln!(
        "vm: booting Linux {version}; at most {} s",
        TIME_LIMIT.as_secs()
    );
    eprintln!("  $ {}", shell::render(&machine));
    let console = boot(&mut machine)?;
    if keep {
        eprintln!("vm: kept {}", home.display());
    } else {
        fs::remove_dir_all(tree)?;
        fs::remove_file(initramfs)?;
    }
    let lacking = judge(&console);
    if lacking.is_empty() {
        println!("vm: Linux {version}: all {} checks hold", CHECKS.len());
        return Ok(());
    }
    bail!(
        "Linux {version}: these checks failed or were not reached: {}; see the console above",
        lacking.join(", ")
    )
}

/// Puts the programs, and the libraries they load, where they are on this
/// machine, into the directory `tree`, which is made anew.
fn fill(tree: &Path, busybox: &Path, programs: &[PathBuf]) -> Result<()> {
    if tree.exists() {
        fs::remove_dir_all(tree)?;
    }
    for dir in ["bin", "proc", "sys", "dev", "tmp"] {
        fs::create_dir_all(tree.join(dir))?;
    }
    fs::copy(busybox, tree.join("bin/busybox"))?;
    for program in programs {
        let name = program.file_name().context("a program without a name")?;
        fs::copy(program, tree.join("bin").join(name))
            .with_context(|| format!("cannot copy {}", program.display()))?;
        for library in libraries(program)? {
            let inside = tree.join(library.strip_prefix("/")?);
            fs::create_dir_all(inside.parent().context("a library in no directory")?)?;
            fs::copy(&library, inside)?;
        }
    }
    let init = tree.join("init");
    fs::write(&init, INIT)?;
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    Ok(fs::set_permissions(init, executable)?)
}

/// The shared libraries that a program loads, its loader among them.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let listed = shell::command("ldd").arg(program).output()?;
    let said = String::from_utf8_lossy(&listed.stderr);
    // A static program has none; ldd fails at that.
    ensure!(
        listed.status.success() || said.contains("not a dynamic executable"),
        "ldd cannot read {}: {}",
        program.display(),
        said.trim()
    );
    Ok(listed_libraries(&String::from_utf8_lossy(&listed.stdout)))
}

/// The paths in what ldd prints; `linux-vdso.so.1` has none.
fn listed_libraries(listed: &str) -> Vec<PathBuf> {
    let paths = listed
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    paths.map(PathBuf::from).collect()
}

/// Packs a directory as the kernel wants it.
fn pack(tree: &Path, busybox: &Path, into: &Path) -> Result<()> {
    let mut packer = shell::command(busybox);
    packer
        .args(["sh", "-c", "find . | cpio -o -H newc"])
        .current_dir(tree);
    // Its own find and cpio, whatever the machine has.
    packer.env("PATH", "");
    let archive = fs::File::create(into)?;
    let status = packer.stdout(archive).stderr(Stdio::null()).status()?;
    ensure!(status.success(), "busybox cannot pack {}", tree.display());
    Ok(())
}

/// Runs the machine to its end, printing its console; gives the console.
fn boot(machine: &mut Command) -> Result<String> {
    let mut child = machine
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the emulator")?;
    let output = child.stdout.take().context("no console")?;
    let (lines, console) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in Lines(BufReader::new(output)) {
            if lines.send(line).is_err() {
                break;
            }
        }
    });
    let deadline = Instant::now() + TIME_LIMIT;
    let mut seen = String::new();
    let ended = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match console.recv_timeout(left) {
            Ok(line) => {
                println!("  | {line}");
                std::io::stdout().flush()?;
                seen.push_str(&line);
                seen.push('\n');
            }
            Err(RecvTimeoutError::Disconnected) => break true,
            Err(RecvTimeoutError::Timeout) => break false,
        }
    };
    if !ended {
        child.kill()?;
        eprintln!("vm: stopped after {} s", TIME_LIMIT.as_secs());
    }
    child.wait()?;
    drop(console);
    reader
        .join()
        .map_err(|_| anyhow::anyhow!("the console's reader panicked"))?;
    Ok(seen)
}

/// Lines of a console, which need not be UTF-8, without their line ends.
struct Lines<R>(BufReader<R>);

impl<R: Read> Iterator for Lines<R> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let length = self.0.read_until(b'\n', &mut line).ok()?;
        (length > 0).then(|| String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

/// The checks that the console does not report as held, or also as failed.
fn judge(console: &str) -> Vec<&'static str> {
    let says = |word: &str, check: &str| {
        let marker = format!("{word} {check}");
        console.lines().any(|line| line.trim() == marker)
    };
    let held = |check: &&&str| says("VM-OK", check) && !says("VM-FAIL", check);
    CHECKS
        .iter()
        .filter(|check| !held(check))
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_held() -> String {
        CHECKS.map(|check| format!("VM-OK {check}\r\n")).concat()
    }

    #[test]
    fn every_check_must_be_reported() {
        assert!(judge(&all_held()).is_empty());
        assert_eq!(judge(""), CHECKS);
        assert_eq!(judge(&all_held().replace("VM-OK samples", "")), ["samples"]);
    }

    #[test]
    fn a_failed_check_is_not_outvoted() {
        assert_eq!(judge(&(all_held() + "VM-FAIL ready\n")), ["ready"]);
    }

    #[test]
    fn a_marker_is_a_whole_line() {
        let echoed = all_held().replace("VM-OK killed", "+ echo VM-OK killed");
        assert_eq!(judge(&echoed), ["killed"]);
    }

    #[test]
    fn the_guest_makes_exactly_these_checks() {
        let made: Vec<&str> = INIT
            .lines()
            .filter_map(|line| line.strip_prefix("check ")?.split(' ').next())
            .collect();
        assert_eq!(made, CHECKS);
    }

    #[test]
    fn libraries_are_read_from_ldd() {
        let listed = "\tlinux-vdso.so.1 (0x00007f6ab4ce6000)\n\
                      \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f6aab81e000)\n\
                      \t/lib64/ld-linux-x86-64.so.2 (0x00007f6ab4ce8000)\n";
        let expected = [
            "/lib/x86_64-linux-gnu/libc.so.6",
            "/lib64/ld-linux-x86-64.so.2",
        ];
        assert_eq!(listed_libraries(listed), expected.map(PathBuf::from));
        assert!(listed_libraries("\tstatically linked\n").is_empty());
    }
}
