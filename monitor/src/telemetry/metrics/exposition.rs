//! The forms in which metrics are served: Prometheus' text format, and
//! `OpenMetrics` when a scraper asks for it.
//!
//! The client library writes the first. `OpenMetrics`, of the same families, is
//! written here, as far as they need it: counters, gauges and histograms, no
//! timestamps, no exemplars.

use std::fmt::{self, Write as _};

use prometheus::{
    TextEncoder,
    proto::{LabelPair, Metric, MetricFamily, MetricType},
};

/// A form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own, version 0.0.4.
    Text,
    /// `OpenMetrics` 1.0.0.
    OpenMetrics,
}

impl Format {
    /// What its answers are called.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The form that the header `Accept` likes best: `OpenMetrics` only if it
    /// is named, and liked no less than the other.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        let (mut text, mut open) = (0.0_f64, 0.0_f64);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut weight, mut version) = (1.0, "");
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                match name.trim().to_ascii_lowercase().as_str() {
                    "q" => weight = value.trim().parse().unwrap_or(0.0),
                    "version" => version = value.trim().trim_matches('"'),
                    _ => {}
                }
            }
            match (media.as_str(), version) {
                ("application/openmetrics-text", "" | "1.0.0") => open = open.max(weight),
                ("text/plain", "" | "0.0.4" | "1.0.0") | ("text/*" | "*/*", _) => {
                    text = text.max(weight);
                }
                _ => {}
            }
        }
        if open > 0.0 && open >= text {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    /// Writes families in this form.
    ///
    /// # Errors
    /// A family is not as it should be: a mistake in this program.
    pub fn encode(self, families: &[MetricFamily]) -> prometheus::Result<String> {
        match self {
            Self::Text => TextEncoder::new().encode_to_string(families),
            Self::OpenMetrics => {
                let mut text = String::new();
                let written = families
                    .iter()
                    .try_for_each(|family| write_family(&mut text, family));
                written
                    .and_then(|()| text.write_str("# EOF\n"))
                    .map_err(|error| prometheus::Error::Msg(error.to_string()))?;
                Ok(text)
            }
        }
    }
}

fn write_family(out: &mut String, family: &MetricFamily) -> fmt::Result {
    let kind = family.get_field_type();
    // A counter's name is without what its samples' names end in.
    let (name, kind) = match (kind, family.name().strip_suffix("_total")) {
        (MetricType::COUNTER, Some(name)) => (name, "counter"),
        (MetricType::GAUGE, _) => (family.name(), "gauge"),
        (MetricType::HISTOGRAM, _) => (family.name(), "histogram"),
        _ => (family.name(), "unknown"),
    };
    writeln!(out, "# TYPE {name} {kind}")?;
    if let Some(unit) = ["seconds", "bytes"].iter().find(|unit| {
        name.strip_suffix(**unit)
            .is_some_and(|rest| rest.ends_with('_'))
    }) {
        writeln!(out, "# UNIT {name} {unit}")?;
    }
    writeln!(out, "# HELP {name} {}", Escaped(family.help()))?;
    for metric in family.get_metric() {
        write_metric(out, (name, family.name()), family.get_field_type(), metric)?;
    }
    Ok(())
}

/// `name` is the family's, `sample` that of a counter's sample.
fn write_metric(
    out: &mut String,
    (name, sample): (&str, &str),
    kind: MetricType,
    metric: &Metric,
) -> fmt::Result {
    let labels = metric.get_label();
    match kind {
        MetricType::COUNTER => {
            let value = Number(metric.get_counter().get_value());
            let labels = Labels(labels, None);
            writeln!(out, "{sample}{labels} {value}")
        }
        MetricType::HISTOGRAM => {
            let histogram = metric.get_histogram();
            let count = histogram.get_sample_count();
            let last = histogram.get_bucket().last();
            let endless = last.is_none_or(|bucket| bucket.upper_bound() < f64::INFINITY);
            let bounds = histogram
                .get_bucket()
                .iter()
                .map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()))
                .chain(endless.then_some((f64::INFINITY, count)));
            for (bound, below) in bounds {
                let labels = Labels(labels, Some(Number(bound)));
                writeln!(out, "{name}_bucket{labels} {below}")?;
            }
            let labels = Labels(labels, None);
            writeln!(out, "{name}_count{labels} {count}")?;
            let sum = Number(histogram.get_sample_sum());
            writeln!(out, "{name}_sum{labels} {sum}")
        }
        MetricType::GAUGE => {
            let value = Number(metric.get_gauge().get_value());
            writeln!(out, "{name}{} {value}", Labels(labels, None))
        }
        // This program has none.
        MetricType::SUMMARY | MetricType::UNTYPED => Err(fmt::Error),
    }
}

