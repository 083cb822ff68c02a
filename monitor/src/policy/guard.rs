//! Which processes are never acted on, whatever the verdict and whatever the scope.
//!
//! In: what was established about a process. Out: nothing, or why not. Pure:
//! `/proc` is read by [`crate::respond::action`] and [`crate::detect`].
//!
//! A built-in exemption belongs to a process of the host's own that does its own
//! work, not to a path: any user may start `/usr/bin/dbus-daemon`, with a library of
//! its own choice preloaded. So four things are asked. Is the image on the list, and
//! the very file that root put there? Whose process is it: root's, or the service
//! user's in that service's unit? Does it run on the host, and not in a container
//! that shows the host's files? And does the code that burns lie in that image and
//! the host's libraries?
//!
//! | process | protected |
//! |---|---|
//! | sshd's monitor of a session (root's, in a user's session scope) | yes: whom it serves does not change whose it is |
//! | sshd's other half, which runs as the user | no: that user could have started it |
//! | `dbus-daemon` as `messagebus` in `dbus.service` | yes |
//! | `dbus-daemon --session`, of any user | no |
//! | `podman` as root, also from `sudo -i` | yes: root's, and its code is its own |
//! | `sudo LD_PRELOAD=./x.so podman`, which hashes in `x.so` | no |
//! | a listed program in a container, with the host's `/usr` mounted | no |
//!
//! A fact that cannot be read protects for [`UNREAD_GRACE_NS`] at most where the
//! process was judged, and is no reason for anything else than a narrower scope where
//! it was not.

pub mod table;

use std::sync::Arc;

use crate::{
    detect::{collector::CodeOrigins, reputation::Hashes},
    host::{HostFile, Provenance, digest::Digest, without_deleted},
    policy::{
        config::{Rule, Subject},
        guard::table::{Filled, Folder, Program, fits, is_service_uid},
        only::Only,
        refusal::Refusal,
    },
};

/// How long a judged process is not acted on because it could not be read whether it
/// is protected. What a process can make hang (a lock of its memory, with a file
/// system that does not answer) is given up after the same time elsewhere.
pub const UNREAD_GRACE_NS: u64 = 30_000_000_000;
/// Samples outside of the image and the host's libraries that are no accident, …
const FOREIGN_SAMPLES: u32 = 3;
/// … if they are also at least one in this many: a module for logins burns little, and
/// who mines in a library of its own burns there.
const FOREIGN_ONE_IN: u32 = 20;

/// Where the code lies that a process burns its time with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BurningCode {
    /// No sample of it was taken: it burns nothing.
    #[default]
    Unsampled,
    /// In its image and the host's libraries.
    Hosts,
    /// In another file, in memory without one, or in a file that has no name.
    Foreign,
    /// It could not be told of all of it.
    Unread,
}

impl BurningCode {
    /// By the places of its samples.
    #[must_use]
    pub fn of(origins: CodeOrigins) -> Self {
        let CodeOrigins {
            image,
            system,
            elsewhere,
            generated,
            unknown,
        } = origins;
        let own = image.saturating_add(system);
        let foreign = elsewhere.saturating_add(generated);
        let all = own.saturating_add(foreign).saturating_add(unknown);
        let many = |samples: u32| {
            samples >= FOREIGN_SAMPLES && samples.saturating_mul(FOREIGN_ONE_IN) >= all
        };
        if all == 0 {
            Self::Unsampled
        } else if many(foreign) {
            Self::Foreign
        } else if many(foreign.saturating_add(unknown)) {
            Self::Unread
        } else {
            Self::Hosts
        }
    }
}

/// A process that may be acted on, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Which.
    pub pid: u32,
    /// A kernel thread.
    pub kernel_thread: bool,
    /// Path of its image as its link reads, if that is on the list of [`table`].
    pub program: Option<&'a str>,
    /// Whose it is and where it came from, if its path is on the list.
    pub provenance: Option<&'a Provenance>,
    /// Where the code lies that it executes.
    pub code: BurningCode,
    /// The SHA-256 of its image is wanted and not known yet.
    pub undecided: bool,
    /// What rules look at.
    pub subject: Subject<'a>,
}

/// Everything that protects.
#[derive(Clone, Debug)]
pub struct Guard {
    /// This process and all it descends from, itself first.
    pub lineage: Vec<u32>,
    /// The rules of `--allow`.
    pub allow: Arc<[Rule]>,
    /// The images of `--allow-file`.
    pub listed: Arc<Hashes>,
    /// Whether the built-in list counts.
    pub builtin: bool,
    /// Where the action is for.
    pub only: Only,
}

