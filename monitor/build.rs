//! Builds the probes for the BPF target and leaves the objects in `OUT_DIR`.
//!
//! In: the compiler that `cargo xtask setup` recorded in
//! `target/tools/probes.toolchain` (or `UNJACK_PROBE_TOOLCHAIN`, or a ready
//! `nightly`) and a `bpf-linker`. Out: `OUT_DIR/unjack-probes`, `OUT_DIR/unjack-probes-plain` and
//! `OUT_DIR/unjack-ban`, which the library includes, and `OUT_DIR/unjack-empty`,
//! of which the benchmark's build script is told where it is. It installs nothing:
//! what is missing it names, with the remedy.
//!
//! A toolchain is either a rustup toolchain's name or, on a machine without
//! rustup, the absolute directory that holds `rustc` and `cargo`.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use aya_build::{Package, Toolchain};

const TOOLCHAIN_VAR: &str = "UNJACK_PROBE_TOOLCHAIN";
const RECORD: &str = "probes.toolchain";
const LINKER: &str = "bpf-linker";

fn main() -> ExitCode {
    let Some(found) = find_tools() else {
        return ExitCode::FAILURE;
    };
    let root = workspace_root();
    println!("cargo:rerun-if-env-changed={TOOLCHAIN_VAR}");
    // Only files that exist: cargo takes a missing one for a changed one, and
    // would build the probes on every call.
    let watched = [root.join("Cargo.toml"), root.join("Cargo.lock")];
    for path in watched.iter().chain(&found.record).chain([&found.linker]) {
        if path.exists() {
            println!("cargo:rerun-if-changed={}", path.display());
        }
    }
    found.compiler.enter(&found.linker, &found.shared);

    let probes = root.join("monitor-ebpf");
    let package = Package {
        name: "monitor-ebpf",
        root_dir: probes.to_str().unwrap_or("../monitor-ebpf"),
        ..Package::default()
    };
    match aya_build::build_ebpf([package], Toolchain::Custom(&found.compiler.name)) {
        Ok(()) => {
            let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
            println!(
                "cargo::metadata=EMPTY={}",
                out.join("unjack-empty").display()
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!(
                "the probes did not build with toolchain `{}` and {}: {error:#}\n\
                 The compiler's own messages are in the warnings above. If they are about \
                 the tools and not the code, `cargo xtask setup` renews the tools.",
                found.compiler.name,
                found.linker.display()
            );
            ExitCode::FAILURE
        }
    }
}

/// Everything the build of the probes stands on.
struct Tools {
    compiler: Compiler,
    linker: PathBuf,
    /// The record the compiler's name came from, if it came from one.
    record: Option<PathBuf>,
    /// Where every build of the monitor, of whichever profile, has what it makes
    /// for the BPF target in between: `core` above all.
    shared: PathBuf,
}

/// Looks for the tools; prints what is missing, all of it, and gives `None`.
fn find_tools() -> Option<Tools> {
    let dirs = tool_dirs();
    let record = dirs
        .iter()
        .map(|dir| dir.join(RECORD))
        .find(|file| file.is_file());
    let recorded = || {
        let file = record.as_ref()?;
        let name = std::fs::read_to_string(file).ok()?;
        Some((
            name.trim().to_owned(),
            format!("recorded in {}", file.display()),
        ))
    };
    let chosen = env::var(TOOLCHAIN_VAR).ok().filter(|name| !name.is_empty());
    let (name, origin) = chosen
        .map(|name| (name, format!("from {TOOLCHAIN_VAR}")))
        .or_else(recorded)
        .unwrap_or_else(|| {
            (
                "nightly".to_owned(),
                "the default; set-up has not run".to_owned(),
            )
        });
    let compiler = Compiler::find(name);
    let linker = find_linker(&dirs);

    let mut missing = Vec::new();
    if let Err(problem) = &compiler {
        missing.push(format!("  - the probes' compiler ({origin}): {problem}"));
    }
    if linker.is_none() {
        missing.push(format!(
            "  - {LINKER}: neither in target/tools/bin nor on PATH"
        ));
    }
    if let (Ok(compiler), Some(linker)) = (compiler, linker) {
        let home = dirs.iter().find(|dir| dir.is_dir()).unwrap_or(&dirs[0]);
        return Some(Tools {
            compiler,
            linker,
            record,
            shared: home.join("probes"),
        });
    }
    eprintln!(
        "unjack's eBPF probes cannot be built on this machine yet. Missing:\n{}\n\n\
         Remedy: cargo xtask setup\n\
         It says what it will install before it does. Without root it prints the commands \
         for someone who has it.\n\n\
         Without network, bring from elsewhere:\n  \
         - a Rust toolchain with its library source: rustup's component rust-src, or Debian's \
         rustc-web, rust-web-src and cargo-web. Name it in {TOOLCHAIN_VAR} (a rustup \
         toolchain or, without rustup, the absolute directory of its rustc and cargo)\n  \
         - {LINKER} 0.13, built with at least that compiler's LLVM (`rustc -vV`), on PATH",
        missing.join("\n")
    );
    None
}

/// A compiler that can build `core` for the BPF target.
struct Compiler {
    name: String,
    /// Where rustc and cargo are, if rustup does not know them.
    dir: Option<PathBuf>,
    /// Stable compilers build `core` only when told that it is all right.
    stable: bool,
}

impl Compiler {
    /// Finds the toolchain `name` and checks that it runs and has its library
    /// source. The error says what is wrong with it.
    fn find(name: String) -> Result<Self, String> {
        let dir = name.starts_with('/').then(|| PathBuf::from(&name));
        let rustup = Command::new("rustup").arg("--version").output().is_ok();
        if dir.is_some() && rustup {
            return Err(format!(
                "`{name}` is a directory, but rustup is on PATH and takes names: \
                 rustup toolchain link NAME PREFIX"
            ));
        }
        if dir.is_none() && !rustup {
            return Err(format!("`{name}` needs rustup, and rustup is not on PATH"));
        }
        let rustc = |arguments: &[&str]| {
            let mut command = dir.as_ref().map_or_else(
                || {
                    let mut command = Command::new("rustup");
                    command.args(["run", &name, "rustc"]);
                    command
                },
                |dir| Command::new(dir.join("rustc")),
            );
            let output = command.args(arguments).output().ok()?;
            let text = String::from_utf8(output.stdout).ok()?;
            output.status.success().then_some(text)
        };
        let version = rustc(&["-vV"]).ok_or_else(|| format!("`{name}` is not installed"))?;
        let sysroot = rustc(&["--print", "sysroot"]).unwrap_or_default();
        let source = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core/Cargo.toml");
        if !source.is_file() {
            return Err(format!("`{name}` lacks its library source (rust-src)"));
        }
        let stable = !version
            .lines()
            .any(|line| line.starts_with("release: ") && line.contains("nightly"));
        Ok(Self { name, dir, stable })
    }

    /// Sets up this process's environment, which the build of the probes
    /// inherits.
    fn enter(&self, linker: &Path, shared: &Path) {
        let mut variables: Vec<(&str, OsString)> = vec![
            ("CARGO_BUILD_BUILD_DIR", shared.into()),
            // By path, because rustup puts its own directory in front of PATH.
            ("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", linker.into()),
            ("CARGO_TARGET_BPFEB_UNKNOWN_NONE_LINKER", linker.into()),
        ];
        // aya_build turns every line of that cargo's into a warning of ours.
        variables.push(("CARGO_TERM_QUIET", "true".into()));
        if self.stable {
            variables.push(("RUSTC_BOOTSTRAP", "1".into()));
        }
        if let Some(dir) = &self.dir {
            let rest = env::var_os("PATH").unwrap_or_default();
            let path = std::iter::once(dir.clone()).chain(env::split_paths(&rest));
            variables.push(("PATH", env::join_paths(path).unwrap_or(rest.clone())));
        }
        for (name, value) in variables {
            // SAFETY: no other thread exists yet, so none reads the environment
            // while it changes; aya_build starts its own threads after this.
            unsafe { env::set_var(name, value) };
        }
    }
}

fn workspace_root() -> PathBuf {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    package
        .parent()
        .map_or_else(|| package.clone(), Path::to_path_buf)
}

/// Where set-up may have put its tools: beside the build that is running, which
/// `CARGO_TARGET_DIR` may have moved, or in the workspace.
fn tool_dirs() -> Vec<PathBuf> {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    // OUT_DIR is <target>/[triple/]<profile>/build/<package>/out.
    let beside = out.ancestors().skip(3).take(3).map(|dir| dir.join("tools"));
    beside
        .chain([workspace_root().join("target/tools")])
        .collect()
}

fn find_linker(dirs: &[PathBuf]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let own = dirs.iter().map(|dir| dir.join("bin"));
    own.chain(env::split_paths(&path))
        .map(|dir| dir.join(LINKER))
        .find(|file| file.is_file())
}
