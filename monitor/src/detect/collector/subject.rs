//! One process that is sampled: what it executes, and what else is known of it. What is
//! decided about it is carried along, and not looked at.

mod hot_code;
mod origin;

use self::origin::{Live, Origin};
pub use self::{
    hot_code::{CodeOrigins, HotCode, Piece},
    origin::RecordedFacts,
};
use super::{Budget, code::Code};
use crate::{
    detect::state::ProcessState,
    host::{Facts, Image, LookError, ProcHandle, Provenance},
};
use unjack_core::{
    event::{ImageKey, Process, Sample},
    isa::Arch,
    profile::{DecodedSample, Disguise, Place, Profile, Summary},
    verdict::MIN_SAMPLES,
};

/// Samples that are kept of a process that left.
const EXITED_SAMPLES: usize = 200;

/// Since when something cannot be told of a process, nanoseconds. An exec does not begin
/// that anew: the process could do it for ever.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unread(Option<u64>);

impl Unread {
    /// For how long that lasts, nanoseconds, as of `now_ns`, when it was tried again and
    /// still could not be told if `unread`.
    pub(crate) fn lasts(&mut self, unread: bool, now_ns: u64) -> u64 {
        if !unread {
            self.0 = None;
            return 0;
        }
        let since = *self.0.get_or_insert(now_ns);
        now_ns.saturating_sub(since)
    }
}

/// A process that is sampled.
#[derive(Debug)]
pub struct Subject {
    /// What it executes and how much it burns.
    pub profile: Profile,
    /// What was decided and done about it.
    pub case: ProcessState,
    /// It was signalled already, under this image or another.
    pub signalled: bool,
    /// The image its samples are of.
    image: Option<Image>,
    /// The same, as the probes tell it.
    image_key: ImageKey,
    /// How often it turned to another image since it was first sampled.
    pub(super) images: u32,
    /// Its cgroup in the unified hierarchy.
    pub cgroup: u64,
    /// Images it executed since it was tracked, as of the last tick.
    pub(super) execs: u32,
    origin: Origin,
    code: Code,
    /// It cannot be told whether it is protected.
    pub(crate) unread_protection: Unread,
    /// It cannot be told whether a rule about its image is about it.
    pub(crate) unread_exe: Unread,
}

impl Subject {
    /// One of which nothing is known yet.
    #[must_use]
    pub fn new(process: Process) -> Self {
        let (live, image) = Live::open(process);
        Self {
            image,
            ..Self::of(process, Origin::Live(Box::new(live)))
        }
    }

    /// One of a recording, of which nothing was recorded yet.
    #[must_use]
    pub fn recorded(process: Process) -> Self {
        Self::of(process, Origin::Recorded(Box::default()))
    }

    fn of(process: Process, origin: Origin) -> Self {
        Self {
            profile: Profile::new(process),
            case: ProcessState::default(),
            signalled: false,
            image: None,
            image_key: ImageKey::default(),
            images: 0,
            cgroup: 0,
            execs: 0,
            origin,
            code: Code::default(),
            unread_protection: Unread::default(),
            unread_exe: Unread::default(),
        }
    }

    /// What `/proc` says of it, looked up once per image; `None` if it is gone
    /// or may not be looked at.
    pub fn facts(&mut self) -> Option<&Facts> {
        self.origin.facts()
    }

    /// The same, looked up anew: who it belongs to may have changed since.
    pub fn renew_facts(&mut self) -> Option<&Facts> {
        self.origin.forget();
        self.facts()
    }

    /// Its profile since `since_ns`, with what only `/proc` can tell.
    pub fn summary(&mut self, since_ns: u64) -> Summary {
        let summary = self.profile.summary(since_ns);
        if summary.samples < MIN_SAMPLES {
            return summary;
        }
        let hides = self.facts().map(|facts| (facts.hidden, facts.poses));
        let (hidden, poses) = hides.unwrap_or_default();
        Summary {
            disguise: Disguise { hidden, poses },
            ..summary
        }
    }

    /// What it executes, as the probes tell it.
    #[must_use]
    pub fn image_key(&self) -> ImageKey {
        self.image_key
    }

    /// The image it was judged by: read when it was first sampled, and again
    /// when it executed another, not when it is acted on.
    pub fn image(&mut self) -> Option<Image> {
        if self.image.is_none() {
            self.image = self.origin.image();
        }
        self.image
    }

    /// What a recording says of it, to be changed as that goes on; `None` of a
    /// process of this host.
    pub fn recorded_mut(&mut self) -> Option<&mut RecordedFacts> {
        match &mut self.origin {
            Origin::Recorded(recorded) => Some(recorded),
            Origin::Live(_) => None,
        }
    }

    /// The same.
    #[must_use]
    pub fn recorded_facts(&self) -> Option<&RecordedFacts> {
        match &self.origin {
            Origin::Recorded(recorded) => Some(recorded),
            Origin::Live(_) => None,
        }
    }

    /// Its folder, as far as it is open.
    pub(super) fn handle(&self) -> Option<&ProcHandle> {
        self.origin.opened()
    }

    /// Images it executed since it was tracked, as of the last tick.
    #[must_use]
    pub fn execs(&self) -> u32 {
        self.execs
    }

