//! Looking at the machine, for [`plan`](super::plan) to decide on.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::packages::{DEBIAN_COMPILER, Extras, LLVM, Package};
use super::plan::{Apt, DEBIAN_NAME, Facts, LLVM_MAJOR, Nightly, Rustup};
use crate::shell::{self, Privilege};
use crate::workspace::Workspace;

/// Older package lists name packages that the archive has replaced by now.
const LISTS_MAX_AGE: Duration = Duration::from_hours(72);
/// The oldest rustc the workspace builds with, major and minor version: the
/// `rust-version` of its Cargo.toml.
const RUSTC_OLDEST: (u32, u32) = (1, 95);
/// The oldest bpf-linker that reads what these compilers write.
const LINKER_OLDEST: (u32, u32) = (0, 13);

/// What this run has tried already.
#[derive(Default)]
pub(super) struct Attempts {
    pub(super) updated: bool,
    pub(super) rustup_failed: bool,
}

impl Facts {
    /// Looks; changes nothing and asks no server. What apt offers it leaves to
    /// [`Self::ask_apt`].
    pub(super) fn gather(workspace: &Workspace, extras: Extras, attempts: &Attempts) -> Self {
        let tools = workspace.tools();
        let packages = extras.packages().iter().copied();
        Self {
            privilege: Privilege::detect(),
            apt: apt(attempts),
            rustup: rustup(attempts),
            debian: debian(&tools),
            linker: linker(&tools),
            llvm: LLVM.present(&tools),
            recorded: fs::read_to_string(workspace.record())
                .ok()
                .map(|name| name.trim().to_owned()),
            absent: packages
                .filter(|package| !package.present(&tools))
                .collect(),
        }
    }
}

impl Facts {
    /// Asks apt's lists which of the packages they do not offer.
    pub(super) fn ask_apt(&mut self, extras: Extras) {
        if let Some(apt) = &mut self.apt {
            let ours = || {
                std::iter::once(&LLVM)
                    .chain(DEBIAN_COMPILER)
                    .chain(extras.packages())
            };
            let mut command = shell::command("apt-cache");
            command
                .arg("policy")
                .args(ours().map(|package| package.name));
            let policy = shell::output(command.env("LC_ALL", "C")).unwrap_or_default();
            let candidates = candidates(&policy);
            let unknown = ours().filter(|package| !offered(package, &candidates));
            apt.unknown = unknown.map(|package| package.name).collect();
        }
    }
}

fn apt(attempts: &Attempts) -> Option<Apt> {
    shell::on_path("apt-get")?;
    // apt touches this whenever it fetches, even if nothing had changed.
    let fetched = fs::metadata("/var/lib/apt/lists/partial").and_then(|meta| meta.modified());
    let age = fetched
        .ok()
        .and_then(|time| SystemTime::now().duration_since(time).ok());
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let codename = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Some(Apt {
        fresh: age.is_some_and(|age| age < LISTS_MAX_AGE),
        updated: attempts.updated,
        unknown: vec![],
        release: codename.unwrap_or("bookworm").to_owned(),
    })
}

/// The version that apt would install of each package, from the output of
/// `apt-cache policy`.
fn candidates(policy: &str) -> Vec<(&str, &str)> {
    let mut package = "";
    let mut found = Vec::new();
    for line in policy.lines() {
        if !line.starts_with(' ') {
            package = line.trim_end_matches(':');
        } else if let Some(version) = line.trim().strip_prefix("Candidate: ")
            && version != "(none)"
        {
            found.push((package, version));
        }
    }
    found
}

/// Whether apt has a version of the package to install, and one that fits.
fn offered(package: &Package, candidates: &[(&str, &str)]) -> bool {
    candidates
        .iter()
        .filter(|(name, _)| *name == package.name)
        .any(|(_, version)| !DEBIAN_COMPILER.contains(package) || fits(version, RUSTC_OLDEST))
}

fn rustup(attempts: &Attempts) -> Option<Rustup> {
    let listed = shell::output(shell::command("rustup").args(["toolchain", "list", "--quiet"]))?;
    let names: Vec<&str> = listed.lines().map(str::trim).collect();
    let nightlies = names
        .iter()
        .filter(|name| name.starts_with("nightly"))
        .filter_map(|name| {
            let rustc = |argument: &[&str]| {
                shell::output(
                    shell::command("rustup")
                        .args(["run", name, "rustc"])
                        .args(argument),
                )
            };
            let source = "lib/rustlib/src/rust/library/core/Cargo.toml";
            Some(Nightly {
                name: short_name(name).to_owned(),
                llvm: llvm(&rustc(&["-vV"])?)?,
                source: rustc(&["--print", "sysroot"])
                    .is_some_and(|sysroot| Path::new(&sysroot).join(source).is_file()),
            })
        });
    let run_debian = ["run", DEBIAN_NAME, "rustc", "-vV"];
    Some(Rustup {
        debian_linked: shell::output(shell::command("rustup").args(run_debian)).is_some(),
        nightlies: nightlies.collect(),
        unreachable: attempts.rustup_failed,
    })
}

