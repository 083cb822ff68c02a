//! What is looked up of a process before it may be acted on.

use std::time::Duration;

use crate::{
    host::{
        Facts, Image, LookError, ProcHandle, Provenance,
        digest::{self, Unknown},
        tick_ns,
    },
    policy::{
        ancestry::is_launcher,
        config::{Subject, Wanted},
        guard::{BurningCode, Candidate, is_listed},
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
    /// Its image is a shell or launcher of the host's own.
    pub launcher: bool,
    /// Path of its image as its link reads, if that is on the built-in list.
    pub program: Option<String>,
    /// Whose it is and where it came from, if its path is on the list.
    pub provenance: Option<Provenance>,
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
        let path = match seen.exe() {
            Err(error @ LookError::CannotTell(_)) => return Err(error),
            path => path.unwrap_or_default(),
        };
        let path = path.to_string_lossy();
        // The host's own is looked for only where it makes a difference: a look at any
        // path could wake a network file system.
        let launcher = is_launcher(&path) && image.is_some_and(|image| seen.is_system(image));
        let exe = image.filter(|_| wanted.exe || launcher);
        let program = is_listed(&path).then(|| path.into_owned());
        let provenance = program
            .as_ref()
            .and(image)
            .and_then(|image| seen.provenance(image));
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
            exe: exe.map_or(Ok(None), |image| seen.host_exe(image))?,
            launcher,
            program,
            provenance,
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
            program: self.program.as_deref(),
            provenance: self.provenance.as_ref(),
            // What is in the scope of another burns nothing that anyone has judged.
            code: BurningCode::Unsampled,
            undecided: self.unknown == Some(Unknown::Late),
            subject: Subject {
                exe: self.exe.as_deref(),
                sha256: self.sha256.as_deref(),
                ..self.facts.subject(None)
            },
        }
    }
}
