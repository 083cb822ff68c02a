//! Constants by which algorithms are known where they stand in code.
//!
//! Compilers and engines put the round constants of unrolled loops into the
//! instructions themselves: as immediates, or as displacements of an `lea` that adds.
//! Sources: FIPS 180-4 (SHA-2, SHA-1), FIPS 202 (Keccak), RFC 1321 (MD5), RFC 8439
//! (`ChaCha`), the BLAKE submission (digits of pi), and the reference sources of the
//! non-cryptographic hashes and generators.

use std::sync::LazyLock;

use super::marks::Mark;

/// Whose constant it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Group {
    /// SHA-256's round constants.
    Sha256 = 1,
    /// SHA-512's, known by their upper halves, which are SHA-256's.
    Sha512 = 2,
    /// Where SHA-256, BLAKE-256, BLAKE2s and BLAKE3 begin.
    Start32 = 3,
    /// Where SHA-512, BLAKE-512 and `BLAKE2b` begin.
    Start64 = 4,
    /// SHA-1's, RIPEMD's and MD4's round constants, and where they begin.
    Sha1 = 5,
    /// MD5's round constants.
    Md5 = 6,
    /// Keccak's round constants.
    Keccak = 7,
    /// `ChaCha`'s and Salsa20's "expand 32-byte k".
    Sigma = 8,
    /// Digits of pi: BLAKE's, and Blowfish's.
    Pi = 9,
    /// FNV's prime and offset: hash tables, and Ethash.
    Fnv = 10,
    /// Generators of random numbers.
    Random = 11,
    /// Hashes for tables, which are no proof of work.
    Table = 12,
    /// Polynomials of cyclic redundancy checks.
    Crc = 13,
    /// Skein's key schedule.
    Skein = 14,
    /// SM3's round constants.
    Sm3 = 15,
    /// Arithmetic of elliptic curves.
    Curve = 16,
    /// Masks of every second bit, pair, nibble or byte: bit tricks, and JH.
    Masks = 17,
}

/// SHA-256's round constants: FIPS 180-4, 4.2.2.
const SHA_256: [u32; 64] = [
    0x428a_2f98,
    0x7137_4491,
    0xb5c0_fbcf,
    0xe9b5_dba5,
    0x3956_c25b,
    0x59f1_11f1,
    0x923f_82a4,
    0xab1c_5ed5,
    0xd807_aa98,
    0x1283_5b01,
    0x2431_85be,
    0x550c_7dc3,
    0x72be_5d74,
    0x80de_b1fe,
    0x9bdc_06a7,
    0xc19b_f174,
    0xe49b_69c1,
    0xefbe_4786,
    0x0fc1_9dc6,
    0x240c_a1cc,
    0x2de9_2c6f,
    0x4a74_84aa,
    0x5cb0_a9dc,
    0x76f9_88da,
    0x983e_5152,
    0xa831_c66d,
    0xb003_27c8,
    0xbf59_7fc7,
    0xc6e0_0bf3,
    0xd5a7_9147,
    0x06ca_6351,
    0x1429_2967,
    0x27b7_0a85,
    0x2e1b_2138,
    0x4d2c_6dfc,
    0x5338_0d13,
    0x650a_7354,
    0x766a_0abb,
    0x81c2_c92e,
    0x9272_2c85,
    0xa2bf_e8a1,
    0xa81a_664b,
    0xc24b_8b70,
    0xc76c_51a3,
    0xd192_e819,
    0xd699_0624,
    0xf40e_3585,
    0x106a_a070,
    0x19a4_c116,
    0x1e37_6c08,
    0x2748_774c,
    0x34b0_bcb5,
    0x391c_0cb3,
    0x4ed8_aa4a,
    0x5b9c_ca4f,
    0x682e_6ff3,
    0x748f_82ee,
    0x78a5_636f,
    0x84c8_7814,
    0x8cc7_0208,
    0x90be_fffa,
    0xa450_6ceb,
    0xbef9_a3f7,
    0xc671_78f2,
];

