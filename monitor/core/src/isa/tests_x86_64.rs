//! Real `x86_64` machine code, as GCC 12 and the GNU assembler wrote it and
//! `objdump` reads it; [`check`] says how a listing is checked.

use super::tests::{check, classes_in};
use super::{Arch, Class, decode, disassemble};

/// A SHA-256 round, GCC -O2: rotates both ways.
const SHA256_SCALAR: &str = "
    48 89 f8    | mov rax,rdi                  | move
    44 8b 0f    | mov r9d,DWORD PTR [rdi]      | move
    8b 7f 04    | mov edi,DWORD PTR [rdi+0x4]  | move
    8b 48 10    | mov ecx,DWORD PTR [rax+0x10] | move
    03 70 1c    | add esi,DWORD PTR [rax+0x1c] | add
    44 8b 40 08 | mov r8d,DWORD PTR [rax+0x8]  | move
    89 ca       | mov edx,ecx                  | move
    41 89 ca    | mov r10d,ecx                 | move
    41 c1 ca 0b | ror r10d,0xb                 | rotate
    c1 ca 06    | ror edx,0x6                  | rotate
    44 31 d2    | xor edx,r10d                 | xor
    41 89 ca    | mov r10d,ecx                 | move
    41 c1 c2 07 | rol r10d,0x7                 | rotate
    44 31 d2    | xor edx,r10d                 | xor
    01 d6       | add esi,edx                  | add
    89 ca       | mov edx,ecx                  | move
    23 48 14    | and ecx,DWORD PTR [rax+0x14] | logic
    f7 d2       | not edx                      | logic
    23 50 18    | and edx,DWORD PTR [rax+0x18] | logic
    31 ca       | xor edx,ecx                  | xor
    44 89 c9    | mov ecx,r9d                  | move
    01 d6       | add esi,edx                  | add
    44 89 ca    | mov edx,r9d                  | move
    c1 c9 0d    | ror ecx,0xd                  | rotate
    01 70 0c    | add DWORD PTR [rax+0xc],esi  | add
    c1 ca 02    | ror edx,0x2                  | rotate
    31 ca       | xor edx,ecx                  | xor
    44 89 c9    | mov ecx,r9d                  | move
    c1 c1 0a    | rol ecx,0xa                  | rotate
    31 ca       | xor edx,ecx                  | xor
    89 f9       | mov ecx,edi                  | move
    44 21 c7    | and edi,r8d                  | logic
    44 31 c1    | xor ecx,r8d                  | xor
    44 21 c9    | and ecx,r9d                  | logic
    31 f9       | xor ecx,edi                  | xor
    01 ca       | add edx,ecx                  | add
    01 f2       | add edx,esi                  | add
    89 50 1c    | mov DWORD PTR [rax+0x1c],edx | move
    c3          | ret                          | branch
";

/// The same round for Haswell, with `rorx` and `andn`.
const SHA256_BMI2: &str = "
    48 89 f8          | mov rax,rdi                       | move
    44 8b 0f          | mov r9d,DWORD PTR [rdi]           | move
    8b 7f 04          | mov edi,DWORD PTR [rdi+0x4]       | move
    8b 48 10          | mov ecx,DWORD PTR [rax+0x10]      | move
    03 70 1c          | add esi,DWORD PTR [rax+0x1c]      | add
    44 8b 40 08       | mov r8d,DWORD PTR [rax+0x8]       | move
    c4 63 7b f0 d1 0b | rorx r10d,ecx,0xb                 | rotate
    c4 e3 7b f0 d1 06 | rorx edx,ecx,0x6                  | rotate
    44 31 d2          | xor edx,r10d                      | xor
    c4 63 7b f0 d1 19 | rorx r10d,ecx,0x19                | rotate
    44 31 d2          | xor edx,r10d                      | xor
    01 d6             | add esi,edx                       | add
    c4 e2 70 f2 50 18 | andn edx,ecx,DWORD PTR [rax+0x18] | logic
    23 48 14          | and ecx,DWORD PTR [rax+0x14]      | logic
    31 ca             | xor edx,ecx                       | xor
    c4 c3 7b f0 c9 0d | rorx ecx,r9d,0xd                  | rotate
    01 d6             | add esi,edx                       | add
    c4 c3 7b f0 d1 02 | rorx edx,r9d,0x2                  | rotate
    31 ca             | xor edx,ecx                       | xor
    c4 c3 7b f0 c9 16 | rorx ecx,r9d,0x16                 | rotate
    31 ca             | xor edx,ecx                       | xor
    89 f9             | mov ecx,edi                       | move
    44 21 c7          | and edi,r8d                       | logic
    01 70 0c          | add DWORD PTR [rax+0xc],esi       | add
    44 31 c1          | xor ecx,r8d                       | xor
    44 21 c9          | and ecx,r9d                       | logic
    31 f9             | xor ecx,edi                       | xor
    01 ca             | add edx,ecx                       | add
    01 f2             | add edx,esi                       | add
    89 50 1c          | mov DWORD PTR [rax+0x1c],edx      | move
    c3                | ret                               | branch