/// A number as `OpenMetrics` writes it: one that is whole has `.0`.
#[derive(Clone, Copy)]
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value) = *self;
        if value.is_nan() {
            f.write_str("NaN")
        } else if value.is_infinite() {
            f.write_str(if value > 0.0 { "+Inf" } else { "-Inf" })
        } else {
            // Debug writes the shortest text that is this number again.
            fmt::Debug::fmt(&value, f)
        }
    }
}

/// `{name="value",…}`, with the bound of a bucket if there is one.
struct Labels<'a>(&'a [LabelPair], Option<Number>);

impl fmt::Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(pairs, bound) = self;
        if pairs.is_empty() && bound.is_none() {
            return Ok(());
        }
        let mut before = '{';
        for pair in *pairs {
            write!(f, "{before}{}=\"{}\"", pair.name(), Escaped(pair.value()))?;
            before = ',';
        }
        if let Some(bound) = bound {
            write!(f, "{before}le=\"{bound}\"")?;
        }
        f.write_char('}')
    }
}

/// A text in which a quote, a backslash and a new line cannot end anything.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in self.0.chars() {
            match char {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '"' => f.write_str("\\\"")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{Counter, CounterVec, Histogram, HistogramOpts, IntGauge, Opts, Registry};

    use super::*;

    #[track_caller]
    fn check_accept(accept: &str, expected: Format) {
        assert_eq!(Format::accepted(accept), expected, "{accept}");
    }

    #[test]
    fn open_metrics_only_if_asked_for() {
        use Format::{OpenMetrics, Text};
        // What Prometheus 2.42 and 3 send, and others.
        check_accept(
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            OpenMetrics,
        );
        check_accept(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            OpenMetrics,
        );
        check_accept("application/openmetrics-text", OpenMetrics);
        check_accept(
            "Application/OpenMetrics-Text; Version=\"1.0.0\"",
            OpenMetrics,
        );
        for accept in [
            "",
            "*/*",
            "text/html,*/*;q=0.8",
            "application/openmetrics-text;version=0.0.1",
            "application/openmetrics-text;version=1.0.0;q=0",
            "application/openmetrics-text;q=0.3,text/plain;q=0.4",
            "application/openmetrics-text;q=lots",
        ] {
            check_accept(accept, Text);
        }
    }

    fn registry() -> Registry {
        let registry = Registry::new();
        let by = CounterVec::new(
            Opts::new("x_cpu_seconds_total", "It \"is\"\\\nso."),
            &["group"],
        );
        let by = by.unwrap();
        by.with_label_values(&["a\"} 1\n\\"]).inc_by(2.5);
        let old = Counter::new("x_old", "No counter's name.").unwrap();
        let gauge = IntGauge::new("x_resident_bytes", "Bytes.").unwrap();
        gauge.set(3);
        let delay = HistogramOpts::new("x_delay_seconds", "Delay.").buckets(vec![0.5, 2.0]);
        let delay = Histogram::with_opts(delay).unwrap();
        delay.observe(1.0);
        delay.observe(7.0);
        registry.register(Box::new(by)).unwrap();
        registry.register(Box::new(old)).unwrap();
        registry.register(Box::new(gauge)).unwrap();
        registry.register(Box::new(delay)).unwrap();
        registry
    }

    #[test]
    fn open_metrics_of_every_kind() {
        let text = Format::OpenMetrics.encode(&registry().gather()).unwrap();
        let expected = r#"# TYPE x_cpu_seconds counter
# UNIT x_cpu_seconds seconds
# HELP x_cpu_seconds It \"is\"\\\nso.
x_cpu_seconds_total{group="a\"} 1\n\\"} 2.5
# TYPE x_delay_seconds histogram
# UNIT x_delay_seconds seconds
# HELP x_delay_seconds Delay.
x_delay_seconds_bucket{le="0.5"} 0
x_delay_seconds_bucket{le="2.0"} 1
x_delay_seconds_bucket{le="+Inf"} 2
x_delay_seconds_count 2
x_delay_seconds_sum 8.0
"#;
        assert!(text.starts_with(expected), "{text}");
        assert!(
            text.contains("# TYPE x_old unknown\n# HELP x_old"),
            "{text}"
        );
        let tail = "# TYPE x_resident_bytes gauge\n# UNIT x_resident_bytes bytes\n\
                    # HELP x_resident_bytes Bytes.\nx_resident_bytes 3.0\n# EOF\n";
        assert!(text.ends_with(tail), "{text}");
    }

    #[test]
    fn numbers_are_canonical() {
        for (number, expected) in [
            (0.0, "0.0"),
            (1.5, "1.5"),
            (1e6, "1000000.0"),
            (1e-7, "1e-7"),
            (1e17, "1e17"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(Number(number).to_string(), expected);
        }
    }
}
