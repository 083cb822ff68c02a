//! Verdicts of late, each with what followed.
//!
//! Events flow in as the journal is told of them; what belongs together is put
//! together. A verdict that is told again takes the place of the one before.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::MAX_LINES;
use crate::{
    detect::report::VerdictEvent,
    respond::{
        action::ban::{
            Listed,
            origin::{Origin, Starter},
        },
        evidence::EvidenceEvent,
    },
    telemetry::journal::{ActionEvent, Event, RespawnEvent},
};
use unjack_core::score::Evidence;

/// Findings kept.
pub const MAX_FINDINGS: usize = 50;
/// Deeds kept of one finding.
pub const MAX_DEEDS: usize = 8;

/// A process was found, and what followed. Text is cleaned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// When, in seconds since the Unix epoch.
    pub time: f64,
    /// How often it was told; of a ban, how often it refused an image.
    pub times: u64,
    /// Its id in the initial pid namespace.
    pub pid: u32,
    /// Its start in clock ticks since boot, if it is known.
    pub start_time: Option<u64>,
    /// The thread that was judged, if it was one alone.
    pub thread: Option<u32>,
    /// Path of its image; empty if it could not be read.
    pub exe: String,
    /// The name it gave itself.
    pub comm: String,
    /// The container, unit and pod it belongs to, in words; empty if there is none.
    pub home: String,
    /// `miner`, `hashing`, or `banned` for an image that is refused.
    pub verdict: String,
    /// It was told once that it hashes and that nothing explains it.
    pub unexplained: bool,
    /// Family of hash algorithm.
    pub family: String,
    /// 0 to 1.
    pub score: f64,
    /// CPU burn, in percent of one core.
    pub cpu_percent: f64,
    /// How long it had burned when judged, in CPU seconds.
    pub burn_seconds: f64,
    /// Why: what each line adds to the score.
    pub evidence: Vec<Evidence>,
    /// The code it executed most, a line a piece.
    pub code: Vec<String>,
    /// The ban that refused it.
    pub ban: Option<String>,
    /// What was done, the oldest first.
    pub deeds: Vec<ActionTaken>,
    /// What was kept of it.
    pub kept: Option<Kept>,
}

/// What was done about a process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ActionTaken {
    /// When, in seconds since the Unix epoch.
    pub time: f64,
    /// What was to be done: `kill`, …
    pub action: String,
    /// What came of it: `gone`, `refused`, …
    pub outcome: String,
    /// Why it was refused; may be empty.
    pub reason: String,
    /// To how many other processes it was done as well.
    pub others: u32,
    /// The scope, if it is not the one that was asked for, and why; else empty.
    #[serde(default)]
    pub scope: String,
    /// From the decision to the outcome, in seconds.
    pub seconds: f64,
}

/// Evidence in a folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The folder, in the directory of all evidence.
    pub folder: String,
    /// SHA-256 of its image, if that was kept.
    pub sha256: Option<String>,
    /// What the folder lacks.
    pub lost: Vec<String>,
}

/// The findings of late.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    findings: VecDeque<Finding>,
    forgotten: u64,
}

impl Recent {
    /// Takes in what the journal is told at `time`, seconds since the epoch.
    pub fn hear(&mut self, time: f64, event: &Event) {
        match event {
            Event::Verdict(event) => self.verdict(time, event),
            Event::Action(event) => self.action(time, event),
            Event::Evidence(event) => self.evidence(event),
            Event::Respawn(event) => self.respawn(time, event),
            Event::Ready { .. } | Event::Ban(_) | Event::Breaker(_) | Event::Escape(_) => {}
        }
    }

