//! The command that is recorded, in a process group of its own.

use std::{
    ffi::OsString,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

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

    /// Its id.
    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Started {
    /// The group is this process's own child's. An error means that nobody is
    /// left in it.
    fn drop(&mut self) {
        let group = Pid::from_child(&self.0);
        let _told = kill_process_group(group, Signal::TERM);
        let begun = Instant::now();
        while begun.elapsed() < GRACE && !self.has_ended() {
            thread::sleep(Duration::from_millis(20));
        }
        let _killed = kill_process_group(group, Signal::KILL);
        let _reaped = self.0.wait();
    }
}
