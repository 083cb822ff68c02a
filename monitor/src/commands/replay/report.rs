//! What a replay found, for people and as JSON.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    time::{Duration, UNIX_EPOCH},
};

use serde::Serialize;

use crate::{
    commands::record::line::Header,
    detect::report::VerdictEvent,
    policy::config::{self, ActOn, Action},
    respond::action::breaker::Level,
    telemetry::journal::{Outcome, verdict_text},
};
use unjack_core::{
    profile::{self, cost},
    text::clean,
};

/// Verdicts that are reported; more are counted.
pub(super) const MAX_ENTRIES: usize = 10_000;
/// Characters of what a recording says of its host.
const HOST_CHARS: usize = 128;

/// A verdict, and what would have come of it.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Seconds since the recording began.
    pub t: f64,
    /// What would have been reported.
    #[serde(flatten)]
    pub verdict: VerdictEvent,
    /// What would have been done; none for what only hashes.
    pub action: Option<Act>,
    /// CPU seconds it burned from then on, that would have been saved.
    pub saved_cpu_seconds: f64,
    /// When it ended in the recording, in seconds; `None` if it outlived that.
    pub ended: Option<f64>,
}

/// What would have been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Act {
    /// What would have come of it.
    pub outcome: Outcome,
    /// Why it would have been refused.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub reason: &'static str,
}

/// Of what was replayed.
#[derive(Clone, Debug, Serialize)]
pub struct Recording {
    /// When it began, as in `2026-11-24T21:31:07Z`.
    pub begun: String,
    /// Seconds that were judged.
    pub seconds: f64,
    /// The kernel's release.
    pub kernel: String,
    /// The processor.
    pub processor: String,
    /// The unjack that recorded.
    pub unjack: String,
    /// Why it ended: `done`, `size`, `slow`, or `cut` for one that does not say.
    pub ended: &'static str,
    /// Samples, and whole profiles, that were lost while it was recorded.
    pub lost_samples: u64,
}

impl Recording {
    pub(super) fn new(header: &Header) -> Self {
        let shown = |text: &str| clean(text.as_bytes(), HOST_CHARS);
        // No year of more than four digits.
        let begun = UNIX_EPOCH + Duration::from_secs(header.begun.min(253_402_300_799));
        Self {
            begun: humantime::format_rfc3339_seconds(begun).to_string(),
            seconds: 0.0,
            kernel: shown(&header.kernel),
            processor: shown(&header.processor),
            unjack: shown(&header.unjack),
            ended: "cut",
            lost_samples: 0,
        }
    }
}

/// The policy it was judged by.
#[derive(Clone, Debug, Serialize)]
pub struct Judged {
    action: Action,
    act_on: &'static str,
    min_cpu_percent: f64,
    min_score: f64,
    window_seconds: f64,
    patience_seconds: f64,
    unexplained_after_seconds: f64,
    allow: Vec<String>,
    deny: Vec<String>,
    only: Vec<String>,
}

/// Sums over the whole recording.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Total {
    /// Processes judged to be miners, and to be hashing for another purpose.
    pub miners: u64,
    /// See [`Self::miners`].
    pub hashing: u64,
    /// Of those that hash, how many went on for `--unexplained-after` with nothing that
    /// explains it.
    pub unexplained: u64,
    /// Processes that would have been acted on.
    pub acted_on: u64,
    /// How often a process would have been spared, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Miners that would only have been reported, as no rule of `--only` is about them.
    pub outside_only: u64,
    /// How often the circuit breaker would have opened, by what for.
    pub breaker_opened: BTreeMap<Level, u64>,
    /// How often a process would not have been acted on because it was open.
    pub breaker_let_pass: BTreeMap<Level, u64>,
    /// CPU seconds that miners burned in the recording, by family.
    pub stolen_cpu_seconds: BTreeMap<&'static str, f64>,
    /// CPU seconds of miners that a rule allows.
    pub allowed_cpu_seconds: f64,
    /// CPU seconds that acting would have saved.
    pub saved_cpu_seconds: f64,
    /// What was stolen, in the currency of `--core-hour-cost`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stolen_cost: Option<f64>,
    /// What would have been saved, in the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved_cost: Option<f64>,
    /// Verdicts beyond ten thousand.
    pub not_shown: u64,
}

/// Everything a replay found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was replayed.
    pub recording: Recording,
    /// By what it was judged.
    pub policy: Judged,
    /// The verdicts, in time.
    pub verdicts: Vec<Entry>,
    /// Sums.
    pub total: Total,
    /// What could not be known, a sentence each.
    pub unknown: Vec<String>,
}

