//! Addresses that begin alike, as the kernel's list of pools has them.

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// How many bits are alike, of 128.
    pub bits: u8,
    /// The address, the other bits being 0; of version 4 as `::ffff:a.b.c.d`.
    pub address: [u8; 16],
}

impl Prefix {
    /// The first `bits` of an address.
    pub(crate) fn of(address: [u8; 16], bits: u8) -> Self {
        let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
        let address = (u128::from_be_bytes(address) & mask).to_be_bytes();
        Self { bits, address }
    }
}
