//! `corpus setup`: installs the programs and makes what they read.
//!
//! Everything of a kind at once, since that is quick; if that fails, one by
//! one, so that one package that is gone does not take the others with it.
//! Whatever is there already is left alone, so it may run any number of times.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::geteuid;

use super::inputs;
use super::manifest::Program;
use super::place::Place;

/// Lines of what a failed preparation said that are shown.
const SHOWN: usize = 12;

/// What went wrong, by program.
#[derive(Default)]
struct Failures(BTreeMap<String, Vec<String>>);

impl Failures {
    fn add(&mut self, program: &Program, what: String) {
        self.0.entry(program.name.clone()).or_default().push(what);
    }

    /// Notes that a package is not there, for the programs that need it.
    fn lacking(&mut self, programs: &[Program], kind: &Kind, package: &str) {
        for program in programs {
            if (kind.wanted)(program)
                .iter()
                .any(|wanted| wanted == package)
            {
                self.add(program, format!("{} did not install {package}", kind.name));
            }
        }
    }
}

/// A way to install packages.
struct Kind<'a> {
    name: &'static str,
    /// What a program wants of it.
    wanted: fn(&Program) -> &[String],
    /// Whether one call takes many packages.
    together: bool,
    /// The call.
    install: &'a dyn Fn(&[&str]) -> Result<Command>,
}

/// Installs, makes inputs and prepares.
pub(super) fn run(place: &Place, programs: &[Program]) -> Result<()> {
    let mut failures = Failures::default();
    let wants = |wanted: fn(&Program) -> &[String]| programs.iter().any(|p| !wanted(p).is_empty());
    let (pip, npm) = (wants(|p| &p.pip), wants(|p| &p.npm));

    // What the other ways need themselves.
    let mut tools = Vec::new();
    if pip && !place.venv().join("bin/pip").is_file() {
        tools.push("python3-venv");
    }
    if npm && !answers(place.command("npm")?.arg("--version")) {
        tools.push("npm");
    }
    apt(place, programs, &tools, &mut failures)?;

    if pip {
        if !place.venv().join("bin/pip").is_file() {
            // The system's, not some other that a user has on PATH, and with
            // its modules: those are what Debian's packages bring.
            let system = Path::new("/usr/bin/python3");
            let python = if system.is_file() {
                system
            } else {
                Path::new("python3")
            };
            let mut venv = place.command(python)?;
            note(call(
                venv.args(["-m", "venv", "--system-site-packages"])
                    .arg(place.venv()),
            ));
        }
        let install = |packages: &[&str]| {
            let mut command = place.command(place.venv().join("bin/pip"))?;
            command.args([
                "install",
                "--disable-pip-version-check",
                "--progress-bar=off",
            ]);
            command.args(packages);
            Ok(command)
        };
        let kind = Kind {
            name: "pip",
            wanted: |program| &program.pip,
            together: true,
            install: &install,
        };
        packages(programs, &kind, &mut failures);
    }
    if npm {
        std::fs::create_dir_all(place.node())?;
        let install = |packages: &[&str]| {
            let mut command = place.command("npm")?;
            command.args(["install", "--no-audit", "--no-fund", "--prefix"]);
            command.arg(place.node()).args(packages);
            Ok(command)
        };
        let kind = Kind {
            name: "npm",
            wanted: |program| &program.npm,
            together: true,
            install: &install,
        };
        packages(programs, &kind, &mut failures);
    }
    let install = |crates: &[&str]| {
        let mut command = place.command("cargo")?;
        command
            .args(["install", "--locked", "--root"])
            .arg(place.cargo());
        command.args(crates.iter().flat_map(|text| text.split_whitespace()));
        Ok(command)
    };
    let kind = Kind {
        name: "cargo",
        wanted: |program| &program.cargo,
        together: false,
        install: &install,
    };
    packages(programs, &kind, &mut failures);

    inputs::make(place)?;
    prepare(place, programs, &mut failures)?;
    report(programs.len(), &failures)
}

/// Debian's packages, as root: only those that are not there.
fn apt(place: &Place, programs: &[Program], tools: &[&str], failures: &mut Failures) -> Result<()> {
    let command = || -> Result<Command> {
        let mut command = place.command(if geteuid().is_root() { "env" } else { "sudo" })?;
        if !geteuid().is_root() {
            command.arg("env");
        }
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        Ok(command)
    };
    let install = |packages: &[&str]| {
        let mut command = command()?;
        command.args(["install", "--yes", "--no-remove", "--no-install-recommends"]);
        command
            .args(["-o", "Dpkg::Use-Pty=0", "-qq"])
            .args(packages);
        Ok(command)
    };
    let kind = Kind {
        name: "apt",
        wanted: |program| &program.apt,
        together: true,
        install: &install,
    };
    let missing: Vec<&str> = all(programs, &kind, tools)
        .into_iter()
        .filter(|package| !is_installed(package))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    note(call(command()?.args(["-qq", "update"])));
    for package in install_all(&kind, &missing) {
        failures.lacking(programs, &kind, package);
    }
    Ok(())
}

