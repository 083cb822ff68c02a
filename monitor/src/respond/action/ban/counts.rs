//! What is counted of bans.

use monitor_ebpf::bans::BanStats;

use super::rule::Spared;

/// What can come of hashing an image: it is none of those that are banned, it is
/// one, it is one but may not be banned, it was too large, it could not be read
/// (most were gone by then), or others were being hashed and it is asked about
/// again.
pub const BAN_RESULTS: [&str; 6] = [
    "clean",
    "banned",
    "spared",
    "too-large",
    "unreadable",
    "deferred",
];

/// Counters of bans, handed in by what shows them.
pub trait Counts: Send + Sync {
    /// None is in force.
    fn clear(&self);

    /// How many bans there are, what their programs counted, and how many refused
    /// execs they told that were not told on.
    fn mirror(&self, bans: usize, stats: &BanStats, untold: u64);

    /// An image was hashed, or was to be: one of [`BAN_RESULTS`].
    fn count_image(&self, result: &'static str);

    /// An image was not banned.
    fn count_spared(&self, reason: Spared);
}
