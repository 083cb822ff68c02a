//! What is in a file, as a number.

use std::{
    fmt,
    fs::{File, Metadata},
    io,
    os::unix::fs::{FileExt, MetadataExt},
};

use sha2::{Digest, Sha256 as Hasher};

/// Files above this are not hashed: miners have some megabytes, and hashing as
/// many takes a core a quarter of a second at the worst.
pub const MAX_BYTES: u64 = 64 << 20;
const BUFFER: usize = 1 << 16;

/// A SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; 32]);

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Hashes a file from its beginning; `None` if it is larger than [`MAX_BYTES`].
///
/// # Errors
/// It cannot be read.
pub fn sha256(file: &File) -> io::Result<Option<Sha256>> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; BUFFER];
    let mut at = 0;
    loop {
        let read = match file.read_at(&mut buffer, at) {
            Ok(0) => return Ok(Some(Sha256(hasher.finalize().into()))),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        at += read as u64;
        if at > MAX_BYTES {
            return Ok(None);
        }
        hasher.update(&buffer[..read]);
    }
}

/// When a file's inode last changed, nanoseconds since the epoch, as the
/// programs in the kernel reckon it.
#[must_use]
pub fn ctime_ns(meta: &Metadata) -> u64 {
    let seconds = meta.ctime().cast_unsigned();
    seconds
        .wrapping_mul(1_000_000_000)
        .wrapping_add(meta.ctime_nsec().cast_unsigned())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_has_the_hash_other_programs_print() {
        let mut file = tempfile();
        file.write_all(b"abc").unwrap();
        let found = sha256(&file).unwrap().unwrap();
        assert_eq!(
            found.to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_file_beyond_the_bound_has_none() {
        let file = tempfile();
        file.set_len(MAX_BYTES + 1).unwrap();
        assert_eq!(sha256(&file).unwrap(), None);
    }

    fn tempfile() -> File {
        use rustix::fs::{MemfdFlags, memfd_create};
        memfd_create("of-a-test", MemfdFlags::CLOEXEC)
            .unwrap()
            .into()
    }
}
