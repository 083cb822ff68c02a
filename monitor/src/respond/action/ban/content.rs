//! What a ban is carried over to other files by: what they hold, and whose they
//! are.
//!
//! Bans by content alone could be used as an attack. A user who may read another
//! user's program can copy it, have the copy hash in memory, and be condemned for a
//! file that has the same bytes as the original: the original would be refused to
//! its owner. So a ban only carries over to files of the same owner, and root's
//! files are never banned because of another user's. A copy that another user owns
//! is found anew, by what it does.

use std::{
    collections::HashMap,
    fs::{File, Metadata},
    os::unix::fs::MetadataExt,
};

use monitor_ebpf::bans::{Ban, BanCount, BanKey, NO_OWNER};
use rustix::fs::{StatFs, fstatfs};

use super::record::sha256;
use crate::host::digest::Digest;

/// `FUSE_SUPER_MAGIC` (`include/uapi/linux/magic.h`, Linux 6.12).
const FUSE: u32 = 0x6573_5546;

/// What a file holds, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Content {
    digest: Digest,
    owner: u32,
}

impl Content {
    /// Nothing if it cannot be believed whose the file is.
    pub(super) fn new(digest: Digest, owner: u32) -> Option<Self> {
        (owner != NO_OWNER).then_some(Self { digest, owner })
    }

    /// Of a banned file; nothing if its ban is carried over to no other.
    pub(super) fn of(ban: &Ban) -> Option<Self> {
        Self::new(sha256(ban)?, ban.owner)
    }

    /// Whether it has this digest, with any owner.
    pub(super) fn holds(&self, digest: Digest) -> bool {
        self.digest == digest
    }
}

/// What is banned by its content, each by the ban that lasts longest.
pub(super) fn banned(live: &[(BanKey, Ban, BanCount)]) -> HashMap<Content, Ban> {
    let mut banned: HashMap<Content, Ban> = HashMap::new();
    for (_, ban, _) in live {
        if let Some(content) = Content::of(ban) {
            let known = banned.entry(content).or_insert(*ban);
            if ban.expires_ns > known.expires_ns {
                *known = *ban;
            }
        }
    }
    banned
}

/// The owner of a file: the user's id, or [`NO_OWNER`] on a file system that a user
/// may have made (FUSE), as that may report any owner, and show other content to a
/// process that hashes than to one that executes. A file system that does
/// not answer is waited for.
pub(super) fn owner(file: &File, meta: &Metadata) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "magic numbers have 32 bits; the field's width differs by architecture"
    )]
    let magic = |found: StatFs| found.f_type as u32;
    if fstatfs(file).is_ok_and(|found| magic(found) != FUSE) {
        meta.uid()
    } else {
        NO_OWNER
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use monitor_ebpf::bans::BAN_HASHED;

    use super::{super::record::new_ban, *};

    const ROOT: u32 = 0;
    const USER: u32 = 1000;
    const OTHER: u32 = 1001;
    const DIGEST: Digest = Digest([7; 32]);

    fn ban(owner: u32, minutes: u64, flags: u32) -> (BanKey, Ban, BanCount) {
        let ban = Ban {
            sha256: DIGEST.0,
            ..new_ban(
                Path::new("/tmp/x"),
                owner,
                Duration::from_mins(minutes),
                flags,
            )
        };
        (BanKey::default(), ban, BanCount::default())
    }

    /// Whether a copy of a file of `of` that is banned is banned too, if it is
    /// `owner`'s.
    #[track_caller]
    fn check(of: u32, owner: u32, expected: bool) {
        let banned = banned(&[ban(of, 1, BAN_HASHED)]);
        let recognised = |content: Content| banned.contains_key(&content);
        let found = Content::new(DIGEST, owner).is_some_and(recognised);
        assert_eq!(found, expected, "{of}'s is banned, {owner}'s is a copy");
    }

    #[test]
    fn a_copy_of_the_same_owner_is_recognised() {
        check(USER, USER, true);
        check(ROOT, ROOT, true);
    }

    #[test]
    fn a_copy_of_another_owner_is_not() {
        check(USER, OTHER, false);
        check(ROOT, USER, false);
    }

    #[test]
    fn what_is_roots_is_never_banned_for_a_users_copy() {
        check(USER, ROOT, false);
        check(NO_OWNER, ROOT, false);
    }

    #[test]
    fn whose_owner_cannot_be_believed_is_a_copy_of_nothing() {
        check(NO_OWNER, NO_OWNER, false);
        check(USER, NO_OWNER, false);
    }

    #[test]
    fn another_content_is_no_copy() {
        let banned = banned(&[ban(USER, 1, BAN_HASHED)]);
        let other = Content::new(Digest([8; 32]), USER).unwrap();
        assert!(!banned.contains_key(&other));
    }

    #[test]
    fn a_ban_without_a_hash_has_no_copies() {
        assert!(banned(&[ban(USER, 1, 0)]).is_empty());
    }

    #[test]
    fn owners_have_bans_of_their_own_and_the_longest_counts() {
        let live = [(USER, 2), (USER, 5), (OTHER, 1), (USER, 3)];
        let banned = banned(&live.map(|(owner, minutes)| ban(owner, minutes, BAN_HASHED)));
        let minutes = |owner| {
            let ban = banned[&Content::new(DIGEST, owner).unwrap()];
            (ban.expires_ns - ban.since_ns) / 60_000_000_000
        };
        assert_eq!((minutes(USER), minutes(OTHER)), (5, 1));
    }

    #[test]
    fn a_file_is_whose_the_kernel_says() {
        let file = tempfile::tempfile().unwrap();
        let meta = file.metadata().unwrap();
        assert_eq!(owner(&file, &meta), rustix::process::geteuid().as_raw());
    }
}
