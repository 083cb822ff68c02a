//! The algorithms that are known by their numbers: a closed set.

use std::fmt;

/// An algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
    /// SHA-1.
    Sha1,
    /// MD5.
    Md5,
    /// RIPEMD-160.
    Ripemd160,
    /// `BLAKE2b`.
    Blake2b,
    /// BLAKE-512.
    Blake512,
    /// BLAKE2s, BLAKE3 or BLAKE-256, which rotate alike.
    Blake32,
    /// `ChaCha`.
    ChaCha,
    /// Salsa20.
    Salsa20,
    /// Keccak.
    Keccak,
    /// Skein-512.
    Skein512,
    /// `CubeHash`.
    CubeHash,
    /// Luffa.
    Luffa,
    /// SIMD.
    Simd,
    /// BMW.
    Bmw,
    /// Shabal.
    Shabal,
    /// SM3.
    Sm3,
    /// `SipHash`.
    SipHash,
    /// Eaglesong.
    Eaglesong,
    /// Random numbers: xoshiro or xoroshiro.
    Xoshiro,
    /// A hash for tables: xxHash.
    XxHash,
    /// A hash for tables: `MurmurHash`.
    MurmurHash,
    /// Random numbers: Philox or Threefry.
    Philox,
}

impl Algorithm {
    /// Its name, for a person.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Sha512 => "SHA-512",
            Self::Sha1 => "SHA-1",
            Self::Md5 => "MD5",
            Self::Ripemd160 => "RIPEMD-160",
            Self::Blake2b => "BLAKE2b",
            Self::Blake512 => "BLAKE-512",
            Self::Blake32 => "BLAKE2s, BLAKE3 or BLAKE-256",
            Self::ChaCha => "ChaCha",
            Self::Salsa20 => "Salsa20",
            Self::Keccak => "Keccak",
            Self::Skein512 => "Skein-512",
            Self::CubeHash => "CubeHash",
            Self::Luffa => "Luffa",
            Self::Simd => "SIMD",
            Self::Bmw => "BMW",
            Self::Shabal => "Shabal",
            Self::Sm3 => "SM3",
            Self::SipHash => "SipHash",
            Self::Eaglesong => "Eaglesong",
            Self::Xoshiro => "xoshiro or xoroshiro",
            Self::XxHash => "xxHash",
            Self::MurmurHash => "MurmurHash",
            Self::Philox => "Philox or Threefry",
        }
    }

    /// Whether it is a candidate of the SHA-3 competition that rotates. Few programs use
    /// more than one.
    #[must_use]
    pub const fn is_candidate(self) -> bool {
        matches!(
            self,
            Self::Blake512
                | Self::Bmw
                | Self::CubeHash
                | Self::Keccak
                | Self::Luffa
                | Self::Simd
                | Self::Shabal
                | Self::Skein512
        )
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
