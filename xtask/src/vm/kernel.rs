//! Debian's kernel of a given version: which package, from where, and the
//! image out of it. Nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::Guest;
use crate::deb::Apt;

/// The Debian release that carries each kernel.
const SUITES: [(&str, &str); 4] = [
    ("5.10", "bullseye"),
    ("6.1", "bookworm"),
    ("6.12", "trixie"),
    ("7.2", "sid"),
];

/// What the package with the kernel's image is called. From Debian 14 on, the
/// `linux-image` packages only draw in the `linux-binary` ones.
const PREFIXES: [&str; 2] = ["linux-binary-", "linux-image-"];

/// The kernel image of the newest package for `version`, which is kept in
/// `home`: from this machine's package index, or else from the index of the
/// Debian release that carries that version.
pub(super) fn fetch(version: &str, guest: Guest, home: &Path) -> Result<PathBuf> {
    let image = home.join("vmlinuz");
    if image.is_file() {
        eprintln!(
            "vm: using the kernel of an earlier run; remove {} for a newer one",
            image.display()
        );
        return Ok(image);
    }
    let candidates = |apt: &Apt| {
        let of = |prefix| {
            let names = apt.names(&format!("{prefix}{version}"));
            newest_first(names, prefix, version, guest)
        };
        PREFIXES.into_iter().flat_map(of).collect::<Vec<_>>()
    };
    let mut apt = Apt::host();
    let mut packages = match guest {
        Guest::X86 => candidates(&apt),
        // This machine's apt has packages for this machine.
        Guest::Arm => Vec::new(),
    };
    if packages.is_empty() {
        let suite = suite(version)?;
        eprintln!("vm: going to ask Debian {suite} for linux-image-{version}");
        apt = Apt::of_suite(suite, guest.debian(), &home.join("apt"))?;
        packages = candidates(&apt);
    }
    let Some(package) = packages.first() else {
        bail!(
            "Debian's archive has no linux-image-{version}-{} any more: try a newer version",
            guest.debian()
        );
    };
    eprintln!(
        "vm: going to download {package} (up to 110 MB) and unpack its kernel into {}",
        home.display()
    );
    let unpacked = home.join("unpacked");
    apt.unpack(package, &unpacked)?;
    let found = find_image(&unpacked)
        .with_context(|| format!("the package {package} has no vmlinuz where one is expected"))?;
    fs::rename(found, &image)?;
    fs::remove_dir_all(unpacked)?;
    Ok(image)
}

/// The Debian release that carries `version`.
fn suite(version: &str) -> Result<&'static str> {
    let suite = SUITES.iter().find(|(carried, _)| *carried == version);
    let Some((_, suite)) = suite else {
        let known = SUITES
            .map(|(version, suite)| format!("{version} ({suite})"))
            .join(", ");
        bail!(
            "this machine's apt has no linux-image-{version}, and it is none of the versions \
             known here: {known}. Add the Debian release that carries it to apt's sources, run \
             apt-get update as root, and try again"
        );
    };
    Ok(suite)
}

/// A busybox that runs in the guest, of the release that carries its kernel.
pub(super) fn busybox(version: &str, guest: Guest, home: &Path) -> Result<PathBuf> {
    let busybox = home.join("busybox");
    if !busybox.is_file() {
        let apt = Apt::of_suite(suite(version)?, guest.debian(), &home.join("apt"))?;
        let unpacked = home.join("unpacked");
        apt.unpack("busybox-static", &unpacked)?;
        let found = ["bin/busybox", "usr/bin/busybox"].map(|file| unpacked.join(file));
        let found = found.iter().find(|file| file.is_file());
        fs::rename(found.context("busybox-static has no busybox")?, &busybox)?;
        fs::remove_dir_all(unpacked)?;
    }
    Ok(busybox)
}

/// Older packages have `/boot/vmlinuz-RELEASE`, newer ones
/// `/usr/lib/modules/RELEASE/vmlinuz`.
fn find_image(unpacked: &Path) -> Option<PathBuf> {
    let entries = |dir: &str| {
        let entries = fs::read_dir(unpacked.join(dir)).into_iter().flatten();
        entries.filter_map(|entry| Some(entry.ok()?.path()))
    };
    let in_boot = entries("boot").filter(|path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"))
    });
    let with_modules = entries("usr/lib/modules").map(|dir| dir.join("vmlinuz"));
    in_boot.chain(with_modules).find(|path| path.is_file())
}

/// The packages of plain kernels of `version`, newest first: no cloud,
/// real-time or debugging variants.
fn newest_first(names: Vec<String>, prefix: &str, version: &str, guest: Guest) -> Vec<String> {
    let prefix = format!("{prefix}{version}");
    let release = |name: &str| {
        let rest = name.strip_prefix(&prefix)?;
        let release = rest
            .strip_suffix("-unsigned")
            .unwrap_or(rest)
            .strip_suffix(guest.debian())?
            .strip_suffix('-')?;
        // `6.1` is not `6.12`; and a name without a number after it is a
        // package of packages.
        let plain = release.starts_with(['.', '-'])
            && !["-cloud", "-rt"]
                .iter()
                .any(|variant| release.ends_with(variant));
        plain.then(|| numbers(release))
    };
    let mut found: Vec<(Vec<u64>, String)> = names
        .into_iter()
        .filter_map(|name| Some((release(&name)?, name)))
        .collect();
    found.sort_by(|one, other| other.cmp(one));
    found.into_iter().map(|(_, name)| name).collect()
}

fn numbers(text: &str) -> Vec<u64> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(version: &str, names: &[&str], expected: &[&str]) {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let found = newest_first(names, "linux-image-", version, Guest::X86);
        assert_eq!(found, expected);
    }

    #[test]
    fn newest_is_by_number_not_by_letter() {
        check(
            "6.1",
            &["linux-image-6.1.0-9-amd64", "linux-image-6.1.0-56-amd64"],
            &["linux-image-6.1.0-56-amd64", "linux-image-6.1.0-9-amd64"],
        );
    }

    #[test]
    fn backports_are_found() {
        check(
            "6.12",
            &[
                "linux-image-6.12.111+deb12-amd64",
                "linux-image-6.12.117+deb12-amd64-unsigned",
            ],
            &[
                "linux-image-6.12.117+deb12-amd64-unsigned",
                "linux-image-6.12.111+deb12-amd64",
            ],
        );
    }

    #[test]
    fn variants_other_versions_and_other_machines_are_passed_over() {
        check(
            "6.1",
            &[
                "linux-image-6.1.0-56-cloud-amd64",
                "linux-image-6.1.0-56-rt-amd64-unsigned",
                "linux-image-6.1.0-56-amd64-dbg",
                "linux-image-6.1.0-56-arm64",
                "linux-image-6.12.117+deb12-amd64",
                "linux-image-6.1-amd64",
            ],
            &[],
        );
    }
}
