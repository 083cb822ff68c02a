//! How a recording begins: its file and its first line.

use std::{
    fs::{File, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use super::line::{Header, VERSION};
use crate::host;
use unjack_core::{profile::seconds, verdict::Thresholds};

/// Makes a recording's file, or empties it.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let file = open(path)?;
    empty(&file)?;
    Ok(file)
}

/// Makes a recording's file, or opens it: what is in it stays until it is
/// [emptied](empty). It describes the processes of all users: only its owner may
/// read it.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Empties a recording's file. One that is no file, such as a pipe, has no mode or
/// length to change.
pub(super) fn empty(file: &File) -> io::Result<()> {
    if file.metadata()?.is_file() {
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.set_len(0)?;
    }
    Ok(())
}

/// The first line of a recording that begins now.
pub(crate) fn header(sample_hz: u32, thresholds: &Thresholds, begun_ns: u64) -> Header {
    let uname = rustix::system::uname();
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Header {
        unjack_recording: VERSION,
        unjack: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: uname.release().to_string_lossy().into_owned(),
        processor: processor(),
        sample_hz,
        window_seconds: seconds(thresholds.window_ns),
        begun: since.map_or(0, |since| since.as_secs()),
        begun_ns,
        lineage: host::lineage(),
    }
}

/// What the processor calls itself.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or_else(String::new, |name| {
            name.trim_start_matches([' ', '\t', ':']).to_owned()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_before_stays_until_all_has_started() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("recording");
        std::fs::write(&path, "of yesterday").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let file = open(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"of yesterday");
        empty(&file).unwrap();
        let meta = file.metadata().unwrap();
        assert_eq!((meta.len(), meta.permissions().mode() & 0o777), (0, 0o600));
        assert!(open(&home.path().join("none/recording")).is_err());
    }
}
