//! `docs/cli.md`: every subcommand and flag, from clap's definition.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command, CommandFactory as _};
use monitor::commands::cli::Cli;

const HEAD: &str = "\
# Command line

<!-- Generated from the command line's definition: `UPDATE_DOCS=1 cargo test -p packaging` rewrites it; a test compares. -->

The same text as `unjack SUBCOMMAND --help` and the man pages, `unjack-run(1)` and so on. What to set for which kind of
host is in [policy.md](policy.md).

";

/// The page's text.
pub(crate) fn page() -> String {
    let mut command = Cli::command();
    // Global flags are known to the subcommands from here on.
    command.build();
    let mut text = HEAD.to_owned();
    contents(&mut text, &command);
    section(&mut text, &command, "unjack");
    text
}

/// Subcommands that are documented: not clap's own `help`.
fn subcommands(command: &Command) -> impl Iterator<Item = &Command> {
    let shown = |it: &&Command| it.get_name() != "help" && !it.is_hide_set();
    command.get_subcommands().filter(shown)
}

/// A table of the subcommands, each a link.
fn contents(text: &mut String, command: &Command) {
    text.push_str("| subcommand | what it does |\n|---|---|\n");
    for sub in subcommands(command) {
        let name = sub.get_name();
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| [`unjack {name}`](#unjack-{name}) | {} |",
            escaped(&about)
        );
    }
}

/// A command, its flags, and its subcommands after it.
fn section(text: &mut String, command: &Command, name: &str) {
    let _ = writeln!(text, "\n## {name}\n");
    let about = command.get_long_about().or_else(|| command.get_about());
    prose(
        text,
        &about.map(ToString::to_string).unwrap_or_default(),
        "",
    );
    let usage = command.clone().render_usage().to_string();
    let _ = writeln!(text, "\n    {}", usage.trim_start_matches("Usage: "));

    let shown = |arg: &&Arg| {
        let own = !matches!(arg.get_id().as_str(), "help" | "version");
        own && !arg.is_hide_set()
    };
    let args: Vec<_> = command.get_arguments().filter(shown).collect();
    // As `--help` has them: those of one heading together.
    let mut headings = vec![None];
    for heading in args.iter().map(|arg| arg.get_help_heading()) {
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    for heading in headings {
        if let Some(heading) = heading {
            let _ = writeln!(text, "\n### {name}: {heading}");
        }
        for arg in args.iter().filter(|arg| arg.get_help_heading() == heading) {
            argument(text, arg);
        }
    }
    if let Some(after) = command.get_after_long_help() {
        text.push('\n');
        prose(text, &after.to_string(), "");
    }
    for sub in subcommands(command) {
        section(text, sub, &format!("{name} {}", sub.get_name()));
    }
}

/// A flag or a positional argument, as an item of a list.
fn argument(text: &mut String, arg: &Arg) {
    let switch = !arg.get_action().takes_values();
    let values: Vec<_> = arg
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect();
    let shown = match arg.get_long() {
        Some(long) if switch => format!("--{long}"),
        Some(long) => format!("--{long} {}", values.join(" ")),
        None => values.join(" "),
    };
    let mut facts = Vec::new();
    let defaults: Vec<_> = arg
        .get_default_values()
        .iter()
        .map(|it| it.to_string_lossy())
        .collect();
    if !defaults.is_empty() && !switch {
        facts.push(format!("default `{}`", defaults.join(",")));
    }
    if let Some(env) = arg.get_env() {
        facts.push(format!("`{}`", env.to_string_lossy()));
    }
    let facts = if facts.is_empty() {
        String::new()
    } else {
        format!(" ({})", facts.join(", "))
    };
    let _ = writeln!(text, "\n- **`{shown}`**{facts}\n");
    let help = arg.get_long_help().or_else(|| arg.get_help());
    prose(
        text,
        &help.map(ToString::to_string).unwrap_or_default(),
        "  ",
    );
    if switch || matches!(arg.get_action(), ArgAction::Help) {
        return;
    }
    let values = arg.get_possible_values();
    let mut first = true;
    for value in values.iter().filter(|value| !value.is_hide_set()) {
        if std::mem::take(&mut first) {
            text.push('\n');
        }
        let help = value.get_help().map(|help| format!(": {help}"));
        let help = escaped(&help.unwrap_or_default());
        let _ = writeln!(text, "  - `{}`{help}", value.get_name());
    }
}

/// Help as Markdown below `indent`: paragraphs stay, and lines that the help
/// indents are a block of code.
fn prose(text: &mut String, help: &str, indent: &str) {
    let mut code = false;
    let mut blank = true;
    for line in help.trim_end().lines() {
        let indented = line.starts_with("  ");
        if line.is_empty() {
            text.push('\n');
            blank = true;
            continue;
        }
        if indented != code && !blank {
            text.push('\n');
        }
        (code, blank) = (indented, false);
        let _ = if code {
            writeln!(text, "{indent}    {line}")
        } else {
            writeln!(text, "{indent}{}", escaped(line))
        };
    }
}

/// `text` with what Markdown would read as its own marks outside of code escaped.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut code = false;
    for c in text.chars() {
        match c {
            '`' => code = !code,
            '*' | '<' if !code => out.push('\\'),
            _ => {}
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_docs_is_the_command_lines() {
        crate::tests::kept("cli.md", &page());
    }

    #[test]
    fn marks_are_escaped_outside_of_code() {
        assert_eq!(escaped("* and `**` and <A>"), r"\* and `**` and \<A>");
    }

    #[test]
    fn indented_help_is_a_block_of_code() {
        let mut text = String::new();
        prose(&mut text, "Keys:\n  exe=*  a path\nEnd.", "");
        assert_eq!(text, "Keys:\n\n      exe=*  a path\n\nEnd.\n");
    }

    #[test]
    fn every_flag_of_every_subcommand_is_there() {
        let text = page();
        let command = Cli::command();
        for sub in subcommands(&command) {
            assert!(text.contains(&format!("\n## unjack {}\n", sub.get_name())));
            for flag in sub.get_arguments().filter(|arg| !arg.is_hide_set()) {
                let Some(long) = flag.get_long() else {
                    continue;
                };
                assert!(text.contains(&format!("**`--{long}")), "--{long}");
            }
        }
    }
}
