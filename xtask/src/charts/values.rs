//! Paths into values: which values a chart has, and values without one of them.

use std::fs;

use anyhow::Result;
use serde_yaml_ng::Value;

use super::cases;
use crate::workspace::Workspace;

/// A list of maps with keys of the chart's, unlike lists that Kubernetes defines.
const POOLS: &str = "pools";

/// A step to a value: a key, or a place in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Place(usize),
}

/// The chart's own values.
pub(super) fn of_chart(workspace: &Workspace) -> Result<Value> {
    let text = fs::read_to_string(cases::chart(workspace).join("values.yaml"))?;
    Ok(serde_yaml_ng::from_str(&text)?)
}

/// The names of all values: what is not a map, or is an empty one.
pub(super) fn names(chart: &Value) -> Vec<String> {
    paths(chart, chart).iter().map(|path| name(path)).collect()
}

/// The paths to the values in `set` that the chart has by that name; its settings and the
/// keys of its pools are values, too.
pub(super) fn paths(set: &Value, chart: &Value) -> Vec<Vec<Step>> {
    let mut found = Vec::new();
    walk(set, chart, &mut Vec::new(), &mut found);
    found
}

fn walk(set: &Value, chart: &Value, path: &mut Vec<Step>, found: &mut Vec<Vec<Step>>) {
    let at_pools = matches!(path.as_slice(), [Step::Key(key)] if key == POOLS);
    if let (true, Some(pools)) = (at_pools, set.as_sequence()) {
        found.push(path.clone());
        for (place, pool) in pools.iter().enumerate() {
            for key in pool.as_mapping().into_iter().flat_map(|pool| pool.keys()) {
                let key = key.as_str().unwrap_or_default().to_owned();
                let steps = [Step::Place(place), Step::Key(key)];
                found.push(path.iter().cloned().chain(steps).collect());
            }
        }
        return;
    }
    match (set.as_mapping(), chart.as_mapping()) {
        (Some(inner), Some(known)) if !known.is_empty() => {
            for (key, value) in inner {
                path.push(Step::Key(key.as_str().unwrap_or_default().to_owned()));
                walk(value, known.get(key).unwrap_or(&Value::Null), path, found);
                path.pop();
            }
        }
        _ => found.push(path.clone()),
    }
}

/// A value's name: `resources.limits.memory`, `pools[].name`.
pub(super) fn name(path: &[Step]) -> String {
    let mut name = String::new();
    for step in path {
        match step {
            Step::Place(_) => name.push_str("[]"),
            Step::Key(key) if name.is_empty() => name.push_str(key),
            Step::Key(key) => {
                name.push('.');
                name.push_str(key);
            }
        }
    }
    name
}

/// The values without the one at `path`.
pub(super) fn without(values: &Value, path: &[Step]) -> Value {
    let mut values = values.clone();
    let Some((last, way)) = path.split_last() else {
        return values;
    };
    let mut at = Some(&mut values);
    for step in way {
        at = at.and_then(|value| match step {
            Step::Key(key) => value.get_mut(key),
            Step::Place(place) => value.get_mut(place),
        });
    }
    if let (Step::Key(key), Some(map)) = (last, at.and_then(Value::as_mapping_mut)) {
        map.remove(key);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yaml(text: &str) -> Value {
        serde_yaml_ng::from_str(text).unwrap()
    }

    #[test]
    fn values_are_named_down_to_where_kubernetes_begins() {
        let chart = yaml("{a: {b: 1, free: {}}, pools: [], list: []}");
        assert_eq!(names(&chart), ["a.b", "a.free", "pools", "list"]);
        let set =
            yaml("{a: {free: {x: 1}, new: 2}, pools: [{name: n, s: {y: 1}}], list: [{z: 1}]}");
        let paths = paths(&set, &chart);
        let names: Vec<String> = paths.iter().map(|path| name(path)).collect();
        assert_eq!(
            names,
            [
                "a.free",
                "a.new",
                "pools",
                "pools[].name",
                "pools[].s",
                "list"
            ]
        );
    }

    #[test]
    fn a_value_is_taken_out_and_the_rest_stays() {
        let set = yaml("{a: {b: 1, c: 2}, pools: [{name: n, s: 1}, {name: m, s: 2}]}");
        let key = |key: &str| Step::Key(key.to_owned());
        assert_eq!(
            without(&set, &[key("a"), key("b")]),
            yaml("{a: {c: 2}, pools: [{name: n, s: 1}, {name: m, s: 2}]}")
        );
        assert_eq!(
            without(&set, &[key("pools"), Step::Place(1), key("s")]),
            yaml("{a: {b: 1, c: 2}, pools: [{name: n, s: 1}, {name: m}]}")
        );
    }
}
