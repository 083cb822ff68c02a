//! The report as text, for a person.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Agent, Report};

impl Report {
    /// All of it, for a person.
    pub(in super::super) fn text(&self, agent: &Agent) -> String {
        let mut text = format!(
            "{:<26} {:>5} {:>10} {:>8}  {:<11} {:>7}  families\n",
            "job", "runs", "contained", "CPU s", "worst", "score"
        );
        for row in self.rows.iter().chain([&self.others]) {
            let families: Vec<_> = row.families.iter().map(String::as_str).collect();
            let _ = writeln!(
                text,
                "{:<26} {:>5} {:>10} {:>8.1}  {:<11} {:>7.3}  {}",
                row.name,
                row.runs,
                row.contained,
                row.cpu.as_secs_f64(),
                row.worst.name(),
                row.score,
                families.join(" ")
            );
        }
        let runs: u32 = self.rows.iter().map(|row| row.runs).sum();
        let cpu: f64 = self.rows.iter().map(|row| row.cpu.as_secs_f64()).sum();
        let Agent {
            cpu: own,
            resident,
            most,
            samples,
            lost,
            miners,
            acted,
        } = agent;
        let _ = write!(
            text,
            "\n{runs} runs, {cpu:.0} CPU seconds. unjack: {own:.1} CPU seconds, {resident:.0} MiB resident \
             ({most:.0} at most), {samples} samples, {lost} lost; {miners} miners, {acted} actions.\n"
        );
        if self.unseen > 0 {
            let _ = writeln!(
                text,
                "The daemon's view was not there {} times.",
                self.unseen
            );
        }
        for row in &self.rows {
            if let Some(near) = &row.near {
                let _ = writeln!(text, "\nnear to a miner: {}\n{near}\n", row.name);
            }
        }
        for stranger in &self.strangers {
            let _ = writeln!(text, "of no job, or gone before it was asked: {stranger}");
        }
        for row in self.rows.iter().filter(|row| row.runs == 0) {
            let _ = writeln!(text, "not run: {}: there was no time for it", row.name);
        }
        for (name, why) in &self.skipped {
            let _ = writeln!(text, "skipped: {name}: {why}");
        }
        for fault in &self.faults {
            let _ = writeln!(text, "\nFAULT: {fault}");
        }
        if self.more_faults > 0 {
            let _ = writeln!(text, "\nand {} more faults", self.more_faults);
        }
        let passed = if self.passed() { "passed" } else { "FAILED" };
        let _ = write!(text, "\nhonest: {passed}");
        text
    }
}

/// A verdict, its evidence a line each.
pub(super) fn evidence(event: &Value) -> String {
    let mut text = format!(
        "    pid {} {} ({}), score {}, {} % of a core",
        event["pid"], event["exe"], event["comm"], event["score"], event["cpu_percent"]
    );
    for line in event["evidence"].as_array().into_iter().flatten() {
        let number = line["log_odds"].as_f64().unwrap_or_default();
        let said = line["text"].as_str().unwrap_or_default();
        let _ = write!(text, "\n    {number:>+6.1}  {said}");
    }
    for line in event["code"].as_array().into_iter().flatten() {
        let _ = write!(text, "\n    code: {}", line.as_str().unwrap_or_default());
    }
    text
}
