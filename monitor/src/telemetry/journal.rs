//! The events on standard output: what unjack found and what it did.
//!
//! Events flow in with their time; one line of JSON, or a few lines for
//! people, flows out and is flushed. Nothing is buffered beyond one event, so
//! the only bound is the event's own size. A closed or full output is the
//! caller's to count: it must not stop the daemon.
//!
//! Texts from processes should have been through [`unjack_core::text::clean`].
//! Neither form relies on it: JSON escapes by nature, and the text form
//! replaces every control character.

mod bans;
mod breaker;
mod escape;

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::time::SystemTime;

use clap::ValueEnum;
use serde::Serialize;

pub use self::{
    bans::{BanEvent, RespawnEvent},
    breaker::BreakerEvent,
    escape::EscapeEvent,
};
use crate::{
    detect::report::VerdictEvent,
    policy::config::{Action, Scope},
    respond::{action::Fallback, evidence::EvidenceEvent},
};
use unjack_core::text::{Plain, Quoted};

/// Columns of the log-odds of a line of evidence: two digits before the point.
pub(crate) const NUMBER: usize = 5;

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
    /// The circuit breaker opened or closed.
    Breaker(BreakerEvent),
    /// A throttled or frozen process kept escaping, and is held by other means.
    Escape(EscapeEvent),
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
    /// It was done in a narrower scope than `--scope` asks for.
    #[serde(flatten)]
    pub fallback: Option<ScopeFallback>,
    /// From the decision to the outcome, in seconds.
    pub seconds: f64,
}

/// An action in a narrower scope than `--scope` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ScopeFallback {
    /// In which it was done.
    pub scope: Scope,
    /// What was asked for.
    pub scope_requested: Scope,
    /// Why that was refused.
    pub scope_refused: &'static str,
}

impl From<Fallback> for ScopeFallback {
    fn from(fallback: Fallback) -> Self {
        let Fallback {
            requested,
            refused,
            scope,
        } = fallback;
        Self {
            scope,
            scope_requested: requested,
            scope_refused: refused.name(),
        }
    }
}

impl fmt::Display for ScopeFallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scope,
            scope_requested,
            scope_refused,
        } = self;
        write!(
            f,
            "scope {} instead of {}: {scope_refused}",
            scope.name(),
            scope_requested.name()
        )
    }
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

/// A verdict as one line of JSON.
///
/// # Errors
/// It cannot be written as JSON: a mistake in this module.
pub fn verdict_json(ts: SystemTime, verdict: &VerdictEvent) -> io::Result<String> {
    json(ts, &Event::Verdict(verdict.clone()))
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
        Event::Breaker(event) => breaker::breaker_text(ts, event),
        Event::Escape(event) => escape::text(ts, event),
        Event::Action(ActionEvent {
            pid,
            action,
            outcome,
            reason,
            others,
            fallback,
            seconds,
        }) => {
            let outcome = outcome.name();
            let mut text = format!("{ts} {action} pid {pid}: {outcome} after {seconds:.1} s");
            if *others > 0 {
                // Writing to a String cannot fail.
                let _ = write!(text, ", with {others} others");
            }
            if let Some(fallback) = fallback {
                // Writing to a String cannot fail.
                let _ = write!(text, ", {fallback}");
            }
            if !reason.is_empty() {
                // Writing to a String cannot fail.
                let _ = write!(text, " ({})", Plain(reason));
            }
            text
        }
    }
}

/// A verdict, its evidence a line each with its log-odds, and its code.
pub(crate) fn verdict_text(ts: &str, event: &VerdictEvent) -> String {
    let VerdictEvent {
        pid,
        thread,
        start_time: _,
        exe,
        comm,
        home,
        verdict,
        unexplained,
        family,
        score,
        cpu_percent,
        burn_seconds,
        evidence,
        code,
    } = event;
    let thread = thread.map_or_else(String::new, |tid| format!(" thread {tid}"));
    let mut text = format!(
        "{ts} {verdict} pid {pid}{thread} {} (calls itself {}): {family}, score {score:.2}, \
         {cpu_percent:.0} % of a core, {burn_seconds:.1} CPU seconds so far",
        Quoted(exe.as_deref().unwrap_or("unreadable image")),
        Quoted(comm)
    );
    if *unexplained {
        text.push_str(", and nothing explains it");
    }
    if !home.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n    in: {home}");
    }
    for line in evidence {
        let (number, line) = (line.number(), Plain(&line.text));
        // Writing to a String cannot fail.
        let _ = write!(text, "\n    {number:>NUMBER$}  {line}");
    }
    for line in code {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n    code: {}", Plain(line));
    }
    text
}

#[cfg(test)]
mod tests;
