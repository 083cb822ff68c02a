//! `docs/metrics.md`: every metric, as the registry has it.

use std::fmt::Write as _;

use anyhow::Result;
use monitor::telemetry::metrics::Metrics;

const HEAD: &str = "\
# Metrics

<!-- Written by `cargo run -p packaging --bin manuals -- target/manuals`; a test holds it to the code. -->

Every metric that `unjack run` serves, from the registry itself. They are served under `--web.telemetry-path`, in Prometheus'
text format, or as OpenMetrics for who asks for it. No label is a pid. A label's values are listed where they are fixed words:
these series are there from the start, at zero, so that a first error is seen as an increase. What is not listed is a name
from the host (`group`, by `--metrics.group-by`; at most `--metrics.max-groups` of them, and `other`) or a version.

A histogram has `_bucket`, `_sum` and `_count` behind its name. A metric in seconds or bytes ends in that; all others are
counts. What to alert on is in the rules under `deploy`, and what each alert means in [alerts.md](alerts.md); what a number
means when it moves, in [troubleshooting.md](troubleshooting.md).

";

/// The page's text.
pub(crate) fn page() -> Result<String> {
    // With those that are only there where they can be.
    let metrics = Metrics::new("VERSION")?.with_cost(1.0)?.with_energy()?;
    // The daemon sets these at its first tick.
    for map in ["tasks", "spill"] {
        metrics.set_map(map, 0, 0);
    }
    let mut text = HEAD.to_owned();
    text.push_str("| metric | type | unit | labels | what it is |\n|---|---|---|---|---|\n");
    let all = metrics.described();
    for metric in &all {
        let labels: Vec<_> = metric
            .labels
            .iter()
            .map(|it| format!("`{}`", it.0))
            .collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            metric.name,
            metric.kind,
            unit(&metric.name),
            labels.join(", "),
            metric.help
        );
    }
    text.push_str("\n## Values of labels\n\n");
    for metric in &all {
        for (label, values) in &metric.labels {
            // Groups are names from the host, but for those two.
            let fixed = !values.is_empty() && label != "version";
            if fixed {
                let values: Vec<_> = values.iter().map(|it| format!("`{it}`")).collect();
                let _ = writeln!(
                    text,
                    "- `{}`, `{label}`: {}",
                    metric.name,
                    values.join(", ")
                );
            }
        }
    }
    Ok(text)
}

fn unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    ["seconds", "bytes"]
        .into_iter()
        .find(|unit| name.ends_with(&format!("_{unit}")))
        .unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_docs_is_the_codes() {
        let kept = include_str!("../../docs/metrics.md");
        assert!(
            kept == page().unwrap(),
            "docs/metrics.md is stale: `cargo run -p packaging --bin manuals -- target/manuals` and \
             copy target/manuals/docs/metrics.md to docs/"
        );
    }

    #[test]
    fn units_are_the_end_of_a_name() {
        assert_eq!(unit("unjack_stolen_cpu_seconds_total"), "seconds");
        assert_eq!(unit("process_resident_memory_bytes"), "bytes");
        assert_eq!(unit("unjack_suspects"), "");
    }
}
