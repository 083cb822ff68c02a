//! `/etc/default/unjack`: every setting of `unjack run`, commented out.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, CommandFactory as _};
use monitor::commands::cli::Cli;

/// Columns of a comment, its mark included.
const WIDTH: usize = 79;

const HEAD: &str = "\
Settings of unjack.service. Each is a flag of `unjack run`, which \
unjack-run(1) explains; what stands here is what holds without it. Take the # \
away to change one, then: systemctl restart unjack. Without any, unjack \
observes and changes nothing. UNJACK_ALLOW, UNJACK_DENY and \
UNJACK_WEB_LISTEN_ADDRESS take several values, joined by commas; any other that \
is called repeatable takes one here.";

const SANDBOX: &str = "\
The service may write to /run/unjack, /var/lib/unjack, /sys/fs/cgroup and \
/sys/fs/bpf only, \
and what it starts has no more rights than it. For other folders, `systemctl \
edit unjack` and add ReadWritePaths= to [Service].";

/// The file's text.
pub(crate) fn file() -> String {
    let mut text = String::new();
    comment(&mut text, HEAD);
    text.push_str("#\n");
    comment(&mut text, SANDBOX);
    let command = Cli::command();
    let run = command.find_subcommand("run");
    for arg in run.into_iter().flat_map(clap::Command::get_arguments) {
        setting(&mut text, arg);
    }
    text
}

/// One setting; nothing for a flag that cannot be one, such as `--help`.
fn setting(text: &mut String, arg: &Arg) {
    let Some(name) = arg.get_env().and_then(|name| name.to_str()) else {
        return;
    };
    text.push('\n');
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    comment(text, help.trim());
    let values: Vec<String> = arg
        .get_possible_values()
        .iter()
        .map(|value| value.get_name().to_owned())
        .collect();
    let switch = matches!(arg.get_action(), ArgAction::SetTrue);
    if !values.is_empty() && !switch {
        comment(text, &format!("One of: {}.", values.join(", ")));
    }
    // Writing to a String cannot fail.
    let _ = writeln!(text, "#{name}={}", value(arg, switch));
}

/// What holds without the setting, or what it may look like.
fn value(arg: &Arg, switch: bool) -> String {
    if switch {
        return "false".to_owned();
    }
    if let Some(default) = arg.get_default_values().first() {
        return default.to_string_lossy().into_owned();
    }
    match arg.get_id().as_str() {
        // Where the service may write, and no other user may look.
        "evidence_dir" => "/var/lib/unjack/evidence".to_owned(),
        _ => String::new(),
    }
}

/// `words` as lines of a comment.
fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            "#".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use monitor::commands::cli::Command;

    use super::*;

    #[test]
    fn every_setting_is_there_and_none_is_in_force() {
        let text = file();
        let command = Cli::command();
        let run = command.find_subcommand("run").unwrap();
        for name in run.get_arguments().filter_map(Arg::get_env) {
            let line = format!("\n#{}=", name.to_str().unwrap());
            assert!(text.contains(&line), "{line}");
        }
        for line in text.lines() {
            assert!(line.is_empty() || line.starts_with('#'), "{line}");
            assert!(line.len() <= WIDTH, "{line}");
        }
    }

    /// The values that stand there are accepted, and are the defaults.
    #[test]
    fn what_stands_there_is_what_holds_without_it() {
        let mut flags = vec!["unjack".to_owned(), "run".to_owned()];
        for line in file().lines() {
            let Some((name, value)) = line
                .strip_prefix("#UNJACK_")
                .and_then(|line| line.split_once('='))
            else {
                continue;
            };
            if value.is_empty() || value == "false" || name == "EVIDENCE_DIR" {
                continue;
            }
            let command = Cli::command();
            let run = command.find_subcommand("run").unwrap();
            let env = format!("UNJACK_{name}");
            let arg = run
                .get_arguments()
                .find(|arg| arg.get_env().is_some_and(|name| *name == *env));
            flags.push(format!("--{}={value}", arg.unwrap().get_long().unwrap()));
        }
        assert!(flags.len() > 10, "{flags:?}");
        let parse = |flags: &[String]| match Cli::parse_from(flags).command {
            Command::Run(args) => format!("{args:?}"),
            other => panic!("parsed as {other:?}"),
        };
        assert_eq!(parse(&flags), parse(&flags[..2]));
    }
}