";

/// Sixteen lanes of a SHA-256 sigma and choice.
const SHA256_AVX512: &str = "
    62 f1 5d 48 72 c0 06 | vprord zmm4,zmm0,0x6                    | rotate
    62 f1 55 48 72 c0 0b | vprord zmm5,zmm0,0xb                    | rotate
    62 f1 4d 48 72 c0 19 | vprord zmm6,zmm0,0x19                   | rotate
    62 f3 55 48 25 e6 96 | vpternlogd zmm4,zmm5,zmm6,0x96          | ternary
    62 f1 7d 48 6f f9    | vmovdqa32 zmm7,zmm1                     | move
    62 f3 6d 48 25 fb ca | vpternlogd zmm7,zmm2,zmm3,0xca          | ternary
    62 71 3d 48 fe c4    | vpaddd zmm8,zmm8,zmm4                   | add
    62 71 3d 48 fe 47 01 | vpaddd zmm8,zmm8,ZMMWORD PTR [rdi+0x40] | add
";

/// Two SHA-256 double rounds on the SHA extensions.
const SHA_NI: &str = "
    f3 0f 6f 06       | movdqu xmm0,XMMWORD PTR [rsi] | move
    66 0f 38 00 c7    | pshufb xmm0,xmm7              | shuffle
    66 0f fe c4       | paddd xmm0,xmm4               | add
    0f 38 cb d1       | sha256rnds2 xmm2,xmm1,xmm0    | sha
    66 0f 70 c0 0e    | pshufd xmm0,xmm0,0xe          | shuffle
    0f 38 cb ca       | sha256rnds2 xmm1,xmm2,xmm0    | sha
    66 0f 3a 0f f5 04 | palignr xmm6,xmm5,0x4         | shuffle
    0f 38 cc dc       | sha256msg1 xmm3,xmm4          | sha
    0f 38 cd ee       | sha256msg2 xmm5,xmm6          | sha
    e2 00             | loop 2a <shani_end>           | branch
";

/// AES rounds and key schedule, GFNI, carry-less multiply, CRC.
const AES_AND_CLMUL: &str = "
    66 0f 6f 06       | movdqa xmm0,XMMWORD PTR [rsi] | move
    66 0f ef c1       | pxor xmm0,xmm1                | xor
    66 0f 38 dc c2    | aesenc xmm0,xmm2              | aes
    66 0f 38 dd c3    | aesenclast xmm0,xmm3          | aes
    66 0f 3a df e5 01 | aeskeygenassist xmm4,xmm5,0x1 | aes
    66 0f 38 db f7    | aesimc xmm6,xmm7              | aes
    c4 e2 6d de cb    | vaesdec ymm1,ymm2,ymm3        | aes
    66 0f 3a ce c1 00 | gf2p8affineqb xmm0,xmm1,0x0   | aes
    66 0f 3a 44 c1 11 | pclmulhqhqdq xmm0,xmm1        | clmul
    f2 48 0f 38 f1 07 | crc32 rax,QWORD PTR [rdi]     | clmul
";

/// Half a Salsa20 column round, GCC -O2: a rotate is two shifts here.
const SALSA20_SSE2: &str = "
    66 0f 6f 0f    | movdqa xmm1,XMMWORD PTR [rdi]      | move
    66 0f 6f 47 30 | movdqa xmm0,XMMWORD PTR [rdi+0x30] | move
    66 0f fe c1    | paddd xmm0,xmm1                    | add
    66 0f 6f d0    | movdqa xmm2,xmm0                   | move
    66 0f 72 d0 19 | psrld xmm0,0x19                    | shift
    66 0f 72 f2 07 | pslld xmm2,0x7                     | shift
    66 0f ef c2    | pxor xmm0,xmm2                     | xor
    66 0f ef 47 10 | pxor xmm0,XMMWORD PTR [rdi+0x10]   | xor
    66 0f fe c8    | paddd xmm1,xmm0                    | add
    66 0f 70 c0 93 | pshufd xmm0,xmm0,0x93              | shuffle
    66 0f 6f d1    | movdqa xmm2,xmm1                   | move
    66 0f 72 f1 09 | pslld xmm1,0x9                     | shift
    0f 29 47 10    | movaps XMMWORD PTR [rdi+0x10],xmm0 | move
    66 0f 72 d2 17 | psrld xmm2,0x17                    | shift
    66 0f eb ca    | por xmm1,xmm2                      | logic
    66 0f ef 4f 20 | pxor xmm1,XMMWORD PTR [rdi+0x20]   | xor
    0f 29 4f 20    | movaps XMMWORD PTR [rdi+0x20],xmm1 | move
    c3             | ret                                | branch