    /// The path its link reads, as it is: hostile. `None` if it is gone or has none.
    ///
    /// # Errors
    /// That cannot be told now.
    pub fn link(&mut self) -> Result<Option<String>, LookError> {
        self.origin.link()
    }

    /// The same, as of the last five seconds, or since it was last read anew whose the
    /// process is.
    ///
    /// # Errors
    /// The same.
    pub fn recent_link(&mut self) -> Result<Option<String>, LookError> {
        self.origin.recent_link()
    }

    /// Path of its image on the host, if it leads there; see [`ProcHandle::host_exe`].
    ///
    /// # Errors
    /// That cannot be told now.
    pub fn host_exe(&mut self) -> Result<Option<String>, LookError> {
        match self.image() {
            Some(image) => self.origin.host_exe(image),
            None => Ok(None),
        }
    }

    /// Whether its image is the host's own, and its path if so.
    pub fn system_exe(&mut self) -> (bool, Option<String>) {
        let Some(image) = self.image() else {
            return (false, None);
        };
        let system = self.origin.is_system(image);
        let exe = system.then(|| self.host_exe().ok().flatten()).flatten();
        (system, exe)
    }

    /// Whose it is and where it came from. Looks at its image's path: only for one that
    /// is on a list.
    pub fn provenance(&mut self) -> Option<Provenance> {
        let image = self.image()?;
        self.origin.provenance(image)
    }

    /// The kind of memory at an address; see [`Code::place`].
    fn place(&mut self, ip: u64, now_ns: u64, budget: &mut Budget) -> Place {
        let (seen, image) = (self.origin.opened(), &mut self.image);
        self.code.place(ip, now_ns, budget, || {
            let seen = seen.ok_or(LookError::Gone)?;
            *image = image.or_else(|| seen.image().ok());
            seen.maps(*image)
        })
    }

    /// It called exec. What was known is no longer true, unless it executes
    /// the same image again: a miner that does so every few seconds would never
    /// be judged.
    /// Returns what is left of the image before, if it was another.
    pub(super) fn executes(&mut self, image: ImageKey) -> Option<ExitedSamples> {
        let before = self.forget_image();
        // `/proc` was asked some time after the samples were taken, maybe after
        // this exec: of which image they are, only they can tell.
        let same = if self.image_key.inode == 0 || image.inode == 0 {
            before.is_some() && self.image() == before
        } else {
            self.image_key == image
        };
        if same {
            return None;
        }
        let exited = self.begins_anew();
        self.image_key = image;
        exited
    }

    /// A sample is of this image: another one means an exec of which nothing was
    /// recorded, or not yet.
    fn turns_to(&mut self, image: ImageKey) -> Option<ExitedSamples> {
        let known = self.image_key.inode != 0 && image.inode != 0;
        if !known || self.image_key == image {
            return None;
        }
        self.forget_image();
        self.begins_anew()
    }

    fn forget_image(&mut self) -> Option<Image> {
        self.origin.forget();
        self.code = Code::default();
        self.image.take()
    }

    /// Returns what is left of the image before.
    fn begins_anew(&mut self) -> Option<ExitedSamples> {
        let exited = self.exited();
        let latest_ns = self.profile.latest().map(|reading| reading.cpu_ns);
        self.profile.reset();
        self.images = self.images.wrapping_add(1);
        // What the image before it burned was not stolen by this one.
        self.case = self.case.of_next_image(latest_ns);
        exited
    }

    /// What it leaves behind for others like it to be judged by.
    pub(super) fn exited(&self) -> Option<ExitedSamples> {
        let skipped = self.profile.len().saturating_sub(EXITED_SAMPLES);
        let looks = self.profile.looks(0).skip(skipped);
        let looks: Vec<DecodedSample> = looks.map(|look| look.left()).collect();
        (!looks.is_empty()).then_some(ExitedSamples {
            image: self.image_key,
            cgroup: self.cgroup,
            looks,
        })
    }

    /// Takes in a sample. Returns what is left of the image before, if it is of
    /// another.
    pub(super) fn sample(
        &mut self,
        arch: Arch,
        sample: &Sample,
        budget: &mut Budget,
    ) -> Option<ExitedSamples> {
        let exited = self.turns_to(sample.image);
        let place = if sample.kernel || sample.ip == 0 {
            Place::Unknown
        } else {
            self.place(sample.ip, sample.time_ns, budget)
        };
        self.image_key = sample.image;
        self.cgroup = sample.cgroup;
        self.profile.add(arch, sample, place);
        exited
    }

    /// Takes in samples that were recorded. Returns what is left of the image
    /// before, if they are of another.
    pub(super) fn recall(
        &mut self,
        image: ImageKey,
        cgroup: u64,
        looks: Vec<DecodedSample>,
    ) -> Option<ExitedSamples> {
        let exited = self.turns_to(image);
        self.image_key = image;
        self.cgroup = cgroup;
        for look in looks {
            self.profile.recall(look);
        }
        exited
    }
}

/// The samples of a process that exited, or executes another image now.
#[derive(Clone, Debug)]
pub struct ExitedSamples {
    /// What it executed.
    pub image: ImageKey,
    /// Its cgroup.
    pub cgroup: u64,
    /// The newest of its samples, in order.
    pub looks: Vec<DecodedSample>,
}
