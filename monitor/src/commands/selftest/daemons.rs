//! The `unjack run` there are on this host, and which of them kill: one may find
//! the loop first.

use std::{os::unix::ffi::OsStrExt, path::Path};

use crate::host::{self, ProcHandle};

/// The variable that `--action` is also read from.
const VARIABLE: &str = "UNJACK_ACTION";

/// An `unjack run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Daemon {
    pub(super) pid: u32,
    /// Whether it was told to kill.
    pub(super) kills: bool,
}

/// All there are.
pub(super) fn all() -> Vec<Daemon> {
    let living = host::living().into_iter();
    living.filter_map(|member| look(member.pid)).collect()
}

fn look(pid: u32) -> Option<Daemon> {
    let seen = ProcHandle::open_pid(pid).ok()?;
    if !is_unjack(&seen.exe().ok()?) {
        return None;
    }
    let arguments = seen.arguments().ok()?.kept;
    (arguments.get(1)? == "run").then(|| Daemon {
        pid,
        kills: kills(&arguments[2..], seen.variable(VARIABLE).as_deref()),
    })
}

/// Whether a process's link to its image reads as that of unjack, which may have
/// been upgraded since it was started.
fn is_unjack(exe: &Path) -> bool {
    let name = exe.file_name().map(OsStrExt::as_bytes);
    name.is_some_and(|name| name.strip_suffix(b" (deleted)").unwrap_or(name) == b"unjack")
}

/// Whether an `unjack run` with these arguments kills. What the flag says goes
/// before what the variable says.
fn kills(arguments: &[String], variable: Option<&str>) -> bool {
    let flag = (arguments.iter().enumerate()).find_map(|(index, argument)| {
        match argument.strip_prefix("--action")? {
            "" => arguments.get(index + 1).map(String::as_str),
            value => value.strip_prefix('='),
        }
    });
    flag.or(variable) == Some("kill")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_was_upgraded_since_is_known() {
        for (exe, expected) in [
            ("/usr/bin/unjack", true),
            ("/usr/bin/unjack (deleted)", true),
            ("/usr/bin/unjack (deleted) (deleted)", false),
            ("/tmp/unjackd", false),
            ("/memfd:unjack-selftest (deleted)", false),
            ("/", false),
        ] {
            assert_eq!(is_unjack(Path::new(exe)), expected, "{exe}");
        }
    }

    #[test]
    fn one_kills_if_it_was_told_to() {
        let check = |arguments: &str, variable, expected| {
            let words: Vec<_> = arguments.split(' ').map(str::to_owned).collect();
            assert_eq!(
                kills(&words, variable),
                expected,
                "{arguments} {variable:?}"
            );
        };
        check("", None, false);
        check("--window 2s", Some("kill"), true);
        check("--window 2s", Some("observe"), false);
        check("--action kill", None, true);
        check("--window 2s --action=kill --ban 1h", None, true);
        check("--action", None, false);
        // The flag wins.
        check("--action observe", Some("kill"), false);
        check("--action=throttle", Some("kill"), false);
        check("--action kill", Some("observe"), true);
        // Another flag's value, and another flag.
        check("--on-verdict kill", None, false);
        check("--actions=kill", None, false);
    }
}
