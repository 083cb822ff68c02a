//! Operands, aliases and extensions that the table could easily get wrong, as
//! the GNU assembler and LLVM's wrote them and `objdump` reads them.

use super::super::{Arch, decode, tests::check};

/// What a compiler for `RandomX` programs emits for the instructions of the
/// specification, one of each: `ror`, `bfi`, `rbit`, `msr` is `CFROUND`.
const RANDOMX: &str = "
    54 56 42 69 | ldpsw x20, x21, [x18, #16]    | move
    90 02 62 9e | scvtf d16, x20                | float
    52 d6 70 4e | fadd v18.2d, v18.2d, v16.2d   | float
    94 fe 70 6e | fdiv v20.2d, v20.2d, v16.2d   | float
    94 fa e1 6e | fsqrt v20.2d, v20.2d          | float
    52 1e 3f 6e | eor v18.16b, v18.16b, v31.16b | xor
    a5 7c 06 9b | mul x5, x5, x6                | multiply
    a5 7c c6 9b | umulh x5, x5, x6              | multiply
    c6 7c 47 9b | smulh x6, x6, x7              | multiply
    14 35 c8 93 | ror x20, x8, #13              | rotate
    9e 06 58 b3 | bfi x30, x20, #40, #2         | logic
    d4 03 c0 da | rbit x20, x30                 | shuffle
    14 44 1b d5 | msr fpcr, x20                 | rounding
    22 01 80 f9 | prfm pldl2keep, [x9]          | prefetch
    a5 2c c6 9a | ror x5, x5, x6                | rotate
    8c 01 04 91 | add x12, x12, #0x100          | add
    9f 1d 78 f2 | tst x12, #0xff00              | other
    00 00 00 54 | b.eq 44 <.text+0x44>          | branch
";

/// A source that is shifted on its way in: rotated, it is a rotate.
const SHIFTED_SOURCES: &str = "
    20 4c c2 ca | eor x0, x1, x2, ror #19  | rotate
    20 4c 02 ca | eor x0, x1, x2, lsl #19  | xor
    20 4c e2 ca | eon x0, x1, x2, ror #19  | rotate
    20 4c e2 8a | bic x0, x1, x2, ror #19  | rotate
    20 4c c2 0a | and w0, w1, w2, ror #19  | rotate
    20 4c c2 aa | orr x0, x1, x2, ror #19  | rotate
    20 4c c2 ea | ands x0, x1, x2, ror #19 | rotate
    3f 4c c2 ea | tst x1, x2, ror #19      | other
    e0 4f e2 aa | mvn x0, x2, ror #19      | rotate
    e0 4f c1 aa | orr x0, xzr, x1, ror #19 | rotate
    e0 4f 01 aa | orr x0, xzr, x1, lsl #19 | logic
    20 b4 42 aa | orr x0, x1, x2, lsr #45  | logic
";

/// Bit fields, products, and vector forms near to others.
const NEIGHBOURS: &str = "
    20 10 7d b3 | bfi x0, x1, #3, #5                   | logic
    20 1c 43 b3 | bfxil x0, x1, #3, #5                 | logic
    20 10 7d d3 | ubfiz x0, x1, #3, #5                 | shift
    20 1c 43 93 | sbfx x0, x1, #3, #5                  | shift
    20 0c 02 9b | madd x0, x1, x2, x3                  | multiply
    20 0c a2 9b | umaddl x0, w1, w2, x3                | multiply
    20 7c 42 9b | smulh x0, x1, x2                     | multiply
    20 04 2c 6f | ushr v0.4s, v1.4s, #20               | shift
    20 1c a2 4e | orr v0.16b, v1.16b, v2.16b           | logic
    20 14 00 4f | orr v0.4s, #0x1                      | logic
    20 04 00 4f | movi v0.4s, #0x1                     | move
    20 9c 0e 6f | uqrshrn2 v0.16b, v1.8h, #2           | shift
    20 08 a0 4e | rev64 v0.4s, v1.4s                   | shuffle
    20 18 82 4e | uzp1 v0.4s, v1.4s, v2.4s             | shuffle
    20 68 c2 4e | trn2 v0.2d, v1.2d, v2.2d             | shuffle
    20 20 03 4e | tbl v0.16b, {v1.16b, v2.16b}, v3.16b | shuffle
    20 04 04 4e | dup v0.4s, v1.s[0]                   | move
    20 3c 18 4e | mov x0, v1.d[1]                      | shuffle
    11 78 a1 f8 | prfm pstl1strm, [x0, x1, lsl #3]     | prefetch
    00 80 9f f8 | prfum pldl1keep, [x0, #-8]           | prefetch
    00 00 00 35 | cbnz w0, 80 <.text+0x80>             | branch
    00 00 08 b7 | tbnz x0, #33, 84 <.text+0x84>        | branch
";

/// SVE and SVE2. The last is of those that are only stepped over.
const SCALABLE: &str = "
    00 40 41 a5 | ld1w {z0.s}, p0/z, [x0, x1, lsl #2] | move
    00 30 a1 04 | eor z0.d, z0.d, z1.d                | xor
    20 34 79 04 | xar z0.s, z0.s, z1.s, #7            | rotate
    02 9c 6c 04 | lsl z2.s, z0.s, #12                 | shift
    02 f0 4c 45 | sri z2.s, z0.s, #20                 | shift
    40 38 21 04 | eor3 z0.d, z0.d, z1.d, z2.d         | ternary
    40 38 61 04 | bcax z0.d, z0.d, z1.d, z2.d         | ternary
    20 f4 22 45 | rax1 z0.d, z1.d, z2.d               | rotate
    00 00 a3 04 | add z0.s, z0.s, z3.s                | add
    60 00 80 04 | add z0.s, p0/m, z0.s, z3.s          | add
    00 30 21 04 | and z0.d, z0.d, z1.d                | logic
    20 30 62 04 | orr z0.d, z1.d, z2.d                | logic
    20 30 61 04 | mov z0.d, z1.d                      | move
    20 60 a2 04 | mul z0.s, z1.s, z2.s                | multiply
    20 e0 22 45 | aese z0.b, z0.b, z1.b               | aes
    20 e0 23 45 | sm4e z0.s, z0.s, z1.s               | sha
    20 30 22 05 | tbl z0.b, {z1.b}, z2.b              | shuffle
    20 80 a4 05 | revb z0.s, p0/m, z1.s               | shuffle
    40 40 41 e5 | st1w {z0.s}, p0, [x2, x1, lsl #2]   | move
    20 1c a3 25 | whilelo p0.s, x1, x3                | other
";

/// What the decoder does not know of Armv8.2 to 8.8.
const LATER: &str = "
    20 a4 82 4e | smmla v0.4s, v1.16b, v2.16b   | multiply
    20 9c 82 4e | usdot v0.4s, v1.16b, v2.16b   | multiply
    20 f0 22 4f | sudot v0.4s, v1.16b, v2.4b[1] | multiply
    20 fc 42 6e | bfdot v0.4s, v1.8h, v2.8h     | float
    20 f0 f2 0f | bfmlalb v0.4s, v1.8h, v2.h[3] | float
    20 ec 42 6e | bfmmla v0.4s, v1.8h, v2.8h    | float
    20 40 63 1e | bfcvt h0, s1                  | float
    20 68 a1 0e | bfcvtn v0.4h, v1.4s           | float
    20 ec 22 4e | fmlal v0.4s, v1.4h, v2.4h     | float
    20 cc 22 6e | fmlal2 v0.4s, v1.4h, v2.4h    | float
    20 e8 21 4e | frint32z v0.4s, v1.4s         | float
    20 08 c0 1d | ldapur q0, [x1]               | move
    20 04 81 91 | addg x0, x1, #0x10, #0x1      | add
    40 04 00 69 | stgp x0, x1, [x2]             | move
    20 20 c0 da | abs x0, x1                    | add
    20 1c c0 da | cnt x0, x1                    | other
    20 18 c0 da | ctz x0, x1                    | other
    20 60 c2 9a | smax x0, x1, x2               | other
    20 1c cc 91 | umin x0, x1, #0x7             | other
    40 04 01 1d | cpyp [x0]!, [x1]!, x2!        | other
    20 44 c2 19 | setm [x0]!, x1!, x2           | other
";

#[test]
fn randomx() {
    check(Arch::Aarch64, RANDOMX);
}

#[test]
fn shifted_sources() {
    check(Arch::Aarch64, SHIFTED_SOURCES);
}

#[test]
fn neighbours() {
    check(Arch::Aarch64, NEIGHBOURS);
}

#[test]
fn scalable() {
    check(Arch::Aarch64, SCALABLE);
}

#[test]
fn later() {
    check(Arch::Aarch64, LATER);
}

#[test]
fn a_branch_that_is_always_taken_ends_the_window() {
    // 4e 00 00 54  b.al
    // 4f 00 00 54  b.nv, which is taken too
    for condition in [0x4e, 0x4f] {
        let code = [condition, 0x00, 0x00, 0x54, 0x00, 0x00, 0x00, 0x02];
        let decoded = decode(Arch::Aarch64, 0x1000, &code);
        assert_eq!(decoded.mix.total(), 1);
        assert!(!decoded.undecodable);
    }
}