impl Report {
    pub(super) fn new(
        recording: Recording,
        config: &config::Replay,
        verdicts: Vec<Entry>,
        mut total: Total,
        undigested: usize,
    ) -> Self {
        let policy = &config.policy;
        if let Some(rate) = policy.core_hour_cost {
            let stolen = profile::total(total.stolen_cpu_seconds.values().copied());
            total.stolen_cost = Some(cost(stolen, rate));
            total.saved_cost = Some(cost(total.saved_cpu_seconds, rate));
        }
        let texts = |rules: &[config::Rule]| rules.iter().map(|rule| rule.text.clone()).collect();
        let mut unknown = Vec::new();
        if recording.ended == "cut" {
            unknown.push("the recording has no end: it was cut off".to_owned());
        }
        if recording.lost_samples > 0 {
            unknown.push(format!(
                "{} samples or profiles were lost while it was recorded",
                recording.lost_samples
            ));
        }
        if undigested > 0 {
            unknown.push(format!(
                "no SHA-256 of {undigested} processes was recorded: sha256= rules and lists \
                 match none of them"
            ));
        }
        if policy.only.iter().any(|rule| rule.key.is_of_runtime()) {
            unknown.push(
                "namespaces and images of containers are not recorded: namespace= and image= \
                 rules match nothing"
                    .to_owned(),
            );
        }
        Self {
            policy: Judged {
                action: config.action,
                act_on: match policy.act_on {
                    ActOn::Miner => "miner",
                    ActOn::Hashing => "hashing",
                },
                min_cpu_percent: 100.0 * policy.min_cpu,
                min_score: policy.min_score,
                window_seconds: policy.window.as_secs_f64(),
                patience_seconds: policy.patience.as_secs_f64(),
                unexplained_after_seconds: policy.unexplained_after.as_secs_f64(),
                allow: texts(&policy.allow),
                deny: texts(&policy.deny),
                only: texts(&policy.only),
            },
            recording,
            verdicts,
            total,
            unknown,
        }
    }

    /// For people.
    #[must_use]
    pub fn render(&self) -> String {
        let Recording {
            begun,
            seconds,
            kernel,
            processor: _,
            unjack,
            ended: _,
            lost_samples: _,
        } = &self.recording;
        let mut text = format!(
            "{seconds:.0} s from {begun}, recorded by unjack {unjack} on Linux {kernel}, judged \
             under {}\n\n",
            self.policy.text()
        );
        for entry in &self.verdicts {
            let t = format!("{:9.1} s", entry.t);
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}", verdict_text(&t, &entry.verdict));
            if let Some(act) = entry.action {
                let _ = writeln!(text, "    {}", self.act_text(entry, act));
            }
        }
        if !self.verdicts.is_empty() {
            text.push('\n');
        }
        text.push_str(&self.total_text());
        for unknown in &self.unknown {
            let _ = writeln!(text, "note: {unknown}");
        }
        text
    }

    fn act_text(&self, entry: &Entry, act: Act) -> String {
        let until = entry.ended.map_or_else(
            || "the end of the recording".to_owned(),
            |ended| format!("its end at {ended:.1} s"),
        );
        let saved = entry.saved_cpu_seconds;
        match (act.outcome, self.policy.action) {
            (Outcome::Refused, action) => format!("would not {action}: {}", act.reason),
            (Outcome::DryRun, _) if act.reason.is_empty() => "would only be reported".to_owned(),
            (Outcome::DryRun, _) => format!("would only be reported: {}", act.reason),
            (_, action) => format!("would {action}: saves {saved:.1} CPU seconds until {until}"),
        }
    }

    fn total_text(&self) -> String {
        let Total {
            miners,
            hashing,
            unexplained,
            acted_on,
            refused,
            outside_only,
            breaker_opened,
            breaker_let_pass,
            stolen_cpu_seconds,
            allowed_cpu_seconds,
            saved_cpu_seconds,
            stolen_cost,
            saved_cost,
            not_shown,
        } = &self.total;
        let stolen = profile::total(stolen_cpu_seconds.values().copied());
        let price =
            |cost: &Option<f64>| cost.map_or_else(String::new, |cost| format!(" ({cost:.4})"));
        let mut text = format!(
            "total: {miners} {}, {hashing} that only {}, {unexplained} of them unexplained; {acted_on} acted on\n\
             total: {stolen:.1} CPU seconds stolen{}, of which {saved_cpu_seconds:.1} would have \
             been saved{}; {allowed_cpu_seconds:.1} allowed\n",
            if *miners == 1 { "miner" } else { "miners" },
            if *hashing == 1 { "hashes" } else { "hash" },
            price(stolen_cost),
            price(saved_cost)
        );
        // Writing to a String cannot fail.
        for (family, seconds) in stolen_cpu_seconds {
            let _ = writeln!(text, "total: {seconds:.1} CPU seconds by {family}");
        }
        for (reason, times) in refused {
            let _ = writeln!(text, "total: {times} not acted on: {reason}");
        }
        if *outside_only > 0 {
            let _ = writeln!(
                text,
                "total: {outside_only} only reported: outside of --only"
            );
        }
        for (level, times) in breaker_opened {
            let passed = breaker_let_pass.get(level).copied().unwrap_or(0);
            let _ = writeln!(
                text,
                "total: {times} times the breaker would have opened by {}; {passed} not acted on \
                 because of it",
                level.name()
            );
        }
        if *not_shown > 0 {
            let _ = writeln!(text, "total: {not_shown} more verdicts, not shown");
        }
        text
    }
}

impl Judged {
    /// As flags.
    fn text(&self) -> String {
        let Self {
            action,
            act_on,
            min_cpu_percent,
            min_score,
            window_seconds,
            patience_seconds,
            unexplained_after_seconds,
            allow,
            deny,
            only,
        } = self;
        let mut text = format!(
            "--action {action} --act-on {act_on} --min-cpu {min_cpu_percent} --min-score \
             {min_score} --window {window_seconds}s --patience {patience_seconds}s \
             --unexplained-after {unexplained_after_seconds}s"
        );
        for (flag, rules) in [("--allow", allow), ("--deny", deny), ("--only", only)] {
            for rule in rules {
                // Writing to a String cannot fail.
                let _ = write!(text, " {flag} {rule}");
            }
        }
        text
    }
}
