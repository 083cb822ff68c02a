//! `manuals DIR`: writes what can be made from unjack's command line.
//!
//! Man pages, completions for bash, zsh and fish, and `/etc/default/unjack`; and
//! the references of flags and of metrics, which are kept in `docs`.
//! A program of its own, so that the daemon does not carry the generators, and
//! so that none of this can say anything else than `unjack --help`.

mod cli;
mod defaults;
mod metrics;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{CommandFactory as _, Parser};
use clap_complete::{Shell, generate_to};
use monitor::commands::cli::Cli;

const SHELLS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash"),
    (Shell::Zsh, "zsh"),
    (Shell::Fish, "fish"),
];

/// Write unjack's man pages, completions and its file of settings.
#[derive(Parser)]
struct Args {
    /// Directory to write to: man/, completions/, default/ and docs/ in it.
    dir: PathBuf,
}

fn main() -> Result<()> {
    let dir = Args::parse().dir;
    write(&dir).with_context(|| format!("cannot write to {}", dir.display()))
}

fn write(dir: &Path) -> Result<()> {
    let make = |name: &str| {
        let sub = dir.join(name);
        fs::create_dir_all(&sub).map(|()| sub)
    };
    let man = make("man")?;
    // The subcommand `help` would get pages that say nothing.
    clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), man)?;
    for (shell, name) in SHELLS {
        generate_to(
            shell,
            &mut Cli::command(),
            "unjack",
            make(&format!("completions/{name}"))?,
        )?;
    }
    fs::write(make("default")?.join("unjack"), defaults::file())?;
    fs::write(make("docs")?.join("metrics.md"), metrics::page()?)?;
    fs::write(make("docs")?.join("cli.md"), cli::page())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if `docs/NAME` is not `text`; writes it first if `UPDATE_DOCS` is set.
    pub(crate) fn kept(name: &str, text: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../docs")
            .join(name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, text).unwrap();
        }
        assert!(
            fs::read_to_string(&path).is_ok_and(|kept| kept == text),
            "docs/{name} is stale: `UPDATE_DOCS=1 cargo test -p packaging` rewrites it"
        );
    }

    #[test]
    fn every_subcommand_has_a_page_and_every_shell_a_completion_of_every_flag() {
        let dir = std::env::temp_dir().join(format!("unjack-manuals-{}", std::process::id()));
        write(&dir).unwrap();
        let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
        let command = Cli::command();
        for sub in command.get_subcommands() {
            let page = read(&format!("man/unjack-{}.1", sub.get_name()));
            for flag in sub.get_arguments().filter_map(|arg| arg.get_long()) {
                // roff writes a dash as \-.
                let roff = flag.replace('-', r"\-");
                assert!(page.contains(&roff), "{} has no --{flag}", sub.get_name());
                for (file, text) in [
                    ("bash/unjack.bash", format!("--{flag}")),
                    ("zsh/_unjack", format!("--{flag}")),
                    ("fish/unjack.fish", format!("-l {flag}")),
                ] {
                    let completion = read(&format!("completions/{file}"));
                    assert!(completion.contains(&text), "{file} has no --{flag}");
                }
            }
        }
        assert!(read("man/unjack.1").contains("Exit status"));
        fs::remove_dir_all(dir).unwrap();
    }
}
