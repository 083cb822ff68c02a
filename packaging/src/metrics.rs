//! `docs/metrics.md`: every metric, as the registry has it.

use std::fmt::Write as _;

use anyhow::Result;
use monitor::telemetry::metrics::Metrics;

const HEAD: &str = "\
# Metrics

<!-- Generated from the code's registry: `UPDATE_DOCS=1 cargo test -p packaging` rewrites it; a test compares. -->

This page lists every metric that `unjack run` serves. They are served under `--web.telemetry-path`, in Prometheus' text
format. No label is a pid.

If a label has a fixed set of values, they are listed at the end. Their series exist from the start, at zero, so that the
first error shows as an increase. The other label values are a version, or names from the host: `group`, by
`--metrics.group-by`. There are at most `--metrics.max-groups` groups; the CPU time of all others is in `other`, and that of
kernel threads in `kernel`. By image, a group is `/path/of/image`, or `comm:NAME` for a process that ended before it was looked up. By unit, it is a
unit or `none`. By container, it is the first 12 digits of a container's id, an LXC container's name or `host`. A group that comes back after
`--metrics.group-timeout` starts at zero.

A histogram has `_bucket`, `_sum` and `_count` after its name. A metric in seconds or bytes ends in that unit; all others
are counts. The alert rules are under `deploy/monitoring`; [alerts.md](alerts.md) says what each alert means, and
[troubleshooting.md](troubleshooting.md#something-is-lost) what to do when a counter of losses rises.

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
        crate::tests::kept("metrics.md", &page().unwrap());
    }

    #[test]
    fn units_are_the_end_of_a_name() {
        assert_eq!(unit("unjack_stolen_cpu_seconds_total"), "seconds");
        assert_eq!(unit("process_resident_memory_bytes"), "bytes");
        assert_eq!(unit("unjack_suspects"), "");
    }
}