/// `nightly-2026-05-20-x86_64-unknown-linux-gnu` without the host's triple,
/// the name a person would use.
fn short_name(name: &str) -> &str {
    name.find(&format!("-{}-", std::env::consts::ARCH))
        .map_or(name, |end| &name[..end])
}

fn debian(tools: &Path) -> bool {
    let version = || shell::output(shell::command("/usr/bin/rustc").arg("-vV"));
    let fits = |version: String| {
        let release = version
            .lines()
            .find_map(|line| line.strip_prefix("release: "));
        release.is_some_and(|release| fits(release, RUSTC_OLDEST))
            && llvm(&version) == Some(LLVM_MAJOR)
    };
    DEBIAN_COMPILER.iter().all(|package| package.present(tools)) && version().is_some_and(fits)
}

fn linker(tools: &Path) -> bool {
    let own = tools.join("bin/bpf-linker");
    [Some(own), shell::on_path("bpf-linker")]
        .into_iter()
        .flatten()
        .any(|program| {
            let version =
                shell::output(shell::command(program).arg("--version")).unwrap_or_default();
            version
                .strip_prefix("bpf-linker ")
                .is_some_and(|version| fits(version, LINKER_OLDEST))
        })
}

/// The major version of the LLVM in the output of `rustc -vV`.
fn llvm(version: &str) -> Option<u32> {
    let line = version
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))?;
    line.split('.').next()?.parse().ok()
}

/// Whether a version is at least `oldest`, by its first two numbers.
fn fits(version: &str, oldest: (u32, u32)) -> bool {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= oldest,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (version, oldest, expected) in [
            ("1.96.0+dfsg1-1~deb12u2", RUSTC_OLDEST, true),
            ("1.85.0+dfsg3-1~deb12u3", RUSTC_OLDEST, false),
            ("1.100.0", RUSTC_OLDEST, true),
            ("0.13.0", LINKER_OLDEST, true),
            ("0.9.15", LINKER_OLDEST, false),
            ("garbage", LINKER_OLDEST, false),
            ("", LINKER_OLDEST, false),
        ] {
            assert_eq!(fits(version, oldest), expected, "{version:?}");
        }
    }

    #[test]
    fn apts_candidates_are_judged_by_version() {
        let policy = "rustc-web:\n  Installed: (none)\n  Candidate: 1.85.0+dfsg3-1~deb12u3\n  \
                      Version table:\n     1.85.0+dfsg3-1~deb12u3 500\nllvm-22-dev:\n  \
                      Installed: (none)\n  Candidate: (none)\nstress-ng:\n  Candidate: 0.15.06-2\n";
        let found = candidates(policy);
        assert_eq!(
            found,
            [
                ("rustc-web", "1.85.0+dfsg3-1~deb12u3"),
                ("stress-ng", "0.15.06-2")
            ]
        );
        let stress = Extras::Tests
            .packages()
            .iter()
            .find(|package| package.name == "stress-ng");
        assert!(offered(stress.unwrap(), &found));
        assert!(
            !offered(&DEBIAN_COMPILER[0], &found),
            "older than the workspace's rust-version"
        );
        assert!(!offered(&LLVM, &found));
        assert!(offered(
            &DEBIAN_COMPILER[0],
            &[("rustc-web", "1.96.0+dfsg1-1~deb12u2")]
        ));
    }

    #[test]
    fn the_compilers_llvm_is_read_from_its_version() {
        let text =
            "rustc 1.97.0-nightly (e50aa6fba 2026-05-19)\nbinary: rustc\nLLVM version: 22.1.4";
        assert_eq!(llvm(text), Some(22));
        assert_eq!(llvm("rustc 1.0.0\nLLVM version: unknown"), None);
    }

    #[test]
    fn a_toolchains_short_name_lacks_the_host() {
        let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        assert_eq!(
            short_name(&format!("nightly-2026-05-20-{host}")),
            "nightly-2026-05-20"
        );
        assert_eq!(short_name(&format!("nightly-{host}")), "nightly");
        assert_eq!(short_name("nightly-mine"), "nightly-mine");
    }
}
