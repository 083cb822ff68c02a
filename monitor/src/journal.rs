//! The events on standard output: what unjack found and what it did.
//!
//! Events flow in with their time; one line of JSON, or a few lines for
//! people, flows out and is flushed. Nothing is buffered beyond one event, so
//! the only bound is the event's own size. A closed or full output is the
//! caller's to count: it must not stop the daemon.
//!
//! Texts from processes should have been through [`crate::text::clean`].
//! Neither form relies on it: JSON escapes by nature, and the text form
//! replaces every control character.

mod bans;

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::time::SystemTime;

use clap::ValueEnum;
use serde::Serialize;

pub use self::bans::{BanEvent, RespawnEvent};
use crate::config::Action;
use crate::host::container::Home;

/// Form of the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Something worth telling.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// All probes are attached.
    Ready {
        /// Version of unjack.
        version: String,
        /// Release of the running kernel.
        kernel: String,
        /// The attached programs.
        programs: Vec<String>,
        /// What drives the sampler, such as `cpu-clock`.
        sampler: String,
    },
    /// A process was judged.
    Verdict(VerdictEvent),
    /// A process was acted on, or would have been.
    Action(ActionEvent),
    /// Evidence of a process was kept.
    Evidence(EvidenceEvent),
    /// An image is refused from now on, or is not although it was condemned.
    Ban(BanEvent),
    /// A banned image was to be executed again, or a copy of it was.
    Respawn(RespawnEvent),
}

/// Evidence of a process was kept.
#[derive(Clone, Debug, Serialize)]
pub struct EvidenceEvent {
    /// Its id in the initial pid namespace.
    pub pid: u32,
    /// The folder, in the directory of all evidence.
    pub folder: String,
    /// SHA-256 of its image; `None` if that was not kept.
    pub sha256: Option<String>,
    /// What the folder lacks, as in the metrics.
    pub lost: Vec<&'static str>,
}

/// A process was judged.
#[derive(Clone, Debug, Serialize)]
pub struct VerdictEvent {
    /// Its id in the initial pid namespace.
    pub pid: u32,
    /// The thread that was judged, if it was one alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<u32>,
    /// Its start in clock ticks since boot: field 22 of `/proc/PID/stat`.
    pub start_time: u64,
    /// Path of its image; `None` if it could not be read.
    pub exe: Option<String>,
    /// The name it gave itself.
    pub comm: String,
    /// Its unit, container and pod: `unit`, `container` and `pod`, where it has any.
    #[serde(flatten)]
    pub home: Home,
    /// `miner` or `hashing`.
    pub verdict: &'static str,
    /// Family of hash algorithm.
    pub family: &'static str,
    /// 0 to 1.
    pub score: f64,
    /// CPU burn, in percent of one core.
    pub cpu_percent: f64,
    /// How long it had burned when judged, in seconds.
    pub burn_seconds: f64,
    /// Why, a sentence each.
    pub evidence: Vec<String>,
}

/// A process was acted on, or would have been.
#[derive(Clone, Debug, Serialize)]
pub struct ActionEvent {
    /// Its id in the initial pid namespace.
    pub pid: u32,
    /// What was to be done.
    pub action: Action,
    /// What came of it.
    pub outcome: Outcome,
    /// Why it was done, or refused.
    pub reason: String,
    /// To how many other processes it was done as well.
    #[serde(skip_serializing_if = "is_zero")]
    pub others: u32,
    /// From the decision to the outcome, in seconds.
    pub seconds: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What came of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The process no longer exists.
    Gone,
    /// It was signalled and still exists.
    Survived,
    /// It is throttled or frozen.
    Held,
    /// It was not touched, because it must not be.
    Refused,
    /// It was not touched, because the action is observe.
    DryRun,
}

impl Outcome {
    /// Its name in events and labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Survived => "survived",
            Self::Held => "held",
            Self::Refused => "refused",
            Self::DryRun => "dry-run",
        }
    }
}

/// Writes events.
#[derive(Debug)]
pub struct Journal<W: Write> {
    out: W,
    format: Format,
}

impl<W: Write> Journal<W> {
    /// A journal that writes to `out`.
    pub fn new(out: W, format: Format) -> Self {
        Self { out, format }
    }

