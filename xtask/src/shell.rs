//! Running other programs: visibly, with their output as it comes, and as root
//! only where a task says so.

use std::env;
use std::ffi::OsStr;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

/// Where root's programs are, which the PATH of a Debian user lacks.
pub(crate) const SYSTEM_DIRS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// How this process can get root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Privilege {
    /// It is root.
    Root,
    /// Through sudo, which may ask for a password on the terminal.
    Sudo,
    /// Not at all.
    None,
}

impl Privilege {
    /// Finds out, without asking for a password.
    pub(crate) fn detect() -> Self {
        if output(command("id").arg("-u")).as_deref() == Some("0") {
            return Self::Root;
        }
        let silent = || output(command("sudo").args(["-n", "true"])).is_some();
        let can_ask = || std::io::stdin().is_terminal();
        if on_path("sudo").is_some() && (silent() || can_ask()) {
            Self::Sudo
        } else {
            Self::None
        }
    }

    /// What to put before a program's name so that it runs as root.
    pub(crate) fn prefix(self) -> Result<&'static [&'static str]> {
        match self {
            Self::Root => Ok(&[]),
            Self::Sudo => Ok(&["sudo"]),
            Self::None => bail!(
                "this needs root, and there is neither root nor a usable sudo; \
                 run it again as root, or as a user who may use sudo"
            ),
        }
    }

    /// A command that runs `program` as root with `variables` in its
    /// environment; they are handed over by name, because sudo's own ways of
    /// keeping an environment are often forbidden.
    pub(crate) fn elevate(self, program: &Path, variables: &[(String, String)]) -> Result<Command> {
        let mut elevated = command("env");
        if let [sudo, rest @ ..] = self.prefix()? {
            elevated = command(sudo);
            elevated.args(rest).arg("env");
        }
        elevated.args(
            variables
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        );
        elevated.arg(program);
        Ok(elevated)
    }
}

/// This process's variables that a program run as root should see as well.
pub(crate) fn inherited_variables() -> Vec<(String, String)> {
    env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("UNJACK_") || name == "RUST_BACKTRACE")
        .collect()
}

/// A command without the library path that `cargo run` sets for this program:
/// it would lead other programs to the libraries of the wrong compiler.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_remove("LD_LIBRARY_PATH");
    command
}

/// Runs a command with its output on this terminal, and says how long it took.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = render(command);
    eprintln!("  $ {line}");
    let started = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status}); its own messages are above");
    }
    eprintln!("  done in {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// The trimmed standard output of a command that succeeds; `None` if it does
/// not, or cannot be started. What it says about that is dropped.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| text.trim().to_owned())
}

/// The command as a line for a shell, with the variables it adds in front.
pub(crate) fn render(command: &Command) -> String {
    let quoted = |word: &OsStr| {
        let word = word.to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+^@%".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word.into_owned()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_string_lossy(), quoted(value?))));
    let words = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(quoted);
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

/// The program's path, if it can be found.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(SYSTEM_DIRS.map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rendered_command_can_be_pasted_into_a_shell() {
        let mut command = command("env");
        command
            .env("LLVM_PREFIX", "/usr/lib/llvm-22")
            .args(["--version", "^0.13", "it's", ""]);
        assert_eq!(
            render(&command),
            r"LLVM_PREFIX=/usr/lib/llvm-22 env --version ^0.13 'it'\''s' ''"
        );
    }

    #[test]
    fn without_root_the_error_says_how_to_get_it() {
        let error = Privilege::None
            .elevate(Path::new("/bin/true"), &[])
            .unwrap_err();
        assert!(error.to_string().contains("sudo"), "{error}");
    }

    #[test]
    fn sudo_gets_the_variables_as_arguments() {
        let variables = [("UNJACK_ACTION".to_owned(), "kill".to_owned())];
        let command = Privilege::Sudo
            .elevate(Path::new("/x/unjack"), &variables)
            .unwrap();
        assert_eq!(render(&command), "sudo env UNJACK_ACTION=kill /x/unjack");
    }
}
