//! What a query may ask for: of the rules, the dashboard, and docs/fleet.md.

use std::collections::{BTreeMap, BTreeSet};

use monitor::telemetry::metrics::Metrics;
use promql_parser::label::{METRIC_NAME, MatchOp, Matcher};
use promql_parser::parser::{self, Expr, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};

use crate::{dashboard, read, rules};

/// Names that Prometheus gives by itself, with the labels it gives them.
const PROMETHEUS: [(&str, &[&str]); 3] = [
    ("up", &[]),
    ("scrape_samples_scraped", &[]),
    ("ALERTS", &["alertname", "alertstate"]),
];
/// Labels that come from who scrapes: docs/fleet.md.
const TARGET: [&str; 7] = ["image", "instance", "job", "node", "pod", "region", "team"];

/// Groups of CPU time by default: `--metrics.max-groups`, `other`, `kernel`.
const GROUPS: usize = 64 + 2;
/// Series that Prometheus adds to each target: `up`, `scrape_…`.
const OF_A_SCRAPE: usize = 5;

/// The labels of one series.
type Labels = BTreeMap<String, String>;

/// All series that unjack has before anything has happened, by name.
fn exposition() -> BTreeMap<String, Vec<Labels>> {
    let metrics = Metrics::new("1.2.3").unwrap();
    // The daemon sets these at its first tick.
    for map in ["tasks", "spill"] {
        metrics.set_map(map, 1, 2);
    }
    let mut all: BTreeMap<String, Vec<Labels>> = BTreeMap::new();
    let text = metrics.render().unwrap();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, _value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        // No value has a comma in it: all are fixed words.
        let labels = labels.trim_end_matches('}').split(',');
        let labels = labels.filter_map(|label| {
            let (name, value) = label.split_once('=')?;
            Some((name.to_owned(), value.trim_matches('"').to_owned()))
        });
        all.entry(name.to_owned())
            .or_default()
            .push(labels.collect());
    }
    all
}

/// What a query says.
#[derive(Default)]
struct Asked {
    selectors: Vec<VectorSelector>,
    /// Labels of `by`, `without`, `on` and `ignoring`.
    labels: BTreeSet<String>,
}

impl Asked {
    fn by(query: &str) -> Self {
        let expr = parser::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        let mut asked = Self::default();
        walk_expr(&mut asked, &expr).unwrap_or_else(|never| match never {});
        asked
    }
}

impl ExprVisitor for Asked {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
        let modifier = match expr {
            Expr::VectorSelector(selector) => {
                self.selectors.push(selector.clone());
                None
            }
            Expr::MatrixSelector(matrix) => {
                self.selectors.push(matrix.vs.clone());
                None
            }
            Expr::Aggregate(aggregate) => aggregate.modifier.as_ref(),
            Expr::Binary(binary) => binary
                .modifier
                .as_ref()
                .and_then(|modifier| modifier.matching.as_ref()),
            _ => None,
        };
        if let Some(modifier) = modifier {
            self.labels.extend(modifier.labels().labels.iter().cloned());
        }
        Ok(true)
    }
}

/// The queries in the tables of docs/fleet.md, which are of what is recorded.
fn documented() -> Vec<String> {
    let text = read("docs/fleet.md");
    let rows = text.lines().filter(|line| line.starts_with("| "));
    // Between two backticks is every second part.
    let code = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let queries: Vec<_> = code
        .filter(|code| code.contains(":unjack_"))
        .map(ToOwned::to_owned)
        .collect();
    assert!(queries.len() >= 8, "{queries:?}");
    queries
}

/// The metrics that give a recorded series this label; none if it is summed over.
fn sources(expr: &str, label: &str) -> Vec<String> {
    let asked = Asked::by(expr);
    if asked.labels.contains(label) {
        return Vec::new();
    }
    let selectors = asked.selectors.into_iter();
    selectors.filter_map(|selector| selector.name).collect()
}

/// The values that a condition names, each of which must be one of the label's.
fn values(condition: &Matcher) -> Vec<&str> {
    match condition.op {
        MatchOp::Equal | MatchOp::NotEqual => vec![&condition.value],
        MatchOp::Re(_) | MatchOp::NotRe(_) => condition.value.split('|').collect(),
    }
}

