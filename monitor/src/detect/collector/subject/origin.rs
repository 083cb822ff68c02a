//! Where what is known of a process besides its samples comes from: this host's `/proc`, or
//! a recording.

use std::time::{Duration, Instant};

use crate::host::{
    Facts, HostFile, Image, LookError, ProcHandle, Provenance, Uids, digest::Digest,
};
use unjack_core::{event::Process, shape::Shape};

/// What a recording says of a process, in place of `/proc`.
#[derive(Clone, Debug, Default)]
pub struct RecordedFacts {
    /// What it executes.
    pub image: Option<Image>,
    /// What was known of it.
    pub facts: Option<Facts>,
    /// Path of its image on the host, if that was looked up and leads there.
    pub host_exe: Option<String>,
    /// Its image was the host's own program.
    pub system: bool,
    /// Whose it was and where it came from, if that was looked up.
    pub provenance: Option<Provenance>,
    /// Bytes its read and write calls had moved.
    pub io_bytes: Option<u64>,
    /// SHA-256 of its image, if it was computed.
    pub sha256: Option<Digest>,
    /// It had connected to a pool on the list.
    pub pool: bool,
    /// It had been heard to speak Stratum.
    pub stratum: bool,
    /// How its connections had behaved.
    pub shape: Shape,
}

impl RecordedFacts {
    /// Whose it was and where it came from. Of a recording that does not say: as of a
    /// process on the host, by its user and its cgroup.
    fn provenance(&self) -> Option<Provenance> {
        let facts = self.facts.as_ref()?;
        let uids = |uid| Uids {
            real: uid,
            saved: uid,
        };
        self.provenance.clone().or_else(|| {
            Some(Provenance {
                file: if self.system {
                    HostFile::Own
                } else {
                    HostFile::Other
                },
                uids: facts.uid.map(uids),
                initial_user_namespace: Some(true),
                host_root: Some(true),
                identity: Some(facts.identity.clone()),
            })
        })
    }
}

/// Time after which facts that could not be read whole are read again.
const INCOMPLETE: Duration = Duration::from_secs(10);

/// How old a link may be that rules are asked about when a process is judged: a file may be
/// renamed. What acts reads it anew.
const RECENT: Duration = Duration::from_secs(5);

/// A process of this host. What is looked up is looked up once per image.
#[derive(Debug)]
pub(super) struct Live {
    process: Process,
    /// Its folder; `None` if it could not be opened yet.
    handle: Option<ProcHandle>,
    facts: Option<Facts>,
    /// When its facts were read, as far as they are not whole.
    incomplete: Option<Instant>,
    /// What its link read, and when.
    link: Option<(Instant, Option<String>)>,
}

impl Live {
    /// And the image it executes, as far as that can be told.
    pub(super) fn open(process: Process) -> (Self, Option<Image>) {
        let opened = ProcHandle::ask(process, |seen| Ok((seen.clone(), seen.image().ok())));
        let (handle, image) = opened.ok().unzip();
        let live = Self {
            process,
            handle,
            facts: None,
            incomplete: None,
            link: None,
        };
        (live, image.flatten())
    }

    /// Its folder, tried again if it could not be opened before.
    fn handle(&mut self) -> Option<&ProcHandle> {
        self.try_handle().ok()
    }

    /// The same.
    ///
    /// # Errors
    /// Why it cannot be opened.
    fn try_handle(&mut self) -> Result<&ProcHandle, LookError> {
        let handle = match self.handle.take() {
            Some(handle) => handle,
            None => ProcHandle::open(self.process)?,
        };
        Ok(self.handle.insert(handle))
    }

    fn facts(&mut self) -> Option<&Facts> {
        let again = |read: Instant| read.elapsed() >= INCOMPLETE;
        if self.facts.is_none() || self.incomplete.is_some_and(again) {
            let found = self.try_handle().and_then(ProcHandle::facts_and_whole);
            let whole = matches!(found, Ok((_, true)));
            self.incomplete = (!whole).then(Instant::now);
            if let Ok((facts, _)) = found {
                self.facts = Some(facts);
            }
        }
        self.facts.as_ref()
    }
}

/// Nothing of a process that is gone; only that it cannot be told now stays an error.
fn told<T>(found: Result<Option<T>, LookError>) -> Result<Option<T>, LookError> {
    match found {
        Err(error @ LookError::CannotTell(_)) => Err(error),
        found => Ok(found.ok().flatten()),
    }
}

/// Where facts come from.
#[derive(Debug)]
pub(super) enum Origin {
    Live(Box<Live>),
    /// Nothing else is looked at.
    Recorded(Box<RecordedFacts>),
}

impl Origin {
    pub(super) fn facts(&mut self) -> Option<&Facts> {
        match self {
            Self::Live(live) => live.facts(),
            Self::Recorded(recorded) => recorded.facts.as_ref(),
        }
    }

    /// What was looked up may no longer be true.
    pub(super) fn forget(&mut self) {
        if let Self::Live(live) = self {
            (live.facts, live.incomplete, live.link) = (None, None, None);
        }
    }

    /// What it executes now.
    pub(super) fn image(&mut self) -> Option<Image> {
        match self {
            Self::Live(live) => live.handle()?.image().ok(),
            Self::Recorded(recorded) => recorded.image,
        }
    }

    /// The path its link reads, as it is: hostile. `None` if it is gone or has none.
    ///
    /// # Errors
    /// That cannot be told now.
    pub(super) fn link(&mut self) -> Result<Option<String>, LookError> {
        match self {
            Self::Live(live) => {
                let link = live.try_handle().and_then(ProcHandle::link);
                let link = told(link.map(|link| Some(link.to_string_lossy().into_owned())))?;
                live.link = Some((Instant::now(), link.clone()));
                Ok(link)
            }
            Self::Recorded(recorded) => Ok(recorded.host_exe.clone()),
        }
    }

    /// The same, as of the last seconds: for what asks about all processes each second.
    ///
    /// # Errors
    /// The same.
    pub(super) fn recent_link(&mut self) -> Result<Option<String>, LookError> {
        if let Self::Live(live) = self
            && let Some((read, link)) = &live.link
            && read.elapsed() < RECENT
        {
            return Ok(link.clone());
        }
        self.link()
    }

    /// Path of this image, which is its own, on the host, if it leads there.
    ///
    /// # Errors
    /// That cannot be told now.
    pub(super) fn host_exe(&mut self, image: Image) -> Result<Option<String>, LookError> {
        match self {
            Self::Live(live) => {
                let handle = live.try_handle();
                told(handle.and_then(|handle| handle.host_exe(image)))
            }
            Self::Recorded(recorded) => Ok(recorded.host_exe.clone()),
        }
    }

    /// Whether this image, which is its own, is one of the host's own programs.
    pub(super) fn is_system(&mut self, image: Image) -> bool {
        match self {
            Self::Live(live) => live.handle().is_some_and(|handle| handle.is_system(image)),
            Self::Recorded(recorded) => recorded.system,
        }
    }

    /// Whose it is and where it came from, with this image, which is its own.
    pub(super) fn provenance(&mut self, image: Image) -> Option<Provenance> {
        match self {
            Self::Live(live) => live.handle()?.provenance(image),
            Self::Recorded(recorded) => recorded.provenance(),
        }
    }

    /// Its folder, as far as it is open.
    pub(super) fn opened(&self) -> Option<&ProcHandle> {
        match self {
            Self::Live(live) => live.handle.as_ref(),
            Self::Recorded(_) => None,
        }
    }
}
