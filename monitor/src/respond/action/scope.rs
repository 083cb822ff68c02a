//! Which processes an action reaches, and which forbid that.
//!
//! A protected process forbids to act on a cgroup as a whole, and is left out of a tree.
//! It never spares the process that was judged: an action whose scope is refused is
//! carried out in a narrower one (`narrower`).

use std::io;

use super::{
    ActionKind, ActionRequest, Refusal, Signals, System, check,
    folders::{Folders, all_processes, is_threaded},
};
use crate::{
    host::{
        self, Image, LookError, Member,
        cgroup::{Site, identity::boundary},
    },
    policy::{
        ancestry::{Forks, is_launcher},
        config::{Scope, Wanted},
        guard::Guard,
    },
    respond::action::ProcSnapshot,
};

/// How processes are looked at and found. Only tests have another than
/// [`System`].
pub trait Looks {
    /// Everything the guard asks of a process.
    ///
    /// # Errors
    /// There is none, or it may not be looked at.
    fn look(&self, pid: u32, wanted: Wanted) -> Result<ProcSnapshot, LookError>;

    /// Every process there is.
    fn living(&self) -> Vec<Member>;

    /// Who forked whom.
    fn forks(&self) -> Forks;
}

impl Looks for System {
    fn look(&self, pid: u32, wanted: Wanted) -> Result<ProcSnapshot, LookError> {
        ProcSnapshot::at(pid, wanted)
    }

    fn living(&self) -> Vec<Member> {
        host::living()
    }

    fn forks(&self) -> Forks {
        self.record
            .as_ref()
            .map_or_else(Forks::default, |record| record.forks())
    }
}

/// A process that may be acted on, and what it executed when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Target {
    /// Which.
    pub member: Member,
    /// Its image.
    pub image: Image,
}

/// The host, and what is protected on it.
pub struct World<'a, H> {
    /// The host.
    pub host: &'a H,
    /// Who is protected.
    pub guard: &'a Guard,
}

