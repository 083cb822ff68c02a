//! Real `aarch64` machine code, as GCC 12 and the GNU assembler wrote it and
//! `objdump` reads it; [`check`] says how a listing is checked.

mod forms;
mod libraries;

use super::tests::{check, classes_in};
use super::{Arch, Class, decode, disassemble};

/// A SHA-256 round, GCC -O2.
const SHA256_SCALAR: &str = "
    04 1c 42 29 | ldp w4, w7, [x0, #16]   | move
    02 18 40 29 | ldp w2, w6, [x0]        | move
    87 00 07 0a | and w7, w4, w7          | logic
    03 2c 43 29 | ldp w3, w11, [x0, #24]  | move
    89 2c 84 13 | ror w9, w4, #11         | rotate
    0a 08 40 b9 | ldr w10, [x0, #8]       | move
    29 19 c4 4a | eor w9, w9, w4, ror #6  | rotate
    63 00 24 0a | bic w3, w3, w4          | logic
    48 34 82 13 | ror w8, w2, #13         | rotate
    c5 00 0a 4a | eor w5, w6, w10         | xor
    24 65 c4 4a | eor w4, w9, w4, ror #25 | rotate
    63 00 07 4a | eor w3, w3, w7          | xor
    08 09 c2 4a | eor w8, w8, w2, ror #2  | rotate
    a5 00 02 0a | and w5, w5, w2          | logic
    c6 00 0a 0a | and w6, w6, w10         | logic
    07 0c 40 b9 | ldr w7, [x0, #12]       | move
    21 00 0b 0b | add w1, w1, w11         | add
    63 00 04 0b | add w3, w3, w4          | add
    02 59 c2 4a | eor w2, w8, w2, ror #22 | rotate
    a5 00 06 4a | eor w5, w5, w6          | xor
    61 00 01 0b | add w1, w3, w1          | add
    42 00 05 0b | add w2, w2, w5          | add
    e7 00 01 0b | add w7, w7, w1          | add
    42 00 01 0b | add w2, w2, w1          | add
    07 0c 00 b9 | str w7, [x0, #12]       | move
    02 1c 00 b9 | str w2, [x0, #28]       | move
    c0 03 5f d6 | ret                     | branch
";

/// SHA-256 on the crypto extension.
const SHA256_EXTENSION: &str = "
    03 04 40 ad | ldp q3, q1, [x0]              | move
    00 08 41 ad | ldp q0, q2, [x0, #32]         | move
    04 14 42 ad | ldp q4, q5, [x0, #64]         | move
    06 18 c0 3d | ldr q6, [x0, #96]             | move
    02 84 a2 4e | add v2.4s, v0.4s, v2.4s       | add
    80 28 28 5e | sha256su0 v0.4s, v4.4s        | sha
    64 1c a3 4e | mov v4.16b, v3.16b            | move
    a0 60 06 5e | sha256su1 v0.4s, v5.4s, v6.4s | sha
    24 40 02 5e | sha256h q4, q1, v2.4s         | sha
    61 50 02 5e | sha256h2 q1, q3, v2.4s        | sha
    00 08 80 3d | str q0, [x0, #32]             | move
    04 04 00 ad | stp q4, q1, [x0]              | move
    c0 03 5f d6 | ret                           | branch
";

/// What the SHA-3 extension has for Keccak: two rotates that also xor, and
/// two three-input operations.
const KECCAK_SHA3: &str = "
    01 00 40 ad | ldp q1, q0, [x0]                    | move
    22 8c 60 ce | rax1 v2.2d, v1.2d, v0.2d            | rotate
    02 04 80 3d | str q2, [x0, #16]                   | move
    02 08 c0 3d | ldr q2, [x0, #32]                   | move
    23 08 00 ce | eor3 v3.16b, v1.16b, v0.16b, v2.16b | ternary
    21 08 20 ce | bcax v1.16b, v1.16b, v0.16b, v2.16b | ternary
    00 dc 82 ce | xar v0.2d, v0.2d, v2.2d, #55        | rotate
    03 00 80 3d | str q3, [x0]                        | move
    00 04 01 ad | stp q0, q1, [x0, #32]               | move
    c0 03 5f d6 | ret                                 | branch
";

/// AES rounds on the crypto extension.
const AES_EXTENSION: &str = "
    01 0c 40 ad | ldp q1, q3, [x0]      | move
    00 08 41 ad | ldp q0, q2, [x0, #32] | move
    61 48 28 4e | aese v1.16b, v3.16b   | aes
    21 68 28 4e | aesmc v1.16b, v1.16b  | aes
    40 58 28 4e | aesd v0.16b, v2.16b   | aes
    00 78 28 4e | aesimc v0.16b, v0.16b | aes
    01 00 80 3d | str q1, [x0]          | move
    00 08 80 3d | str q0, [x0, #32]     | move
    c0 03 5f d6 | ret                   | branch
";

/// Half a `ChaCha` round on NEON: rotates by `rev32` and by `shl` with `sri`.
const CHACHA_NEON: &str = "
    03 04 40 ad | ldp q3, q1, [x0]               | move
    02 00 41 ad | ldp q2, q0, [x0, #32]          | move
    23 84 a3 4e | add v3.4s, v1.4s, v3.4s        | add
    60 1c 20 6e | eor v0.16b, v3.16b, v0.16b     | xor
    03 00 80 3d | str q3, [x0]                   | move
    00 08 60 6e | rev32 v0.8h, v0.8h             | shuffle
    42 84 a0 4e | add v2.4s, v2.4s, v0.4s        | add
    21 1c 22 6e | eor v1.16b, v1.16b, v2.16b     | xor
    02 00 01 ad | stp q2, q0, [x0, #32]          | move
    20 54 2c 4f | shl v0.4s, v1.4s, #12          | shift
    20 44 2c 6f | sri v0.4s, v1.4s, #20          | shift
    00 20 00 6e | ext v0.16b, v0.16b, v0.16b, #4 | shuffle
    00 04 80 3d | str q0, [x0, #16]              | move
    c0 03 5f d6 | ret                            | branch
";

/// Two CRC instructions.
const CRC32: &str = "
    02 5c c1 9a | crc32cx w2, w0, x1 | clmul
    00 40 c1 1a | crc32b w0, w0, w1  | clmul
    40 00 00 4a | eor w0, w2, w0     | xor
    c0 03 5f d6 | ret                | branch
";

/// One of each that the table could easily get wrong: aliases, above all.
const ODDMENTS: &str = "
    20 2c c2 1a | ror w0, w1, w2                    | rotate
    20 1c c1 93 | ror x0, x1, #7                    | rotate
    20 1c c2 93 | extr x0, x1, x2, #7               | rotate
    20 f0 7d d3 | lsl x0, x1, #3                    | shift
    20 1c 43 d3 | ubfx x0, x1, #3, #5               | shift
    20 24 c2 9a | lsr x0, x1, x2                    | shift
    20 14 2c 6f | usra v0.4s, v1.4s, #20            | shift
    20 1c 00 53 | uxtb w0, w1                       | move
    20 a4 08 2f | uxtl v0.8h, v1.8b                 | move
    20 00 02 ca | eor x0, x1, x2                    | xor
    20 00 01 ca | eor x0, x1, x1                    | move
    20 20 c1 ca | eor x0, x1, x1, ror #8            | rotate
    20 00 40 d2 | eor x0, x1, #0x1                  | xor
    20 00 22 ca | eon x0, x1, x2                    | xor
    e0 03 01 aa | mov x0, x1                        | move
    20 00 02 aa | orr x0, x1, x2                    | logic
    e0 03 21 aa | mvn x0, x1                        | logic
    20 1c a1 4e | mov v0.16b, v1.16b                | move
    20 1c 62 6e | bsl v0.16b, v1.16b, v2.16b        | logic
    1f 00 01 ea | tst x0, x1                        | other
    1f 0c 00 f1 | cmp x0, #0x3                      | other
    1f 04 00 b1 | cmn x0, #0x1                      | other
    00 04 00 f1 | subs x0, x0, #0x1                 | add
    20 0c 02 8b | add x0, x1, x2, lsl #3            | add
    fd 03 00 91 | mov x29, sp                       | move
    00 00 00 90 | adrp x0, 0 <.text>                | move
    e0 03 01 cb | neg x0, x1                        | add
    20 7c 02 9b | mul x0, x1, x2                    | multiply
    20 7c c2 9b | umulh x0, x1, x2                  | multiply
    20 08 c2 9a | udiv x0, x1, x2                   | other
    20 e0 e2 0e | pmull v0.1q, v1.1d, v2.1d         | clmul
    20 08 28 5e | sha1h s0, s1                      | sha
    20 80 62 ce | sha512h q0, q1, v2.2d             | sha
    20 0c 42 ce | sm3ss1 v0.4s, v1.4s, v2.4s, v3.4s | sha
    20 84 c0 ce | sm4e v0.4s, v1.4s                 | sha
    20 00 02 4e | tbl v0.16b, {v1.16b}, v2.16b      | shuffle
    20 38 82 4e | zip1 v0.4s, v1.4s, v2.4s          | shuffle
    20 1c 0c 4e | mov v0.s[1], w1                   | shuffle
    20 0c c0 da | rev x0, x1                        | shuffle
    20 00 c0 da | rbit x0, x1                       | shuffle
    00 00 80 f9 | prfm pldl1keep, [x0]              | prefetch
    20 dc 62 6e | fmul v0.2d, v1.2d, v2.2d          | float
    20 28 62 1e | fadd d0, d1, d2                   | float
    20 c0 61 1e | fsqrt d0, d1                      | float
    00 00 62 9e | scvtf d0, x0                      | float
    00 20 61 1e | fcmp d0, d1                       | float
    00 00 67 9e | fmov d0, x0                       | move
    00 44 1b d5 | msr fpcr, x0                      | rounding
    00 44 3b d5 | mrs x0, fpcr                      | move
    20 44 1b d5 | msr fpsr, x0                      | other
    20 00 40 f9 | ldr x0, [x1]                      | move
    00 70 40 4c | ld1 {v0.16b}, [x0]                | move
    20 00 82 9a | csel x0, x1, x2, eq               | move
    41 20 20 b8 | ldeor w0, w1, [x2]                | xor
    20 10 c0 da | clz x0, x1                        | other
    1f 20 03 d5 | nop                               | other
    00 00 00 54 | b.eq e0 <.text+0xe0>              | branch
    00 00 00 b4 | cbz x0, e4 <.text+0xe4>           | branch
    00 00 08 36 | tbz w0, #1, e8 <.text+0xe8>       | branch
    00 00 3f d6 | blr x0                            | branch
    01 00 00 d4 | svc #0x0                          | other
";

/// What follows a jump may never run.
const AFTER_JUMP: &str = "
    00 00 01 8b | add x0, x0, x1  | add
    02 00 00 14 | b c <.text+0xc> | branch
    00 00 01 ca | eor x0, x0, x1  | unread
";

/// Calls and conditional branches come back or fall through; a return does not.
const AFTER_CALL: &str = "
    00 00 01 8b | add x0, x0, x1          | add
    03 00 00 94 | bl 10 <.text+0x10>      | branch
    40 00 00 b4 | cbz x0, 10 <.text+0x10> | branch
    00 00 01 ca | eor x0, x0, x1          | xor
    c0 03 5f d6 | ret                     | branch
    00 1c c0 93 | ror x0, x0, #7          | unread
";

/// Each of these ends a window.
const ENDS: &str = "
    02 00 00 14 | b 8 <.text+0x8> | branch
    20 00 1f d6 | br x1           | branch
    c0 03 5f d6 | ret             | branch
    ff 0b 5f d6 | retaa           | branch
    3f 08 1f d6 | braaz x1        | branch
    20 00 20 d4 | brk #0x1        | other
    20 00 40 d4 | hlt #0x1        | other
    00 00 00 00 | udf #0          | other
";

#[test]
fn sha256_scalar() {
    check(Arch::Aarch64, SHA256_SCALAR);
}

#[test]
fn sha256_extension() {
    check(Arch::Aarch64, SHA256_EXTENSION);
}

#[test]
fn keccak_sha3() {
    check(Arch::Aarch64, KECCAK_SHA3);
}

#[test]
fn aes_extension() {
    check(Arch::Aarch64, AES_EXTENSION);
}

#[test]
fn chacha_neon() {
    check(Arch::Aarch64, CHACHA_NEON);
}

#[test]
fn crc32() {
    check(Arch::Aarch64, CRC32);
}

#[test]
fn oddments() {
    check(Arch::Aarch64, ODDMENTS);
}

#[test]
fn after_jump() {
    check(Arch::Aarch64, AFTER_JUMP);
}

#[test]
fn after_call() {
    check(Arch::Aarch64, AFTER_CALL);
}

#[test]
fn each_end_stops_the_window() {
    for line in ENDS.trim().lines() {
        check(
            Arch::Aarch64,
            &format!("{line}\n00 00 01 8b | add x0, x0, x1 | unread"),
        );
    }
}

#[test]
fn every_class_is_reachable() {
    let listings = [KECCAK_SHA3, AES_EXTENSION, CRC32, ODDMENTS];
    let mix = classes_in(Arch::Aarch64, &listings);
    for class in Class::ALL {
        assert!(mix.count(class) > 0, "{}", class.name());
    }
}

#[test]
fn instruction_cut_off_by_the_window() {
    // 00 00 01 8b  add x0, x0, x1
    // 20 00 …
    let decoded = decode(Arch::Aarch64, 0x1000, &[0x00, 0x00, 0x01, 0x8b, 0x20, 0x00]);
    assert_eq!(decoded.mix.count(Class::Add), 1);
    assert_eq!(decoded.mix.total(), 1);
    assert!(!decoded.undecodable);
}

#[test]
fn invalid_bytes_end_the_window() {
    // 00 00 01 8b  add x0, x0, x1
    // 00 00 00 02  .inst 0x02000000 ; undefined
    let add = [0x00, 0x00, 0x01, 0x8b];
    let undefined = [0x00, 0x00, 0x00, 0x02];
    let decoded = decode(Arch::Aarch64, 0x1000, &[add, undefined, add].concat());
    assert_eq!(decoded.mix.total(), 1);
    assert!(decoded.undecodable);
    assert!(decode(Arch::Aarch64, 0x1000, &undefined).undecodable);
}

#[test]
fn text_for_evidence() {
    // The third is SVE's `eor z0.d, z1.d, z2.d`.
    let code = [
        0x20, 0x1c, 0xc1, 0x93, 0x20, 0x00, 0x02, 0xca, 0x20, 0x30, 0xa2, 0x04, 0xc0, 0x03, 0x5f,
        0xd6, 0x1f, 0x20, 0x03, 0xd5,
    ];
    assert_eq!(
        disassemble(Arch::Aarch64, 0x40_1000, &code),
        [
            "401000: ror x0, x1, #0x7",
            "401004: eor x0, x1, x2",
            "401008: .inst 0x04a23020",
            "40100c: ret",
        ]
    );
}
