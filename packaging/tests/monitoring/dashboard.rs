//! The dashboard: that Grafana can show it, and a person read it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::read;

/// Columns of Grafana's grid.
const COLUMNS: u64 = 24;
/// What Grafana replaces by itself.
const BUILT_IN: [&str; 2] = ["__rate_interval", "__range"];

fn dashboard() -> Value {
    serde_json::from_str(&read("deploy/monitoring/grafana/unjack.json")).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What it asks Prometheus, as it stands there.
fn raw() -> Vec<String> {
    let dashboard = dashboard();
    let panels = list(&dashboard["panels"]).iter();
    let targets = panels.flat_map(|panel| list(&panel["targets"]));
    let annotations = list(&dashboard["annotations"]["list"]).iter();
    let exprs = targets
        .chain(annotations)
        .map(|query| text(&query["expr"]).to_owned());
    // `label_values(SELECTOR, LABEL)`.
    let variables = list(&dashboard["templating"]["list"]).iter();
    let selectors = variables.filter_map(|variable| {
        let inside = text(&variable["definition"]).strip_prefix("label_values(")?;
        Some(inside.rsplit_once(", ")?.0.to_owned())
    });
    exprs
        .chain(selectors)
        .filter(|query| !query.is_empty())
        .collect()
}

/// What it asks Prometheus, with something for every variable.
pub(crate) fn queries() -> Vec<String> {
    raw()
        .into_iter()
        .map(|query| {
            query
                .replace("$__rate_interval", "5m")
                .replace("$__range", "1h")
                .replace("$core_hour_cost", "0.04")
                .replace("$job", "unjack")
                .replace("$instance", ".*")
        })
        .collect()
}

#[test]
fn every_variable_that_is_asked_with_exists() {
    let dashboard = dashboard();
    let variables = list(&dashboard["templating"]["list"]).iter();
    let known: BTreeSet<&str> = variables
        .map(|variable| text(&variable["name"]))
        .chain(BUILT_IN)
        .collect();
    for name in ["datasource", "job", "instance", "filters"] {
        assert!(known.contains(name), "no variable {name}");
    }
    for query in raw() {
        for word in query.split('$').skip(1) {
            let end = word.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let name = &word[..end.unwrap_or(word.len())];
            assert!(known.contains(name), "{query}: no variable {name}");
        }
    }
}

#[test]
fn every_panel_says_what_it_shows_in_which_unit_and_from_where() {
    let dashboard = dashboard();
    let source = serde_json::json!({"type": "prometheus", "uid": "${datasource}"});
    let mut ids = BTreeSet::new();
    let mut titles = BTreeSet::new();
    for panel in list(&dashboard["panels"]) {
        let title = text(&panel["title"]);
        assert!(
            titles.insert(title) && !title.is_empty(),
            "{title:?} is there twice"
        );
        assert!(
            panel["id"].as_u64().is_some_and(|id| ids.insert(id)),
            "{title}: its id"
        );
        if panel["type"] == "row" {
            continue;
        }
        assert!(
            text(&panel["description"]).ends_with('.'),
            "{title}: no description"
        );
        assert_eq!(panel["datasource"], source, "{title}");
        let unit = &panel["fieldConfig"]["defaults"]["unit"];
        assert!(unit.is_string(), "{title}: no unit");
        let mut letters = BTreeSet::new();
        for target in list(&panel["targets"]) {
            assert_eq!(target["datasource"], source, "{title}");
            let letter = text(&target["refId"]);
            assert!(
                letters.insert(letter),
                "{title}: two targets are {letter:?}"
            );
            // All but ALERTS, which are of no scrape, are of the chosen hosts.
            let expr = text(&target["expr"]);
            let selectors = expr.matches("unjack_").count() + expr.matches("process_").count();
            assert!(
                expr.matches("job=~\"$job\"").count() >= selectors,
                "{expr} is of all hosts"
            );
        }
        assert!(!letters.is_empty(), "{title}: no query");
    }
}

#[test]
fn panels_lie_in_the_grid_side_by_side_in_rows() {
    let dashboard = dashboard();
    let mut taken = BTreeSet::new();
    let mut order = Vec::new();
    for panel in list(&dashboard["panels"]) {
        let title = text(&panel["title"]);
        let place = |key: &str| panel["gridPos"][key].as_u64().expect("a place");
        let (x, y, width, height) = (place("x"), place("y"), place("w"), place("h"));
        assert!(
            width >= 4 && x + width <= COLUMNS,
            "{title} is beside the grid"
        );
        for cell in (x..x + width).flat_map(|x| (y..y + height).map(move |y| (y, x))) {
            assert!(taken.insert(cell), "{title} lies over another");
        }
        if panel["type"] == "row" {
            order.push(title.to_owned());
        }
    }
    // No holes: every line of the grid is full.
    let lines: BTreeSet<u64> = taken.iter().map(|(y, _)| *y).collect();
    for line in lines {
        let cells = taken.iter().filter(|(y, _)| *y == line).count() as u64;
        assert_eq!(cells, COLUMNS, "line {line} has a hole");
    }
    assert_eq!(
        order,
        [
            "Stolen CPU",
            "Verdicts and actions",
            "CPU use",
            "Bans and respawns",
            "Agents",
            "What unjack costs"
        ]
    );
}
