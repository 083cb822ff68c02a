//! How long each step of a task took, as a table at the task's end.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// One step.
struct Step {
    name: String,
    took: Duration,
    error: Option<String>,
}

/// The steps so far. A step that fails is kept, and others may follow it, so that one
/// run tells everything.
#[derive(Default)]
pub(crate) struct Timing {
    steps: Vec<Step>,
}

impl Timing {
    /// Does a step, and gives what it made unless it failed.
    pub(crate) fn step<T>(
        &mut self,
        name: impl Into<String>,
        work: impl FnOnce() -> Result<T>,
    ) -> Option<T> {
        let name = name.into();
        eprintln!("{name}:");
        let begun = Instant::now();
        let done = work();
        self.note(name, begun.elapsed(), done)
    }

    /// Takes a step that was done elsewhere.
    pub(crate) fn note<T>(
        &mut self,
        name: impl Into<String>,
        took: Duration,
        done: Result<T>,
    ) -> Option<T> {
        let name = name.into();
        let (made, error) = match done {
            Ok(made) => (Some(made), None),
            Err(error) => {
                eprintln!("{name}: {error:#}");
                (None, Some(format!("{error:#}")))
            }
        };
        self.steps.push(Step { name, took, error });
        made
    }

    /// A row for each step: its name, minutes, and whether it failed. Steps that ran
    /// beside each other each have their own time, so the sum is given by the caller.
    fn table(&self, whole: Duration) -> String {
        let width = self.steps.iter().map(|step| step.name.chars().count());
        let width = width.max().unwrap_or(0).max("step".len());
        let mut table = format!("{:width$}  minutes\n", "step");
        let mut row = |name: &str, took: Duration, note: &str| {
            let minutes = took.as_secs_f64() / 60.0;
            let _ = writeln!(table, "{name:width$}  {minutes:7.1}{note}");
        };
        for step in &self.steps {
            let note = if step.error.is_some() { "  FAILED" } else { "" };
            row(&step.name, step.took, note);
        }
        row("all", whole, "");
        table
    }

    /// Prints the table, and fails if any step did.
    pub(crate) fn finish(self, task: &str, whole: Duration) -> Result<()> {
        eprint!("\n{}", self.table(whole));
        let failed: Vec<String> = self
            .steps
            .into_iter()
            .filter_map(|step| Some(format!("{}: {}", step.name, step.error?)))
            .collect();
        if failed.is_empty() {
            return Ok(());
        }
        bail!("{task} failed:\n  {}", failed.join("\n  "))
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn every_step_has_a_row_and_a_failure_is_told_at_the_end() {
        let mut timing = Timing::default();
        let minute = Duration::from_mins(1);
        assert_eq!(timing.note("clippy", 2 * minute, Ok(7)), Some(7));
        let failed = timing.note(
            "suite bans",
            minute / 2,
            Err::<(), _>(anyhow!("a miner lives")),
        );
        assert_eq!(failed, None);
        assert_eq!(
            timing.table(3 * minute),
            "step        minutes\n\
             clippy          2.0\n\
             suite bans      0.5  FAILED\n\
             all             3.0\n"
        );
        let error = timing.finish("test", 3 * minute).unwrap_err().to_string();
        assert_eq!(error, "test failed:\n  suite bans: a miner lives");
        assert!(Timing::default().finish("test", minute).is_ok());
    }
}