    /// All, the newest first.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().rev()
    }

    /// How many older ones there were.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn verdict(&mut self, time: f64, event: &VerdictEvent) {
        let VerdictEvent {
            pid,
            thread,
            start_time,
            exe,
            comm,
            verdict,
            unexplained,
            family,
            score,
            cpu_percent,
            burn_seconds,
            evidence,
            code,
            home,
        } = event;
        let same = |old: &Finding| {
            old.pid == *pid && old.start_time == Some(*start_time) && old.verdict == *verdict
        };
        let before = self.take(same);
        self.push(Finding {
            time: before.time.unwrap_or(time),
            times: before.finding.times + 1,
            pid: *pid,
            start_time: Some(*start_time),
            thread: *thread,
            exe: exe.clone().unwrap_or_default(),
            comm: comm.clone(),
            home: home.to_string(),
            verdict: (*verdict).to_owned(),
            unexplained: *unexplained || before.finding.unexplained,
            family: (*family).to_owned(),
            score: *score,
            cpu_percent: *cpu_percent,
            burn_seconds: *burn_seconds,
            evidence: Evidence::first(evidence, MAX_LINES),
            code: code.iter().take(MAX_LINES).cloned().collect(),
            ..before.finding
        });
    }

    fn action(&mut self, time: f64, event: &ActionEvent) {
        let ActionEvent {
            pid,
            action,
            outcome,
            reason,
            others,
            fallback,
            seconds,
        } = event;
        let deed = ActionTaken {
            time,
            action: action.to_string(),
            outcome: outcome.name().to_owned(),
            reason: reason.clone(),
            others: *others,
            scope: fallback.map_or_else(String::new, |fallback| fallback.to_string()),
            seconds: *seconds,
        };
        // Who was acted on had a verdict, or a banned image; unless that is
        // forgotten by now.
        if let Some(finding) = self.newest(*pid) {
            if finding.deeds.len() == MAX_DEEDS {
                finding.deeds.remove(0);
            }
            finding.deeds.push(deed);
        }
    }

    fn evidence(&mut self, event: &EvidenceEvent) {
        let EvidenceEvent {
            pid,
            folder,
            sha256,
            lost,
        } = event;
        if let Some(finding) = self.newest(*pid) {
            finding.kept = Some(Kept {
                folder: folder.clone(),
                sha256: sha256.clone(),
                lost: lost.iter().map(|&what| what.to_owned()).collect(),
            });
        }
    }

    fn respawn(&mut self, time: f64, event: &RespawnEvent) {
        let RespawnEvent {
            pid,
            outcome,
            ban: Listed {
                id, exe, refused, ..
            },
            origin,
        } = event;
        let before = self.take(|old| old.ban.as_ref() == Some(id));
        self.push(Finding {
            time,
            times: (*refused).max(1),
            pid: *pid,
            exe: exe.clone(),
            verdict: "banned".to_owned(),
            evidence: origin_lines(outcome, origin)
                .into_iter()
                .map(Evidence::told)
                .collect(),
            ban: Some(id.clone()),
            ..before.finding
        });
    }

    fn newest(&mut self, pid: u32) -> Option<&mut Finding> {
        let mut findings = self.findings.iter_mut().rev();
        findings.find(|finding| finding.pid == pid)
    }

    /// Takes out the one like that, or an empty one.
    fn take(&mut self, like: impl Fn(&Finding) -> bool) -> Before {
        let at = self.findings.iter().rposition(like);
        let found = at.and_then(|at| self.findings.remove(at));
        Before {
            time: found.as_ref().map(|finding| finding.time),
            finding: found.unwrap_or_default(),
        }
    }

    fn push(&mut self, finding: Finding) {
        if self.findings.len() == MAX_FINDINGS {
            // Honest hashing by the dozen is no way to push a miner out.
            let other = |finding: &Finding| finding.verdict != "miner";
            let least = self.findings.iter().position(other).unwrap_or(0);
            self.findings.remove(least);
            self.forgotten += 1;
        }
        self.findings.push_back(finding);
    }
}

struct Before {
    time: Option<f64>,
    finding: Finding,
}

/// Who started what was refused, a line each.
fn origin_lines(outcome: &str, origin: &Origin) -> Vec<String> {
    let Origin {
        started_by,
        cgroup,
        unit,
        container,
        cron,
    } = origin;
    let mut lines = vec![match outcome {
        "refused" => "its image is banned: the exec failed".to_owned(),
        "killed" => "its image is banned: it was killed before it ran".to_owned(),
        _ => "its image is a copy of a banned one".to_owned(),
    }];
    for Starter { pid, comm, exe } in started_by {
        let exe = exe.as_deref().unwrap_or("gone by now");
        lines.push(format!("started by: pid {pid} {exe} (calls itself {comm})"));
    }
    for (what, value) in [
        ("cron", cron),
        ("unit", unit),
        ("container", container),
        ("cgroup", cgroup),
    ] {
        lines.extend(value.iter().map(|value| format!("{what}: {value}")));
    }
    lines.truncate(MAX_LINES);
    lines
}

#[cfg(test)]
mod tests;
