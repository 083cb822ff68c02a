//! The file that says what is held, so that a later process can undo it.
//!
//! It is written before anything is done, in one piece (a new file takes the
//! old one's place), and read again each time, as `unjack release` and a daemon
//! may change it in turn: both hold the lock beside it meanwhile. What another
//! boot wrote down is void: processes and cgroups went with it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::{hold::Hold, transient_stop::TransientStop};

/// The file's name.
const FILE: &str = "held.json";
/// The file that a process locks while it uses the state.
const LOCK: &str = "held.lock";
/// Who may write to the folder besides its owner.
const OTHERS_WRITE: u32 = 0o022;

/// The folder or the file is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A system call.
    #[error("{}: {source}; --state-dir names another folder", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The folder is not ours alone.
    #[error("{} is no folder that only its owner, this user, can write to; \
             remove it, or name another with --state-dir", .0.display())]
    NotOurs(PathBuf),
    /// The file is none of ours.
    #[error("{} cannot be read: {source}; if nothing is throttled or frozen, remove it", .path.display())]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// What is held.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The boot it was written in.
    boot_id: String,
    /// Who.
    pub holds: Vec<Hold>,
    /// Files of cgroups in which the cpu controller was switched on for it.
    pub enabled: Vec<PathBuf>,
    /// Who is stopped for a moment only.
    #[serde(default)]
    pub moments: Vec<TransientStop>,
}

/// The folder.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    boot_id: String,
    /// The lock between processes does not hold between threads.
    turn: Mutex<()>,
}

/// The state, locked until this is dropped.
pub struct Locked<'a> {
    store: &'a Store,
    /// As it was read; written by [`Self::save`] only.
    pub state: State,
    #[expect(dead_code, reason = "held, never read")]
    lock: File,
}

impl Store {
    /// The store in this folder. Nothing is read or made yet.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
        Self {
            dir,
            boot_id: boot_id.unwrap_or_default().trim().to_owned(),
            turn: Mutex::default(),
        }
    }

    /// Whether anything was ever written down there.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.dir.join(FILE).exists()
    }

    /// Calls `with` while no other process or thread uses the state.
    ///
    /// # Errors
    /// It cannot be read or locked.
    pub fn with<T>(&self, with: impl FnOnce(Locked<'_>) -> T) -> Result<T, StoreError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.make_dir()?;
        let lock = self.lock(LOCK, FlockOperation::LockExclusive)?;
        self.call(lock, with)
    }

    /// The same, but if another process or thread uses the state nothing is called.
    ///
    /// # Errors
    /// As above.
    pub fn try_with<T>(&self, with: impl FnOnce(Locked<'_>) -> T) -> Result<Option<T>, StoreError> {
        let Ok(_turn) = self.turn.try_lock() else {
            return Ok(None);
        };
        self.make_dir()?;
        let lock = free(self.lock(LOCK, FlockOperation::NonBlockingLockExclusive))?;
        lock.map(|lock| self.call(lock, with)).transpose()
    }

    fn call<T>(&self, lock: File, with: impl FnOnce(Locked<'_>) -> T) -> Result<T, StoreError> {
        let state = self.read()?;
        Ok(with(Locked {
            store: self,
            state,
            lock,
        }))
    }

    /// Marks this folder as one daemon's, as long as the result lives; none if
    /// it is another's.
    ///
    /// # Errors
    /// The folder cannot be made or locked.
    pub fn claim(&self) -> Result<Option<File>, StoreError> {
        self.make_dir()?;
        free(self.lock("daemon.lock", FlockOperation::NonBlockingLockExclusive))
    }

    fn lock(&self, name: &str, operation: FlockOperation) -> Result<File, StoreError> {
        let path = self.dir.join(name);
        let file = || {
            let file = options().open(&path)?;
            flock(&file, operation)?;
            Ok(file)
        };
        file().map_err(|source| StoreError::Io { path, source })
    }

    fn make_dir(&self) -> Result<(), StoreError> {
        let io = |source| StoreError::Io {
            path: self.dir.clone(),
            source,
        };
        if !self.dir.exists() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.dir)
                .map_err(io)?;
        }
        let meta = fs::symlink_metadata(&self.dir).map_err(io)?;
        let owner = rustix::process::geteuid().as_raw();
        if meta.is_dir() && meta.uid() == owner && meta.mode() & OTHERS_WRITE == 0 {
            Ok(())
        } else {
            Err(StoreError::NotOurs(self.dir.clone()))
        }
    }

    fn read(&self) -> Result<State, StoreError> {
        let fresh = State {
            boot_id: self.boot_id.clone(),
            ..State::default()
        };
        let path = self.dir.join(FILE);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(fresh),
            text => text.map_err(|source| StoreError::Io {
                path: path.clone(),
                source,
            })?,
        };
        let state: State =
            serde_json::from_slice(&text).map_err(|source| StoreError::Corrupt { path, source })?;
        Ok(if state.boot_id == self.boot_id {
            state
        } else {
            fresh
        })
    }
}

