//! Windows of libraries that are in use, as Debian 12 ships them for arm64 and
//! as rustc 1.95.0 compiles crates for it, read by `objdump`.

use super::super::{Arch, tests::check};

/// A SHA-256 round as GCC compiled it, from libsodium 1.0.18: two of three
/// rotates are part of an `eor`.
const SHA256: &str = "
    42 00 04 0a | and w2, w2, w4            | logic
    8f 01 0b 2a | orr w15, w12, w11         | logic
    4e 35 8a 13 | ror w14, w10, #13         | rotate
    f2 00 5e b8 | ldur w18, [x7, #-32]      | move
    42 00 06 4a | eor w2, w2, w6            | xor
    31 00 5e b8 | ldur w17, [x1, #-32]      | move
    90 2c 84 13 | ror w16, w4, #11          | rotate
    ef 01 0a 0a | and w15, w15, w10         | logic
    42 00 09 0b | add w2, w2, w9            | add
    31 02 12 0b | add w17, w17, w18         | add
    c9 09 ca 4a | eor w9, w14, w10, ror #2  | rotate
    92 01 0b 0a | and w18, w12, w11         | logic
    10 1a c4 4a | eor w16, w16, w4, ror #6  | rotate
    ee 01 12 2a | orr w14, w15, w18         | logic
    10 66 c4 4a | eor w16, w16, w4, ror #25 | rotate
    29 59 ca 4a | eor w9, w9, w10, ror #22  | rotate
";

/// Salsa20/8 of scrypt, from the crate `salsa20`: every rotate is part of an
/// `eor`.
const SALSA20: &str = "
    6c 03 05 0b | add w12, w27, w5           | add
    cd 00 14 0b | add w13, w6, w20           | add
    5a 07 00 f1 | subs x26, x26, #0x1        | add
    84 64 cc 4a | eor w4, w4, w12, ror #25   | rotate
    cc 03 13 0b | add w12, w30, w19          | add
    b5 66 cd 4a | eor w21, w21, w13, ror #25 | rotate
    8d 03 10 0b | add w13, w28, w16          | add
    52 66 cc 4a | eor w18, w18, w12, ror #25 | rotate
    18 67 cd 4a | eor w24, w24, w13, ror #25 | rotate
    8c 00 05 0b | add w12, w4, w5            | add
    ad 02 14 0b | add w13, w21, w20          | add
    31 5e cc 4a | eor w17, w17, w12, ror #23 | rotate
    4c 02 13 0b | add w12, w18, w19          | add
    29 5d cd 4a | eor w9, w9, w13, ror #23   | rotate
    0d 03 10 0b | add w13, w24, w16          | add
    39 5f cc 4a | eor w25, w25, w12, ror #23 | rotate
";

/// The end of `BLAKE2b`, from the crate `blake2`: only the last rotate of all
/// is part of an `eor`.
const BLAKE2B: &str = "
    ef 17 40 f9 | ldr x15, [sp, #40]         | move
    4a 2e 01 a9 | stp x10, x11, [x18, #16]   | move
    eb ab 41 a9 | ldp x11, x10, [sp, #24]    | move
    08 fd c2 ca | eor x8, x8, x2, ror #63    | rotate
    e9 fd c9 ca | eor x9, x15, x9, ror #63   | rotate
    f8 5f 4f a9 | ldp x24, x23, [sp, #240]   | move
    4a fd d0 ca | eor x10, x10, x16, ror #63 | rotate
    6b fd c3 ca | eor x11, x11, x3, ror #63  | rotate
    08 01 0e ca | eor x8, x8, x14            | xor
    29 01 0c ca | eor x9, x9, x12            | xor
    fa 67 4e a9 | ldp x26, x25, [sp, #224]   | move
    fc 6f 4d a9 | ldp x28, x27, [sp, #208]   | move
    48 26 02 a9 | stp x8, x9, [x18, #32]     | move
    48 01 0d ca | eor x8, x10, x13           | xor
    69 01 11 ca | eor x9, x11, x17           | xor
    48 26 03 a9 | stp x8, x9, [x18, #48]     | move
";

/// Keccak's theta in scalar code, from OpenSSL 3.0.
const KECCAK: &str = "
    49 ff dc ca | eor x9, x26, x28, ror #63  | rotate
    21 00 09 ca | eor x1, x1, x9             | xor
    c6 00 09 ca | eor x6, x6, x9             | xor
    6b 01 09 ca | eor x11, x11, x9           | xor
    10 02 09 ca | eor x16, x16, x9           | xor
    b5 02 09 ca | eor x21, x21, x9           | xor
    69 ff de ca | eor x9, x27, x30, ror #63  | rotate
    9c ff c4 ca | eor x28, x28, x4, ror #63  | rotate
    de ff da ca | eor x30, x30, x26, ror #63 | rotate
    84 fc db ca | eor x4, x4, x27, ror #63   | rotate
    5b 00 09 ca | eor x27, x2, x9            | xor
    e7 00 09 ca | eor x7, x7, x9             | xor
    8c 01 09 ca | eor x12, x12, x9           | xor
    31 02 09 ca | eor x17, x17, x9           | xor
    d6 02 09 ca | eor x22, x22, x9           | xor
    00 00 04 ca | eor x0, x0, x4             | xor
";

/// Keccak's theta and rho on the SHA-3 extension, from OpenSSL 3.0.
const KECCAK_EXTENSION: &str = "
    39 03 05 ce | eor3 v25.16b, v25.16b, v5.16b, v0.16b | ternary
    5a 07 06 ce | eor3 v26.16b, v26.16b, v6.16b, v1.16b | ternary
    7b 0b 07 ce | eor3 v27.16b, v27.16b, v7.16b, v2.16b | ternary
    9c 0f 08 ce | eor3 v28.16b, v28.16b, v8.16b, v3.16b | ternary
    bd 13 09 ce | eor3 v29.16b, v29.16b, v9.16b, v4.16b | ternary
    3e 8f 7b ce | rax1 v30.2d, v25.2d, v27.2d           | rotate
    5f 8f 7c ce | rax1 v31.2d, v26.2d, v28.2d           | rotate
    7b 8f 7d ce | rax1 v27.2d, v27.2d, v29.2d           | rotate
    9c 8f 79 ce | rax1 v28.2d, v28.2d, v25.2d           | rotate
    bd 8f 7a ce | rax1 v29.2d, v29.2d, v26.2d           | rotate
    39 fc 9e ce | xar v25.2d, v1.2d, v30.2d, #63        | rotate
    c1 50 9e ce | xar v1.2d, v6.2d, v30.2d, #20         | rotate
    26 b1 9c ce | xar v6.2d, v9.2d, v28.2d, #44         | rotate
    c9 0e 9f ce | xar v9.2d, v22.2d, v31.2d, #3         | rotate
";

/// SHA-512 rounds on the extension, from OpenSSL 3.0.
const SHA512_EXTENSION: &str = "
    79 7c df 4c | ld1 {v25.2d}, [x3], #16           | move
    18 43 18 6e | ext v24.16b, v24.16b, v24.16b, #8 | shuffle
    45 40 03 6e | ext v5.16b, v2.16b, v3.16b, #8    | shuffle
    26 40 02 6e | ext v6.16b, v1.16b, v2.16b, #8    | shuffle
    63 84 f8 4e | add v3.2d, v3.2d, v24.2d          | add
    30 82 c0 ce | sha512su0 v16.2d, v17.2d          | sha
    87 42 15 6e | ext v7.16b, v20.16b, v21.16b, #8  | shuffle
    a3 80 66 ce | sha512h q3, q5, v6.2d             | sha
    f0 8a 67 ce | sha512su1 v16.2d, v23.2d, v7.2d   | sha
    24 84 e3 4e | add v4.2d, v1.2d, v3.2d           | add
    23 84 60 ce | sha512h2 q3, q1, v0.2d            | sha
    39 87 f1 4e | add v25.2d, v25.2d, v17.2d        | add
";

/// SHA-1 rounds on the extension, from OpenSSL 3.0.
const SHA1_EXTENSION: &str = "
    15 86 a5 4e | add v21.4s, v16.4s, v5.4s   | add
    e7 08 20 6e | rev32 v7.16b, v7.16b        | shuffle
    03 08 28 5e | sha1h s3, s0                | sha
    20 00 14 5e | sha1c q0, s1, v20.4s        | sha
    14 86 a6 4e | add v20.4s, v16.4s, v6.4s   | add
    a4 30 06 5e | sha1su0 v4.4s, v5.4s, v6.4s | sha
    02 08 28 5e | sha1h s2, s0                | sha
    60 00 15 5e | sha1c q0, s3, v21.4s        | sha
";

/// AES-GCM, from OpenSSL 3.0: rounds and hash in turn.
const AES_GCM: &str = "
    c8 e0 ed 4e | pmull2 v8.1q, v6.2d, v13.2d   | clmul
    a0 4a 28 4e | aese v0.16b, v21.16b          | aes
    00 68 28 4e | aesmc v0.16b, v0.16b          | aes
    ff 07 18 6e | mov v31.d[1], v31.d[0]        | shuffle
    e4 e0 ec 4e | pmull2 v4.1q, v7.2d, v12.2d   | clmul
    62 4a 28 4e | aese v2.16b, v19.16b          | aes
    42 68 28 4e | aesmc v2.16b, v2.16b          | aes
    fe 04 18 5e | mov d30, v7.d[1]              | move
    c0 4a 28 4e | aese v0.16b, v22.16b          | aes
    00 68 28 4e | aesmc v0.16b, v0.16b          | aes
    29 1d 28 6e | eor v9.16b, v9.16b, v8.16b    | xor
    ff e3 f0 4e | pmull2 v31.1q, v31.2d, v16.2d | clmul
";

/// `ChaCha20` from OpenSSL 3.0, one block scalar beside four on NEON: rotates by
/// `ror` and by `ushr` with `sli`.
const CHACHA_OPENSSL: &str = "
    a7 1f 3e 6e | eor v7.16b, v29.16b, v30.16b | xor
    8c 01 10 4a | eor w12, w12, w16            | xor
    91 04 2c 6f | ushr v17.4s, v4.4s, #20      | shift
    29 51 89 13 | ror w9, w9, #20              | rotate
    b5 04 2c 6f | ushr v21.4s, v5.4s, #20      | shift
    4a 51 8a 13 | ror w10, w10, #20            | rotate
    d9 04 2c 6f | ushr v25.4s, v6.4s, #20      | shift
    6b 51 8b 13 | ror w11, w11, #20            | rotate
    fd 04 2c 6f | ushr v29.4s, v7.4s, #20      | shift
    8c 51 8c 13 | ror w12, w12, #20            | rotate
    91 54 2c 6f | sli v17.4s, v4.4s, #12       | shift
    a5 00 09 0b | add w5, w5, w9               | add
    b5 54 2c 6f | sli v21.4s, v5.4s, #12       | shift
    c6 00 0a 0b | add w6, w6, w10              | add
    d9 54 2c 6f | sli v25.4s, v6.4s, #12       | shift
    e7 00 0b 0b | add w7, w7, w11              | add
";

/// `ChaCha20` from Nettle 3.8: rotates by `rev32`, by `tbl` and by two shifts.
const CHACHA_NETTLE: &str = "
    00 84 a1 4e | add v0.4s, v0.4s, v1.4s       | add
    63 1c 20 6e | eor v3.16b, v3.16b, v0.16b    | xor
    63 08 60 6e | rev32 v3.8h, v3.8h            | shuffle
    42 84 a3 4e | add v2.4s, v2.4s, v3.4s       | add
    31 1c 22 6e | eor v17.16b, v1.16b, v2.16b   | xor
    21 06 2c 6f | ushr v1.4s, v17.4s, #20       | shift
    21 56 2c 6f | sli v1.4s, v17.4s, #12        | shift
    00 84 a1 4e | add v0.4s, v0.4s, v1.4s       | add
    63 1c 20 6e | eor v3.16b, v3.16b, v0.16b    | xor
    63 00 10 4e | tbl v3.16b, {v3.16b}, v16.16b | shuffle
    42 84 a3 4e | add v2.4s, v2.4s, v3.4s       | add
    31 1c 22 6e | eor v17.16b, v1.16b, v2.16b   | xor
    21 06 27 6f | ushr v1.4s, v17.4s, #25       | shift
    21 56 27 6f | sli v1.4s, v17.4s, #7         | shift
";

/// `ChaCha20` from libgcrypt 1.10, four blocks: the second of two shifts is `sri`.
const CHACHA_GCRYPT: &str = "
    76 44 2c 6f | sri v22.4s, v3.4s, #20        | shift
    97 44 2c 6f | sri v23.4s, v4.4s, #20        | shift
    10 86 b4 4e | add v16.4s, v16.4s, v20.4s    | add
    31 86 b5 4e | add v17.4s, v17.4s, v21.4s    | add
    52 86 b6 4e | add v18.4s, v18.4s, v22.4s    | add
    73 86 b7 4e | add v19.4s, v19.4s, v23.4s    | add
    01 1e 3c 6e | eor v1.16b, v16.16b, v28.16b  | xor
    22 1e 3d 6e | eor v2.16b, v17.16b, v29.16b  | xor
    43 1e 3e 6e | eor v3.16b, v18.16b, v30.16b  | xor
    64 1e 3f 6e | eor v4.16b, v19.16b, v31.16b  | xor
    3c 00 07 4e | tbl v28.16b, {v1.16b}, v7.16b | shuffle
    5d 00 07 4e | tbl v29.16b, {v2.16b}, v7.16b | shuffle
    7e 00 07 4e | tbl v30.16b, {v3.16b}, v7.16b | shuffle
";

/// Multiplication of large numbers, from OpenSSL 3.0: no hash, but near one.
const BIGNUM: &str = "
    e5 37 9f 9a | cset x5, cs            | move
    49 28 41 a9 | ldp x9, x10, [x2, #16] | move
    24 0c 40 f9 | ldr x4, [x1, #24]      | move
    c8 7c 0a 9b | mul x8, x6, x10        | multiply
    c6 7c ca 9b | umulh x6, x6, x10      | multiply
    63 00 08 ab | adds x3, x3, x8        | add
    88 7c 09 9b | mul x8, x4, x9         | multiply
    c6 34 86 9a | cinc x6, x6, cs        | move
    84 7c c9 9b | umulh x4, x4, x9       | multiply
    63 00 08 ab | adds x3, x3, x8        | add
    03 14 00 f9 | str x3, [x0, #40]      | move
    83 34 84 9a | cinc x3, x4, cs        | move
";

#[test]
fn sha256() {
    check(Arch::Aarch64, SHA256);
}

#[test]
fn salsa20() {
    check(Arch::Aarch64, SALSA20);
}

#[test]
fn blake2b() {
    check(Arch::Aarch64, BLAKE2B);
}

#[test]
fn keccak() {
    check(Arch::Aarch64, KECCAK);
}

#[test]
fn keccak_extension() {
    check(Arch::Aarch64, KECCAK_EXTENSION);
}

#[test]
fn sha512_extension() {
    check(Arch::Aarch64, SHA512_EXTENSION);
}

#[test]
fn sha1_extension() {
    check(Arch::Aarch64, SHA1_EXTENSION);
}

#[test]
fn aes_gcm() {
    check(Arch::Aarch64, AES_GCM);
}

#[test]
fn chacha_openssl() {
    check(Arch::Aarch64, CHACHA_OPENSSL);
}

#[test]
fn chacha_nettle() {
    check(Arch::Aarch64, CHACHA_NETTLE);
}

#[test]
fn chacha_gcrypt() {
    check(Arch::Aarch64, CHACHA_GCRYPT);
}

#[test]
fn bignum() {
    check(Arch::Aarch64, BIGNUM);
}
