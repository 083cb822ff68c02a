//! Opening and reading.

use std::{fs::File, os::unix::fs::FileExt, sync::Mutex};

use sha2::{Digest as _, Sha256};

use super::{Cache, Digest, Key, MAX_BYTES, Unknown, lock};
use crate::host::{Image, ProcHandle};
use unjack_core::event::Process;

/// Bytes read at a time.
const CHUNK: usize = 64 << 10;

/// Opens what a process executes, if that is this image.
pub(super) fn of_process(process: Process, image: Image) -> Result<File, Unknown> {
    let seen = ProcHandle::open(process).map_err(|error| Unknown::of(&error))?;
    let file = seen.open_image().map_err(|_| Unknown::Unreadable)?;
    let meta = file.metadata().map_err(|_| Unknown::Unreadable)?;
    if Image::from(&meta) != image {
        return Err(Unknown::Gone);
    }
    Ok(file)
}

/// Reads from the beginning, if that was not done, and if so many bytes may be read: it
/// costs what its size says, however little of it is on the disk. A file that
/// grows meanwhile, or says that it is empty, is asked about again for each chunk
/// beyond that.
pub(super) fn of_file(
    cache: &Mutex<Cache>,
    file: &File,
    may_read: impl Fn(u64) -> bool,
) -> Result<Digest, Unknown> {
    let meta = file.metadata().map_err(|_| Unknown::Unreadable)?;
    let key = Key::from(&meta);
    if let Some(digest) = lock(cache).get(&key) {
        return Ok(digest);
    }
    if meta.len() > MAX_BYTES {
        return Err(Unknown::TooLarge);
    }
    if !may_read(meta.len()) {
        return Err(Unknown::OverBudget);
    }
    let digest = read(file, meta.len(), may_read)?;
    // One that was written to meanwhile is read again when asked again.
    if file.metadata().is_ok_and(|meta| Key::from(&meta) == key) {
        lock(cache).put(key, digest);
    }
    Ok(digest)
}

fn read(file: &File, size: u64, may_read: impl Fn(u64) -> bool) -> Result<Digest, Unknown> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut at = 0;
    loop {
        let read = match file.read_at(&mut chunk, at) {
            Ok(0) => return Ok(Digest(hash.finalize().into())),
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => return Err(Unknown::Unreadable),
        };
        at += read as u64;
        // It may grow meanwhile, or say that it is empty.
        if at > MAX_BYTES {
            return Err(Unknown::TooLarge);
        }
        if at > size && !may_read(read as u64) {
            return Err(Unknown::OverBudget);
        }
        hash.update(&chunk[..read]);
    }
}