/// Words of 32 bits, by group.
const WORDS: [(Group, &[u32]); 13] = [
    (Group::Sha256, &SHA_256),
    (
        Group::Start32,
        &[
            0x6a09_e667,
            0xbb67_ae85,
            0x3c6e_f372,
            0xa54f_f53a,
            0x510e_527f,
            0x9b05_688c,
            0x1f83_d9ab,
            0x5be0_cd19,
        ],
    ),
    (
        Group::Sha1,
        &[
            0x6745_2301,
            0xefcd_ab89,
            0x98ba_dcfe,
            0x1032_5476,
            0xc3d2_e1f0,
            0x5a82_7999,
            0x6ed9_eba1,
            0x8f1b_bcdc,
            0xca62_c1d6,
            0x50a2_8be6,
            0x5c4d_d124,
            0x6d70_3ef3,
            0x7a6d_76e9,
            0xa953_fd4e,
        ],
    ),
    (
        Group::Keccak,
        &[
            0x8000_808b,
            0x8000_8009,
            0x8000_000a,
            0x8000_8081,
            0x8000_0001,
            0x8000_8008,
        ],
    ),
    (
        Group::Sigma,
        &[0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574],
    ),
    (
        Group::Pi,
        &[
            0x243f_6a88,
            0x85a3_08d3,
            0x1319_8a2e,
            0x0370_7344,
            0xa409_3822,
            0x299f_31d0,
            0x082e_fa98,
            0xec4e_6c89,
            0x4528_21e6,
            0x38d0_1377,
            0xbe54_66cf,
            0x34e9_0c6c,
            0xc0ac_29b7,
            0xc97c_50dd,
            0x3f84_d5b5,
            0xb547_0917,
        ],
    ),
    (Group::Fnv, &[0x0100_0193, 0x811c_9dc5]),
    (
        Group::Random,
        &[
            0x9908_b0df,
            0x9d2c_5680,
            0xefc6_0000,
            0x6c07_8965,
            0x41c6_4e6d,
            0x0019_660d,
            0x0159_a2b5,
            0xd251_1f53,
            0xcd9e_8d57,
        ],
    ),
    (
        Group::Table,
        &[
            0x9e37_79b9,
            0xcc9e_2d51,
            0x1b87_3593,
            0x85eb_ca6b,
            0xc2b2_ae35,
            0xe654_6b64,
            0x9e37_79b1,
            0x85eb_ca77,
            0xc2b2_ae3d,
            0x27d4_eb2f,
            0x1656_67b1,
            0x5bd1_e995,
        ],
    ),
    (
        Group::Crc,
        &[0xedb8_8320, 0x82f6_3b78, 0x04c1_1db7, 0x1edc_6f41],
    ),
    (Group::Sm3, &[0x79cc_4519, 0x7a87_9d8a]),
    (Group::Curve, &[0xffff_fc2f]),
    (
        Group::Masks,
        &[0x5555_5555, 0x3333_3333, 0x0f0f_0f0f, 0x00ff_00ff],
    ),
];

