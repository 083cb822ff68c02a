//! The pages for people: links lead somewhere, and what they tell people to
//! type is accepted by the command line.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, Parser as _};
use monitor::commands::cli::{Cli, Command};
use monitor::policy::config::Config;

/// Flags of other programs that the pages mention, with whose they are.
const OTHERS: [(&str, &str); 24] = [
    ("arch", "cargo xtask vm"),
    ("adjust-vma", "objdump"),
    ("bin", "cargo"),
    ("cap-add", "podman"),
    ("cgroupns", "podman"),
    ("check", "cargo xtask dist"),
    ("create-namespace", "helm"),
    ("fast", "cargo xtask test"),
    ("from-file", "kubectl"),
    ("grep", "journalctl"),
    ("image", "cargo xtask dist"),
    ("namespace", "helm"),
    ("no-block", "systemctl"),
    ("now", "systemctl"),
    ("pid", "podman"),
    ("privileged", "podman"),
    ("read-only", "podman"),
    ("release", "cargo"),
    ("rm", "podman"),
    ("set", "helm"),
    ("strip-components", "tar"),
    ("suite", "cargo xtask test"),
    ("title", "the workload of the tests"),
    ("verify", "dpkg"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every page, with its path.
fn pages() -> Vec<(PathBuf, String)> {
    let docs = fs::read_dir(root().join("docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap().path());
    let pages: Vec<_> = docs
        .filter(|path| path.extension().is_some_and(|it| it == "md"))
        .chain([root().join("README.md"), root().join("ARCHITECTURE.md")])
        .chain([root().join("deploy/helm/unjack/README.md")])
        .map(|path| (path.clone(), fs::read_to_string(&path).unwrap()))
        .collect();
    assert!(pages.len() >= 10, "{} pages", pages.len());
    pages
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// The README sells and starts; what it would specify belongs in `docs`.
const README_LINES: usize = 150;

#[test]
fn the_readme_is_short_and_has_the_test_command() {
    let text = page("README.md");
    let lines = text.lines().count();
    assert!(lines <= README_LINES, "{lines} lines");
    assert!(text.contains("\n    cargo xtask test\n"));
}

/// Every page is in the table of contents.
#[test]
fn every_page_is_listed() {
    let contents = page("docs/README.md");
    for (path, _) in pages() {
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.starts_with(root().join("docs")) && name != "README.md" {
            assert!(contents.contains(&format!("]({name}")), "{name}");
        }
    }
}

/// What heads a section, as a link to it names it.
fn anchors(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.collect::<String>().replace(' ', "-")
        })
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut found = 0;
    for (path, text) in pages() {
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let to = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            assert!(to.exists(), "{}: {link}", path.display());
            if !anchor.is_empty() {
                let there = anchors(&fs::read_to_string(&to).unwrap());
                assert!(there.contains(anchor), "{}: {link}", path.display());
            }
            found += 1;
        }
    }
    assert!(found >= 20, "only {found} links");
}

/// A line of capitals alone stands for a text that was to be pasted.
#[test]
fn no_placeholder_is_left() {
    for (path, text) in pages() {
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            let shouted = line.len() > 1
                && line
                    .chars()
                    .all(|c| c.is_ascii_uppercase() || " _-".contains(c))
                && line.starts_with(|c: char| c.is_ascii_uppercase());
            assert!(!shouted, "{}:{number}: {line}", path.display());
        }
    }
}

/// Flags of any subcommand, and of unjack itself.
fn flags() -> BTreeSet<String> {
    fn of(command: &clap::Command, all: &mut BTreeSet<String>) {
        all.extend(
            command
                .get_arguments()
                .filter_map(|arg| Some(arg.get_long()?.to_owned())),
        );
        for sub in command.get_subcommands() {
            of(sub, all);
        }
    }
    let mut all = BTreeSet::from(["help".to_owned(), "version".to_owned()]);
    of(&Cli::command(), &mut all);
    all
}

/// Words of a text that begin with two dashes.
fn dashed(text: &str) -> impl Iterator<Item = &str> {
    let in_flag = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    text.split(move |c| !in_flag(c))
        .filter_map(|word| word.strip_prefix("--"))
        .map(|word| word.trim_end_matches(['.', '-']))
        .filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()))
}

#[test]
fn every_flag_exists() {
    let known = flags();
    let mut others: BTreeSet<&str> = OTHERS.iter().map(|(flag, _)| *flag).collect();
    let allowed = others.clone();
    for (path, text) in pages() {
        for flag in dashed(&text) {
            others.remove(flag);
            assert!(
                known.contains(flag) || allowed.contains(flag),
                "{}: there is no --{flag}; if another program has it, say so in OTHERS",
                path.display()
            );
        }
    }
    assert!(others.is_empty(), "no page mentions {others:?} any more");
}

#[test]
fn every_variable_exists() {
    fn of(command: &clap::Command, all: &mut BTreeSet<String>) {
        let envs = command.get_arguments().filter_map(|arg| arg.get_env());
        all.extend(envs.map(|name| name.to_str().unwrap().to_owned()));
        for sub in command.get_subcommands() {
            of(sub, all);
        }
    }
    let mut known = BTreeSet::new();
    of(&Cli::command(), &mut known);
    // Those of the hook, as its help names them.
    let help = Cli::command()
        .find_subcommand_mut("run")
        .unwrap()
        .render_long_help();
    let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
    let names = |text: &str| -> BTreeSet<String> {
        text.split(|c| !is_name(c))
            .filter(|word| word.starts_with("UNJACK_") && word.len() > 7)
            .map(str::to_owned)
            .collect()
    };
    known.extend(names(&help.to_string()));
    for (path, text) in pages() {
        for name in names(&text) {
            // Of the tests' own.
            let fits = known.contains(&name) || name.starts_with("UNJACK_TEST_");
            assert!(fits, "{}: there is no {name}", path.display());
        }
    }
}

