//! How miners hide, done for real.
//!
//! Owns the tricks that the suites `evasions` and `browser` play. In: a process
//! or a program. Out: the same one, hidden; each trick has a way to see that it
//! took place, and is undone when its handle is dropped, also by a failed test.
//! The tricks are those that MITRE ATT&CK and public write-ups of miners
//! describe; none needs anything of a miner's code.
//!
//! | module | trick |
//! |---|---|
//! | [`memory`] | the image is in memory only (T1620) |
//! | [`cover`] | an empty directory lies over `/proc/PID` (T1564.013) |
//! | [`pulse`] | the process is stopped most of the time |
//! | [`quota`] | the process gets a few percent of a core |
//! | [`silence`] | who looks at the process waits for a file system that does not answer |
//! | [`scope`] | the process is in a cgroup of its own, with others |
//! | [`relay`] | a new pid before the old one is noticed |
//! | [`wasm`] | the hash is WebAssembly in node |
//! | [`browser`] | … or in a tab |

pub mod browser;
pub mod cover;
pub mod memory;
pub mod pulse;
pub mod quota;
pub mod relay;
pub mod scope;
pub mod silence;
pub mod wasm;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Removes a cgroup, from which a process goes a moment after it is seen to have
/// ended.
fn remove_cgroup(dir: &Path) {
    // What a daemon that a test kills has made below it.
    for below in fs::read_dir(dir).into_iter().flatten().flatten() {
        if below.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroup(&below.path());
        }
    }
    for _ in 0..50 {
        match fs::remove_dir(dir) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy => {
                thread::sleep(Duration::from_millis(100));
            }
            _ => return,
        }
    }
    eprintln!("{} is left behind", dir.display());
}
