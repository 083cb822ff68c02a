//! From facts about the machine to the steps that set it up. Pure: it looks at
//! nothing and does nothing, so every kind of machine can be a test.

use std::fmt;

use super::packages::{DEBIAN_COMPILER, LLVM, Package};
use crate::shell::Privilege;

/// The newest LLVM whose output bpf-linker, as built here, can read.
pub(super) const LLVM_MAJOR: u32 = 22;
/// A nightly with that LLVM, for when the newest has moved on.
pub(super) const PINNED_NIGHTLY: &str = "nightly-2026-05-20";
/// What Debian's compiler is called towards rustup.
pub(super) const DEBIAN_NAME: &str = "unjack-debian";
/// Where Debian's compiler is, for a machine without rustup.
pub(super) const DEBIAN_DIR: &str = "/usr/bin";

/// Where the probes' compiler comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Route {
    /// What is there already; else rustup if it can fetch, else Debian.
    Auto,
    /// rustup's nightly with its library source.
    Rustup,
    /// Debian's `rustc-web`, `rust-web-src` and `cargo-web`.
    Debian,
}

/// A compiler that can build the probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// rustup knows it by this name; whether it is a nightly says whether it
    /// may use unstable features unasked.
    Named(String),
    /// The directory of its rustc and cargo, on a machine without rustup.
    Directory(&'static str),
}

impl Toolchain {
    /// As in the record, and in `UNJACK_PROBE_TOOLCHAIN`.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Named(name) => name,
            Self::Directory(dir) => dir,
        }
    }
}

/// What [`Facts::gather`](super::facts) found.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) privilege: Privilege,
    /// `None` without apt.
    pub(super) apt: Option<Apt>,
    /// `None` without rustup.
    pub(super) rustup: Option<Rustup>,
    /// Debian's compiler, source and cargo are there and fit.
    pub(super) debian: bool,
    /// A usable bpf-linker, set-up's own or on PATH.
    pub(super) linker: bool,
    /// LLVM's library is there to build one.
    pub(super) llvm: bool,
    /// The toolchain recorded by an earlier set-up.
    pub(super) recorded: Option<String>,
    /// Packages a task asked for that are not there.
    pub(super) absent: Vec<Package>,
}

/// The state of the package index.
#[derive(Clone, Debug)]
pub(super) struct Apt {
    /// The lists are there and not old.
    pub(super) fresh: bool,
    /// They were fetched in this run; again would bring nothing new.
    pub(super) updated: bool,
    /// Packages of ours that the lists do not offer, or only too old.
    pub(super) unknown: Vec<&'static str>,
    /// The name of the Debian release, for the remedy.
    pub(super) release: String,
}

/// What rustup has.
#[derive(Clone, Debug)]
pub(super) struct Rustup {
    pub(super) nightlies: Vec<Nightly>,
    /// [`DEBIAN_NAME`] is linked and runs.
    pub(super) debian_linked: bool,
    /// Fetching was tried in this run, and failed.
    pub(super) unreachable: bool,
}

/// An installed nightly.
#[derive(Clone, Debug)]
pub(super) struct Nightly {
    pub(super) name: String,
    pub(super) llvm: u32,
    pub(super) source: bool,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// `apt-get update`.
    UpdateLists,
    /// `apt-get install`.
    Install(Vec<Package>),
    /// Unpack one program of a package into set-up's tools.
    Take(Package),
    /// Install a nightly with its library source.
    RustupInstall(String),
    /// Add the library source to an installed nightly.
    RustupSource(String),
    /// Make Debian's compiler known to rustup.
    RustupLink,
    /// Build bpf-linker into set-up's tools.
    BuildLinker,
}

