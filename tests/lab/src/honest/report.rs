//! What came of it all: the table, what was left out, and what failed.

mod agent;
mod text;

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use serde_json::Value;

pub(super) use self::agent::Agent;
use self::text::evidence;
use super::run::{End, Outcome};

/// Findings that are printed; the others are counted. Each has some twenty lines.
const MAX_FAULTS: usize = 40;

/// Score from which the evidence is printed though there was no verdict: a miner has 0.8 by
/// default, in several judgements that agree.
const NEAR: f64 = 0.5;
/// Images of no job that are named: they are few, unless others use the machine.
const MAX_STRANGERS: usize = 20;

/// What is known so far.
pub(super) struct Report {
    rows: Vec<Row>,
    /// Of processes that are of no job.
    others: Row,
    skipped: Vec<(String, String)>,
    faults: Vec<String>,
    /// How many more there were.
    more_faults: usize,
    /// Images of no known job that had a verdict.
    strangers: BTreeSet<String>,
    /// How often the daemon's view could not be read.
    unseen: u32,
}

/// One kind of job.
#[derive(Default)]
struct Row {
    name: String,
    runs: u32,
    contained: u32,
    cpu: Duration,
    worst: Worst,
    families: BTreeSet<String>,
    score: f64,
    /// The evidence of that score, if it is near to a miner's.
    near: Option<String>,
}

/// The worst that was said of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Worst {
    #[default]
    None,
    Hashing,
    /// It hashed for long, and nothing explains it. That is a report and no more.
    Unexplained,
    Miner,
}

impl Worst {
    fn of(event: &Value) -> Self {
        match event["verdict"].as_str() {
            Some("miner") => Self::Miner,
            Some("hashing") if event["unexplained"] == true => Self::Unexplained,
            Some("hashing") => Self::Hashing,
            _ => Self::None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Hashing => "hashing",
            Self::Unexplained => "unexplained",
            Self::Miner => "MINER",
        }
    }
}

