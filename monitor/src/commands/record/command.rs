//! The command that is recorded, in a process group of its own.
//!
//! Its id is also the group's, and that by which its descendants are known: once
//! it has ended it is looked at and not reaped, so that no other process gets its
//! id before all of the group is ended.

use std::{
    ffi::OsString,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::RecordError;

/// Time a command's processes get between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(1);

/// The command, ended with its process group when dropped.
pub(super) struct Started(Child);

impl Started {
    pub(super) fn start(command: &[OsString]) -> Result<Option<Self>, RecordError> {
        let Some((program, arguments)) = command.split_first() else {
            return Ok(None);
        };
        let child = Command::new(program)
            .args(arguments)
            .process_group(0)
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| RecordError::Command(program.to_string_lossy().into_owned(), error))?;
        Ok(Some(Self(child)))
    }

    /// Its id, which no other process gets as long as this value exists.
    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(super) fn has_ended(&self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(self.group()), look), Ok(None))
    }

    fn group(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    /// Whether any process but the command itself runs in its group. A signal 0 to
    /// the group would find the command when it has ended, too.
    fn has_others(&self) -> bool {
        let all = procfs::process::all_processes().into_iter().flatten();
        all.filter_map(|process| process.ok()?.stat().ok())
            .any(|stat| {
                stat.pgrp == self.group().as_raw_pid()
                    && stat.pid != stat.pgrp
                    && !matches!(stat.state, 'Z' | 'X')
            })
    }
}

impl Drop for Started {
    /// The group is this process's own child's. An error means that no process is
    /// left in it.
    fn drop(&mut self) {
        let _told = kill_process_group(self.group(), Signal::TERM);
        let begun = Instant::now();
        while begun.elapsed() < GRACE && (!self.has_ended() || self.has_others()) {
            thread::sleep(Duration::from_millis(20));
        }
        let _killed = kill_process_group(self.group(), Signal::KILL);
        let _reaped = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::host::ProcHandle;

    fn runs(pid: u32) -> bool {
        ProcHandle::open_pid(pid).is_ok_and(|seen| seen.is_running())
    }

    fn start(script: &str) -> Started {
        let command = ["sh", "-c", script].map(OsString::from);
        Started::start(&command).unwrap().unwrap()
    }

    /// Its leader has ended.
    fn ended(script: &str) -> Started {
        let started = start(script);
        while !started.has_ended() {
            thread::yield_now();
        }
        started
    }

    #[test]
    fn who_is_left_of_the_group_gets_the_grace_too() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().to_str().unwrap();
        let started = ended(&format!(
            "(trap 'sleep 0.1; echo done > {home}/told; exit' TERM
              echo > {home}/ready
              while :; do sleep 0.02; done) &
             while [ ! -e {home}/ready ]; do sleep 0.02; done"
        ));
        assert!(started.has_others());
        drop(started);
        let told = std::fs::read_to_string(format!("{home}/told"));
        assert_eq!(told.unwrap(), "done\n");
    }

    #[test]
    fn who_does_not_heed_is_killed() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("pid");
        let started = ended(&format!(
            "trap '' TERM; sleep 60 & echo $! > {}",
            file.display()
        ));
        let text = std::fs::read_to_string(file).unwrap();
        let pid = text.trim().parse().unwrap();
        assert!(runs(pid));
        let begun = Instant::now();
        drop(started);
        assert!(begun.elapsed() >= GRACE);
        while runs(pid) {
            assert!(begun.elapsed() < Duration::from_secs(10), "it lives");
            thread::yield_now();
        }
    }

    #[test]
    fn no_other_process_gets_its_id_while_it_is_recorded() {
        let started = ended("exit 0");
        assert!(Path::new(&format!("/proc/{}", started.pid())).exists());
        assert!(started.has_ended() && !started.has_others());
        let (pid, begun) = (started.pid(), Instant::now());
        drop(started);
        assert!(begun.elapsed() < GRACE, "no process is waited for");
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn without_a_command_nothing_is_started() {
        assert!(Started::start(&[]).unwrap().is_none());
    }
}
