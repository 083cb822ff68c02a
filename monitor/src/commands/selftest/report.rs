//! The steps of the test, as they are told.

use std::{fmt, time::Instant};

use serde::Serialize;

/// How a step came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It works.
    Pass,
    /// It works: an unjack that runs here did it first.
    Other,
    /// It was not tried, or what came of it cannot be seen.
    Skip,
    /// It does not work.
    Fail,
    /// It does not work, as the host lacks something.
    Lacks,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// What.
    pub name: &'static str,
    /// How it came out.
    pub status: Status,
    /// How long that took; of what the loop shows, since its first hash.
    pub seconds: f64,
    /// What was found.
    pub found: String,
    /// What to do about it; `None` if all is well.
    pub remedy: Option<String>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            status,
            seconds,
            found,
            remedy,
        } = self;
        let status = match status {
            Status::Pass | Status::Other => "ok",
            Status::Skip => "skip",
            Status::Fail | Status::Lacks => "FAIL",
        };
        write!(f, "{status:<4}  {name:<12} {seconds:>7.3} s  {found}")?;
        if let Some(remedy) = remedy {
            write!(f, "\n{:30}remedy: {remedy}", "")?;
        }
        Ok(())
    }
}

/// All steps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Version of unjack.
    pub version: &'static str,
    /// Release of the kernel.
    pub kernel: String,
    /// Whether nothing failed.
    pub passed: bool,
    /// What was tried, in order.
    pub steps: Vec<Step>,
}

impl Report {
    /// 0 if nothing failed, 3 if the host lacks something, else 1.
    #[must_use]
    pub fn code(&self) -> u8 {
        let has = |status| self.steps.iter().any(|step| step.status == status);
        match (has(Status::Lacks), has(Status::Fail)) {
            (true, _) => 3,
            (false, true) => 1,
            (false, false) => 0,
        }
    }

    /// The last line for a person.
    #[must_use]
    pub fn conclusion(&self) -> String {
        let Self {
            version,
            kernel,
            passed,
            steps,
        } = self;
        let failed: Vec<&str> = (steps.iter())
            .filter(|step| matches!(step.status, Status::Fail | Status::Lacks))
            .map(|step| step.name)
            .collect();
        if *passed {
            format!("unjack {version} works on Linux {kernel}")
        } else {
            format!(
                "unjack {version} does not work on Linux {kernel}: {}",
                failed.join(", ")
            )
        }
    }
}

/// Tells each step when it is done, and keeps it.
pub(super) struct StepReporter<'t> {
    tell: &'t mut dyn FnMut(&Step),
    steps: Vec<Step>,
}

impl<'t> StepReporter<'t> {
    pub(super) fn new(tell: &'t mut dyn FnMut(&Step)) -> Self {
        Self {
            tell,
            steps: Vec::new(),
        }
    }

    /// It works.
    pub(super) fn pass(&mut self, name: &'static str, time: impl Into<Time>, found: String) {
        self.step(name, Status::Pass, time, found, None);
    }

    /// It works, and not by us.
    pub(super) fn by_another(&mut self, name: &'static str, time: impl Into<Time>, found: String) {
        self.step(name, Status::Other, time, found, None);
    }

    /// It does not work.
    pub(super) fn fail(
        &mut self,
        name: &'static str,
        time: impl Into<Time>,
        found: String,
        remedy: impl Into<String>,
    ) {
        self.step(name, Status::Fail, time, found, Some(remedy.into()));
    }

    /// The host lacks something.
    pub(super) fn lacks(
        &mut self,
        name: &'static str,
        time: impl Into<Time>,
        found: String,
        remedy: impl Into<String>,
    ) {
        self.step(name, Status::Lacks, time, found, Some(remedy.into()));
    }

    /// It cannot be told.
    pub(super) fn skip(
        &mut self,
        name: &'static str,
        time: impl Into<Time>,
        found: String,
        remedy: impl Into<String>,
    ) {
        self.step(name, Status::Skip, time, found, Some(remedy.into()));
    }

    fn step(
        &mut self,
        name: &'static str,
        status: Status,
        time: impl Into<Time>,
        found: String,
        remedy: Option<String>,
    ) {
        let Time(seconds) = time.into();
        let step = Step {
            name,
            status,
            seconds,
            found,
            remedy,
        };
        (self.tell)(&step);
        self.steps.push(step);
    }

    pub(super) fn finish(self) -> Report {
        let uname = rustix::system::uname();
        let steps = self.steps;
        Report {
            version: env!("CARGO_PKG_VERSION"),
            kernel: uname.release().to_string_lossy().into_owned(),
            passed: !(steps.iter()).any(|step| matches!(step.status, Status::Fail | Status::Lacks)),
            steps,
        }
    }
}

/// Seconds something took.
pub(super) struct Time(f64);

/// Since then.
impl From<Instant> for Time {
    fn from(begun: Instant) -> Self {
        Self(begun.elapsed().as_secs_f64())
    }
}

/// So many nanoseconds.
impl From<u64> for Time {
    fn from(ns: u64) -> Self {
        Self(unjack_core::profile::seconds(ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(told: &[(&'static str, Status)]) -> Report {
        let mut heard = 0;
        let mut tell = |_: &Step| heard += 1;
        let mut reporter = StepReporter::new(&mut tell);
        for (name, status) in told {
            reporter.step(name, *status, 1_u64, String::new(), None);
        }
        let report = reporter.finish();
        assert_eq!(heard, told.len());
        report
    }

    #[test]
    fn what_was_lacking_comes_before_what_failed() {
        let check = |told: &[(&'static str, Status)], code, passed| {
            let report = report(told);
            assert_eq!((report.code(), report.passed), (code, passed), "{told:?}");
        };
        check(&[("a", Status::Pass), ("b", Status::Other)], 0, true);
        check(&[("a", Status::Pass), ("b", Status::Skip)], 0, true);
        check(&[("a", Status::Fail), ("b", Status::Pass)], 1, false);
        check(&[("a", Status::Fail), ("b", Status::Lacks)], 3, false);
    }

    #[test]
    fn what_failed_is_named_last() {
        let report = report(&[("a", Status::Pass), ("b", Status::Fail)]);
        assert!(
            report.conclusion().ends_with(": b"),
            "{}",
            report.conclusion()
        );
    }

    #[test]
    fn a_step_is_a_line_and_its_remedy_another() {
        let mut step = Step {
            name: "kill",
            status: Status::Pass,
            seconds: 0.0125,
            found: "gone".to_owned(),
            remedy: None,
        };
        assert_eq!(step.to_string(), "ok    kill           0.013 s  gone");
        step.status = Status::Fail;
        step.remedy = Some("look".to_owned());
        let text = step.to_string();
        assert_eq!(
            text.lines().nth(1),
            Some("                              remedy: look")
        );
    }
}
