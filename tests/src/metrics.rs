//! A scrape of the daemon and the reading of it.
//!
//! Reads the text format of Prometheus as the daemon writes it, not all that
//! the format allows: no timestamps, no exemplars.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);

/// One scrape.
pub struct Metrics {
    /// As it was sent.
    pub text: String,
    samples: Vec<Sample>,
}

/// One line of it.
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Metrics {
    /// Reads a scrape.
    ///
    /// # Errors
    ///
    /// With the first line that is none of the text format's.
    pub fn parse(text: String) -> Result<Self, String> {
        let samples = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| parse_line(line).ok_or_else(|| format!("no metric: {line:?}")))
            .collect::<Result<_, _>>()?;
        Ok(Self { text, samples })
    }

    /// The sum of all series of this name that carry these labels; 0 when
    /// there is none, which [`Metrics::has`] tells apart.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.find(name, labels).map(|sample| sample.value).sum()
    }

    /// Whether a series of this name with these labels is present.
    #[must_use]
    pub fn has(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.find(name, labels).next().is_some()
    }

    /// The values that a label has in the series of this name.
    #[must_use]
    pub fn labels(&self, name: &str, label: &str) -> Vec<&str> {
        self.find(name, &[])
            .flat_map(|sample| &sample.labels)
            .filter(|(key, _)| key == label)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    fn find(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| {
            sample.name == name
                && labels.iter().all(|&(key, value)| {
                    sample
                        .labels
                        .iter()
                        .any(|(has, is)| has == key && is == value)
                })
        })
    }
}

/// `name{label="value",…} number`.
fn parse_line(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (key, value) = rest.split_once("=\"")?;
            let (value, after) = unquote(value)?;
            labels.push((key.to_owned(), value));
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    Some(Sample {
        name: name.to_owned(),
        labels,
        value: rest.trim().parse().ok()?,
    })
}

/// Reads up to the closing quote: the value, and what comes after it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

/// The body that a loopback server answers to `GET path` with status 200.
///
/// # Errors
///
/// When there is no answer within 10 s, or another one.
pub fn get(address: SocketAddr, path: &str) -> Result<String, String> {
    let exchange = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        // HTTP/1.0: the body ends where the connection does, never in chunks.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange().map_err(|error| format!("no answer from {address}: {error}"))?;
    let answer = String::from_utf8(answer).map_err(|_| "the answer is not UTF-8".to_owned())?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| format!("no HTTP answer: {answer:?}"))?;
    match head.split_ascii_whitespace().nth(1) {
        Some("200") => Ok(body.to_owned()),
        _ => Err(format!("{path} answers {:?}", head.lines().next())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_is_read() {
        let text =
            "# HELP a b\na 1\nk{f=\"x \\\"y\\\",\\\\\",o=\"gone\"} 2\nk{f=\"z\"} 3.5\nb{} 1e3\n";
        let metrics = Metrics::parse(text.to_owned()).expect("valid");
        let sum = |name, labels| metrics.sum(name, labels).to_string();
        assert_eq!(sum("a", &[]), "1");
        assert_eq!(sum("b", &[]), "1000");
        assert_eq!(sum("k", &[]), "5.5");
        assert_eq!(sum("k", &[("o", "gone")]), "2");
        assert_eq!(metrics.labels("k", "f"), ["x \"y\",\\", "z"]);
        assert!(!metrics.has("k", &[("o", "survived")]));
    }

    #[test]
    fn what_is_no_metric_is_an_error() {
        for text in ["a", "a{", "a{b=\"c} 1", "a one"] {
            assert!(Metrics::parse(text.to_owned()).is_err(), "{text}");
        }
    }
}
