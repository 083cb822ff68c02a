//! A real Prometheus as a child of the test, and what it answers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::daemon::free_address;
use crate::host::eventually;
use crate::metrics::get;
use crate::spawn::Workload;

/// For a server to start, on a machine that does other things too.
const STARTED: Duration = Duration::from_mins(1);

/// A running Prometheus, killed when dropped. It listens on loopback.
pub struct Prometheus {
    /// Where it answers.
    pub address: SocketAddr,
    _process: Workload,
}

/// A series and its value, of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its labels, its name among them as `__name__`.
    pub labels: BTreeMap<String, String>,
    /// Its value, or its last one.
    pub value: f64,
}

impl Sample {
    /// The value of a label, empty if there is none: as Prometheus sees it.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    fn read(series: &Value) -> Option<Self> {
        let labels = serde_json::from_value(series["metric"].clone()).ok()?;
        let point = series.get("value").or_else(|| series["values"].get(0))?;
        let value = point[1].as_str()?.parse().ok()?;
        Some(Self { labels, value })
    }
}

impl Prometheus {
    /// Starts it with a file of configuration, keeping its data in `home`, and
    /// waits until it answers.
    ///
    /// # Panics
    ///
    /// When it does not within a minute, as with a bad configuration.
    #[must_use]
    pub fn start(config: &Path, home: &Path) -> Self {
        let address = free_address();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", home.display()))
            .args(["--log.level=warn", "--web.external-url=http://127.0.0.1/"])
            .arg(format!("--web.listen-address={address}"));
        let process = Workload::spawn(&mut command);
        eventually("Prometheus starts", STARTED, || get(address, "/-/ready"));
        Self {
            address,
            _process: process,
        }
    }

    /// `data` of an answer of its API; `path` is what comes after `/api/v1/`,
    /// `parameters` are encoded.
    ///
    /// # Errors
    ///
    /// With its own words, when it answers anything else than success.
    pub fn api(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let mut url = format!("/api/v1/{path}?");
        for (name, value) in parameters {
            let _ = write!(url, "{name}={}&", encode(value));
        }
        let answer = get(self.address, &url)?;
        let mut answer: Value = serde_json::from_str(&answer)
            .map_err(|error| format!("no JSON: {error}: {answer:?}"))?;
        if answer["status"] == "success" {
            Ok(answer["data"].take())
        } else {
            Err(answer.to_string())
        }
    }

    /// What a query gives now.
    ///
    /// # Errors
    ///
    /// When it is no query, or cannot be answered.
    pub fn query(&self, query: &str) -> Result<Vec<Sample>, String> {
        let data = self.api("query", &[("query", query)])?;
        samples(query, &data)
    }

    /// What a query gives, each second of the last ones; of each series the
    /// first value.
    ///
    /// # Errors
    ///
    /// When it is no query, or cannot be answered.
    pub fn query_range(&self, query: &str, last: Duration) -> Result<Vec<Sample>, String> {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        let start = now.saturating_sub(last).as_secs().to_string();
        let data = self.api(
            "query_range",
            &[
                ("query", query),
                ("start", &start),
                ("end", &now.as_secs().to_string()),
                ("step", "1"),
            ],
        )?;
        samples(query, &data)
    }

    /// The value of a query that gives one.
    ///
    /// # Errors
    ///
    /// When it gives none, or more.
    pub fn value(&self, query: &str) -> Result<f64, String> {
        match &self.query(query)?[..] {
            [sample] => Ok(sample.value),
            other => Err(format!("{query} gives {other:?}")),
        }
    }
}

fn samples(query: &str, data: &Value) -> Result<Vec<Sample>, String> {
    let series = data["result"].as_array().into_iter().flatten();
    let samples = series.map(|series| {
        let sample = Sample::read(series);
        sample.ok_or_else(|| format!("{query}: not read: {series}"))
    });
    samples.collect()
}

/// Percent-encoding of all but the letters and digits.
fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_encoded() {
        assert_eq!(encode("a{b=\"1+2\"}"), "a%7Bb%3D%221%2B2%22%7D");
    }

    #[test]
    fn vectors_and_matrices_are_read() {
        for point in [r#""value":[1,"2.5"]"#, r#""values":[[1,"2.5"],[2,"3"]]"#] {
            let data = format!(r#"{{"result":[{{"metric":{{"a":"b"}},{point}}}]}}"#);
            let read = samples("a", &serde_json::from_str(&data).expect("JSON"));
            let read = read.expect("it is valid");
            assert_eq!(read.len(), 1);
            assert_eq!((read[0].label("a"), read[0].label("c")), ("b", ""));
            assert_eq!(read[0].value.to_string(), "2.5");
        }
        let broken = serde_json::json!({"result": [{"metric": {}}]});
        assert!(samples("a", &broken).is_err());
    }
}
