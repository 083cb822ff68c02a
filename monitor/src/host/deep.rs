//! The deep look at a process: what only evidence asks for.
//!
//! A process chooses how much of everything it has. Each list is bounded, and
//! where it was cut is said. All text is cleaned; of the environment only names
//! leave here, as values are secrets.

mod text;

use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufReader, Read},
    os::{fd::AsRawFd as _, unix::ffi::OsStrExt},
    time::Duration,
};

use procfs::process::FDTarget;
use rustix::fs::{Mode, OFlags};
use serde::Serialize;

pub use self::text::{Bounded, MapsText};
use self::text::{CHARS, awaits_kill, cut_at_bound, value_of, variable_name, words};
use super::{
    LookError, ProcHandle,
    process::tick_ns,
    root, sockets,
    timed_read::{What, scan},
};
use unjack_core::text::clean;

/// Bytes read of the arguments, and of the environment.
const TEXT_BYTES: u64 = 64 << 10;
/// Lines of its cgroups: there are some twenty hierarchies at most.
const MAX_CGROUPS: usize = 32;
/// Ancestors that are named.
const MAX_ANCESTORS: usize = 32;
/// Descriptors looked at for sockets.
const MAX_DESCRIPTORS: usize = 4096;
/// Bytes read of each table of sockets: some 7,000 lines, a few milliseconds.
const TABLE_BYTES: u64 = 1 << 20;
/// Sockets that are kept.
const MAX_SOCKETS: usize = 256;
/// Bytes read of its mappings: some 10,000 of them.
const MAPS_BYTES: u64 = 1 << 20;

/// Opens a file that is held, for reading. Waits for the file system it is on.
///
/// # Errors
/// It may not be read, or cannot be.
pub fn reopen(held: &File) -> io::Result<File> {
    File::open(format!("/proc/self/fd/{}", held.as_raw_fd()))
}

/// An ancestor of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ancestor {
    /// Its id.
    pub pid: u32,
    /// Its start in clock ticks since boot.
    pub start_time: u64,
    /// The name it gave itself.
    pub comm: String,
    /// Path of its image; empty if it cannot be read.
    pub exe: String,
}

/// What a process has used and does at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Pulse {
    /// CPU time of all its threads so far, to a clock tick.
    pub used: Duration,
    /// The state of its first thread; if that has ended, of another one.
    state: char,
}

impl Pulse {
    /// Whether it was stopped by a signal.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        self.state == 'T'
    }

    /// Whether it waits in the kernel and cannot be stopped until that is over.
    #[must_use]
    pub const fn is_uninterruptible(&self) -> bool {
        self.state == 'D'
    }
}

/// What these processes have used and do now, in this order, read in one go; `None` of one
/// that is gone or of which reading hangs.
#[must_use]
pub fn pulses(pids: Vec<u32>) -> Vec<Option<Pulse>> {
    let all = pids.len();
    let of = |pid: &u32| {
        ProcHandle::open_pid(*pid)
            .and_then(|seen| seen.pulse())
            .ok()
    };
    let read = move || pids.iter().map(of).collect();
    scan(read).unwrap_or_else(|_| vec![None; all])
}

impl ProcHandle {
    /// The file it executes, opened for reading, whether or not it still has a
    /// name. Opening waits for the file system it is on.
    ///
    /// # Errors
    /// It is gone, has none or may not be looked at.
    pub fn open_image(&self) -> Result<File, LookError> {
        let folder = root::folder(self.folder.pid());
        let mut file = File::open(folder.join("exe"));
        if file.is_err() {
            file = self
                .threads()
                .map(|tid| File::open(folder.join(format!("task/{tid}/exe"))))
                .find(Result::is_ok)
                .unwrap_or(file);
        }
        let file = file?;
        // The path above is by id: make sure it was still this process's.
        self.start_ticks()?;
        Ok(file)
    }

    /// The file it executes, held but not opened: that waits for nothing. The
    /// file outlives the process and its own name; [`reopen`] opens it.
    ///
    /// # Errors
    /// It is gone, has none or may not be looked at.
    pub fn hold_image(&self) -> Result<File, LookError> {
        self.timed(What::Image, Self::take_hold)
    }