    /// Writes one event, in one piece, and flushes it.
    ///
    /// # Errors
    /// If the output is closed or full. The event is lost then; later ones may
    /// still be written.
    pub fn write(&mut self, ts: SystemTime, event: &Event) -> io::Result<()> {
        let text = match self.format {
            Format::Json => json(ts, event)?,
            Format::Text => {
                let ts = humantime::format_rfc3339_millis(ts).to_string();
                to_text(&ts, event) + "\n"
            }
        };
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

/// An event as one line of JSON.
///
/// # Errors
/// It cannot be written as JSON: a mistake in this module.
pub fn json(ts: SystemTime, event: &Event) -> io::Result<String> {
    let ts = humantime::format_rfc3339_millis(ts).to_string();
    Ok(serde_json::to_string(&Line { ts, event })? + "\n")
}

#[derive(Serialize)]
struct Line<'a> {
    ts: String,
    #[serde(flatten)]
    event: &'a Event,
}

fn to_text(ts: &str, event: &Event) -> String {
    match event {
        Event::Ready {
            version,
            kernel,
            programs,
            sampler,
        } => format!(
            "{ts} ready: unjack {} on Linux {}, probes {}, sampling by {}",
            Plain(version),
            Plain(kernel),
            Plain(&programs.join(" ")),
            Plain(sampler)
        ),
        Event::Verdict(verdict) => verdict_text(ts, verdict),
        Event::Evidence(EvidenceEvent {
            pid,
            folder,
            sha256,
            lost,
        }) => {
            let image = sha256.as_deref().unwrap_or("not kept");
            let mut text = format!("{ts} evidence of pid {pid}: {folder}, image {image}");
            if !lost.is_empty() {
                // Writing to a String cannot fail.
                let _ = write!(text, " (lost: {})", lost.join(", "));
            }
            text
        }
        Event::Ban(ban) => bans::ban_text(ts, ban),
        Event::Respawn(respawn) => bans::respawn_text(ts, respawn),
        Event::Action(ActionEvent {
            pid,
            action,
            outcome,
            reason,
            others,
            seconds,
        }) => {
            let outcome = outcome.name();
            let mut text = format!("{ts} {action} pid {pid}: {outcome} after {seconds:.1} s");
            if *others > 0 {
                // Writing to a String cannot fail.
                let _ = write!(text, ", with {others} others");
            }
            if !reason.is_empty() {
                // Writing to a String cannot fail.
                let _ = write!(text, " ({})", Plain(reason));
            }
            text
        }
    }
}

/// A verdict, and its evidence a line each.
pub(crate) fn verdict_text(ts: &str, event: &VerdictEvent) -> String {
    let VerdictEvent {
        pid,
        thread,
        start_time: _,
        exe,
        comm,
        home,
        verdict,
        family,
        score,
        cpu_percent,
        burn_seconds,
        evidence,
    } = event;
    let thread = thread.map_or_else(String::new, |tid| format!(" thread {tid}"));
    let mut text = format!(
        "{ts} {verdict} pid {pid}{thread} {} (calls itself {}): {family}, score {score:.2}, \
         {cpu_percent:.0} % of a core, {burn_seconds:.1} CPU seconds so far",
        Quoted(exe.as_deref().unwrap_or("unreadable image")),
        Quoted(comm)
    );
    if !home.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n    in: {home}");
    }
    for line in evidence {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n    {}", Plain(line));
    }
    text
}

/// A text on one line.
pub(crate) struct Plain<'a>(pub(crate) &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| {
            f.write_char(if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            })
        })
    }
}