impl fmt::Display for Step {
    /// What it does and why, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UpdateLists => f.write_str("fetch apt's package lists, which are missing or old"),
            Self::Install(packages) => {
                let named: Vec<String> = packages
                    .iter()
                    .map(|package| format!("{} ({})", package.name, package.why))
                    .collect();
                write!(f, "install from Debian: {}", named.join(", "))
            }
            Self::Take(package) => {
                write!(
                    f,
                    "unpack {} into target/tools ({})",
                    package.name, package.why
                )
            }
            Self::RustupInstall(name) => {
                write!(
                    f,
                    "install the Rust toolchain {name} with its library source (the probes' compiler)"
                )
            }
            Self::RustupSource(name) => {
                write!(
                    f,
                    "add its library source to {name} (the BPF target has no ready-made one)"
                )
            }
            Self::RustupLink => {
                write!(f, "make Debian's compiler known to rustup as {DEBIAN_NAME}")
            }
            Self::BuildLinker => f.write_str(
                "build bpf-linker 0.13 into target/tools (links the probes; about 90 s)",
            ),
        }
    }
}

/// What is to be done, and with what the probes will be built then.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) toolchain: Toolchain,
    pub(super) steps: Vec<Step>,
}

/// Why set-up cannot go on, and what someone can do about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Blocked(pub(super) String);

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Decides what to do on a machine. An empty list of steps means that
/// everything is there.
pub(super) fn plan(facts: &Facts, route: Route) -> Result<Plan, Blocked> {
    let mut packages: Vec<Package> = Vec::new();
    let (toolchain, steps) = toolchain(facts, route)?;
    let mut later = Vec::new();
    for need in steps {
        match need {
            Step::Install(more) => packages.extend(more),
            other => later.push(other),
        }
    }
    if !facts.linker {
        if !facts.llvm {
            packages.push(LLVM);
        }
        later.push(Step::BuildLinker);
    }
    let (taken, installed): (Vec<Package>, Vec<Package>) =
        facts.absent.iter().partition(|package| package.is_taken());
    packages.extend(installed);
    later.extend(taken.iter().copied().map(Step::Take));

    let mut steps = prepare_apt(facts, &packages, &taken)?;
    if !packages.is_empty() {
        steps.push(Step::Install(packages));
    }
    steps.extend(later);
    Ok(Plan { toolchain, steps })
}

/// Chooses the compiler: a working one before any that must be fetched.
fn toolchain(facts: &Facts, route: Route) -> Result<(Toolchain, Vec<Step>), Blocked> {
    let rustup = facts.rustup.as_ref().filter(|_| route != Route::Debian);
    let recorded = facts.recorded.as_deref();
    let nightly = |ready: bool| {
        let fitting = rustup
            .iter()
            .flat_map(|rustup| &rustup.nightlies)
            .filter(|nightly| nightly.llvm <= LLVM_MAJOR && (!ready || nightly.source));
        // The recorded one first: another choice would rebuild the probes.
        let best = fitting.max_by_key(|nightly| recorded == Some(nightly.name.as_str()));
        best.map(|nightly| nightly.name.clone())
    };
    let debian = || match &facts.rustup {
        None => (Toolchain::Directory(DEBIAN_DIR), vec![]),
        Some(rustup) if rustup.debian_linked => (Toolchain::Named(DEBIAN_NAME.to_owned()), vec![]),
        Some(_) => (
            Toolchain::Named(DEBIAN_NAME.to_owned()),
            vec![Step::RustupLink],
        ),
    };
    let debian_allowed = route != Route::Rustup;

    if debian_allowed && facts.debian && recorded == Some(debian().0.name()) {
        return Ok(debian());
    }
    if let Some(name) = nightly(true) {
        return Ok((Toolchain::Named(name), vec![]));
    }
    if debian_allowed && facts.debian {
        return Ok(debian());
    }
    if let Some(Rustup {
        unreachable: false, ..
    }) = rustup
    {
        if let Some(name) = nightly(false) {
            let step = Step::RustupSource(name.clone());
            return Ok((Toolchain::Named(name), vec![step]));
        }
        let name = PINNED_NIGHTLY.to_owned();
        let step = Step::RustupInstall(name.clone());
        return Ok((Toolchain::Named(name), vec![step]));
    }
    if debian_allowed {
        let (toolchain, link) = debian();
        let install = Step::Install(DEBIAN_COMPILER.to_vec());
        return Ok((toolchain, std::iter::once(install).chain(link).collect()));
    }
    Err(Blocked(format!(
        "the rustup route needs rustup, and a way to its server. Install rustup from \
         https://rustup.rs, then: rustup toolchain install {PINNED_NIGHTLY} --profile minimal \
         --component rust-src. Or take the other route: cargo xtask setup --route debian"
    )))
}

