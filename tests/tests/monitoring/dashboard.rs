//! The dashboard's queries, as Grafana would ask them.

use serde_json::Value;

use super::Content;

/// One query of a panel.
pub(super) struct Query {
    /// The panel.
    pub(super) title: String,
    /// What is asked, with something in place of every variable.
    pub(super) expr: String,
    /// Of this moment, or of a range of time.
    pub(super) instant: bool,
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().expect("is a text")
}

/// As Grafana does for a data source that scrapes every second.
fn fill(expr: &str) -> String {
    expr.replace("$__rate_interval", "15s")
        .replace("$__range", "5m")
        .replace("$core_hour_cost", "3600")
        .replace("$job", "unjack")
        .replace("$instance", ".*")
}

fn dashboard(content: &Content) -> Value {
    serde_json::from_str(&content.read("grafana/unjack.json")).expect("it is JSON")
}

/// All queries of panels.
pub(super) fn queries(content: &Content) -> Vec<Query> {
    let dashboard = dashboard(content);
    let mut queries = Vec::new();
    for panel in list(&dashboard["panels"]) {
        for target in list(&panel["targets"]) {
            queries.push(Query {
                title: text(&panel["title"]).to_owned(),
                expr: fill(text(&target["expr"])),
                instant: target["instant"] == true,
            });
        }
    }
    queries
}

/// The label and the selector of each variable that is asked for, and the query
/// of each annotation.
pub(super) fn others(content: &Content) -> (Vec<(String, String)>, Vec<String>) {
    let dashboard = dashboard(content);
    let variables = list(&dashboard["templating"]["list"]).iter();
    let asked = variables.filter(|variable| variable["type"] == "query");
    let asked = asked.map(|variable| {
        let inside = text(&variable["definition"]).strip_prefix("label_values(");
        let (selector, label) = inside
            .and_then(|inside| inside.strip_suffix(')')?.rsplit_once(", "))
            .expect("it asks for the values of a label");
        (label.to_owned(), fill(selector))
    });
    let annotations = list(&dashboard["annotations"]["list"]).iter();
    let annotations = annotations.filter_map(|each| Some(fill(each["expr"].as_str()?)));
    (asked.collect(), annotations.collect())
}
