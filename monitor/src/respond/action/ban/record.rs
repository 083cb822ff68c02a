//! One ban: the record that the kernel has of it, and how it is listed.
//!
//! No I/O but the reading of a clock. What a record has of a file's name is
//! hostile, and leaves here cleaned.

use std::{fs::Metadata, os::unix::fs::MetadataExt, path::Path, time::Duration};

use monitor_ebpf::bans::{
    BAN_BY_HAND, BAN_COPY, BAN_HASHED, BAN_LISTED, Ban, BanCount, BanKey, FAMILY_BYTES, NAME_BYTES,
};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::host::digest::Digest;
use unjack_core::{
    score::Family,
    text::{Quoted, clean},
};

/// Characters of a path that are shown.
const PATH_CHARS: usize = 256;

/// A ban as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// What it is removed by.
    pub id: String,
    /// Path of the image when it was banned, cleaned.
    pub exe: String,
    /// Of its content, if known.
    pub sha256: Option<String>,
    /// `verdict`, `copy` or `hand`.
    pub reason: &'static str,
    /// The same for people: what found it, and what it is a copy of.
    pub why: String,
    /// Execs refused so far.
    pub refused: u64,
    /// Seconds until it ends.
    pub seconds_left: u64,
    /// Device and inode, in hexadecimal.
    pub file: String,
}

impl Listed {
    /// How a ban is shown at a time, nanoseconds of `CLOCK_BOOTTIME`.
    #[must_use]
    pub fn new(key: &BanKey, ban: &Ban, count: &BanCount, now_ns: u64) -> Self {
        Self::of(key, ban, count, now_ns, None)
    }

    /// The same, with the ban of which this one's image is a copy, if that is known.
    #[must_use]
    pub fn of(
        key: &BanKey,
        ban: &Ban,
        count: &BanCount,
        now_ns: u64,
        original: Option<&Ban>,
    ) -> Self {
        let reason = if ban.flags & BAN_BY_HAND != 0 {
            "hand"
        } else if ban.flags & BAN_COPY != 0 {
            "copy"
        } else {
            "verdict"
        };
        Self {
            id: id(key, ban),
            exe: name(ban),
            why: why(ban, original),
            sha256: sha256(ban).map(|sha256| sha256.to_string()),
            reason,
            refused: count.refused,
            seconds_left: ban.expires_ns.saturating_sub(now_ns) / 1_000_000_000,
            file: format!("{:x}:{:x}", key.device, key.inode),
        }
    }
}

/// Path of the image when it was banned, cleaned.
fn name(ban: &Ban) -> String {
    let len = (ban.name_len as usize).min(NAME_BYTES);
    clean(&ban.name[..len], PATH_CHARS)
}

/// Why an image is banned, for people. `original` is what it is a copy of.
fn why(ban: &Ban, original: Option<&Ban>) -> String {
    let has = |flag| ban.flags & flag != 0;
    let end = ban.family.iter().position(|byte| *byte == 0);
    let family = clean(&ban.family[..end.unwrap_or(FAMILY_BYTES)], FAMILY_BYTES);
    let found = if has(BAN_LISTED) {
        "on the list of --deny-file".to_owned()
    } else if family.is_empty() {
        String::new()
    } else {
        format!("verdict miner, {family}")
    };
    if !has(BAN_COPY) {
        return match (found.is_empty(), has(BAN_BY_HAND)) {
            (_, true) => "by hand".to_owned(),
            (true, false) => "verdict miner".to_owned(),
            (false, false) => found,
        };
    }
    let of = original.map_or_else(
        || "an image whose own ban is over".to_owned(),
        |original| Quoted(&name(original)).to_string(),
    );
    let by_hand = original.is_some_and(|original| original.flags & BAN_BY_HAND != 0);
    match (found.is_empty(), by_hand) {
        (_, true) => format!("copy of {of}: by hand"),
        (true, false) => format!("copy of {of}"),
        (false, false) => format!("copy of {of}: {found}"),
    }
}

/// The name of a family as a ban has it: its beginning, if it is longer; all zero for
/// none.
pub(super) fn family_bytes(family: Option<Family>) -> [u8; FAMILY_BYTES] {
    let family = Family::name_or_empty(family);
    let mut bytes = [0; FAMILY_BYTES];
    let kept = family.len().min(FAMILY_BYTES);
    bytes[..kept].copy_from_slice(&family.as_bytes()[..kept]);
    bytes
}

/// The hash of a banned image, if it is known.
pub(super) fn sha256(ban: &Ban) -> Option<Digest> {
    (ban.flags & BAN_HASHED != 0).then_some(Digest(ban.sha256))
}

