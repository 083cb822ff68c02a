//! Instructions that the decoder does not know, by their encoding.
//!
//! These are what hash code is made of in the scalable-vector sets (SVE, SVE2)
//! and what Armv8.2 to 8.8 added that compilers and the C library put into
//! everyday code. Unlisted, the first count as nothing in particular and the
//! second end a window as data would.
//!
//! Encodings are those of Arm's *A64 Instruction Set Architecture* (DDI 0602).

use crate::isa::Class;

/// Which bits are fixed, and to what, and what such an instruction computes.
type Row = (u32, u32, Class);

/// The first row that fits counts.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    // SVE. `xar`; `rax1`.
    (0xff20_fc00, 0x0420_3400, Class::Rotate),
    (0xffe0_fc00, 0x4520_f400, Class::Rotate),
    // `asr`, `lsr` and `lsl` by an immediate; `ssra`, `usra`, `srsra` and
    // `ursra`; `sri` and `sli`.
    (0xff20_fc00, 0x0420_9000, Class::Shift),
    (0xff20_f400, 0x0420_9400, Class::Shift),
    (0xff20_f000, 0x4500_e000, Class::Shift),
    (0xff20_f800, 0x4500_f000, Class::Shift),
    // `eor`, then `and`, `orr` and `bic`; the same under a predicate.
    (0xffe0_fc00, 0x04a0_3000, Class::Xor),
    (0xff20_fc00, 0x0420_3000, Class::Logic),
    (0xff3f_e000, 0x0419_0000, Class::Xor),
    (0xff3c_e000, 0x0418_0000, Class::Logic),
    // `eor3` and `bcax`; `bsl`, `bsl1n`, `bsl2n` and `nbsl`.
    (0xffa0_fc00, 0x0420_3800, Class::Ternary),
    (0xff20_fc00, 0x0420_3c00, Class::Logic),
    // `add` and `sub`; the same under a predicate; `mul`, `smulh` and `umulh`.
    (0xff20_f800, 0x0420_0000, Class::Add),
    (0xff3e_e000, 0x0400_0000, Class::Add),
    (0xff20_fc00, 0x0420_6000, Class::Multiply),
    (0xff20_f800, 0x0420_6800, Class::Multiply),
    // `aesmc` and `aesimc`; `aese` and `aesd`; `sm4e`; `sm4ekey`.
    (0xffff_f800, 0x4520_e000, Class::Aes),
    (0xffff_f800, 0x4522_e000, Class::Aes),
    (0xffff_fc00, 0x4523_e000, Class::Sha),
    (0xffe0_fc00, 0x4520_f000, Class::Sha),
    // `tbl`; `zip`, `uzp` and `trn`; `ext`; `revb`, `revh`, `revw` and `rbit`.
    (0xff20_fc00, 0x0520_3000, Class::Shuffle),
    (0xff20_f000, 0x0520_6000, Class::Shuffle),
    (0xff20_f800, 0x0520_7000, Class::Shuffle),
    (0xffe0_e000, 0x0520_0000, Class::Shuffle),
    (0xff3c_e000, 0x0524_8000, Class::Shuffle),
    // Contiguous loads and stores, and those of a whole register.
    (0xfe00_0000, 0xa400_0000, Class::Move),
    (0xfe00_0000, 0xe400_0000, Class::Move),
    (0xffc0_a000, 0x8580_0000, Class::Move),

    // Wider dot products and matrices: `usdot`, `sudot`; `smmla`, `ummla`, `usmmla`.
    (0xbfe0_fc00, 0x0e80_9c00, Class::Multiply),
    (0xbf40_f400, 0x0f00_f000, Class::Multiply),
    (0xdfe0_fc00, 0x4e80_a400, Class::Multiply),
    (0xffe0_fc00, 0x4e80_ac00, Class::Multiply),
    // `bfloat16`: `bfdot`, `bfmlalb` and `bfmlalt`, `bfmmla`, `bfcvt`, `bfcvtn`.
    (0xbf40_f400, 0x0f40_f000, Class::Float),
    (0xbf60_fc00, 0x2e40_fc00, Class::Float),
    (0xffe0_fc00, 0x6e40_ec00, Class::Float),
    (0xffff_fc00, 0x1e63_4000, Class::Float),
    (0xbfff_fc00, 0x0ea1_6800, Class::Float),
    // `fmlal` and `fmlsl`, `fmlal2` and `fmlsl2`; `frint32x` and its kin.
    (0xbf60_fc00, 0x0e20_ec00, Class::Float),
    (0xbf60_fc00, 0x2e20_cc00, Class::Float),
    (0x9fbf_ec00, 0x0e21_e800, Class::Float),
    // Acquire and release of vector registers: `ldapur`, `stlur`.
    (0x3f20_0c00, 0x1d00_0800, Class::Move),
    // Memory tags: `addg`, `subg`.
    (0xbfc0_c000, 0x9180_0000, Class::Add),
    // Common short sequences: `abs`; `ctz` and `cnt`; `smax` and its kin.
    (0x7fff_fc00, 0x5ac0_2000, Class::Add),
    (0x7fff_f800, 0x5ac0_1800, Class::Other),
    (0x7fe0_f000, 0x1ac0_6000, Class::Other),
    (0x7ff0_0000, 0x11c0_0000, Class::Other),
    // `memcpy` and `memset` as three instructions: `cpyp`, `setp` and so on.
    (0x3b20_0c00, 0x1900_0400, Class::Other),
];

/// What `word` computes, if it is one of those listed.
pub(super) fn class_of(word: u32) -> Option<Class> {
    let row = ROWS.iter().find(|(mask, fixed, _)| word & mask == *fixed);
    row.map(|(_, _, class)| match class {
        // SVE's `eor` that clears and its `orr` that copies.
        Class::Xor | Class::Logic if word >> 24 == 0x04 && same_sources(word) => Class::Move,
        class => *class,
    })
}

/// Both sources of an SVE operation are one register.
fn same_sources(word: u32) -> bool {
    word & 0x0000_fc00 == 0x0000_3000 && (word >> 16) & 31 == (word >> 5) & 31
}