";

/// A loop of the kind that a `RandomX` JIT compiler writes.
const RANDOMX_LOOP: &str = "
    0f 18 04 06             | prefetchnta BYTE PTR [rsi+rax*1]    | prefetch
    48 c1 c8 20             | ror rax,0x20                        | rotate
    0f 18 04 06             | prefetchnta BYTE PTR [rsi+rax*1]    | prefetch
    4c 8b 04 0f             | mov r8,QWORD PTR [rdi+rcx*1]        | move
    49 31 d8                | xor r8,rbx                          | xor
    4d 0f af ca             | imul r9,r10                         | multiply
    4f 8d 9c a3 34 12 00 00 | lea r11,[r11+r12*4+0x1234]          | add
    49 c1 cd 13             | ror r13,0x13                        | rotate
    f3 0f e6 04 06          | cvtdq2pd xmm0,QWORD PTR [rsi+rax*1] | float
    66 41 0f 59 e0          | mulpd xmm4,xmm8                     | float
    41 0f 54 cd             | andps xmm1,xmm13                    | logic
    89 44 24 fc             | mov DWORD PTR [rsp-0x4],eax         | move
    0f ae 54 24 fc          | ldmxcsr DWORD PTR [rsp-0x4]         | rounding
    83 eb 01                | sub ebx,0x1                         | add
    75 c1                   | jne 0 <rx>                          | branch
";

/// Registers set to a constant, beside real exclusive ors.
const ZEROING: &str = "
    31 c0                | xor eax,eax                    | move
    31 c8                | xor eax,ecx                    | xor
    66 0f ef c9          | pxor xmm1,xmm1                 | move
    c5 f1 ef c1          | vpxor xmm0,xmm1,xmm1           | move
    c5 f1 ef ca          | vpxor xmm1,xmm1,xmm2           | xor
    0f 57 db             | xorps xmm3,xmm3                | move
    62 a1 75 40 ef c9    | vpxord zmm17,zmm17,zmm17       | move
    62 f3 7d 48 25 c0 ff | vpternlogd zmm0,zmm0,zmm0,0xff | move
    c5 f4 47 c9          | kxorw k1,k1,k1                 | move
";

/// `lea` with and without an addition.
const ADDRESSES: &str = "
    48 8d 07                | lea rax,[rdi]       | move
    48 8d 05 10 00 00 00    | lea rax,[rip+0x10]  | move
    48 8d 47 08             | lea rax,[rdi+0x8]   | add
    48 8d 04 37             | lea rax,[rdi+rsi*1] | add
    48 8d 04 bd 00 00 00 00 | lea rax,[rdi*4+0x0] | add
";

/// One of each that the table could easily get wrong.
const ODDMENTS: &str = "
    f2 0f 10 07    | movsd xmm0,QWORD PTR [rdi]                 | move
    a5             | movs DWORD PTR es:[rdi],DWORD PTR ds:[rsi] | other
    f2 0f c2 c1 02 | cmplesd xmm0,xmm1                          | float
    a7             | cmps DWORD PTR ds:[rsi],DWORD PTR es:[rdi] | other
    f3 ab          | rep stos DWORD PTR es:[rdi],eax            | other
    85 c0          | test eax,eax                               | other
    39 d8          | cmp eax,ebx                                | other
    f7 f1          | div ecx                                    | other
    90             | nop                                        | other
    f3 0f 1e fa    | endbr64                                    | other
    f3 0f b8 c1    | popcnt eax,ecx                             | other
    0f 44 c1       | cmove eax,ecx                              | move
    0f 94 c0       | sete al                                    | move
    53             | push rbx                                   | move
    0f c8          | bswap eax                                  | shuffle
    0f 38 f0 07    | movbe eax,DWORD PTR [rdi]                  | shuffle
    0f a4 c8 07    | shld eax,ecx,0x7                           | rotate
    c4 e2 69 f7 c1 | shlx eax,ecx,edx                           | shift
    66 0f 73 d8 04 | psrldq xmm0,0x4                            | shuffle
    c4 e2 7d 58 c1 | vpbroadcastd ymm0,xmm1                     | move
    0f ae 1c 24    | stmxcsr DWORD PTR [rsp]                    | move
    d9 2c 24       | fldcw WORD PTR [rsp]                       | rounding
    d9 3c 24       | fnstcw WORD PTR [rsp]                      | move
    d8 c1          | fadd st,st(1)                              | float
    c4 e2 75 b8 c2 | vfmadd231ps ymm0,ymm1,ymm2                 | float
    66 0f 38 3d c1 | pmaxsd xmm0,xmm1                           | other
";

