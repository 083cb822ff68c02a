//! What a request to throttle or freeze takes, without doing any of it.

use std::path::{Path, PathBuf};

use super::{
    Hold, Means, Rung,
    files::site_of,
    quota::whole,
    seat::{Seat, new_folder, seat},
    shared::only_has,
};
use crate::{
    host::cgroup::{Kind, Site},
    policy::{config::Scope, refusal::Refusal},
    respond::action::{
        ActionKind, ActionRequest, Signals, check,
        folders::Folders,
        scope::{Looks, Target, World, no_cgroup},
    },
};

impl Hold {
    /// What a request takes, and to how many others it would be done. `others` are
    /// the holds there are.
    pub(in crate::respond::action) fn plan<H>(
        order: &ActionRequest,
        others: &[Self],
        world: &World<'_, H>,
    ) -> Result<(Self, u32), Refusal>
    where
        H: Signals + Looks + Folders,
    {
        let judged = World::<H>::judged(order);
        let share = match order.deed {
            ActionKind::Throttle { share } => Some(share),
            ActionKind::Freeze | ActionKind::Kill { .. } => None,
        };
        let mut hold = Self {
            judged: judged.member,
            image: judged.image,
            cgroup: PathBuf::new(),
            share,
            means: Vec::new(),
            rung: Rung::First,
        };
        if order.scope == Scope::Cgroup {
            let (site, targets) = world.cgroup(order)?;
            let count = count_others(targets.len());
            if world.host.is_roots(&site.dir) {
                hold.means = whole(&site, share, world.host).map_err(|error| no_cgroup(&error))?;
            } else {
                // Its user could undo what is set there.
                for target in &targets {
                    hold.take(*target, others, world.host)?;
                }
            }
            hold.cgroup = site.path;
            return Ok((hold, count));
        }
        check(judged.member, judged.image, world.host)?;
        let targets = if order.scope == Scope::Tree {
            world.tree(order)?
        } else {
            vec![judged]
        };
        let only = hold.fills(judged, &targets, world.host);
        match only.map(|site| (whole(&site, share, world.host), site)) {
            Some((Ok(means), site)) => {
                hold.means = means;
                hold.cgroup = site.path;
            }
            _ => {
                for target in &targets {
                    hold.take(*target, others, world.host)?;
                }
            }
        }
        // Set on their cgroup it is for all of them, else for those that are there still.
        let count = match hold.targets().count() {
            0 => targets.len(),
            count => count,
        };
        Ok((hold, count_others(count)))
    }

    /// Has a process held by a cgroup if it can be, else by signals. One that went
    /// meanwhile is left out, unless it is the judged one.
    fn take<H>(&mut self, target: Target, others: &[Self], host: &H) -> Result<(), Refusal>
    where
        H: Signals + Looks + Folders,
    {
        let judged = target.member == self.judged;
        let site = match site_of(target.member.pid, self.share.is_some(), host) {
            Ok(site) => site.map(|site| not_ours(site, others)),
            Err(_) if judged => return Err(Refusal::Unreadable),
            Err(_) => return Ok(()),
        };
        if let Some(site) = &site
            && judged
        {
            self.cgroup.clone_from(&site.path);
        }
        let seat = site.and_then(|site| {
            let seat = seat(&site, self.share.is_some(), host)?;
            self.move_to(&site, &seat, target, host)
        });
        if seat.is_none() {
            self.means.push(match self.share {
                None => Means::Stopped { target },
                Some(_) => Means::Paced { target },
            });
        }
        Ok(())
    }

    fn move_to(
        &mut self,
        site: &Site,
        seat: &Seat,
        target: Target,
        folders: &impl Folders,
    ) -> Option<()> {
        for means in &mut self.means {
            if let Means::Moved {
                dir, home, members, ..
            } = means
                && *home == site.dir
                && dir.parent() == Some(&seat.above)
            {
                members.push(target);
                return Some(());
            }
        }
        let taken: Vec<&Path> = self.folders().collect();
        let dir = new_folder(self.judged, &seat.above, &taken, folders)?;
        self.means.push(Means::Moved {
            kind: site.kind,
            mount: site.mount.clone(),
            dir,
            home: site.dir.clone(),
            threaded: seat.threaded,
            members: vec![target],
        });
        Some(())
    }

    /// The cgroup of the judged process, if a throttle is better set there than in
    /// one of ours: all processes in it are to be throttled, and if they were moved
    /// out, it would be empty, and a container or unit removed for that.
    fn fills<H>(&self, judged: Target, targets: &[Target], host: &H) -> Option<Site>
    where
        H: Signals + Looks + Folders,
    {
        self.share?;
        let site = site_of(judged.member.pid, true, host).ok()??;
        let beside = |seat: Seat| seat.above != site.dir;
        let fills = site.kind == Kind::Unified
            && site.dir != site.mount
            && host.is_roots(&site.dir)
            && seat(&site, true, host).is_none_or(beside)
            && only_has(&site.dir, targets.iter(), host);
        fills.then_some(site)
    }
}

/// How many of these are not the judged one.
fn count_others(all: usize) -> u32 {
    u32::try_from(all.saturating_sub(1)).unwrap_or(u32::MAX)
}

/// A process that is in a cgroup of ours, with or for another, goes to one of its
/// own, and back to where it was before both.
fn not_ours(site: Site, others: &[Hold]) -> Site {
    let of_hold = |hold: &Hold| {
        let home = |means: &Means| match means {
            Means::Moved { dir, home, .. } if *dir == site.dir => Some(home.clone()),
            _ => None,
        };
        hold.means.iter().find_map(home)
    };
    let Some(dir) = others.iter().find_map(of_hold) else {
        return site;
    };
    let below = dir.strip_prefix(&site.mount).unwrap_or(&dir);
    // The root of the mount may show a cgroup further down.
    let top = site.dir.strip_prefix(&site.mount).ok();
    let top = top.and_then(|inside| {
        let parts = inside.components().count();
        site.path.ancestors().nth(parts)
    });
    let path = top.unwrap_or(Path::new("/")).join(below);
    Site { dir, path, ..site }
}
