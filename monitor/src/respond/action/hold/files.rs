//! The files of the cgroups in which processes are held.

use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{Fault, seat::is_ours};
use crate::{
    host::cgroup::{Kind, Site},
    respond::action::{
        Signals, check,
        folders::{Folders, ids, is_gone, is_threaded},
        scope::{Looks, Target},
        signals,
    },
};

/// How long a cgroup may take to be frozen: something in it may be deep in the
/// kernel.
const FREEZE_WAIT: Duration = Duration::from_secs(1);
/// How often a cgroup is emptied before it is given up: who is in it may fork.
const EMPTY_ROUNDS: usize = 50;
/// A process leaves its cgroup a moment after it is seen to have ended.
const EMPTY_PAUSE: Duration = Duration::from_millis(10);

/// Where a process can be held now.
pub(super) fn site_of(
    pid: u32,
    throttle: bool,
    folders: &impl Folders,
) -> io::Result<Option<Site>> {
    let membership = folders.membership(pid)?;
    let site = if throttle {
        folders.layout().cpu(&membership)
    } else {
        folders.layout().freezer(&membership)
    };
    Ok(site)
}

/// Makes our cgroup. One that is there already is not ours, whatever its name.
pub(super) fn make(dir: &Path, threaded: bool, folders: &impl Folders) -> io::Result<()> {
    folders.make(dir)?;
    if threaded {
        folders.write(&dir.join("cgroup.type"), "threaded")?;
    }
    Ok(())
}

/// Hands the cpu controller down to what is below this cgroup.
pub(super) fn enable(
    mount: &Path,
    above: &Path,
    enabled: &mut Vec<PathBuf>,
    folders: &impl Folders,
) -> io::Result<()> {
    for file in lacking(mount, above, folders)? {
        folders.write(&file, "+cpu")?;
        enabled.push(file);
    }
    Ok(())
}

/// The files in which that takes a word of ours, from the top: a controller can
/// only be handed on where it is.
pub(super) fn lacking(
    mount: &Path,
    above: &Path,
    folders: &impl Folders,
) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for dir in above.ancestors().take_while(|dir| dir.starts_with(mount)) {
        let file = dir.join("cgroup.subtree_control");
        let has = folders.read(&file)?;
        if !has.split_ascii_whitespace().any(|name| name == "cpu") {
            files.push(file);
        }
    }
    files.reverse();
    Ok(files)
}

/// Moves a process to our cgroup, and makes sure that it was this one.
///
/// Ids are given out in turn. For another process to be moved, the judged one
/// would have to go and all other ids be used up between a check and the very
/// next system call. That is found out right after, before there is a quota or
/// a freeze.
pub(super) fn place<H>(
    target: Target,
    dir: &Path,
    home: &Path,
    throttle: bool,
    host: &H,
) -> Result<(), Fault>
where
    H: Signals + Looks + Folders,
{
    let pid = target.member.pid;
    let held = signals::hold(pid, host)?;
    check(target.member, target.image, host)?;
    host.write(&dir.join("cgroup.procs"), &pid.to_string())
        .map_err(Fault::Kernel)?;
    // If it still is, it was: its id was its own all the while.
    let result = check(target.member, target.image, host);
    let there = site_of(pid, throttle, host).is_ok_and(|site| site.is_some_and(|s| s.dir == *dir));
    match result {
        Ok(()) if there => {
            drop(held);
            Ok(())
        }
        result => {
            // Whichever process it is, it is put back.
            let _gone = host.write(&home.join("cgroup.procs"), &pid.to_string());
            result?;
            // It is this one, and was moved away at once: that holds nothing.
            let error = io::Error::other("the process leaves its cgroup at once");
            Err(Fault::Kernel(error))
        }
    }
}

/// Freezes a cgroup and waits until it is, or thaws it.
pub(in crate::respond::action) fn freeze_folder(
    dir: &Path,
    freeze: bool,
    folders: &impl Folders,
) -> io::Result<()> {
    let unified = dir.join("cgroup.freeze");
    if folders.read(&unified).is_ok() {
        folders.write(&unified, if freeze { "1" } else { "0" })?;
    } else {
        let state = if freeze { "FROZEN" } else { "THAWED" };
        folders.write(&dir.join("freezer.state"), state)?;
    }
    let frozen = || {
        let events = folders.read(&dir.join("cgroup.events"));
        let state = folders.read(&dir.join("freezer.state"));
        events.is_ok_and(|text| text.lines().any(|line| line == "frozen 1"))
            || state.is_ok_and(|text| text.trim() == "FROZEN")
    };
    let deadline = Instant::now() + FREEZE_WAIT;
    while freeze && !frozen() && Instant::now() < deadline {
        thread::sleep(EMPTY_PAUSE);
    }
    Ok(())
}

/// The file that lists who is in a cgroup of ours: of a threaded one only the
/// threads can be read.
pub(super) fn list_of(dir: &Path, folders: &impl Folders) -> PathBuf {
    let threaded = is_threaded(folders, dir);
    dir.join(if threaded {
        "cgroup.threads"
    } else {
        "cgroup.procs"
    })
}

/// Moves all processes in our cgroup to where they were, and removes it. If that
/// cgroup is gone or takes none by now, the nearest one above that does.
pub(super) fn dissolve(
    kind: Kind,
    mount: &Path,
    dir: &Path,
    home: &Path,
    frozen: bool,
    folders: &impl Folders,
) -> io::Result<()> {
    if !is_ours(dir) {
        let text = format!("{} is no cgroup of unjack's", dir.display());
        return Err(io::Error::other(text));
    }
    if frozen && kind != Kind::Cpu {
        match freeze_folder(dir, false, folders) {
            Err(error) if is_gone(&error) => return Ok(()),
            thawed => thawed?,
        }
    }
    let list = list_of(dir, folders);
    let name = list.file_name().unwrap_or_default();
    let mut result = Ok(());
    for _ in 0..EMPTY_ROUNDS {
        let left = match ids(folders, &list) {
            Err(error) if is_gone(&error) => return Ok(()),
            left => left?,
        };
        for id in left {
            result = send_home(id, mount, home, name, folders);
        }
        match folders.remove(dir) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => thread::sleep(EMPTY_PAUSE),
            Err(error) if is_gone(&error) => return Ok(()),
            removed => return removed,
        }
    }
    result.and(Err(io::ErrorKind::ResourceBusy.into()))
}

/// Moves a process, or a thread, to this cgroup or the nearest one above that
/// takes it.
fn send_home(
    id: u32,
    mount: &Path,
    home: &Path,
    list: &OsStr,
    folders: &impl Folders,
) -> io::Result<()> {
    let mut result = Ok(());
    for dir in home.ancestors().take_while(|dir| dir.starts_with(mount)) {
        match folders.write(&dir.join(list), &id.to_string()) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
            Err(error) => result = result.and(Err(error)),
            Ok(()) => return Ok(()),
        }
    }
    result
}

/// Lets those of these processes end that are to: in a frozen cgroup of version 1
/// SIGKILL waits until it is thawed, and `podman stop` fails. Such a process is moved
/// out, to `to`, where it ends; the others stay frozen. Returns how many.
pub(super) fn let_die<H: Signals + Folders>(pids: &[u32], to: &Path, host: &H) -> u32 {
    let dying = pids.iter().filter(|pid| host.is_killed(**pid));
    let moved = dying.filter(|pid| {
        let list = to.join("cgroup.procs");
        host.write(&list, &pid.to_string()).is_ok()
    });
    u32::try_from(moved.count()).unwrap_or(u32::MAX)
}