/// A text whose end cannot be forged by what is in it.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", Plain(&self.0.replace('"', "\\\"")))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::{cgroup::identity::Runtime, host::container::Container};

    fn written(format: Format, event: &Event) -> String {
        let mut out = Vec::new();
        let ts = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        Journal::new(&mut out, format).write(ts, event).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn verdict(exe: &str) -> Event {
        Event::Verdict(VerdictEvent {
            pid: 4242,
            thread: None,
            start_time: 123_456,
            exe: Some(exe.to_owned()),
            comm: "nginx".to_owned(),
            home: Home::default(),
            verdict: "miner",
            family: "randomx",
            score: 0.973,
            cpu_percent: 99.8,
            burn_seconds: 6.04,
            evidence: vec!["xor 45 %".to_owned(), "rounding mode changed".to_owned()],
        })
    }

    fn action() -> Event {
        Event::Action(ActionEvent {
            pid: 4242,
            action: Action::Kill,
            outcome: Outcome::DryRun,
            reason: "miner".to_owned(),
            others: 0,
            seconds: 0.25,
        })
    }

    #[test]
    fn verdict_as_json_has_the_promised_fields_in_order() {
        assert_eq!(
            written(Format::Json, &verdict("/tmp/nginx")),
            concat!(
                r#"{"ts":"2023-11-14T22:13:20.123Z","event":"verdict","pid":4242,"start_time":123456,"#,
                r#""exe":"/tmp/nginx","comm":"nginx","verdict":"miner","family":"randomx","score":0.973,"#,
                r#""cpu_percent":99.8,"burn_seconds":6.04,"evidence":["xor 45 %","rounding mode changed"]}"#,
                "\n"
            )
        );
    }

    #[test]
    fn action_as_json() {
        assert_eq!(
            written(Format::Json, &action()),
            concat!(
                r#"{"ts":"2023-11-14T22:13:20.123Z","event":"action","pid":4242,"action":"kill","#,
                r#""outcome":"dry-run","reason":"miner","seconds":0.25}"#,
                "\n"
            )
        );
    }

    fn evidence() -> Event {
        Event::Evidence(EvidenceEvent {
            pid: 4242,
            folder: "20231114T221320.123Z-4242-1a2b3c4d".to_owned(),
            sha256: None,
            lost: vec!["image-too-large"],
        })
    }

    #[test]
    fn evidence_in_both_forms() {
        assert_eq!(
            written(Format::Json, &evidence()),
            concat!(
                r#"{"ts":"2023-11-14T22:13:20.123Z","event":"evidence","pid":4242,"#,
                r#""folder":"20231114T221320.123Z-4242-1a2b3c4d","sha256":null,"lost":["image-too-large"]}"#,
                "\n"
            )
        );
        assert_eq!(
            written(Format::Text, &evidence()),
            "2023-11-14T22:13:20.123Z evidence of pid 4242: 20231114T221320.123Z-4242-1a2b3c4d, \
             image not kept (lost: image-too-large)\n"
        );
    }

    #[test]
    fn ready_as_json() {
        let event = Event::Ready {
            version: "0.1.0".to_owned(),
            kernel: "6.1.0".to_owned(),
            programs: vec!["sched_switch".to_owned()],
            sampler: "cpu-clock".to_owned(),
        };
        assert_eq!(
            written(Format::Json, &event),
            concat!(
                r#"{"ts":"2023-11-14T22:13:20.123Z","event":"ready","version":"0.1.0","kernel":"6.1.0","#,
                r#""programs":["sched_switch"],"sampler":"cpu-clock"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn verdict_as_text_is_a_line_and_its_evidence() {
        assert_eq!(
            written(Format::Text, &verdict("/tmp/nginx")),
            "2023-11-14T22:13:20.123Z miner pid 4242 \"/tmp/nginx\" (calls itself \"nginx\"): randomx, \
             score 0.97, 100 % of a core, 6.0 CPU seconds so far\n    xor 45 %\n    rounding mode changed\n"
        );
    }

    #[test]
    fn where_it_is_goes_with_it_in_both_forms() {
        let Event::Verdict(mut event) = verdict("/tmp/nginx") else {
            unreachable!()
        };
        event.home.container = Some(Container {
            id: "598a584c321ed436".to_owned(),
            runtime: Some(Runtime::Podman),
            name: Some("a\nb\"".to_owned()),
            image: None,
        });
        let event = Event::Verdict(event);
        assert!(written(Format::Json, &event).contains(concat!(
            r#""comm":"nginx","container":{"id":"598a584c321ed436","runtime":"podman","#,
            r#""name":"a\nb\"","image":null},"verdict":"miner""#
        )));
        let text = written(Format::Text, &event);
        assert_eq!(
            text.lines().nth(1),
            Some(r#"    in: container "a�b\"" (podman 598a584c321e)"#)
        );
    }

    #[test]
    fn action_as_text_is_a_line() {
        assert_eq!(
            written(Format::Text, &action()),
            "2023-11-14T22:13:20.123Z kill pid 4242: dry-run after 0.2 s (miner)\n"
        );
    }

    #[test]
    fn an_uncleaned_path_forges_no_line_in_either_form() {
        let hostile = verdict("/tmp/a\n2023 miner pid 1\x1b[2J\"");
        let json = written(Format::Json, &hostile);
        assert_eq!(json.matches('\n').count(), 1);
        let back: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(back["exe"], "/tmp/a\n2023 miner pid 1\x1b[2J\"");

        let text = written(Format::Text, &hostile);
        assert_eq!(text.lines().count(), 3);
        assert!(
            text.contains(r#"/tmp/a�2023 miner pid 1�[2J\"" (calls"#),
            "{text}"
        );
    }

    #[test]
    fn a_full_output_is_an_error_and_not_the_end() {
        let mut room = [0_u8; 4];
        let mut journal = Journal::new(&mut room[..], Format::Json);
        assert!(journal.write(UNIX_EPOCH, &action()).is_err());
        assert!(journal.write(UNIX_EPOCH, &action()).is_err());
    }
}