/// Words of 64 bits, by group.
const LONG_WORDS: [(Group, &[u64]); 8] = [
    (
        Group::Keccak,
        &[
            0x8000_0000_0000_808a,
            0x8000_0000_8000_8000,
            0x8000_0000_8000_8081,
            0x8000_0000_0000_8009,
            0x8000_0000_0000_008b,
            0x8000_0000_0000_8089,
            0x8000_0000_0000_8003,
            0x8000_0000_0000_8002,
            0x8000_0000_0000_0080,
            0x8000_0000_8000_000a,
            0x8000_0000_0000_8080,
            0x8000_0000_8000_8008,
        ],
    ),
    (Group::Fnv, &[0x0000_0100_0000_01b3, 0xcbf2_9ce4_8422_2325]),
    (
        Group::Random,
        &[
            0x5851_f42d_4c95_7f2d,
            0xbf58_476d_1ce4_e5b9,
            0x94d0_49bb_1331_11eb,
            0x9e37_79b9_7f4a_7c15,
            0x2545_f491_4f6c_dd1d,
            0x0000_0005_deec_e66d,
            0xa076_1d64_78bd_642f,
            0xe703_7ed1_a0b4_28db,
        ],
    ),
    (
        Group::Table,
        &[
            0xff51_afd7_ed55_8ccd,
            0xc4ce_b9fe_1a85_ec53,
            0x9e37_79b1_85eb_ca87,
            0xc2b2_ae3d_27d4_eb4f,
            0x1656_67b1_9e37_79f9,
            0x85eb_ca77_c2b2_ae63,
            0x27d4_eb2f_1656_67c5,
            0x87c3_7b91_1142_53d5,
            0x4cf5_ad43_2745_937f,
        ],
    ),
    (Group::Crc, &[0xc96c_5795_d787_0f42]),
    (Group::Skein, &[0x1bd1_1bda_a9fc_1a22]),
    (
        Group::Curve,
        &[
            0x0007_ffff_ffff_ffff,
            0x0000_0001_0000_03d1,
            0x000f_ffff_ffff_ffff,
        ],
    ),
    (
        Group::Masks,
        &[
            0x5555_5555_5555_5555,
            0x3333_3333_3333_3333,
            0x0f0f_0f0f_0f0f_0f0f,
            0x00ff_00ff_00ff_00ff,
        ],
    ),
];

/// Less than this is an offset, a size or a count.
const SMALL: u64 = 1 << 16;

static KNOWN: LazyLock<Vec<(u64, Group)>> = LazyLock::new(|| {
    let words = WORDS
        .into_iter()
        .flat_map(|(group, words)| words.iter().map(move |word| (u64::from(*word), group)));
    let long = LONG_WORDS
        .into_iter()
        .flat_map(|(group, words)| words.iter().map(move |word| (*word, group)));
    let md5 = (1..=64).map(|round| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "RFC 1321, 3.4"
        )]
        let word = (f64::from(round).sin().abs() * 4_294_967_296.0) as u64;
        (word, Group::Md5)
    });
    let mut known: Vec<_> = words.chain(long).chain(md5).collect();
    known.sort_unstable();
    known
});

fn find(word: u64) -> Option<Group> {
    let found = KNOWN
        .binary_search_by_key(&word, |(known, _)| *known)
        .ok()?;
    Some(KNOWN[found].1)
}

/// The mark of a word of 32 bits that stands in code, or of its complement: a
/// compiler subtracts what another adds.
pub(super) fn word(word: u32) -> Option<Mark> {
    let known = |word: u32| {
        Some(u64::from(word))
            .filter(|word| *word >= SMALL)
            .and_then(find)
    };
    let group = known(word).or_else(|| known(word.wrapping_neg()))?;
    Some(Mark::constant(group as u8))
}

/// The mark of a word of 64 bits that stands in code.
pub(super) fn long_word(word: u64) -> Option<Mark> {
    let group = find(word).or_else(|| match find(word >> 32)? {
        Group::Sha256 => Some(Group::Sha512),
        Group::Start32 => Some(Group::Start64),
        _ => None,
    })?;
    Some(Mark::constant(group as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_is_known_as_whose_it_is() {
        let of = |group: Group| Some(Mark::constant(group as u8));
        assert_eq!(word(0x428a_2f98), of(Group::Sha256));
        assert_eq!(word(0x428a_2f98_u32.wrapping_neg()), of(Group::Sha256));
        assert_eq!(word(0xd76a_a478), of(Group::Md5));
        assert_eq!(word(0xeb86_d391), of(Group::Md5));
        assert_eq!(word(64), None);
        assert_eq!(word(0x1234_5678), None);
        assert_eq!(long_word(0x428a_2f98_d728_ae22), of(Group::Sha512));
        assert_eq!(long_word(0x6a09_e667_f3bc_c908), of(Group::Start64));
        assert_eq!(long_word(0x8000_0000_8000_8081), of(Group::Keccak));
        assert_eq!(long_word(0x1234_5678_9abc_def0), None);
    }

    #[test]
    fn no_constant_belongs_to_two() {
        for pair in KNOWN.windows(2) {
            assert_ne!(pair[0].0, pair[1].0, "{pair:x?}");
        }
    }
}
