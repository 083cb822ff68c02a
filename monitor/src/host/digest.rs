//! SHA-256 of images, each computed once.
//!
//! Asked for only if a rule needs it. A file is the same as before if device,
//! inode, size and time of change are; what is executed cannot be written to.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{LazyLock, Mutex, PoisonError},
};

use sha2::{Digest, Sha256};

/// Larger images are not hashed, and match no rule: at a gigabyte a second this
/// is half of what one tick has.
const MAX_HASHED: u64 = 512 << 20;
/// Digests kept. More images than this do not run at once; if they do, all are
/// forgotten.
const MAX_KEPT: usize = 4096;
/// Bytes read at a time.
const CHUNK: usize = 256 << 10;

/// Device, inode, size, and time of change in seconds and nanoseconds.
type Key = (u64, u64, u64, i64, i64);

static KEPT: LazyLock<Mutex<HashMap<Key, String>>> = LazyLock::new(Mutex::default);

/// SHA-256 of the file at `path`, in hexadecimal; `None` if it is too large.
///
/// # Errors
/// It cannot be read.
pub(super) fn sha256(path: &Path) -> io::Result<Option<String>> {
    let file = File::open(path)?;
    let meta = file.metadata()?;
    if meta.len() > MAX_HASHED {
        return Ok(None);
    }
    let key = (
        meta.dev(),
        meta.ino(),
        meta.len(),
        meta.ctime(),
        meta.ctime_nsec(),
    );
    let kept = || KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(digest) = kept().get(&key) {
        return Ok(Some(digest.clone()));
    }
    let digest = hash(file.take(MAX_HASHED))?;
    let mut kept = kept();
    if kept.len() >= MAX_KEPT {
        kept.clear();
    }
    kept.insert(key, digest.clone());
    Ok(Some(digest))
}

fn hash(mut file: impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => hash.update(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let digest = hash.finalize();
    let mut text = String::with_capacity(2 * digest.len());
    for byte in digest {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_digest_is_sha256sums() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        fs::write(&path, "abc").unwrap();
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for _ in 0..2 {
            assert_eq!(sha256(&path).unwrap().as_deref(), Some(expected));
        }
        fs::write(&path, "abcd").unwrap();
        assert_ne!(sha256(&path).unwrap().as_deref(), Some(expected));
    }

    #[test]
    fn what_is_too_large_is_not_read() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("large");
        File::create(&path)
            .and_then(|file| file.set_len(MAX_HASHED + 1))
            .unwrap();
        assert_eq!(sha256(&path).unwrap(), None);
        assert!(sha256(&home.path().join("none")).is_err());
    }
}