/// What follows a jump may never run.
const AFTER_JUMP: &str = "
    01 c8 | add eax,ecx   | add
    eb 02 | jmp 6 <after> | branch
    31 c8 | xor eax,ecx   | unread
";

/// Calls, conditional jumps and system calls come back; a return does not.
const AFTER_CALL: &str = "
    01 c8          | add eax,ecx    | add
    e8 08 00 00 00 | call f <after> | branch
    74 06          | je f <after>   | branch
    cd 80          | int 0x80       | other
    0f 05          | syscall        | other
    31 c8          | xor eax,ecx    | xor
    c3             | ret            | branch
    c1 c0 03       | rol eax,0x3    | unread
";

/// Each of these ends a window.
const ENDS: &str = "
    0f 0b | ud2     | other
    f4    | hlt     | other
    cc    | int3    | other
    ff e0 | jmp rax | branch
    c3    | ret     | branch
";

#[test]
fn sha256_scalar() {
    check(Arch::X86_64, SHA256_SCALAR);
    check(Arch::X86_64, SHA256_BMI2);
}

#[test]
fn sha256_avx512() {
    check(Arch::X86_64, SHA256_AVX512);
}

#[test]
fn sha_ni() {
    check(Arch::X86_64, SHA_NI);
}

#[test]
fn aes_and_clmul() {
    check(Arch::X86_64, AES_AND_CLMUL);
}

#[test]
fn salsa20_sse2() {
    check(Arch::X86_64, SALSA20_SSE2);
}

#[test]
fn randomx_loop() {
    check(Arch::X86_64, RANDOMX_LOOP);
}

#[test]
fn zeroing() {
    check(Arch::X86_64, ZEROING);
}

#[test]
fn addresses() {
    check(Arch::X86_64, ADDRESSES);
}

#[test]
fn oddments() {
    check(Arch::X86_64, ODDMENTS);
}

#[test]
fn after_jump() {
    check(Arch::X86_64, AFTER_JUMP);
}

#[test]
fn after_call() {
    check(Arch::X86_64, AFTER_CALL);
}

#[test]
fn each_end_stops_the_window() {
    for line in ENDS.trim().lines() {
        check(
            Arch::X86_64,
            &format!("{line}\n01 c8 | add eax,ecx | unread"),
        );
    }
}

#[test]
fn every_class_is_reachable() {
    let listings = [
        SHA256_BMI2,
        SHA256_AVX512,
        SHA_NI,
        AES_AND_CLMUL,
        SALSA20_SSE2,
        RANDOMX_LOOP,
        ODDMENTS,
    ];
    let mix = classes_in(Arch::X86_64, &listings);
    for class in Class::ALL {
        assert!(mix.count(class) > 0, "{}", class.name());
    }
}

#[test]
fn instruction_cut_off_by_the_window() {
    // 01 c8    add eax,ecx
    // 48 8b …  mov r64,m64
    let decoded = decode(Arch::X86_64, 0x1000, &[0x01, 0xc8, 0x48, 0x8b]);
    assert_eq!(decoded.mix.count(Class::Add), 1);
    assert_eq!(decoded.mix.total(), 1);
    assert!(!decoded.undecodable);
}

#[test]
fn invalid_bytes_end_the_window() {
    // 01 c8  add eax,ecx
    // 06     (bad): `push es` is gone in 64-bit mode
    let decoded = decode(Arch::X86_64, 0x1000, &[0x01, 0xc8, 0x06, 0x01, 0xc8]);
    assert_eq!(decoded.mix.total(), 1);
    assert!(decoded.undecodable);
    assert!(decode(Arch::X86_64, 0x1000, &[0x06, 0x00]).undecodable);
}

#[test]
fn text_for_evidence() {
    let code = [0xc1, 0xc8, 0x13, 0x8b, 0x47, 0x20, 0xe9, 0, 0, 0, 0, 0x90];
    assert_eq!(
        disassemble(Arch::X86_64, 0x40_1000, &code),
        [
            "401000: ror eax,0x13",
            "401003: mov eax,[rdi+0x20]",
            "401006: jmp 0x40100b",
        ]
    );
}

/// The same bytes are another program in 32-bit code: `inc` became a prefix.
#[test]
fn code_of_32_bits_is_read_as_such() {
    let code = [0x40, 0x31, 0xc8, 0xc1, 0xc0, 0x05, 0xc3];
    let lines = disassemble(Arch::X86, 0x1000, &code);
    let expected = ["inc eax", "xor eax,ecx", "rol eax,5", "ret"];
    assert!(
        lines
            .iter()
            .zip(expected)
            .all(|(line, end)| line.ends_with(end)),
        "{lines:?}"
    );
    assert_eq!(decode(Arch::X86, 0x1000, &code).mix.count(Class::Add), 1);
    assert_eq!(decode(Arch::X86_64, 0x1000, &code).mix.count(Class::Add), 0);
}