/// What a ban is called: the beginning of its hash, which is that of its copies
/// too, or, without one, its file.
pub(super) fn id(key: &BanKey, ban: &Ban) -> String {
    const DIGITS: usize = 12;
    match sha256(ban) {
        Some(sha256) => sha256.to_string()[..DIGITS].to_owned(),
        None => format!("{:x}-{:x}", key.device, key.inode),
    }
}

/// A ban of a file of `owner`'s that lies under `path`, which is hostile.
pub(super) fn new_ban(path: &Path, owner: u32, ttl: Duration, flags: u32) -> Ban {
    let path = path.as_os_str().as_encoded_bytes();
    let kept = &path[path.len().saturating_sub(NAME_BYTES)..];
    let mut name = [0; NAME_BYTES];
    name[..kept.len()].copy_from_slice(kept);
    let since_ns = boottime_ns();
    let ttl_ns = u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX);
    Ban {
        expires_ns: since_ns.saturating_add(ttl_ns),
        since_ns,
        sha256: [0; 32],
        flags,
        name_len: u32::try_from(kept.len()).unwrap_or(0),
        owner,
        reserved: 0,
        family: [0; FAMILY_BYTES],
        name,
    }
}

/// A file as the kernel tells it, if it is on `device`.
pub(super) fn key(device: u32, meta: &Metadata) -> BanKey {
    BanKey {
        inode: meta.ino(),
        ctime_ns: ctime_ns(meta),
        device,
        reserved: 0,
    }
}

/// When a file's inode last changed, nanoseconds since the epoch, as the
/// programs in the kernel reckon it.
fn ctime_ns(meta: &Metadata) -> u64 {
    let seconds = meta.ctime().cast_unsigned();
    seconds
        .wrapping_mul(1_000_000_000)
        .wrapping_add(meta.ctime_nsec().cast_unsigned())
}

/// Nanoseconds of the clock bans end by: it runs on while the host sleeps.
pub(super) fn boottime_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: BanKey = BanKey {
        inode: 0x1f,
        ctime_ns: 7,
        device: 0x80_0001,
        reserved: 0,
    };

    fn check(name: &str, flags: u32, expected: (&str, &str, &str)) {
        let ban = Ban {
            sha256: [0xab; 32],
            ..new_ban(Path::new(name), 0, Duration::from_mins(1), flags)
        };
        let listed = Listed::new(&KEY, &ban, &BanCount::default(), ban.since_ns);
        let shown = (listed.id.as_str(), listed.exe.as_str(), listed.reason);
        assert_eq!(shown, expected);
        assert_eq!(listed.seconds_left, 60);
        assert_eq!(listed.file, "800001:1f");
    }

    #[test]
    fn bans_are_called_by_hash_or_file() {
        check("/tmp/x", BAN_HASHED, ("abababababab", "/tmp/x", "verdict"));
        check("/tmp/x", BAN_BY_HAND, ("800001-1f", "/tmp/x", "hand"));
    }

    #[test]
    fn hostile_names_are_cleaned_and_long_ones_keep_their_end() {
        check(
            "/tmp/a\nb\x1b[31m",
            BAN_COPY,
            ("800001-1f", "/tmp/a\\x0ab\\x1b[31m", "copy"),
        );
        let long = format!("/{}/end", "d".repeat(4000));
        let shown = format!("{}/end", "d".repeat(NAME_BYTES - 4));
        check(&long, BAN_COPY, ("800001-1f", &shown, "copy"));
    }

    #[test]
    fn a_ban_says_what_found_it_and_what_it_is_a_copy_of() {
        let ban = |name: &str, family: Option<Family>, flags| Ban {
            family: family_bytes(family),
            ..new_ban(Path::new(name), 0, Duration::from_mins(1), flags)
        };
        let original = ban("/tmp/a b", Some(Family::RandomX), BAN_HASHED);
        assert_eq!(why(&original, None), "verdict miner, randomx");
        assert_eq!(why(&ban("/x", None, BAN_BY_HAND), None), "by hand");
        let listed = ban("/x", Some(Family::Sha256d), BAN_LISTED);
        assert_eq!(why(&listed, None), "on the list of --deny-file");
        let copy = ban("/tmp/b", Some(Family::RandomX), BAN_HASHED | BAN_COPY);
        assert_eq!(
            why(&copy, Some(&original)),
            "copy of \"/tmp/a b\": verdict miner, randomx"
        );
        assert_eq!(
            why(&copy, None),
            "copy of an image whose own ban is over: verdict miner, randomx"
        );
        let by_hand = ban("/opt/tool", None, BAN_BY_HAND);
        let copy = ban("/tmp/b", None, BAN_HASHED | BAN_COPY);
        assert_eq!(why(&copy, Some(&by_hand)), "copy of \"/opt/tool\": by hand");
    }

    #[test]
    fn every_familys_name_fits() {
        for family in unjack_core::score::FAMILIES {
            assert!(family.len() <= FAMILY_BYTES, "{family}");
        }
    }
}