#[test]
fn every_metric_label_and_value_that_is_asked_for_exists() {
    let series = exposition();
    let recorded = rules::recorded();
    let known_labels: BTreeSet<&str> = series
        .values()
        .flatten()
        .flat_map(Labels::keys)
        .map(String::as_str)
        .chain(TARGET)
        .collect();
    let queries: Vec<String> = rules::queries()
        .into_iter()
        .chain(dashboard::queries())
        .chain(documented())
        .collect();
    assert!(queries.len() > 80, "only {} queries", queries.len());
    let mut metrics = BTreeSet::new();
    for query in &queries {
        let asked = Asked::by(query);
        assert!(!asked.selectors.is_empty(), "{query} asks for nothing");
        for label in &asked.labels {
            let known = known_labels.contains(label.as_str());
            assert!(known, "{query}: no label {label}");
        }
        for selector in &asked.selectors {
            let name = selector.name.as_deref();
            let name = name.unwrap_or_else(|| panic!("{query}: a selector without a name"));
            metrics.insert(name.to_owned());
            let own = series.get(name);
            let given = PROMETHEUS.iter().find(|(given, _)| *given == name);
            assert!(
                own.is_some() || given.is_some() || recorded.contains_key(name),
                "{query}: no metric {name}"
            );
            for condition in &selector.matchers.matchers {
                let label = condition.name.as_str();
                if TARGET.contains(&label) || label == METRIC_NAME {
                    continue;
                }
                let given = given.is_some_and(|(_, labels)| labels.contains(&label));
                let sources = match recorded.get(name) {
                    Some(expr) => sources(expr, label),
                    None => vec![name.to_owned()],
                };
                let labelled = sources.iter().filter_map(|source| series.get(source));
                let labelled: Vec<_> = labelled.flatten().collect();
                for value in values(condition) {
                    let has = |labels: &&Labels| labels.get(label).is_some_and(|has| has == value);
                    let exists = labelled.iter().any(has);
                    assert!(exists || given, "{query}: no {name}{{{label}=\"{value}\"}}");
                }
            }
        }
    }
    // Each metric of an agent is used, or listed as not used.
    let unseen: Vec<_> = series
        .keys()
        .filter(|name| !metrics.contains(*name))
        .filter(|name| !NOWHERE.contains(&name.as_str()))
        .collect();
    assert!(
        unseen.is_empty(),
        "in no rule and no panel, and not in NOWHERE: {unseen:?}"
    );
}

/// What a fleet costs is worked out from these numbers.
#[test]
fn the_series_of_an_agent_are_as_many_as_docs_say() {
    let page = read("docs/fleet.md");
    let mut series = exposition();
    series.remove("unjack_cpu_seconds_total");
    let fixed = series.values().map(Vec::len).sum::<usize>();
    let most = fixed + GROUPS;
    for said in [
        format!("\n    {most}\n"),
        format!(" {fixed} exist from the start"),
        format!("| series | {0} | {0},000 | ", most + OF_A_SCRAPE),
    ] {
        assert!(page.contains(&said), "docs/fleet.md lacks {said:?}");
    }
}

/// Metrics that neither a rule nor a panel asks for: details that one looks up
/// when a panel gives cause to.
const NOWHERE: [&str; 28] = [
    "unjack_breaker_forgotten_total",
    "unjack_code_maps_cut_total",
    "unjack_containers_looked_up_total",
    "unjack_evidence_held_seconds_bucket",
    "unjack_evidence_held_seconds_count",
    "unjack_evidence_held_seconds_sum",
    "unjack_evidence_pruned_total",
    "unjack_groups_folded_total",
    "unjack_groups_removed_total",
    "unjack_held_escapes_total",
    "unjack_images_hashed_total",
    "unjack_list_entries",
    "unjack_network_looks_given_up_total",
    "unjack_network_looks_total",
    "unjack_network_observers_dropped_total",
    "unjack_only_rules",
    "unjack_pool_connections_untold_total",
    "unjack_pool_contacts_forgotten_total",
    "unjack_pool_refusals_total",
    "unjack_recordings_ended_total",
    "unjack_samples_forgotten_total",
    "unjack_stratum_packets_dropped_total",
    "unjack_stratum_packets_total",
    "unjack_stratum_sockets",
    "unjack_stratum_sockets_unwatched_total",
    "unjack_verdict_delay_seconds_count",
    "unjack_verdict_delay_seconds_sum",
    "unjack_web_password_checks_total",
];

/// A check that cannot fail would be none.
#[test]
fn a_misspelt_metric_would_be_seen() {
    let asked = Asked::by("sum by (famly) (rate(unjack_kill_total{outcome=\"gon\"}[5m])) > bool 0");
    assert_eq!(asked.labels, BTreeSet::from(["famly".to_owned()]));
    let selector = &asked.selectors[0];
    assert_eq!(selector.name.as_deref(), Some("unjack_kill_total"));
    assert_eq!(values(&selector.matchers.matchers[0]), ["gon"]);
    assert!(!exposition().contains_key("unjack_kill_total"));
    let sum = "sum without (family) (rate(unjack_verdicts_total[5m]))";
    assert_eq!(sources(sum, "verdict"), ["unjack_verdicts_total"]);
    assert!(sources(sum, "family").is_empty());
}
