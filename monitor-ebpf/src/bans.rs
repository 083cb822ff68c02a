//! The ABI of the programs that refuse banned images.
//!
//! They are pinned and outlive the collector that loaded them, so another
//! version may find them: [`LAYOUT`] is for every change of what is here. The
//! collector writes [`Ban`]s and [`BanState`], the programs write
//! [`BanCount`]s and [`BanStats`]; nothing is written by both.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::COMM_BYTES;

/// Changes with the layout or the meaning of anything in this module.
pub const LAYOUT: u32 = 4;
/// Bans at a time. A miner and its copies are a handful; a hash map of 1,024 of
/// them is 260 KiB.
pub const MAX_BANS: u32 = 1 << 10;
/// Images that are known not to be banned. A host executes some hundred
/// different ones; the one not executed for longest makes room.
pub const KNOWN_IMAGES: u32 = 1 << 14;
/// Bytes of the ring that carries the records: 600 refused execs.
pub const BAN_RING_BYTES: u32 = 1 << 18;
/// Bytes of a banned image's path that are kept: its end, which tells more.
pub const NAME_BYTES: usize = 128;
/// Bytes of the name of a family of hash.
pub const FAMILY_BYTES: usize = 16;
/// Ancestors told with a refused exec: enough for cron, a shell or two, and what
/// a supervisor has in between.
pub const ANCESTORS: usize = 8;
/// Refused execs of one image that are told in a [`SLICE_SHIFT`] slice; all are
/// counted.
pub const TOLD_A_SLICE: u32 = 4;
/// A slice is 2^30 ns, about a second.
pub const SLICE_SHIFT: u32 = 30;
/// Least time between two questions about one image, nanoseconds.
pub const ASK_EVERY_NS: u64 = 100_000_000;

/// [`BanRecord::kind`].
pub const KIND_REFUSED: u32 = 16;
/// [`BanRecord::kind`].
pub const KIND_UNKNOWN: u32 = 17;

/// [`BanRecord::by`]: the exec failed.
pub const BY_LSM: u32 = 0;
/// [`BanRecord::by`]: the process was killed before it was back in user mode.
pub const BY_SIGNAL: u32 = 1;

/// [`Ban::flags`]: [`Ban::sha256`] is known.
pub const BAN_HASHED: u32 = 1;
/// [`Ban::flags`]: it was found by its hash to be a copy of one that is banned.
pub const BAN_COPY: u32 = 1 << 1;
/// [`Ban::flags`]: a person asked for it.
pub const BAN_BY_HAND: u32 = 1 << 2;
/// [`Ban::flags`]: its content is on the list of `--deny-file`.
pub const BAN_LISTED: u32 = 1 << 3;

/// [`Ban::owner`]: whose the file is cannot be believed. No user has this id.
pub const NO_OWNER: u32 = u32::MAX;

/// A file as the kernel tells files apart, at one state of its content: writing
/// to it or exchanging it changes the time.
#[repr(C)]
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
)]
pub struct BanKey {
    /// Inode.
    pub inode: u64,
    /// When the inode last changed, nanoseconds since the epoch.
    pub ctime_ns: u64,
    /// Device, in the kernel's own encoding.
    pub device: u32,
    /// Always 0.
    pub reserved: u32,
}

/// A banned image.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Ban {
    /// When it ends, nanoseconds of `CLOCK_BOOTTIME`.
    pub expires_ns: u64,
    /// When it began, as above.
    pub since_ns: u64,
    /// Of its content.
    pub sha256: [u8; 32],
    /// `BAN_*` bits.
    pub flags: u32,
    /// Bytes of `name` that are valid.
    pub name_len: u32,
    /// User id of the file's owner when it was banned, or [`NO_OWNER`]: the ban is
    /// carried over only to copies that the same user owns.
    pub owner: u32,
    /// Always 0.
    pub reserved: u32,
    /// The family of hash that it, or the image that it is a copy of, was found to mine
    /// with; zeros behind it, and nothing else if it was not.
    pub family: [u8; FAMILY_BYTES],
    /// Its path when it was banned, hostile.
    pub name: [u8; NAME_BYTES],
}

/// What became of a ban.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct BanCount {
    /// Execs refused.
    pub refused: u64,
    /// The slice of time that `told` counts.
    pub slice: u32,
    /// Records sent in it.
    pub told: u32,
}

/// What is known of an image that is not banned.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct KnownImage {
    /// When the collector was last asked about it, nanoseconds of
    /// `CLOCK_BOOTTIME`.
    pub asked_ns: u64,
    /// [`BanState::generation`] in which its hash was none of those banned.
    pub generation: u32,
    /// Always 0.
    pub reserved: u32,
}

/// What the collector tells the programs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct BanState {
    /// [`LAYOUT`].
    pub layout: u32,
    /// Changes when what is known of images is to be forgotten; never 0.
    pub generation: u32,
    /// Not 0 while a collector answers questions about images.
    pub asking: u32,
    /// Always 0.
    pub reserved: u32,
}

/// The programs' own counters, only ever growing.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct BanStats {
    /// Execs refused, under bans that are over too.
    pub refused: u64,
    /// Records lost because the ring was full.
    pub events_lost: u64,
    /// Signals the kernel would not send.
    pub signals_failed: u64,
    /// Execs the security hook was asked about.
    pub checked: u64,
}

/// A process on the way up from one whose exec was refused.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Ancestor {
    /// Its start, nanoseconds since boot.
    pub start_ns: u64,
    /// The process; 0 if there is none.
    pub tgid: u32,
    /// Always 0.
    pub reserved: u32,
    /// Its name, hostile.
    pub comm: [u8; COMM_BYTES],
}

/// An exec that was refused, or one of an image that nothing is known of.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct BanRecord {
    /// [`KIND_REFUSED`] or [`KIND_UNKNOWN`].
    pub kind: u32,
    /// `BY_*`; of [`KIND_UNKNOWN`] always 0.
    pub by: u32,
    /// The image.
    pub key: BanKey,
    /// Id of the process's cgroup in the unified hierarchy.
    pub cgroup: u64,
    /// The process, and who started it, nearest first.
    pub lineage: [Ancestor; ANCESTORS],
}

const _: () = {
    assert!(size_of::<BanKey>() == 24 && align_of::<BanKey>() == 8);
    assert!(size_of::<Ban>() == 64 + FAMILY_BYTES + NAME_BYTES && align_of::<Ban>() == 8);
    assert!(size_of::<BanCount>() == 16 && align_of::<BanCount>() == 8);
    assert!(size_of::<KnownImage>() == 16);
    assert!(size_of::<BanState>() == 16);
    assert!(size_of::<BanStats>() == 32);
    assert!(size_of::<Ancestor>() == 32);
    assert!(size_of::<BanRecord>() == 40 + 32 * ANCESTORS && align_of::<BanRecord>() == 8);
    assert!(BAN_RING_BYTES.is_power_of_two() && BAN_RING_BYTES.is_multiple_of(65536));
};
