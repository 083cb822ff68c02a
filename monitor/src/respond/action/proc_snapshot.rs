//! What is looked up of a process before it may be acted on.

use std::time::Duration;

use crate::{
    host::{
        Facts, Image, LookError, ProcHandle,
        digest::{self, Unknown},
        tick_ns,
    },
    policy::{
        ancestry::is_launcher,
        config::{Subject, Wanted},
        guard::{Candidate, is_listed},
    },
};
use unjack_core::event::Process;

/// How long one look waits for a digest, on the thread of an order: as long as
/// the largest image takes to be read.
const DIGEST_WAIT: Duration = Duration::from_secs(2);

/// A process, as it was just looked at.
#[derive(Clone, Debug, Default)]
pub struct ProcSnapshot {
    /// When it started.
    pub start_time: u64,
    /// What it executes; none if that could not be read.
    pub image: Option<Image>,
    /// What is known of it.
    pub facts: Facts,
    /// Path of its image on the host, if it was wanted and leads there.
    pub exe: Option<String>,
    /// Its image is the host's own program.
    pub system: bool,
    /// SHA-256 of its image, if it was wanted.
    pub sha256: Option<String>,
    /// Why that is not known although it was wanted.
    pub unknown: Option<Unknown>,
    /// It has not ended: one that has stays listed until its parent notices.
    pub running: bool,
    /// It leads a session that has a terminal: a person's shell.
    pub has_terminal: bool,
}

impl ProcSnapshot {
    /// Looks at whatever process has this id.
    ///
    /// # Errors
    /// There is none, or it may not be looked at.
    pub fn at(pid: u32, wanted: Wanted) -> Result<Self, LookError> {
        let seen = ProcHandle::open_pid(pid)?;
        let stat = seen.stat()?;
        let facts = seen.facts()?;
        let image = seen.image().ok();
        let path = seen.exe().unwrap_or_default();
        let path = path.to_string_lossy();
        // The system's own is asked for only where it makes a difference.
        let listed = is_listed(&path) || is_launcher(&path) || facts.identity.unit.is_some();
        let system = listed && image.is_some_and(|image| seen.is_system(image));
        let exe = image.filter(|_| wanted.exe || system);
        let digest = image.filter(|_| wanted.sha256).map(|image| {
            let start_ns = stat.starttime.saturating_mul(tick_ns());
            let process = Process {
                tgid: pid,
                start_ns,
            };
            digest::wait(process, image, DIGEST_WAIT)
        });
        Ok(Self {
            start_time: stat.starttime,
            image,
            exe: exe.and_then(|image| seen.host_exe(image)),
            system,
            sha256: digest.and_then(Result::ok).map(|sha256| sha256.to_string()),
            unknown: digest.and_then(Result::err),
            running: seen.is_running(),
            has_terminal: stat.tty_nr != 0 && stat.session == stat.pid,
            facts,
        })
    }

    /// As rules and the guard see it.
    #[must_use]
    pub fn candidate(&self, pid: u32) -> Candidate<'_> {
        Candidate {
            pid,
            kernel_thread: self.facts.kernel_thread,
            system: self.system,
            undecided: self.unknown == Some(Unknown::Late),
            subject: Subject {
                exe: self.exe.as_deref(),
                sha256: self.sha256.as_deref(),
                ..self.facts.subject("")
            },
        }
    }
}