    fn take_hold(&self) -> Result<File, LookError> {
        let exe = root::folder(self.folder.pid()).join("exe");
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let held = rustix::fs::open(exe, flags, Mode::empty()).map_err(io::Error::from)?;
        // The path above is by id: make sure it was still this process's.
        self.start_ticks()?;
        Ok(held.into())
    }

    /// Whether it was stopped by a signal.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.state() == Some('T')
    }

    fn pulse(&self) -> Result<Pulse, LookError> {
        self.timed(What::Folder, |seen| {
            Ok(Pulse {
                used: seen.cpu_time()?,
                state: seen.read_state().ok_or(LookError::Gone)?,
            })
        })
    }

    /// The state of its first thread; if that has ended, of another one.
    fn state(&self) -> Option<char> {
        let read = |seen: &Self| seen.read_state().ok_or(LookError::Gone);
        self.timed(What::Folder, read).ok()
    }

    fn read_state(&self) -> Option<char> {
        let state = self.folder.stat().ok()?.state;
        if !matches!(state, 'Z' | 'X') {
            return Some(state);
        }
        let folder = root::folder(self.folder.pid());
        let mut states = self.threads().filter_map(|tid| {
            let stat = std::fs::read(folder.join(format!("task/{tid}/stat"))).ok()?;
            // The name, in brackets, may have any bytes.
            let end = stat.iter().rposition(|byte| *byte == b')')?;
            stat.get(end + 2).copied().map(char::from)
        });
        states
            .find(|state| !matches!(state, 'Z' | 'X'))
            .or(Some(state))
    }

    /// CPU time of all its threads so far, to a clock tick.
    ///
    /// # Errors
    /// It is gone or may not be looked at.
    pub fn cpu_time(&self) -> Result<Duration, LookError> {
        let stat = self.stat()?;
        let ticks = stat.utime.saturating_add(stat.stime);
        Ok(Duration::from_nanos(ticks.saturating_mul(tick_ns())))
    }

    /// Whether it was sent SIGKILL and has not ended yet.
    #[must_use]
    pub fn is_killed(&self) -> bool {
        self.bytes("status")
            .is_some_and(|status| awaits_kill(&status))
    }

    /// Path of its image as its link reads, in full.
    #[must_use]
    pub fn exe_path(&self) -> Option<String> {
        let path = self.exe().ok()?;
        Some(clean(path.as_os_str().as_bytes(), CHARS))
    }

    /// Its working directory.
    #[must_use]
    pub fn working_directory(&self) -> Option<String> {
        let path = self.timed(What::Folder, |seen| Ok(seen.folder.cwd()?));
        let path = path.ok()?;
        Some(clean(path.as_os_str().as_bytes(), CHARS))
    }

    /// Its arguments, as it shows them.
    ///
    /// # Errors
    /// It is gone or may not be looked at.
    pub fn arguments(&self) -> Result<Bounded<String>, LookError> {
        let (bytes, cut) = self.read_aside(What::Words, "cmdline", TEXT_BYTES)?;
        Ok(cut_at_bound(words(&bytes, |word| Some(word)), cut))
    }

    /// The names in its environment, without their values.
    ///
    /// # Errors
    /// It is gone or may not be looked at.
    pub fn environment_names(&self) -> Result<Bounded<String>, LookError> {
        let (bytes, cut) = self.read_aside(What::Environment, "environ", TEXT_BYTES)?;
        Ok(cut_at_bound(words(&bytes, variable_name), cut))
    }

    /// The value of one variable in its environment, if it has that.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        let (bytes, _) = self
            .read_aside(What::Environment, "environ", TEXT_BYTES)
            .ok()?;
        value_of(name, &bytes).map(|value| clean(value, CHARS))
    }

    /// Its places in the hierarchies of cgroups, `id:controllers:path`.
    ///
    /// # Errors
    /// It is gone or may not be looked at.
    pub fn cgroups(&self) -> Result<Bounded<String>, LookError> {
        let (bytes, cut) = self.read_up_to("cgroup", TEXT_BYTES)?;
        let lines = bytes.split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty());
        let lines = lines.map(|line| clean(line, CHARS));
        Ok(cut_at_bound(Bounded::of(lines, MAX_CGROUPS), cut))
    }

    /// Its mappings as the kernel lists them.
    ///
    /// # Errors
    /// It is gone or may not be looked at.
    pub fn maps_text(&self) -> Result<MapsText, LookError> {
        let (bytes, cut) = self.read_aside(What::Mappings, "maps", MAPS_BYTES)?;
        Ok(MapsText { bytes, cut })
    }

    /// Its parent, its parent's parent and so on, as they are now.
    #[must_use]
    pub fn ancestors(&self) -> Bounded<Ancestor> {
        let mut next = self.parent().ok();
        let chain = std::iter::from_fn(|| {
            let pid = next.take().filter(|pid| *pid > 0)?;
            let seen = Self::open_pid(pid).ok()?;
            next = seen.parent().ok();
            Some(Ancestor {
                pid,
                start_time: seen.start_ticks().ok()?,
                comm: clean(&seen.comm().unwrap_or_default(), CHARS),
                exe: seen.exe_path().unwrap_or_default(),
            })
        });
        Bounded::of(chain, MAX_ANCESTORS)
    }

    /// Its Internet sockets, looked up in its own network namespace.
    ///
    /// # Errors
    /// It is gone or may not be looked at.
    pub fn sockets(&self) -> Result<Bounded<sockets::Socket>, LookError> {
        self.timed(What::Folder, Self::read_sockets)
    }

    fn read_sockets(&self) -> Result<Bounded<sockets::Socket>, LookError> {
        let descriptors = self.folder.fd()?.take(MAX_DESCRIPTORS + 1);
        let (mut seen, mut inodes) = (0, HashSet::new());
        for descriptor in descriptors.flatten() {
            seen += 1;
            if let FDTarget::Socket(inode) = descriptor.target {
                inodes.insert(inode);
            }
        }
        let mut found = Vec::new();
        let mut cut = seen > MAX_DESCRIPTORS;
        if inodes.is_empty() {
            return Ok(Bounded { kept: found, cut });
        }
        for table in sockets::TABLES {
            // A kernel without IPv6 has no such table.
            let Ok((bytes, more)) = self.read_up_to(&format!("net/{table}"), TABLE_BYTES) else {
                continue;
            };
            cut |= more;
            let text = String::from_utf8_lossy(&bytes);
            found.extend(
                sockets::parse(table, &text).filter(|socket| inodes.contains(&socket.inode)),
            );
        }
        Ok(cut_at_bound(Bounded::of(found, MAX_SOCKETS), cut))
    }

    /// The same as [`Self::read_up_to`] of what it can make last.
    fn read_aside(
        &self,
        what: What,
        name: &'static str,
        most: u64,
    ) -> Result<(Vec<u8>, bool), LookError> {
        self.timed(what, move |seen| seen.read_up_to(name, most))
    }

    /// A text of its folder, and whether there is more of it.
    fn read_up_to(&self, name: &str, most: u64) -> Result<(Vec<u8>, bool), LookError> {
        let mut bytes = Vec::new();
        let file = BufReader::with_capacity(64 << 10, self.folder.open_relative(name)?);
        file.take(most + 1).read_to_end(&mut bytes)?;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let cut = bytes.len() > most;
        bytes.truncate(most);
        Ok((bytes, cut))
    }
}

#[cfg(test)]
mod tests {
    use super::{text::MAX_WORDS, *};

    #[test]
    fn this_process_is_seen() {
        let seen = ProcHandle::open_pid(std::process::id()).unwrap();
        assert!(seen.arguments().unwrap().kept.len() < MAX_WORDS);
        assert!(seen.ancestors().kept.iter().all(|one| one.pid > 0));
        assert!(seen.maps_text().unwrap().cleaned().contains("r-xp"));
        assert!(!seen.is_stopped());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sockets = seen.sockets().unwrap().kept;
        assert!(sockets.iter().any(|socket| socket.local == address));
    }
}
