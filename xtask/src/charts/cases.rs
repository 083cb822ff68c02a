//! The sets of values in the chart's folder `ci`: those that render, and those that are
//! refused.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use serde_yaml_ng::{Mapping, Value};

use super::values;
use crate::workspace::Workspace;

/// Begins the first line of values that are refused; a part of the message follows.
const REFUSED: &str = "# refused: ";

/// Begins the names of cases that are examples of the document.
pub(super) const DOCUMENTED: &str = "documented-";
/// The document with examples of values.
const DOCUMENT: &str = "docs/kubernetes.md";

/// The chart's folder.
pub(super) fn chart(workspace: &Workspace) -> PathBuf {
    workspace.root.join("deploy/helm/unjack")
}

/// Values that render.
pub(super) struct Case {
    pub(super) name: String,
    /// `None` for the chart's own values.
    pub(super) file: Option<PathBuf>,
}

impl Case {
    /// The chart's own values, and each `ci/NAME-values.yaml`.
    pub(super) fn all(workspace: &Workspace) -> Result<Vec<Self>> {
        let mut cases = vec![Self {
            name: "default".to_owned(),
            file: None,
        }];
        for file in yaml_files(&chart(workspace).join("ci"))? {
            let stem = stem(&file);
            let name = stem
                .strip_suffix("-values")
                .with_context(|| format!("{}: it is to end in -values.yaml", file.display()))?;
            cases.push(Self {
                name: name.to_owned(),
                file: Some(file),
            });
        }
        ensure!(cases.len() > 1, "no values in the chart's ci folder");
        Ok(cases)
    }

    /// The examples of values in the documents, written to `folder` as files.
    pub(super) fn documented(workspace: &Workspace, folder: &Path) -> Result<Vec<Self>> {
        let known = values::of_chart(workspace)?;
        let text = fs::read_to_string(workspace.root.join(DOCUMENT))?;
        fs::create_dir_all(folder)?;
        let mut cases = Vec::new();
        for example in examples(&text, &known) {
            let name = format!("{DOCUMENTED}{}", cases.len() + 1);
            let file = folder.join(format!("{name}.yaml"));
            fs::write(&file, example)?;
            cases.push(Self {
                name,
                file: Some(file),
            });
        }
        ensure!(!cases.is_empty(), "no example of values in {DOCUMENT}");
        Ok(cases)
    }
}

/// The indented blocks of a document that are values: maps whose keys the chart has.
fn examples(document: &str, known: &Value) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in document.lines() {
        match (line.strip_prefix("    "), blocks.last_mut()) {
            (Some(code), Some(block)) => {
                block.push_str(code);
                block.push('\n');
            }
            _ => blocks.push(String::new()),
        }
    }
    blocks.retain(|block| {
        let parsed = serde_yaml_ng::from_str::<Mapping>(block);
        parsed.is_ok_and(|map| !map.is_empty() && map.keys().all(|key| known.get(key).is_some()))
    });
    blocks
}

/// Values that must not render.
pub(super) struct Refusal {
    pub(super) name: String,
    pub(super) file: PathBuf,
    /// A part of the message.
    pub(super) because: String,
}

impl Refusal {
    /// Each `ci/refused/NAME.yaml`.
    pub(super) fn all(workspace: &Workspace) -> Result<Vec<Self>> {
        let mut refusals = Vec::new();
        for file in yaml_files(&chart(workspace).join("ci/refused"))? {
            let text = fs::read_to_string(&file)?;
            let because = text
                .lines()
                .next()
                .and_then(|line| line.strip_prefix(REFUSED))
                .with_context(|| format!("{}: no line `{REFUSED}…`", file.display()))?;
            refusals.push(Self {
                name: stem(&file),
                because: because.to_owned(),
                file,
            });
        }
        ensure!(!refusals.is_empty(), "no values in ci/refused");
        Ok(refusals)
    }
}

fn stem(file: &Path) -> String {
    file.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The YAML files of a folder, in order.
fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_values_are_told_from_commands() {
        let known = serde_yaml_ng::from_str("{a: {b: 1}, c: []}").unwrap();
        let text = "Run:\n\n    helm install\n\nSet:\n\n    a:\n      b: 2\n    c: [1]\n\nNot:\n\n    d: 1\n";
        assert_eq!(examples(text, &known), ["a:\n  b: 2\nc: [1]\n"]);
    }
}
