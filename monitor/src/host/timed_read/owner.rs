//! In whose hands a process is, and whether it can be in the middle of an exec: by files
//! that no process can make hang.
//!
//! `status` and `cgroup` take neither the lock of a process's memory nor the one of an
//! exec (`exec_update_lock`); tried on Linux 6.18 with both held.

use std::{fs::File, io::Read as _};

use crate::host::{
    cgroup::{
        identity::{Holder, domain},
        path_to_match,
    },
    root,
};

/// Bytes of each file that are read: more than either has.
const TEXT_BYTES: u64 = 16384;
/// Subordinate ids are given to a user in ranges of so many (`subuid(5)`).
const RANGE: u32 = 1 << 16;

/// In whose hands a process is, as far as threads that hang are shared among owners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Owner {
    /// It is gone.
    #[default]
    Unknown,
    /// A user, or a range of users' subordinate ids.
    User(u32),
    /// A user's slice, a container or pod, or a unit of root's: whatever user ids there
    /// are in it.
    Domain(String),
}

/// What is known of a process before it is read about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct About {
    pub(super) owner: Owner,
    /// It runs, or has several threads: so it is not at the point of an exec where the
    /// kernel closes files, as by then an exec has ended all other threads, and waits.
    pub(super) runs: bool,
}

impl About {
    pub(super) fn of(pid: i32) -> Self {
        let folder = root::folder(pid);
        let read = |name: &str| {
            let mut text = Vec::new();
            let file = File::open(folder.join(name)).ok()?;
            file.take(TEXT_BYTES).read_to_end(&mut text).ok()?;
            Some(text)
        };
        let status = read("status").unwrap_or_default();
        let cgroup = read("cgroup").and_then(|text| path_to_match(&text));
        Self::parse(&status, &cgroup.unwrap_or_default())
    }

    fn parse(status: &[u8], cgroup: &str) -> Self {
        // A process's name is in the same file: the kernel escapes its line breaks.
        let field = |name: &[u8]| {
            let mut lines = status.split(|byte| *byte == b'\n');
            let line = lines.find_map(|line| line.strip_prefix(name))?;
            str::from_utf8(line.split(|byte| *byte == b'\t').next()?).ok()
        };
        let number = |name| field(name)?.parse::<u32>().ok();
        let Some(uid) = number(b"Uid:\t") else {
            return Self::default();
        };
        let (holder, domain) = domain(cgroup);
        let owner = if holder == Holder::Host && uid != 0 {
            Owner::User(if uid < RANGE {
                uid
            } else {
                uid / RANGE * RANGE
            })
        } else {
            Owner::Domain(domain.to_owned())
        };
        let running = field(b"State:\t").is_some_and(|state| state.starts_with('R'));
        Self {
            owner,
            runs: running || number(b"Threads:\t").is_some_and(|threads| threads > 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: &str, uid: u32, threads: u32) -> String {
        format!("Name:\tx\\nUid:\\t0\nState:\t{state}\nUid:\t{uid}\t0\t0\t0\nThreads:\t{threads}\n")
    }

    #[test]
    fn owners_are_users_containers_and_units() {
        let check = |uid, cgroup: &str, expected: Owner| {
            let status = status("S (sleeping)", uid, 1);
            assert_eq!(About::parse(status.as_bytes(), cgroup).owner, expected);
        };
        let domain = |path: &str| Owner::Domain(path.to_owned());
        check(1000, "/cron.service", Owner::User(1000));
        check(1000, "/", Owner::User(1000));
        // Any of its subordinate ids.
        check(165_536, "/", Owner::User(131_072));
        check(165_537, "/", Owner::User(131_072));
        check(
            0,
            "/system.slice/cron.service",
            domain("/system.slice/cron.service"),
        );
        let slice = "/user.slice/user-1000.slice";
        check(165_536, &format!("{slice}/session-3.scope"), domain(slice));
        let pod = "/kubepods/pod01234567-89ab-cdef-0123-456789abcdef";
        check(7, &format!("{pod}/x"), domain(pod));
        assert_eq!(About::parse(b"", "/").owner, Owner::Unknown);
    }

    #[test]
    fn a_process_that_runs_or_has_threads_is_not_in_the_middle_of_an_exec() {
        let runs = |state, threads| About::parse(status(state, 1, threads).as_bytes(), "/").runs;
        assert!(runs("R (running)", 1));
        assert!(runs("S (sleeping)", 2));
        assert!(!runs("S (sleeping)", 1));
        assert!(!runs("D (disk sleep)", 1));
    }

    #[test]
    fn this_process_has_an_owner() {
        let about = About::of(std::process::id().cast_signed());
        assert_ne!(about.owner, Owner::Unknown);
    }
}
