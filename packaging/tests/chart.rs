//! The Helm chart: its README and its schema are of its values, and of the settings that
//! `unjack run` has. Needs no Helm; `cargo xtask charts` renders it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use clap::CommandFactory as _;
use monitor::commands::cli::Cli;
use serde_json::Value;

/// In the README, the settings that are not in values.yaml.
const OTHER_SETTINGS: &str = "settings.*";

fn read(name: &str) -> String {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/helm/unjack");
    fs::read_to_string(chart.join(name)).unwrap()
}

/// The values of values.yaml: what is not a map, or is an empty one, by its name.
fn values() -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let values: Value = serde_yaml_ng::from_str(&read("values.yaml")).unwrap();
    flatten("", &values, &mut found);
    assert!(found.len() >= 40, "{found:?}");
    found
}

fn flatten(name: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
    match value.as_object() {
        Some(map) if !map.is_empty() => {
            for (key, value) in map {
                let name = if name.is_empty() {
                    key.clone()
                } else {
                    format!("{name}.{key}")
                };
                flatten(&name, value, found);
            }
        }
        _ => {
            found.insert(name.to_owned(), value.clone());
        }
    }
}

/// The rows of the README's tables whose first header is `first`.
fn table(first: &str) -> Vec<Vec<String>> {
    let readme = read("README.md");
    let head = format!("| {first} |");
    let rows: Vec<Vec<String>> = readme
        .lines()
        .skip_while(|line| !line.starts_with(&head))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.trim_matches('|').split(" | ");
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect();
    assert!(rows.len() >= 5, "no table of {first}");
    rows
}

fn code(cell: &str) -> &str {
    cell.strip_prefix('`')
        .and_then(|cell| cell.strip_suffix('`'))
        .unwrap_or_else(|| panic!("{cell} is not in backticks"))
}

/// Every value is in the README with its default, and none besides.
#[test]
fn the_readme_has_every_value_with_its_default() {
    let mut documented = BTreeMap::new();
    for row in table("value") {
        let name = code(&row[0]);
        if name == OTHER_SETTINGS {
            continue;
        }
        let default = serde_json::from_str(code(&row[1]))
            .unwrap_or_else(|error| panic!("the default of {name}: {error}"));
        let twice: Option<Value> = documented.insert(name.to_owned(), default);
        assert!(twice.is_none(), "{name} is there twice");
    }
    let values = values();
    for (name, default) in &values {
        assert_eq!(documented.get(name), Some(default), "{name} in README.md");
    }
    for name in documented.keys() {
        assert!(values.contains_key(name), "README.md invents {name}");
    }
}

/// The schema that `node` refers to, or `node` itself.
fn resolve<'a>(schema: &'a Value, node: &'a Value) -> &'a Value {
    match node["$ref"].as_str() {
        Some(reference) => schema
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or_else(|| panic!("{reference} leads nowhere")),
        None => node,
    }
}

/// The keys that the schema knows at `node`, and that it knows no others.
fn keys<'a>(schema: &'a Value, node: &'a Value, at: &str) -> BTreeSet<&'a str> {
    let node = resolve(schema, node);
    assert_eq!(node["additionalProperties"], false, "{at} takes any key");
    let properties = node["properties"].as_object().unwrap();
    properties.keys().map(String::as_str).collect()
}

fn assert_same_keys(schema: &Value, node: &Value, values: &Value, at: &str) {
    let node = resolve(schema, node);
    let Some(map) = values.as_object().filter(|map| !map.is_empty()) else {
        return;
    };
    // The names of resources are the cluster's.
    if node["additionalProperties"].is_object() {
        return;
    }
    let known = keys(schema, node, at);
    for (key, value) in map {
        assert!(known.contains(key.as_str()), "the schema lacks {at}{key}");
        assert_same_keys(
            schema,
            &node["properties"][key],
            value,
            &format!("{at}{key}."),
        );
    }
    // What is Kubernetes' or the program's has more keys than are set by default.
    if at != "settings." && at != "resources." {
        for key in known {
            let helms = at.is_empty() && key == "global";
            assert!(
                helms || map.contains_key(key),
                "the schema invents {at}{key}"
            );
        }
    }
}

#[test]
fn the_schema_has_the_values_and_refuses_others() {
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let values: Value = serde_yaml_ng::from_str(&read("values.yaml")).unwrap();
    assert_same_keys(&schema, &schema, &values, "");
}

#[test]
fn the_schema_has_every_setting_of_run() {
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    let variables: BTreeSet<&str> = run
        .get_arguments()
        .filter_map(|arg| arg.get_env()?.to_str())
        .collect();
    assert_eq!(
        keys(&schema, &schema["properties"]["settings"], "settings"),
        variables
    );
}

#[test]
fn the_readme_has_every_key_of_a_pool() {
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let rows = table("key");
    let documented: BTreeSet<&str> = rows.iter().map(|row| code(&row[0])).collect();
    let pool = &schema["properties"]["pools"]["items"];
    assert_eq!(documented, keys(&schema, pool, "pools"));
}