/// A line as a shell splits it: blanks, quotes, a comment.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote) = (String::new(), None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '#') if word.is_empty() => break,
            (None, ' ') => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (_, c) => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn accept(arguments: &[String], line: &str) {
    let cli = Cli::try_parse_from(arguments).unwrap_or_else(|error| panic!("{line}: {error}"));
    if let Command::Run(run) = cli.command {
        let passwd = "root:x:0:0::/root:/bin/sh\nhpcbench:x:1007:1007::/:/bin/sh\n";
        Config::from_cli(&run, passwd).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

/// Lines of code that begin with `unjack`, and settings, block by block.
#[test]
fn commands_and_settings_are_accepted() {
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    let flag = |name: &str| {
        run.get_arguments()
            .find(|arg| arg.get_env().is_some_and(|env| env == name))
            .unwrap_or_else(|| panic!("there is no {name}"))
    };
    let (mut commands, mut settings) = (0, 0);
    for name in [
        "README.md",
        "docs/actions.md",
        "docs/bans.md",
        "docs/tools.md",
        "docs/policy.md",
        "docs/evidence.md",
        "docs/troubleshooting.md",
    ] {
        let text = page(name);
        // A block's settings hold together, so they are tried together.
        for block in text.split("\n\n").filter(|block| block.starts_with("    ")) {
            let mut all = vec!["unjack".to_owned(), "run".to_owned()];
            for line in block.lines().map(str::trim) {
                let line = line.strip_prefix("sudo ").unwrap_or(line);
                // The last line of a self-test has the version there.
                let subcommand = line.strip_prefix("unjack ");
                if subcommand.is_some_and(|it| it.starts_with(char::is_alphabetic)) {
                    accept(&words(line), line);
                    commands += 1;
                } else if let Some((name, value)) =
                    line.split_once('=').filter(|_| line.starts_with("UNJACK_"))
                {
                    let arg = flag(name);
                    let long = arg.get_long().unwrap();
                    // A flag without a value is on or off.
                    if arg.get_action().takes_values() {
                        all.push(format!("--{long}={value}"));
                    } else {
                        assert_eq!(value, "true", "{line}");
                        all.push(format!("--{long}"));
                    }
                    settings += 1;
                }
            }
            accept(&all, block);
        }
    }
    assert!(commands >= 20, "only {commands} commands");
    assert!(settings >= 30, "only {settings} settings");
}

/// `suite::test` in the page about evasions is a test of that suite.
#[test]
fn every_test_that_is_named_exists() {
    let text = page("docs/evasion.md");
    let mut found = 0;
    for name in text.split('`').skip(1).step_by(2) {
        let Some((suite, case)) = name.split_once("::").filter(|_| name != "suite::test") else {
            continue;
        };
        let tests = root().join("tests/tests");
        let file = tests.join(format!("{suite}.rs"));
        let files = if file.exists() {
            vec![file]
        } else {
            let folder = fs::read_dir(tests.join(suite)).unwrap_or_else(|_| panic!("{name}"));
            folder.map(|entry| entry.unwrap().path()).collect()
        };
        let has = |path: &PathBuf| {
            let source = fs::read_to_string(path).unwrap();
            source.contains(&format!("#[test]\nfn {case}()"))
        };
        assert!(files.iter().any(has), "there is no test {name}");
        found += 1;
    }
    assert!(found >= 25, "only {found} tests named");
}

/// Every reason for which nothing is done is explained, by its name.
#[test]
fn every_refusal_is_explained() {
    let text = page("docs/troubleshooting.md");
    for refusal in monitor::policy::refusal::Refusal::ALL {
        let row = format!("| `{}` |", refusal.name());
        assert!(text.contains(&row), "{}", refusal.name());
    }
}

/// Lines of code in the page about symptoms that are the program's own words are
/// still in its source.
#[test]
fn messages_that_are_looked_up_are_still_said() {
    fn sources(folder: &Path, all: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, all);
            } else if path.extension().is_some_and(|it| it == "rs") {
                // A text goes on after a backslash at the end of a line.
                let text = fs::read_to_string(path).unwrap();
                for part in text.split("\\\n") {
                    all.push_str(part.trim_start());
                }
            }
        }
    }
    let mut source = String::new();
    for folder in ["monitor/core/src", "monitor/src"] {
        sources(&root().join(folder), &mut source);
    }
    let text = page("docs/troubleshooting.md");
    let mut found = 0;
    for line in text.lines().filter(|line| line.starts_with("### `")) {
        // What stands for a value is `…` on the page.
        for part in line["### ".len()..].trim_matches('`').split('…') {
            let part = part.trim_matches(|c: char| c.is_whitespace() || c == '`' || c == ':');
            assert!(source.contains(part), "nothing says {part:?} any more");
        }
        found += 1;
    }
    assert!(found >= 15, "only {found} messages");
}
