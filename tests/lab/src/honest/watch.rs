//! What the daemon says of the jobs, as it says it: events, and scores of its view.
//!
//! Whose process one is, its environment tells, where every process of a job has a mark. So
//! it is read as soon as the process is seen, and kept: after a kill it cannot be read.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::catalog::Job;
use super::report::Report;
use super::run::MARK;
use ::tests::Daemon;
use ::tests::metrics;
use ::tests::output::Output;

/// How often the daemon is asked for its view: a page that is open asks as often. A process
/// that lives shorter may have had a score that is not seen.
const VIEW_EVERY: Duration = Duration::from_secs(2);
/// The most processes whose job is kept. Hours have tens of thousands of processes, of which
/// those of the view and of events are a small part.
const MAX_KNOWN: usize = 100_000;

/// Watches a daemon.
pub(super) struct Watch {
    events: Output,
    seen: usize,
    address: SocketAddr,
    viewed: Option<Instant>,
    slugs: HashMap<String, usize>,
    /// Processes of jobs by their id: start time, and the job. Ids are used again.
    known: HashMap<u32, (u64, usize)>,
}

impl Watch {
    pub(super) fn new(daemon: &Daemon, jobs: &[&Job]) -> Self {
        let slugs = jobs.iter().enumerate();
        Self {
            events: daemon.stdout.clone(),
            seen: 0,
            address: daemon.address,
            viewed: None,
            slugs: slugs.map(|(at, job)| (job.slug(), at)).collect(),
            known: HashMap::new(),
        }
    }

    /// Reports what is new.
    pub(super) fn look(&mut self, report: &mut Report) {
        self.events(report);
        if self.viewed.is_none_or(|at| at.elapsed() >= VIEW_EVERY) {
            self.view(report);
        }
    }

    /// Looks for the last time, whenever the last look was.
    pub(super) fn finish(&mut self, report: &mut Report) {
        self.events(report);
        self.view(report);
    }

    /// Reports the events that are new.
    pub(super) fn events(&mut self, report: &mut Report) {
        let lines = self.events.lines_since(self.seen);
        self.seen += lines.len();
        for event in lines.into_iter().filter_map(|line| line.json) {
            let job = self.job(&event);
            report.event(job, &event);
        }
    }

    fn view(&mut self, report: &mut Report) {
        self.viewed = Some(Instant::now());
        let view = metrics::get(self.address, "/api/v1/view")
            .and_then(|body| serde_json::from_str::<Value>(&body).map_err(|e| e.to_string()));
        match view {
            Ok(view) => {
                for row in view["processes"].as_array().into_iter().flatten() {
                    if let Some(job) = self.job(row) {
                        report.viewed(job, row);
                    }
                }
            }
            Err(_) => report.unseen(),
        }
    }

    /// The job that the process of an event or of a row is of.
    fn job(&mut self, of: &Value) -> Option<usize> {
        let pid = u32::try_from(of["pid"].as_u64()?).ok()?;
        let start = of["start_time"].as_u64();
        if let Some((known, job)) = self.known.get(&pid)
            && start.is_none_or(|start| start == *known)
        {
            return Some(*job);
        }
        // A process without the mark is read again: during an exec it has no environment.
        let job = self.ask(pid).ok()??;
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        if let Some(start) = start {
            self.known.insert(pid, (start, job));
        }
        Some(job)
    }

    /// Whose a process is by its environment; an error if it cannot be asked any more.
    fn ask(&self, pid: u32) -> io::Result<Option<usize>> {
        let environ = fs::read(format!("/proc/{pid}/environ"))?;
        Ok(marked(&environ).and_then(|slug| self.slugs.get(slug).copied()))
    }
}

/// The mark among the variables of a process.
fn marked(environ: &[u8]) -> Option<&str> {
    let mut variables = environ.split(|&byte| byte == 0);
    let value = variables
        .find_map(|variable| variable.strip_prefix(MARK.as_bytes())?.strip_prefix(b"="))?;
    std::str::from_utf8(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_found_among_variables() {
        assert_eq!(marked(b"A=1\0HONEST_JOB=gcc-O2\0B=\0"), Some("gcc-O2"));
        assert_eq!(marked(b"HONEST_JOBS=a\0XHONEST_JOB=b\0"), None);
        assert_eq!(marked(b""), None);
    }
}