/// Whether apt can deliver; what must come before it does.
fn prepare_apt(facts: &Facts, install: &[Package], take: &[Package]) -> Result<Vec<Step>, Blocked> {
    let wanted: Vec<&str> = install
        .iter()
        .chain(take)
        .map(|package| package.name)
        .collect();
    if wanted.is_empty() {
        return Ok(vec![]);
    }
    let Some(apt) = &facts.apt else {
        return Err(Blocked(format!(
            "this machine has no apt, so set-up cannot install for it. It lacks what Debian has \
             in these packages; install their like and run `cargo xtask setup` again:\n{}",
            list(install.iter().chain(take))
        )));
    };
    let unknown: Vec<&str> = apt
        .unknown
        .iter()
        .copied()
        .filter(|name| wanted.contains(name))
        .collect();
    if apt.updated && !unknown.is_empty() {
        return Err(Blocked(format!(
            "apt does not offer {} (or only too old). On Debian 12 and 13 the compiler and LLVM \
             come from the security suite. As root:\n  \
             echo 'deb http://deb.debian.org/debian-security {}-security main' \
             > /etc/apt/sources.list.d/security.list\n  apt-get update\n\
             then run `cargo xtask setup` again",
            unknown.join(", "),
            apt.release
        )));
    }
    let update = !apt.updated && (!apt.fresh || !unknown.is_empty());
    if facts.privilege == Privilege::None && (update || !install.is_empty()) {
        let names: Vec<&str> = install.iter().map(|package| package.name).collect();
        let install_line = match names.as_slice() {
            [] => String::new(),
            names => format!(
                "  apt-get install --no-install-recommends {}\n",
                names.join(" ")
            ),
        };
        return Err(Blocked(format!(
            "set-up must install packages, and has neither root nor a usable sudo. They are:\n{}\n\
             Have someone run as root:\n  apt-get update\n{install_line}\
             then run `cargo xtask setup` again; everything else it does without root",
            list(install.iter().chain(take))
        )));
    }
    Ok(if update {
        vec![Step::UpdateLists]
    } else {
        vec![]
    })
}

fn list<'a>(packages: impl Iterator<Item = &'a Package>) -> String {
    let lines: Vec<String> = packages
        .map(|package| format!("  {} ({})", package.name, package.why))
        .collect();
    lines.join("\n")
}

/// What to do when a step fails, beside reading what it printed.
pub(super) fn failure_remedy(step: &Step) -> &'static str {
    match step {
        Step::UpdateLists => "the package lists could not be fetched: is there a network?",
        Step::Install(_) => {
            "apt could not install. If it refused to remove a package of yours, such as Debian's \
             own rustc, cargo or rustup, use the other route: cargo xtask setup --route rustup"
        }
        Step::Take(_) => "the package could not be downloaded: is there a network?",
        Step::RustupInstall(_) | Step::RustupSource(_) => {
            "rustup could not fetch: is there a network? \
             The other route uses Debian's packages: cargo xtask setup --route debian"
        }
        Step::RustupLink => "rustup could not link Debian's compiler in /usr",
        Step::BuildLinker => {
            "bpf-linker could not be built. Without a network, bring a bpf-linker 0.13 for LLVM 22 \
             from another machine and put it on PATH"
        }
    }
}

#[cfg(test)]
mod tests;
