//! A file system that does not answer: a thread that waits for it while it holds
//! the lock of a process's memory makes every reader of that process's mappings or
//! arguments wait, `ps` among them; one that waits for it in the middle of an exec makes
//! those of nearly all of its folder in `/proc` wait.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, Generation,
    INodeNo, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, Request,
    SessionACL, spawn_mount,
};
use rustix::mount::{UnmountFlags, unmount};
use tempfile::TempDir;

use crate::host;

/// Longer than any test takes.
const FOREVER: Duration = Duration::from_hours(1);
const FILE: INodeNo = INodeNo(2);
/// One page: what is mapped is read at once.
const SIZE: u32 = 4096;

/// Questions that are not answered.
#[derive(Clone, Default)]
struct Questions(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    kept: Vec<ReplyData>,
    /// Files that are being closed; `None` if closing is answered.
    closing: Option<Vec<ReplyEmpty>>,
    over: bool,
}

impl Questions {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, reply: ReplyData) {
        let mut state = self.state();
        if state.over {
            reply.error(Errno::EIO);
        } else {
            state.kept.push(reply);
        }
    }

    /// That it cannot be read or closed; returns to how many that read.
    fn refuse(&self) -> usize {
        let mut state = self.state();
        let closing = state.closing.as_mut().map(std::mem::take);
        let kept = std::mem::take(&mut state.kept);
        drop(state);
        for reply in closing.into_iter().flatten() {
            reply.ok();
        }
        kept.into_iter()
            .map(|reply| reply.error(Errno::EIO))
            .count()
    }
}

fn attributes(ino: INodeNo) -> FileAttr {
    let folder = ino == INodeNo::ROOT;
    FileAttr {
        ino,
        size: SIZE.into(),
        blocks: 1,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: if folder {
            FileType::Directory
        } else {
            FileType::RegularFile
        },
        perm: if folder { 0o755 } else { 0o644 },
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: SIZE,
        flags: 0,
    }
}

impl Filesystem for Questions {
    fn lookup(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEntry) {
        reply.entry(&FOREVER, &attributes(FILE), Generation(0));
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&FOREVER, &attributes(ino));
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: u64,
        _: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.ask(reply);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        let mut state = self.state();
        if state.over {
            return reply.ok();
        }
        match &mut state.closing {
            Some(closing) => closing.push(reply),
            None => reply.ok(),
        }
    }
}

/// The file system, mounted until dropped: then every question is answered.
pub struct Silence {
    questions: Questions,
    _session: BackgroundSession,
    folder: TempDir,
}

impl Silence {
    /// Mounts it.
    ///
    /// # Panics
    ///
    /// When it cannot be mounted.
    #[must_use]
    pub fn mount() -> Self {
        Self::begin(Questions::default())
    }

    /// The same, open to all users, which does not answer when a file is closed, either.
    ///
    /// # Panics
    ///
    /// When it cannot be mounted.
    #[must_use]
    pub fn when_closed() -> Self {
        let questions = Questions::default();
        questions.state().closing = Some(Vec::new());
        Self::begin(questions)
    }

    fn begin(questions: Questions) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let all = Permissions::from_mode(0o755);
        fs::set_permissions(folder.path(), all).expect("the folder is ours");
        let mut config = Config::default();
        config.acl = SessionACL::All;
        let session =
            spawn_mount(questions.clone(), folder.path(), &config).expect("root may mount FUSE");
        Self {
            questions,
            _session: session,
            folder,
        }
    }

    /// The file that cannot be read.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("file")
    }

    /// How many processes wait for it to have the file closed.
    #[must_use]
    pub fn closing(&self) -> usize {
        let state = self.questions.state();
        state.closing.as_ref().map_or(0, Vec::len)
    }

    /// Waits until a process that reads the file holds the lock of its memory: who
    /// reads its arguments waits, too.
    ///
    /// # Panics
    ///
    /// When it does not come to that.
    pub fn wait_held(&self, pid: u32) {
        host::eventually(
            "the lock of its memory is held",
            Duration::from_secs(30),
            || {
                if Self::holds(pid) {
                    return Ok(());
                }
                // Its fault lets go of the lock while it waits. Once that has failed, it
                // tries again and does not (`filemap_fault`, mm/filemap.c).
                Err(format!(
                    "{} questions were answered",
                    self.questions.refuse()
                ))
            },
        );
    }

    /// Whether a reader of a process's arguments waits for longer than that takes.
    fn holds(pid: u32) -> bool {
        let mut command = Command::new("cat");
        let command = command.arg(format!("/proc/{pid}/cmdline"));
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut reader = command.spawn().expect("cat runs");
        thread::sleep(Duration::from_secs(1));
        let waits = matches!(reader.try_wait(), Ok(None));
        // The kernel lets go of who waits for that lock and is killed.
        let _ = reader.kill();
        let _ = reader.wait();
        waits
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        self.questions.state().over = true;
        self.questions.refuse();
        let _ = unmount(self.folder.path(), UnmountFlags::DETACH);
    }
}
