//! Who started a process: for a person to find what keeps a miner coming.
//!
//! The kernel walks the ancestors at the very moment of the exec, so that what
//! it tells cannot be a later process of the same id. `/proc` adds what it still
//! has. Everything is cleaned, and nothing of it decides anything.

use monitor_ebpf::bans::{ANCESTORS, Ancestor};
use serde::Serialize;

use crate::host::{self, ProcHandle};
use unjack_core::{event::Process, text::clean};

/// Characters of a name that are shown.
const NAME_CHARS: usize = 64;
/// Characters of a path that are shown.
const PATH_CHARS: usize = 256;
/// What runs other programs by the clock.
const CRONS: [&str; 8] = [
    "/usr/sbin/cron",
    "/usr/sbin/crond",
    "/usr/sbin/anacron",
    "/usr/sbin/atd",
    "/usr/bin/crond",
    "/usr/bin/fcron",
    "/usr/sbin/fcron",
    "/usr/sbin/dcron",
];

/// One of those who started a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Starter {
    /// Its id in the initial pid namespace.
    pub pid: u32,
    /// The name it gave itself.
    pub comm: String,
    /// Path of its image; `None` if it was gone by the time it was looked at.
    pub exe: Option<String>,
}

/// Where a process came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The process as it was before, and its ancestors, nearest first; eight at
    /// the most.
    pub started_by: Vec<Starter>,
    /// Path of its cgroup.
    pub cgroup: Option<String>,
    /// The systemd unit it runs in.
    pub unit: Option<String>,
    /// The id of the container it runs in.
    pub container: Option<String>,
    /// The path of the cron that started it.
    pub cron: Option<String>,
}

impl Origin {
    /// Where a process that lives came from, as `/proc` has it now.
    #[must_use]
    pub fn now(pid: u32) -> Option<(Process, Self)> {
        let mut lineage = [Ancestor::default(); ANCESTORS];
        let mut next = pid;
        for ancestor in &mut lineage {
            let Ok(seen) = ProcHandle::open_pid(next) else {
                break;
            };
            ancestor.start_ns = seen.start_ticks().ok()?.saturating_mul(host::tick_ns());
            ancestor.tgid = next;
            next = seen.parent().unwrap_or(0);
            let name = seen
                .facts()
                .map_or_else(|_| String::new(), |facts| facts.comm);
            let kept = name.len().min(ancestor.comm.len());
            ancestor.comm[..kept].copy_from_slice(&name.as_bytes()[..kept]);
            if next == 0 {
                break;
            }
        }
        let process = Process {
            tgid: lineage[0].tgid,
            start_ns: lineage[0].start_ns,
        };
        (process.tgid == pid).then(|| (process, Self::of(&lineage)))
    }

    /// Looks up what `/proc` still has of a lineage.
    #[must_use]
    pub fn of(lineage: &[Ancestor; ANCESTORS]) -> Self {
        let mut origin = Self::default();
        let mut last = 0;
        for ancestor in lineage {
            // Above init there is the idle task, which is its own parent.
            if ancestor.tgid == 0 || ancestor.tgid == last {
                break;
            }
            last = ancestor.tgid;
            let process = Process {
                tgid: ancestor.tgid,
                start_ns: ancestor.start_ns,
            };
            let facts = ProcHandle::open(process).and_then(|seen| seen.facts()).ok();
            let exe = facts
                .as_ref()
                .map(|facts| facts.exe.clone())
                .filter(|exe| !exe.is_empty());
            if origin.cgroup.is_none()
                && let Some(facts) = &facts
            {
                origin.unit = unit(&facts.cgroup);
                origin.container = container(&facts.cgroup);
                origin.cgroup = Some(clean(facts.cgroup.as_bytes(), PATH_CHARS));
            }
            if origin.cron.is_none() {
                origin.cron = exe.clone().filter(|exe| CRONS.contains(&exe.as_str()));
            }
            let end = ancestor.comm.iter().position(|byte| *byte == 0);
            let comm = &ancestor.comm[..end.unwrap_or(ancestor.comm.len())];
            origin.started_by.push(Starter {
                pid: ancestor.tgid,
                comm: clean(comm, NAME_CHARS),
                exe,
            });
        }
        origin
    }
}

/// The innermost systemd unit of a cgroup's path.
fn unit(cgroup: &str) -> Option<String> {
    const KINDS: [&str; 3] = [".service", ".scope", ".socket"];
    cgroup
        .rsplit('/')
        .find(|part| KINDS.iter().any(|kind| part.ends_with(kind)))
        .map(|part| clean(part.as_bytes(), PATH_CHARS))
}

/// The innermost container of a cgroup's path: engines name it by an id of 64
/// hexadecimal digits, with or without something around it.
fn container(cgroup: &str) -> Option<String> {
    const DIGITS: usize = 64;
    cgroup.rsplit('/').find_map(|part| {
        part.split(|c: char| !c.is_ascii_hexdigit())
            .find(|run| run.len() == DIGITS)
            .map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[track_caller]
    fn check(cgroup: &str, expected: (Option<&str>, Option<&str>)) {
        let (unit, container) = (unit(cgroup), container(cgroup));
        assert_eq!((unit.as_deref(), container.as_deref()), expected);
    }

    #[test]
    fn units_and_containers_are_found_in_cgroups() {
        check("/", (None, None));
        check("/system.slice/cron.service", (Some("cron.service"), None));
        check(
            "/user.slice/user-1000.slice/user@1000.service/app.slice/a.scope",
            (Some("a.scope"), None),
        );
        check(
            &format!("/system.slice/docker-{ID}.scope"),
            (Some(&format!("docker-{ID}.scope")), Some(ID)),
        );
        check(&format!("/libpod_parent/libpod-{ID}"), (None, Some(ID)));
        check(&format!("/kubepods/burstable/pod7/{ID}"), (None, Some(ID)));
        check(&format!("/x/{ID}0"), (None, None));
    }

    #[test]
    fn a_lineage_ends_at_init_and_its_names_are_cleaned() {
        let mut lineage = [Ancestor::default(); ANCESTORS];
        lineage[0].tgid = u32::MAX;
        lineage[0].comm[..5].copy_from_slice(b"a\n\x1b[x");
        let origin = Origin::of(&lineage);
        let expected = Starter {
            pid: u32::MAX,
            comm: "a\\x0a\\x1b[x".to_owned(),
            exe: None,
        };
        assert_eq!(origin.started_by, [expected]);
        assert_eq!(origin.cgroup, None);
    }
}
