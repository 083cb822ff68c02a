//! Where what is known of a process besides its samples comes from: this host's `/proc`, or
//! a recording.

use crate::host::{Facts, HostFile, Image, ProcHandle, Provenance, Uids, digest::Digest};
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

/// A process of this host. What is looked up is looked up once per image.
#[derive(Debug)]
pub(super) struct Live {
    process: Process,
    /// Its folder; `None` if it could not be opened yet.
    handle: Option<ProcHandle>,
    facts: Option<Facts>,
}

impl Live {
    pub(super) fn open(process: Process) -> Self {
        Self {
            process,
            handle: ProcHandle::open(process).ok(),
            facts: None,
        }
    }

    /// Its folder, tried again if it could not be opened before.
    fn handle(&mut self) -> Option<&ProcHandle> {
        if self.handle.is_none() {
            self.handle = ProcHandle::open(self.process).ok();
        }
        self.handle.as_ref()
    }

    fn facts(&mut self) -> Option<&Facts> {
        if self.facts.is_none() {
            self.facts = self.handle().and_then(|handle| handle.facts().ok());
        }
        self.facts.as_ref()
    }
}

/// Where facts come from.
#[derive(Debug)]
pub(super) enum Origin {
    Live(Live),
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
            live.facts = None;
        }
    }

    /// What it executes now.
    pub(super) fn image(&mut self) -> Option<Image> {
        match self {
            Self::Live(live) => live.handle()?.image().ok(),
            Self::Recorded(recorded) => recorded.image,
        }
    }

    /// Bytes its read and write calls moved so far.
    pub(super) fn io_bytes(&self) -> Option<u64> {
        match self {
            Self::Live(live) => live.handle.as_ref().and_then(ProcHandle::io_bytes),
            Self::Recorded(recorded) => recorded.io_bytes,
        }
    }

    /// The path its link reads, as it is: hostile.
    pub(super) fn link(&mut self) -> Option<String> {
        match self {
            Self::Live(live) => {
                let link = live.handle()?.link().ok()?;
                Some(link.to_string_lossy().into_owned())
            }
            Self::Recorded(recorded) => recorded.host_exe.clone(),
        }
    }

    /// Path of this image, which is its own, on the host.
    pub(super) fn host_exe(&mut self, image: Image) -> Option<String> {
        match self {
            Self::Live(live) => live.handle()?.host_exe(image),
            Self::Recorded(recorded) => recorded.host_exe.clone(),
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
            Self::Live(live) => live.handle().map(|handle| handle.provenance(image)),
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