impl Report {
    /// Of these jobs, and with those that were left out, and why.
    pub(super) fn new<'a>(
        jobs: impl Iterator<Item = &'a str>,
        skipped: Vec<(String, String)>,
    ) -> Self {
        let row = |name: &str| Row {
            name: name.to_owned(),
            ..Row::default()
        };
        Self {
            rows: jobs.map(row).collect(),
            others: row("(of no job)"),
            skipped,
            faults: Vec::new(),
            more_faults: 0,
            strangers: BTreeSet::new(),
            unseen: 0,
        }
    }

    /// Something that fails the whole run.
    pub(super) fn fault(&mut self, fault: String) {
        if self.faults.len() < MAX_FAULTS {
            eprintln!("honest: FAULT: {fault}");
            self.faults.push(fault);
        } else {
            self.more_faults += 1;
        }
    }

    /// A run of a job has ended.
    pub(super) fn ran(&mut self, job: usize, outcome: &Outcome) {
        let row = &mut self.rows[job];
        row.runs += 1;
        row.contained += u32::from(outcome.container);
        row.cpu += outcome.cpu;
        let how = match &outcome.end {
            // An interruption is told once.
            End::Done | End::Interrupted => return,
            End::Signal(signal) => format!("was ended by signal {signal}"),
            End::Failed(code) => format!("failed with exit code {code}"),
            End::TooLong => "did not end in time".to_owned(),
            End::NotBegun(why) => format!("could not be begun: {why}"),
        };
        let place = if outcome.container {
            "in a container"
        } else {
            "on the host"
        };
        let mut fault = format!("{}: a run {place} {how}", row.name);
        for line in &outcome.said {
            let _ = write!(fault, "\n    | {line}");
        }
        self.fault(fault);
    }

    /// The daemon's view has a process of a job, with a score.
    pub(super) fn viewed(&mut self, job: usize, process: &Value) {
        let score = process["score"].as_f64().unwrap_or_default();
        let row = &mut self.rows[job];
        if score > row.score {
            row.score = score;
            row.near = (score >= NEAR).then(|| evidence(process));
        }
    }

    /// The daemon's view could not be read.
    pub(super) fn unseen(&mut self) {
        self.unseen += 1;
    }

    /// An event of the daemon, about a process of this job, or of none that is known.
    pub(super) fn event(&mut self, job: Option<usize>, event: &Value) {
        let row = match job {
            Some(job) => &mut self.rows[job],
            None => &mut self.others,
        };
        let name = row.name.clone();
        match event["event"].as_str() {
            Some("verdict") => {
                let worst = Worst::of(event);
                row.worst = row.worst.max(worst);
                row.score = row.score.max(event["score"].as_f64().unwrap_or_default());
                if let Some(family) = event["family"].as_str().filter(|name| !name.is_empty()) {
                    row.families.insert(family.to_owned());
                }
                if job.is_none() && self.strangers.len() < MAX_STRANGERS {
                    let of = |key: &str| event[key].as_str().unwrap_or("?").to_owned();
                    let stranger = format!("{} ({}): {}", of("exe"), of("comm"), of("verdict"));
                    self.strangers.insert(stranger);
                }
                if worst == Worst::Miner {
                    self.fault(format!("{name}: taken for a miner\n{}", evidence(event)));
                }
            }
            Some("action" | "ban" | "respawn") => self.fault(format!("{name}: {event}")),
            _ => {}
        }
    }

    /// Judges the whole run, once it is over.
    pub(super) fn check(&mut self, agent: &Agent, kinds: usize, rate: f64) {
        let ran = self.rows.iter().filter(|row| row.runs > 0).count();
        if ran < kinds {
            self.fault(format!("only {ran} kinds of jobs ran, of at least {kinds}"));
        }
        // Metrics know of what no event told, such as of an output that was lost.
        if agent.miners > 0.0 || agent.acted > 0.0 {
            let Agent { miners, acted, .. } = agent;
            self.fault(format!(
                "the daemon counts {miners} miners and {acted} actions"
            ));
        }
        let cpu: f64 = self.rows.iter().map(|row| row.cpu.as_secs_f64()).sum();
        if agent.samples < rate * cpu {
            let samples = agent.samples;
            self.fault(format!(
                "the daemon hardly looked: {samples} samples in {cpu:.0} CPU seconds"
            ));
        }
    }

    /// Whether nothing failed.
    pub(super) fn passed(&self) -> bool {
        self.faults.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report() -> Report {
        let skipped = vec![("borg".to_owned(), "there is no borg".to_owned())];
        Report::new(["gcc", "openssl"].into_iter(), skipped)
    }

    fn outcome(end: End) -> Outcome {
        Outcome {
            end,
            container: true,
            cpu: Duration::from_millis(1500),
            said: vec!["last words".to_owned()],
        }
    }

    #[test]
    fn hashing_is_told_and_is_no_fault() {
        let mut report = report();
        report.ran(0, &outcome(End::Done));
        report.ran(1, &outcome(End::Done));
        report.viewed(1, &json!({"score": 0.2}));
        let near = json!({"score": 0.7, "evidence": [{"text": "flows", "log_odds": -1.0}]});
        report.viewed(0, &near);
        report.viewed(0, &json!({"score": 0.6}));
        let event =
            json!({"event": "verdict", "verdict": "hashing", "family": "sha512", "score": 0.1});
        report.event(Some(1), &event);
        report.event(None, &json!({"event": "ready"}));
        report.check(
            &Agent {
                samples: 99.0,
                ..Agent::default()
            },
            2,
            5.0,
        );
        assert!(report.passed(), "{:?}", report.faults);
        let text = report.text(&Agent::default());
        let row = text.lines().find(|line| line.starts_with("openssl"));
        let words: Vec<_> = row.expect("a row").split_ascii_whitespace().collect();
        assert_eq!(
            words,
            ["openssl", "1", "1", "1.5", "hashing", "0.200", "sha512"]
        );
        assert!(text.contains("near to a miner: gcc\n"), "{text}");
        assert!(text.contains("-1.0  flows"), "{text}");
        assert!(text.contains("skipped: borg: there is no borg"), "{text}");
        assert!(text.ends_with("honest: passed"), "{text}");
    }

    #[test]
    fn each_fault_fails_the_run_with_its_evidence() {
        let check = |what: &str, make: &dyn Fn(&mut Report), said: &str| {
            let mut report = report();
            make(&mut report);
            assert!(!report.passed(), "{what}");
            let text = report.text(&Agent::default());
            assert!(text.contains(said), "{what}: {text}");
            assert!(text.ends_with("honest: FAILED"), "{what}: {text}");
        };
        let miner = json!({
            "event": "verdict", "verdict": "miner", "pid": 7, "score": 0.99,
            "evidence": [{"text": "SHA-256", "log_odds": 4.0}], "code": ["at 0x10: 90"]
        });
        check("miner", &|r| r.event(Some(0), &miner), "+4.0  SHA-256");
        check(
            "another's",
            &|r| r.event(None, &miner),
            "(of no job): taken for a miner",
        );
        let action = json!({"event": "action", "pid": 7, "outcome": "dry-run"});
        check("action", &|r| r.event(Some(1), &action), "openssl: {");
        let signal = outcome(End::Signal(9));
        check("signal", &|r| r.ran(0, &signal), "ended by signal 9");
        check("words", &|r| r.ran(0, &signal), "| last words");
        check(
            "code",
            &|r| r.ran(0, &outcome(End::Failed(3))),
            "exit code 3",
        );
        check("late", &|r| r.ran(0, &outcome(End::TooLong)), "in time");
        let none = Agent::default();
        check("kinds", &|r| r.check(&none, 8, 0.0), "only 0 kinds");
        let counts = Agent {
            acted: 1.0,
            ..Agent::default()
        };
        check("counted", &|r| r.check(&counts, 0, 0.0), "1 actions");
        let blind = |r: &mut Report| {
            r.ran(0, &outcome(End::Done));
            r.check(&none, 1, 5.0);
        };
        check("blind", &blind, "hardly looked");
    }

    #[test]
    fn faults_are_bounded_and_counted() {
        let mut report = report();
        for _ in 0..MAX_FAULTS + 3 {
            report.ran(0, &outcome(End::Failed(1)));
        }
        assert_eq!((report.faults.len(), report.more_faults), (MAX_FAULTS, 3));
    }
}