impl Guard {
    /// The same without the rules of `--allow` and `--only`, and the list of
    /// `--allow-file`.
    #[must_use]
    pub fn without_rules(&self) -> Self {
        Self {
            allow: Arc::default(),
            listed: Arc::default(),
            only: Only::default(),
            ..self.clone()
        }
    }

    /// Whether this process may be acted on.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, candidate: &Candidate<'_>) -> Result<(), Refusal> {
        never_act_on(candidate.pid, candidate.kernel_thread, &self.lineage)?;
        if self.builtin {
            match protects(candidate) {
                Some(true) => return Err(Refusal::Guarded),
                None => return Err(Refusal::ProtectionUnknown),
                Some(false) => {}
            }
        }
        let allowed = |rule: &Rule| rule.matches(&candidate.subject);
        let digest = candidate.subject.sha256.and_then(Digest::parse);
        if self.allow.iter().any(allowed)
            || digest.is_some_and(|digest| self.listed.get(&digest).is_some())
        {
            return Err(Refusal::Allowed);
        }
        // It may be one that is allowed. The caller that wants digests sets the
        // time limit.
        if candidate.undecided {
            return Err(Refusal::Undecided);
        }
        if !self.only.includes(&candidate.subject) {
            return Err(Refusal::NotOnly);
        }
        Ok(())
    }
}

/// Processes that no flag can have acted on. `lineage` is this process and all it
/// descends from, itself first.
///
/// # Errors
/// The reason.
pub fn never_act_on(pid: u32, kernel_thread: bool, lineage: &[u32]) -> Result<(), Refusal> {
    match pid {
        1 => Err(Refusal::Init),
        // The idle task and the parent of all kernel threads.
        0 | 2 => Err(Refusal::KernelThread),
        // By the kernel's own flag (PF_KTHREAD): one that only poses as one is acted on.
        _ if kernel_thread => Err(Refusal::KernelThread),
        pid if lineage.first() == Some(&pid) => Err(Refusal::Myself),
        pid if lineage.contains(&pid) => Err(Refusal::Ancestor),
        _ => Ok(()),
    }
}

/// Whether the path of an image, as its link in `/proc` reads, is on the built-in list.
#[must_use]
pub fn is_listed(link: &str) -> bool {
    table::find(without_deleted(link).0).is_some()
}

/// Whether the built-in list protects a process; `None` if a fact for that could not
/// be read.
fn protects(candidate: &Candidate<'_>) -> Option<bool> {
    let found = candidate
        .program
        .and_then(|link| table::find(without_deleted(link).0));
    let Some((program, folder)) = found else {
        return Some(false);
    };
    let runs = runs_for_the_host(candidate.provenance?, program, folder);
    let code = match candidate.code {
        BurningCode::Unsampled | BurningCode::Hosts => Some(true),
        BurningCode::Foreign => Some(false),
        BurningCode::Unread => None,
    };
    all([runs, code])
}

/// Whether this is a listed program that root or the host's manager started for the
/// host, as far as the process itself can tell.
fn runs_for_the_host(from: &Provenance, program: &Program, folder: &Folder) -> Option<bool> {
    if from.file == HostFile::Other {
        return Some(false);
    }
    let uids = from.uids?;
    let identity = || from.identity.as_ref();
    let unit = || identity().and_then(|identity| identity.unit.as_deref());
    let in_its_unit = || {
        program
            .units
            .iter()
            .any(|known| unit().is_some_and(|unit| fits(known, unit)))
    };
    // A snap's service has another root directory, and only snapd fills the folder.
    let root = match folder.filled {
        Filled::BySnapd => Some(true),
        Filled::ByRoot | Filled::ForAnyUser => from.host_root,
    };
    let outside = identity().map(|identity| identity.container.is_none());
    let place = [from.initial_user_namespace, root, outside];
    if (uids.real, uids.saved) == (0, 0) {
        // Where root started it does not matter: sshd's half that is root's is in the
        // session of the user whom it serves.
        return all(place);
    }
    // Any user has a process of that user's own wherever that user may start one, and a
    // file of root's in a store as well: so the unit is asked, which only root gives.
    if uids.real != uids.saved
        || !is_service_uid(uids.real)
        || program.units.is_empty()
        || folder.filled == Filled::ForAnyUser
    {
        return Some(false);
    }
    let serves = identity().map(|identity| !identity.of_user && in_its_unit());
    all([serves, place[0], place[1], place[2]])
}

/// Whether all of these hold: no, if one does not; not known, if one is not known.
fn all<const N: usize>(facts: [Option<bool>; N]) -> Option<bool> {
    if facts.contains(&Some(false)) {
        Some(false)
    } else {
        (!facts.contains(&None)).then_some(true)
    }
}

#[cfg(test)]
mod tests;