/// All packages of a kind, each once.
fn all<'a>(programs: &'a [Program], kind: &Kind, more: &[&'a str]) -> BTreeSet<&'a str> {
    programs
        .iter()
        .flat_map(|program| (kind.wanted)(program))
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect()
}

fn packages(programs: &[Program], kind: &Kind, failures: &mut Failures) {
    let packages: Vec<&str> = all(programs, kind, &[]).into_iter().collect();
    for package in install_all(kind, &packages) {
        failures.lacking(programs, kind, package);
    }
}

/// Installs packages; gives those that could not be.
fn install_all<'a>(kind: &Kind, packages: &[&'a str]) -> Vec<&'a str> {
    let install = |packages: &[&str]| (kind.install)(packages).and_then(|mut c| call(&mut c));
    if packages.is_empty() {
        return Vec::new();
    }
    if kind.together {
        eprintln!("corpus: {}: {} packages", kind.name, packages.len());
        match install(packages) {
            Ok(()) => return Vec::new(),
            Err(error) if packages.len() > 1 => {
                eprintln!("corpus: {error:#}; trying them one by one");
            }
            Err(error) => {
                eprintln!("corpus: {error:#}");
                return packages.to_vec();
            }
        }
    }
    let mut failed = Vec::new();
    for (number, &package) in packages.iter().enumerate() {
        let of = packages.len();
        eprintln!("corpus: {} [{}/{of}] {package}", kind.name, number + 1);
        if let Err(error) = install(&[package]) {
            eprintln!("corpus: {error:#}");
            failed.push(package);
        }
    }
    failed
}

/// Whether dpkg has it; false as well where there is no dpkg.
fn is_installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}", package])
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|output| output.stdout == b"installed")
}

fn answers(command: &mut Command) -> bool {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Runs a command with its output on the terminal.
fn call(command: &mut Command) -> Result<()> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    let line = words.join(" ");
    eprintln!("  $ {line}");
    let status = command.stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot run `{line}`"))?;
    ensure!(status.success(), "that failed ({status})");
    Ok(())
}

/// For a step whose failure shows in what follows.
fn note(result: Result<()>) {
    if let Err(error) = result {
        eprintln!("corpus: {error:#}");
    }
}

/// Each program's own preparation; not of those that are not installed.
fn prepare(place: &Place, programs: &[Program], failures: &mut Failures) -> Result<()> {
    let with: Vec<_> = programs
        .iter()
        .filter_map(|program| Some((program, program.prepare.as_deref()?)))
        .collect();
    for (number, (program, text)) in with.iter().enumerate() {
        let head = format!(
            "corpus: [{}/{}] prepare {}",
            number + 1,
            with.len(),
            program.name
        );
        if failures.0.contains_key(&program.name) {
            eprintln!("{head}: not installed");
            continue;
        }
        let begun = Instant::now();
        let output = place
            .command("sh")?
            .args(["-c", text])
            .stdin(Stdio::null())
            .output()?;
        let took = begun.elapsed().as_secs_f64();
        if output.status.success() {
            eprintln!("{head}: ok, {took:.1} s");
            continue;
        }
        eprintln!("{head}: failed ({}), {took:.1} s", output.status);
        for stream in [&output.stdout, &output.stderr] {
            let text = String::from_utf8_lossy(stream);
            let lines: Vec<_> = text.lines().collect();
            for line in &lines[lines.len().saturating_sub(SHOWN)..] {
                eprintln!("    {}", line.escape_debug());
            }
        }
        failures.add(
            program,
            format!("its preparation failed ({})", output.status),
        );
    }
    Ok(())
}

fn report(programs: usize, failures: &Failures) -> Result<()> {
    if failures.0.is_empty() {
        eprintln!("corpus: {programs} programs are ready");
        return Ok(());
    }
    for (name, what) in &failures.0 {
        eprintln!("corpus: {name}: {}", what.join("; "));
    }
    bail!(
        "{} of {programs} programs are not ready; the others are",
        failures.0.len()
    )
}
