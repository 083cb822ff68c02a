//! In which cgroup ours is made.
//!
//! Who may write to the `cgroup.procs` of the cgroup above both may move a process
//! from one to the other: the owner of a delegated subtree (`user@UID.service`, a
//! rootless container) could move it out again. So ours is made below a cgroup that
//! is root's alone: below the process's own where that is, so that all its limits
//! still count, else beside it, in the nearest one above that is; the limits it had
//! are given to ours then.
//!
//! In the unified hierarchy there are two more reasons not to be below it. A throttle
//! below a cgroup that has processes has to be a *threaded* one, and any other
//! cgroup made there afterwards is "domain invalid": a container, a delegated unit
//! and a cgroup that has cgroups below it already would be broken. And a frozen one
//! cannot be below one that is threaded.

use std::path::{Path, PathBuf};

use super::PREFIX;
use crate::{
    host::{
        Member,
        cgroup::{Kind, Site, identity::Identity},
    },
    respond::action::folders::{Folders, ids, is_gone, is_threaded},
};

/// Names of a cgroup of ours that are tried: none that is there is ever used, as it
/// may be a user's. One process has one of them, or as many as its tree has cgroups.
const MAX_NAMES: usize = 64;

/// Where a process can be held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    /// The cgroup that ours is made in.
    pub above: PathBuf,
    /// Ours has threads only.
    pub threaded: bool,
}

/// Where a process in this cgroup can be held; none if nowhere.
pub(super) fn seat(site: &Site, throttle: bool, folders: &impl Folders) -> Option<Seat> {
    let Site {
        kind, mount, dir, ..
    } = site;
    let unified = *kind == Kind::Unified;
    let below = folders.is_roots(dir)
        && match (unified, throttle) {
            (false, _) => true,
            (true, true) => is_top(dir, folders) || takes_threads(site, folders),
            (true, false) => takes_processes(dir, folders),
        };
    if below {
        return Some(Seat {
            above: dir.clone(),
            threaded: unified && throttle && !is_top(dir, folders),
        });
    }
    let takes = |dir: &&Path| {
        folders.is_roots(dir)
            && (!unified
                || takes_processes(dir, folders) && (!throttle || hands_down(dir, folders)))
    };
    let mut above = dir.ancestors().skip(1);
    let above = above.by_ref().take_while(|dir| dir.starts_with(mount));
    above.into_iter().find(takes).map(|above| Seat {
        above: above.to_owned(),
        threaded: false,
    })
}

/// The root of the unified hierarchy: it may have processes and cgroups below.
fn is_top(dir: &Path, folders: &impl Folders) -> bool {
    let kind = folders.read(&dir.join("cgroup.type"));
    kind.is_err_and(|error| is_gone(&error))
}

/// Whether a cgroup below this one can have processes.
fn takes_processes(dir: &Path, folders: &impl Folders) -> bool {
    let kind = folders.read(&dir.join("cgroup.type"));
    is_top(dir, folders) || kind.is_ok_and(|kind| kind.trim() == "domain")
}

/// Whether it can hand the cpu controller on to one that has processes.
fn hands_down(dir: &Path, folders: &impl Folders) -> bool {
    let control = folders.read(&dir.join("cgroup.subtree_control"));
    let has = control.is_ok_and(|text| text.split_ascii_whitespace().any(|name| name == "cpu"));
    has || is_top(dir, folders)
        || ids(folders, &dir.join("cgroup.procs")).is_ok_and(|ids| ids.is_empty())
}

/// Whether a threaded cgroup may be made below it: no program will make another.
fn takes_threads(site: &Site, folders: &impl Folders) -> bool {
    let path = site.path.to_string_lossy();
    let container = Identity::of([path.as_ref()]).container.is_some();
    let mut above = site.dir.ancestors();
    let above = above
        .by_ref()
        .take_while(|dir| dir.starts_with(&site.mount));
    let delegated = above.into_iter().any(|dir| folders.is_delegated(dir));
    let ours = |dir: &PathBuf| is_ours(dir) && is_threaded(folders, dir);
    !container
        && !delegated
        && folders
            .below(&site.dir)
            .is_ok_and(|below| below.iter().all(ours))
}

/// Whether it is named as ours are.
pub(super) fn is_ours(dir: &Path) -> bool {
    let name = dir.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(PREFIX))
}

/// The folder of a new cgroup of ours; none if all names are taken.
pub(super) fn new_folder(
    judged: Member,
    above: &Path,
    taken: &[&Path],
    folders: &impl Folders,
) -> Option<PathBuf> {
    (0..MAX_NAMES)
        .map(|number| {
            let name = format!("{PREFIX}{}-{}", judged.pid, judged.start_time);
            above.join(match number {
                0 => name,
                number => format!("{name}-{number}"),
            })
        })
        .find(|dir| !taken.contains(&dir.as_path()) && is_free(dir, folders))
}

fn is_free(dir: &Path, folders: &impl Folders) -> bool {
    let list = folders.read(&dir.join("cgroup.procs"));
    list.is_err_and(|error| is_gone(&error))
}
