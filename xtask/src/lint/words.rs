//! Words that the text for users does without.
//!
//! A process, a client, an operator is named or is "it": the sentence then says
//! what acts, and is understood at first reading. Checked are the documents,
//! what is deployed and packaged, and the string literals of the program; the
//! texts of `--help` and of metrics are in `docs/cli.md` and `docs/metrics.md`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::workspace::Workspace;

/// The words, in lower case.
const WORDS: [&str; 12] = [
    "whoever",
    "whomever",
    "whosever",
    "nobody",
    "anybody",
    "somebody",
    "everybody",
    "he",
    "his",
    "him",
    "himself",
    "witness",
];

/// Names that contain such a word and are part of a format: kinds of evidence.
const NAMES: [&str; 1] = ["witness:"];

/// Files and folders that are checked whole.
const TEXTS: [&str; 6] = [
    "README.md",
    "ARCHITECTURE.md",
    "docs",
    "deploy",
    "packaging/debian",
    "packaging/systemd",
];

/// Folders of sources whose string literals are checked.
const SOURCES: [&str; 2] = ["monitor", "packaging/src"];

/// What is neither text nor source.
const OTHER: [&str; 1] = ["png"];

/// Every use of such a word, as `path:line: word`.
pub(super) fn found(workspace: &Workspace) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for text in TEXTS {
        for file in files(&workspace.root.join(text))? {
            let content = read(&file)?;
            let content = if file.extension().is_some_and(|it| it == "md") {
                without_code(&content)
            } else {
                content
            };
            report(&mut all, workspace, &file, in_text(&content, 1));
        }
    }
    for folder in SOURCES {
        for file in files(&workspace.root.join(folder))? {
            let test = file.components().any(|part| part.as_os_str() == "tests")
                || file.file_name().is_some_and(|name| name == "tests.rs");
            if test || file.extension().is_none_or(|it| it != "rs") {
                continue;
            }
            for (line, literal) in literals(without_tests(&read(&file)?)) {
                report(&mut all, workspace, &file, in_text(&literal, line));
            }
        }
    }
    Ok(all)
}

fn report(all: &mut Vec<String>, workspace: &Workspace, file: &Path, hits: Vec<(usize, String)>) {
    let path = file.strip_prefix(&workspace.root).unwrap_or(file).display();
    all.extend(
        hits.into_iter()
            .map(|(line, word)| format!("{path}:{line}: {word}")),
    );
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// A file, or all files below a folder.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut all = Vec::new();
    let entries = fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    for entry in entries {
        let path = entry?.path();
        if !path
            .extension()
            .is_some_and(|it| OTHER.iter().any(|other| it == *other))
        {
            all.extend(files(&path)?);
        }
    }
    all.sort();
    Ok(all)
}

/// The words in `text`, whose first line has the number `first`.
fn in_text(text: &str, first: usize) -> Vec<(usize, String)> {
    let mut hits = Vec::new();
    for (number, line) in (first..).zip(text.lines()) {
        let line = NAMES
            .iter()
            .fold(line.to_lowercase(), |line, name| line.replace(name, ""));
        // A name in snake case, or with a dash, is one word.
        let within = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        let words = line.split(|c| !within(c));
        let bad = words.filter(|word| WORDS.contains(word));
        hits.extend(bad.map(|word| (number, word.to_owned())));
    }
    hits
}

/// Markdown without what stands between two backquotes: names, and values.
fn without_code(text: &str) -> String {
    let plain = |line: &str| line.split('`').step_by(2).collect::<String>();
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}

/// A source up to the tests at its end.
fn without_tests(source: &str) -> &str {
    source
        .split_once("\n#[cfg(test)]\nmod tests {")
        .map_or(source, |(before, _)| before)
}

/// String literals of a Rust source, with the number of the line that each
/// begins in. What escapes stand for does not matter: none is a letter.
fn literals(source: &str) -> Vec<(usize, String)> {
    let mut all = Vec::new();
    let mut rest = source;
    let mut line = 1;
    while let Some(c) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else if c == '\'' {
            character(rest)
        } else if let Some((open, close)) = raw(rest) {
            let end = rest[open..].find(&close).unwrap_or(rest.len() - open);
            all.push((line, rest[open..open + end].to_owned()));
            (open + end + close.len()).min(rest.len())
        } else if c == '"' {
            let end = closing(&rest[1..]);
            all.push((line, rest[1..=end].to_owned()));
            (end + 2).min(rest.len())
        } else if c.is_alphanumeric() || c == '_' {
            // A name as a whole, so that one that ends in r begins no literal.
            let within = |c: char| c.is_alphanumeric() || c == '_';
            rest.find(|c| !within(c)).unwrap_or(rest.len())
        } else {
            c.len_utf8()
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    all
}

/// Length of the character literal, or of the mark of a lifetime, in front.
fn character(rest: &str) -> usize {
    let mut inner = rest.char_indices().skip(1);
    match inner.next() {
        Some((_, '\\')) => rest[3..].find('\'').map_or(rest.len(), |at| at + 4),
        Some(_) => match inner.next() {
            Some((at, '\'')) => at + 1,
            _ => 1,
        },
        None => 1,
    }
}

/// Of a raw literal in front: where its text begins, and what ends it.
fn raw(rest: &str) -> Option<(usize, String)> {
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then(|| {
        let open = rest.len() - after.len() + hashes + 1;
        (open, format!("\"{}", "#".repeat(hashes)))
    })
}

/// Where the quote is that ends the literal whose text `rest` begins with.
fn closing(rest: &str) -> usize {
    let mut escaped = false;
    rest.find(|c| {
        let end = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        end
    })
    .unwrap_or(rest.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        in_text(text, 1).into_iter().map(|it| it.1).collect()
    }

    #[test]
    fn whole_words_are_found_and_parts_are_not() {
        assert_eq!(words("Nobody knows\nhis pid."), ["nobody", "his"]);
        assert!(words("the history of this, hers, when nobody_else runs").is_empty());
        assert!(words("\"kind\":\"witness:prior\"").is_empty());
        assert_eq!(words("a witness"), ["witness"]);
    }

    #[test]
    fn lines_are_counted_from_the_first() {
        assert_eq!(in_text("a\nb he", 7), [(8, "he".to_owned())]);
    }

    #[test]
    fn names_between_backquotes_are_left_out() {
        assert!(words(&without_code("run as `nobody`; `he`")).is_empty());
        assert_eq!(words(&without_code("`a` he `b`")), ["he"]);
    }

    #[test]
    fn literals_are_told_from_code_and_comments() {
        let source = "// \"no\"\nlet a = \"x \\\" y\";\nlet q = '\"'; let l: &'a str = r#\"raw \" z\"#;\n\
                      /* \"no\" */ f('\\'', b\"bytes\", bar(\"\"));";
        let found = literals(source);
        let texts: Vec<_> = found.iter().map(|it| it.1.as_str()).collect();
        assert_eq!(texts, ["x \\\" y", "raw \" z", "bytes", ""]);
        let lines: Vec<_> = found.iter().map(|it| it.0).collect();
        assert_eq!(lines, [2, 3, 4, 4]);
    }

    #[test]
    fn tests_at_the_end_are_left_out() {
        let source = "a\n#[cfg(test)]\nmod tests {\n\"he\"";
        assert_eq!(without_tests(source), "a");
    }

    /// The lint itself, on this repository.
    #[test]
    fn the_repository_is_clean() {
        let found = found(&Workspace::find().unwrap()).unwrap();
        assert!(found.is_empty(), "{found:#?}");
    }
}