impl<H: Signals + Looks + Folders> World<'_, H> {
    /// The process an order is about.
    pub(super) fn judged(order: &ActionRequest) -> Target {
        Target {
            member: order.judged(),
            image: order.image,
        }
    }

    /// The tree of the judged process: what keeps starting it first, then
    /// itself, then what descends from it, without those who are protected.
    pub(super) fn tree(&self, order: &ActionRequest) -> Result<Vec<Target>, Refusal> {
        let judged = Self::judged(order);
        check(judged.member, judged.image, self.host)?;
        let itself = self.host.look(judged.member.pid, self.wanted())?;
        let living = self.host.living();
        let climbs = |above: Member| {
            let looked = self.host.look(above.pid, self.wanted());
            looked.is_ok_and(|looked| self.keeps_starting(above, &looked, &itself))
        };
        let tree = self.host.forks().tree(judged.member, &living, climbs);
        Ok(self.admitted(&tree, judged))
    }

    /// Those that came from `known` since, without those who are protected.
    pub(super) fn descendants(&self, known: &[Member]) -> Vec<Target> {
        let new = self.host.forks().descendants(known, &self.host.living());
        let may = |member: &Member| self.admit(*member).ok();
        new.iter().filter_map(may).collect()
    }

    /// The container, service or scope of the judged process, and all in it.
    pub(super) fn cgroup(&self, order: &ActionRequest) -> Result<(Site, Vec<Target>), Refusal> {
        let judged = Self::judged(order);
        check(judged.member, judged.image, self.host)?;
        let membership = self
            .host
            .membership(judged.member.pid)
            .map_err(|_| Refusal::Unreadable)?;
        let layout = self.host.layout();
        let sites = match order.deed {
            ActionKind::Kill { .. } => layout.sites(&membership),
            ActionKind::Throttle { .. } => layout.cpu(&membership).into_iter().collect(),
            ActionKind::Freeze => layout.freezer(&membership).into_iter().collect(),
        };
        // Of another's cgroup a container's own mounts show nothing.
        if sites.is_empty() {
            return Err(Refusal::NoCgroup);
        }
        let site = sites.iter().find_map(|site| self.whole(site));
        let site = site.ok_or(Refusal::SharedCgroup)?;
        let targets = self.within(&site, judged.member)?;
        if targets.contains(&judged) {
            Ok((site, targets))
        } else {
            Err(Refusal::Vanished)
        }
    }

    /// The smallest container, service or scope round a cgroup that has processes
    /// of its own: a user who may make cgroups, as below the user's own manager,
    /// can make a scope that has only some threads of what is above it.
    fn whole(&self, site: &Site) -> Option<Site> {
        let mut path = site.path.to_str()?;
        loop {
            let end = boundary(path)?;
            let whole = site.above(end)?;
            if !is_threaded(self.host, &whole.dir) {
                return Some(whole);
            }
            path = &end[..end.rfind('/')?];
        }
    }

    /// All in a cgroup, if none of them is protected. Whether `judged` is was decided
    /// by what it executes, of which nothing is known here.
    pub(super) fn within(&self, site: &Site, judged: Member) -> Result<Vec<Target>, Refusal> {
        let pids = all_processes(self.host, &site.dir).map_err(|_| Refusal::Unreadable)?;
        if pids.iter().any(|pid| self.guard.lineage.contains(pid)) {
            return Err(Refusal::OwnCgroup);
        }
        let mut targets = Vec::with_capacity(pids.len());
        for pid in pids {
            let looked = match self.host.look(pid, self.wanted()) {
                Err(LookError::Gone) => continue,
                looked => looked?,
            };
            if !looked.running {
                continue;
            }
            let member = Member {
                pid,
                start_time: looked.start_time,
            };
            if member != judged {
                self.guard.check(&looked.candidate(pid))?;
            }
            let image = looked.image.ok_or(Refusal::Unreadable)?;
            targets.push(Target { member, image });
        }
        Ok(targets)
    }

    /// Whether an ancestor does nothing but start what the judged process is.
    fn keeps_starting(&self, above: Member, looked: &ProcSnapshot, judged: &ProcSnapshot) -> bool {
        let launches = looked.exe.as_deref().is_some_and(is_launcher) && looked.launcher;
        launches
            && !looked.has_terminal
            && looked.start_time == above.start_time
            && looked.facts.uid.is_some()
            && looked.facts.uid == judged.facts.uid
            && looked.facts.cgroup == judged.facts.cgroup
            && self.guard.check(&looked.candidate(above.pid)).is_ok()
    }

    fn admitted(&self, members: &[Member], judged: Target) -> Vec<Target> {
        let may = |member: &Member| {
            if *member == judged.member {
                Some(judged)
            } else {
                self.admit(*member).ok()
            }
        };
        members.iter().filter_map(may).collect()
    }

    fn admit(&self, member: Member) -> Result<Target, Refusal> {
        let looked = self.host.look(member.pid, self.wanted())?;
        if looked.start_time != member.start_time {
            return Err(Refusal::Vanished);
        }
        self.guard.check(&looked.candidate(member.pid))?;
        let image = looked.image.ok_or(Refusal::Unreadable)?;
        Ok(Target { member, image })
    }

    fn wanted(&self) -> Wanted {
        let by_allow = Wanted::by(&self.guard.allow);
        let by_only = Wanted::by(self.guard.only.rules());
        Wanted {
            exe: by_allow.exe || by_only.exe,
            sha256: by_allow.sha256 || by_only.sha256 || !self.guard.listed.is_empty(),
        }
    }
}

/// The next narrower scope for an action that was refused in this one, unless the reason
/// is the process itself, or that unjack is about to end.
pub(super) fn narrower(scope: Scope, refusal: Refusal) -> Option<Scope> {
    match (refusal, scope) {
        (Refusal::Cancelled | Refusal::Replaced | Refusal::NoState, _) | (_, Scope::Process) => {
            None
        }
        (_, Scope::Cgroup) => Some(Scope::Tree),
        (_, Scope::Tree) => Some(Scope::Process),
    }
}

/// An error of a cgroup's files as a reason.
pub(super) fn no_cgroup(error: &io::Error) -> Refusal {
    match error.raw_os_error() {
        Some(libc::ESRCH) => Refusal::Vanished,
        _ => Refusal::NoCgroup,
    }
}
