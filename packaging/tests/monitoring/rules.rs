//! The rules, and what stands beside them.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml_ng::Value;

use crate::read;

const FOLDER: &str = "deploy/monitoring";

fn parse(file: &str) -> Value {
    serde_yaml_ng::from_str(&read(&format!("{FOLDER}/{file}")))
        .unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// All rules of both files.
fn rules() -> Vec<Value> {
    let files = [
        "prometheus/unjack.rules.yml",
        "prometheus/unjack.alerts.yml",
    ]
    .map(parse);
    let groups = files
        .iter()
        .flat_map(|file| file["groups"].as_sequence().unwrap());
    let rules = groups.flat_map(|group| group["rules"].as_sequence().unwrap());
    rules.cloned().collect()
}

fn text<'a>(value: &'a Value, what: &str) -> &'a str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no {what}: {value:?}"))
}

/// What is recorded: names, and the expression of each.
pub(crate) fn recorded() -> BTreeMap<String, String> {
    let rules = rules();
    let named = rules.iter().filter_map(|rule| {
        let name = rule["record"].as_str()?;
        Some((name.to_owned(), text(&rule["expr"], "expr").to_owned()))
    });
    named.collect()
}

/// The expressions.
pub(crate) fn queries() -> Vec<String> {
    let rules = rules();
    let exprs = rules
        .iter()
        .map(|rule| text(&rule["expr"], "expr").to_owned());
    exprs.collect()
}

#[test]
fn every_alert_says_how_bad_it_is_whose_it_is_and_where_to_read_on() {
    let runbook = read("docs/alerts.md");
    let tests = read(&format!("{FOLDER}/prometheus/unjack.tests.yml"));
    let mut names = BTreeSet::new();
    for rule in rules() {
        let Some(name) = rule["alert"].as_str() else {
            continue;
        };
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        let severity = text(&rule["labels"]["severity"], "severity");
        assert!(["warning", "critical"].contains(&severity), "{name}");
        let component = text(&rule["labels"]["component"], "component");
        assert!(["miner", "agent"].contains(&component), "{name}");
        for annotation in ["summary", "description"] {
            text(&rule["annotations"][annotation], annotation);
        }
        assert_eq!(
            text(&rule["annotations"]["runbook"], "runbook"),
            // Where the package puts it.
            format!(
                "/usr/share/doc/unjack/docs/alerts.md#{}",
                name.to_lowercase()
            )
        );
        assert!(
            runbook.contains(&format!("\n### {name}\n")),
            "{name} is not in docs/alerts.md"
        );
        // That it fires in a test, and not only stays silent.
        assert!(tests.contains(&format!("alertname=\"{name}\"")), "{name}");
    }
    for heading in runbook
        .lines()
        .filter_map(|line| line.strip_prefix("### Unjack"))
    {
        let name = format!("Unjack{heading}");
        assert!(names.contains(&name), "docs/alerts.md: no alert {name}");
    }
}

/// What is recorded, and nothing else, leaves a region.
#[test]
fn a_fleet_is_sent_all_that_is_recorded() {
    let levels: BTreeSet<String> = recorded()
        .keys()
        .map(|name| {
            let parts: Vec<_> = name.split(':').collect();
            assert_eq!(parts.len(), 3, "{name} is not level:metric:operation");
            assert!(parts[1].starts_with("unjack_"), "{name}");
            parts[0].to_owned()
        })
        .collect();
    for file in ["fleet/regional.yml", "fleet/global.yml"] {
        let config = read(&format!("{FOLDER}/{file}"));
        let asked = config
            .split_once("):unjack_.+")
            .and_then(|(before, _)| before.rsplit_once('('))
            .map(|(_, levels)| levels.split('|').map(ToOwned::to_owned).collect());
        assert_eq!(asked, Some(levels.clone()), "{file}");
    }
}

/// The job has the name that the rules ask for, the host the label that they
/// leave.
#[test]
fn every_example_scrapes_under_the_name_the_rules_ask_for() {
    for file in [
        "prometheus/prometheus.yml",
        "prometheus/kubernetes.yml",
        "fleet/regional.yml",
    ] {
        let config = parse(file);
        let job = &config["scrape_configs"][0];
        assert_eq!(job["job_name"], "unjack", "{file}");
        assert_eq!(job["scheme"], "https", "{file}");
        let named = job["relabel_configs"].as_sequence().unwrap().iter();
        let mut named = named.map(|relabel| &relabel["target_label"]);
        assert!(named.any(|label| *label == "instance"), "{file}");
        let rules: Vec<_> = config["rule_files"].as_sequence().unwrap().iter().collect();
        for rule in ["unjack.rules.yml", "unjack.alerts.yml"] {
            assert!(
                rules
                    .iter()
                    .any(|file| text(file, "rule file").ends_with(rule)),
                "{file} does not load {rule}"
            );
        }
    }
}
