//! The manifests: they are YAML, and every setting they name exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use monitor::commands::cli::Cli;
use serde_yaml_ng::{Deserializer, Value};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// A chart's template without its control lines, and with a text where an
/// expression stands: what is left must be YAML.
fn without_templates(text: &str) -> String {
    let mut plain = String::new();
    for line in text.lines().filter(|line| !line.trim().starts_with("{{-")) {
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("{{") {
            plain.push_str(before);
            plain.push('x');
            rest = after.split_once("}}").expect("an expression ends").1;
        }
        plain.push_str(rest);
        plain.push('\n');
    }
    plain
}

fn parse(path: &Path) -> Vec<Value> {
    let text = without_templates(&fs::read_to_string(path).unwrap());
    Deserializer::from_str(&text)
        .map(|document| {
            serde::Deserialize::deserialize(document)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        })
        .collect()
}

#[test]
fn every_manifest_is_yaml() {
    let kinds = ["yaml", "yml", "json"];
    let files: Vec<PathBuf> = files(&root())
        .into_iter()
        .filter(|path| {
            path.extension()
                .is_some_and(|it| kinds.iter().any(|kind| it == *kind))
        })
        .collect();
    assert!(files.len() >= 8, "{files:?}");
    for path in files {
        let documents: Vec<Value> = parse(&path);
        assert!(!documents.is_empty(), "{} is empty", path.display());
        for document in documents {
            let structured = document.is_mapping() || document.is_sequence();
            assert!(structured, "{}", path.display());
        }
    }
}

#[test]
fn every_setting_in_them_exists() {
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    let known: BTreeSet<String> = run
        .get_arguments()
        .filter_map(|arg| Some(arg.get_env()?.to_str()?.to_owned()))
        .collect();
    let mut found = 0;
    // What the chart must refuse has settings that do not exist, on purpose.
    let refused = root().join("helm/unjack/ci/refused");
    for path in files(&root()) {
        if path.starts_with(&refused) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        // Comments may speak of variables that are none of ours.
        for line in text.lines().filter(|line| !line.trim().starts_with('#')) {
            let words = line.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
            for name in words.filter(|word| word.starts_with("UNJACK_")) {
                assert!(known.contains(name), "{}: no {name}", path.display());
                found += 1;
            }
        }
    }
    assert!(found >= 8, "only {found} settings found");
}

/// The chart and the base say the same of what makes it work at all.
#[test]
fn chart_and_base_mount_the_same() {
    let pod = |path: &str| parse(&root().join(path))[0]["spec"]["template"]["spec"].clone();
    let base = pod("kubernetes/base/daemonset.yaml");
    let chart = pod("helm/unjack/templates/daemonset.yaml");
    let container = |pod: &Value| pod["containers"][0].clone();
    for key in ["volumeMounts", "securityContext", "livenessProbe"] {
        assert!(!container(&base)[key].is_null(), "{key}");
        assert_eq!(container(&base)[key], container(&chart)[key], "{key}");
    }
    for key in ["hostPID", "volumes", "enableServiceLinks"] {
        assert!(!base[key].is_null(), "{key}");
        assert_eq!(base[key], chart[key], "{key}");
    }
    let mounts = container(&base)["volumeMounts"].clone();
    for path in ["/sys/fs/cgroup", "/sys/fs/bpf", "/usr", "/run/unjack"] {
        assert!(
            mounts
                .as_sequence()
                .unwrap()
                .iter()
                .any(|mount| mount["mountPath"] == path),
            "{path} is not mounted"
        );
    }
}