impl Locked<'_> {
    /// Writes the state down.
    ///
    /// # Errors
    /// It cannot be written; what was written before is still there.
    pub fn save(&self) -> Result<(), StoreError> {
        let path = self.store.dir.join(FILE);
        let new = path.with_extension("new");
        self.write(&new, &path)
            .map_err(|source| StoreError::Io { path, source })
    }

    fn write(&self, new: &Path, path: &Path) -> io::Result<()> {
        let mut file = options().truncate(true).open(new)?;
        file.write_all(&serde_json::to_vec_pretty(&self.state)?)?;
        file.sync_data()?;
        fs::rename(new, path)
    }
}

/// None if another process has the lock.
fn free(lock: Result<File, StoreError>) -> Result<Option<File>, StoreError> {
    match lock {
        Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::WouldBlock => {
            Ok(None)
        }
        lock => lock.map(Some),
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn save(store: &Store, enabled: &str) {
        store
            .with(|mut locked| {
                locked.state.enabled.push(enabled.into());
                locked.save()
            })
            .unwrap()
            .unwrap();
    }

    fn read(store: &Store) -> Vec<PathBuf> {
        store.with(|locked| locked.state.enabled).unwrap()
    }

    #[test]
    fn what_is_saved_is_read_by_the_next() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("a/b");
        let store = Store::new(dir.clone());
        assert!(!store.exists());
        save(&store, "/x");
        assert!(store.exists());
        assert_eq!(read(&Store::new(dir.clone())), [PathBuf::from("/x")]);
        let mode = |path: PathBuf| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(dir.clone()), mode(dir.join(FILE))), (0o700, 0o600));
    }

    #[test]
    fn what_another_boot_wrote_is_void() {
        let home = tempfile::tempdir().unwrap();
        let mut store = Store::new(home.path().join("state"));
        save(&store, "/x");
        store.boot_id = "another".to_owned();
        assert!(read(&store).is_empty());
    }

    #[test]
    fn what_was_not_saved_is_not_there() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::new(home.path().join("state"));
        store
            .with(|mut locked| locked.state.enabled.push("/x".into()))
            .unwrap();
        assert!(read(&store).is_empty());
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("open");
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
        let error = Store::new(dir).with(|_| ()).unwrap_err();
        assert!(matches!(error, StoreError::NotOurs(_)), "{error}");
        let link = home.path().join("link");
        std::os::unix::fs::symlink(home.path(), &link).unwrap();
        let error = Store::new(link).with(|_| ()).unwrap_err();
        assert!(error.to_string().contains("--state-dir"), "{error}");
    }

    #[test]
    fn a_file_of_another_make_is_told_and_left() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::new(home.path().join("state"));
        save(&store, "/x");
        fs::write(home.path().join("state").join(FILE), "{}").unwrap();
        let error = store.with(|_| ()).unwrap_err();
        assert!(error.to_string().contains("remove it"), "{error}");
    }

    #[test]
    fn what_another_process_uses_is_not_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::new(home.path().join("state"));
        let other = Store::new(home.path().join("state"));
        let inside = store.with(|_| other.try_with(|_| ()).unwrap()).unwrap();
        assert_eq!(inside, None);
        assert_eq!(other.try_with(|_| ()).unwrap(), Some(()));
    }

    #[test]
    fn a_folder_is_one_daemons() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::new(home.path().join("state"));
        let claim = store.claim().unwrap();
        assert!(claim.is_some());
        assert!(store.claim().unwrap().is_none());
        drop(claim);
        assert!(store.claim().unwrap().is_some());
    }
}
