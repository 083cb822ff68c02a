//! x86 instructions to classes, 64-bit and 32-bit.
//!
//! One table, [`CLASS_OF`], says the class of every mnemonic. It is built once,
//! so that reading a window costs a decode and an index per instruction.
//! The few places where operands matter are in [`class_of`].

mod marks;

use std::sync::LazyLock;

use iced_x86::{
    Decoder, DecoderError, DecoderOptions, FlowControl, Formatter, Instruction, IntelFormatter,
    Mnemonic, OpKind, Register,
};

use super::{Class, Decoded};

/// Counts the instructions of a window; see [`super::decode`].
pub(super) fn decode(bits: u32, ip: u64, code: &[u8]) -> Decoded {
    let mut decoded = Decoded::default();
    let mut marks = marks::Collector::default();
    decoded.undecodable = walk(bits, ip, code, |instruction| {
        decoded.mix.add(class_of(instruction));
        marks.add(instruction, &mut decoded.marks);
    });
    decoded
}

/// Writes out the instructions of a window; see [`super::disassemble`].
pub(super) fn disassemble(bits: u32, ip: u64, code: &[u8]) -> Vec<String> {
    let mut formatter = IntelFormatter::new();
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_branch_leading_zeros(false);
    let mut lines = Vec::new();
    walk(bits, ip, code, |instruction| {
        let mut line = format!("{:x}: ", instruction.ip());
        formatter.format(instruction, &mut line);
        lines.push(line);
    });
    lines
}

/// Visits each instruction up to the end of the straight line, and says
/// whether bytes that are no instruction ended it.
fn walk(bits: u32, ip: u64, code: &[u8], mut visit: impl FnMut(&Instruction)) -> bool {
    let mut decoder = Decoder::with_ip(bits, code, ip, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        match decoder.last_error() {
            DecoderError::None => visit(&instruction),
            DecoderError::NoMoreBytes => return false,
            _ => return true,
        }
        if ends_straight_line(&instruction) {
            return false;
        }
    }
    false
}

fn ends_straight_line(instruction: &Instruction) -> bool {
    match instruction.flow_control() {
        FlowControl::UnconditionalBranch
        | FlowControl::IndirectBranch
        | FlowControl::Return
        | FlowControl::Exception => true,
        // `int 0x80` is a system call, which comes back.
        FlowControl::Interrupt => instruction.mnemonic() != Mnemonic::Int,
        _ => instruction.mnemonic() == Mnemonic::Hlt,
    }
}

/// The mnemonic's class, save where the operands make it another: a register
/// set to zero or all ones whatever it held is a move, an `lea` that adds is an
/// add, and the string instructions share mnemonics with SSE.
fn class_of(instruction: &Instruction) -> Class {
    let class = CLASS_OF[instruction.mnemonic() as usize];
    match class {
        Class::Xor if same_sources(instruction) => Class::Move,
        Class::Ternary if matches!(instruction.immediate8(), 0 | 0xff) => Class::Move,
        Class::Move if instruction.mnemonic() == Mnemonic::Lea && adds(instruction) => Class::Add,
        Class::Move | Class::Float if instruction.is_string_instruction() => Class::Other,
        _ => class,
    }
}

/// Both sources are one register. They are the last two operands, of two
/// (`pxor a,a`) and of three (`vpxor d,a,a`).
fn same_sources(instruction: &Instruction) -> bool {
    let last = instruction.op_count().saturating_sub(1);
    let before = last.saturating_sub(1);
    instruction.op_kind(last) == OpKind::Register
        && instruction.op_kind(before) == OpKind::Register
        && instruction.op_register(last) == instruction.op_register(before)
}

/// An `lea` adds if it has an index, or a displacement to a base other than
/// the instruction pointer.
fn adds(lea: &Instruction) -> bool {
    lea.memory_index() != Register::None
        || (lea.memory_base() != Register::None
            && !lea.is_ip_rel_memory_operand()
            && lea.memory_displacement64() != 0)
}

static CLASS_OF: LazyLock<Vec<Class>> = LazyLock::new(|| {
    Mnemonic::values()
        .map(|mnemonic| {
            listed(mnemonic).unwrap_or(if is_float(&format!("{mnemonic:?}")) {
                Class::Float
            } else {
                Class::Other
            })
        })
        .collect()
});

/// Whether a mnemonic that is in no row of the table is floating point. There
/// are hundreds, of regular names: x87 (`f…`), 3DNow! (`pf…`), conversions, and
/// whatever ends in one of the six float types.
fn is_float(name: &str) -> bool {
    const STARTS: [&str; 5] = ["F", "Pf", "Pi2f", "Cvt", "Vcvt"];
    const ENDS: [&str; 6] = ["ps", "pd", "ss", "sd", "ph", "sh"];
    STARTS.iter().any(|start| name.starts_with(start)) || ENDS.iter().any(|end| name.ends_with(end))
}

/// The table. Rows are kept dense to be read as sets, one line a group of kin.
#[rustfmt::skip]
#[expect(clippy::too_many_lines, reason = "one table, which is easier to search whole")]
fn listed(mnemonic: Mnemonic) -> Option<Class> {
    use Mnemonic as M;
    Some(match mnemonic {
        M::Rol | M::Ror | M::Rcl | M::Rcr | M::Rorx | M::Shld | M::Shrd
        | M::Vprold | M::Vprolq | M::Vprolvd | M::Vprolvq | M::Vprord | M::Vprorq | M::Vprorvd | M::Vprorvq
        | M::Vpshldw | M::Vpshldd | M::Vpshldq | M::Vpshldvw | M::Vpshldvd | M::Vpshldvq
        | M::Vpshrdw | M::Vpshrdd | M::Vpshrdq | M::Vpshrdvw | M::Vpshrdvd | M::Vpshrdvq
        | M::Vprotb | M::Vprotw | M::Vprotd | M::Vprotq => Class::Rotate,

        M::Shl | M::Sal | M::Shr | M::Sar | M::Shlx | M::Shrx | M::Sarx
        | M::Psllw | M::Pslld | M::Psllq | M::Psrlw | M::Psrld | M::Psrlq | M::Psraw | M::Psrad
        | M::Vpsllw | M::Vpslld | M::Vpsllq | M::Vpsrlw | M::Vpsrld | M::Vpsrlq | M::Vpsraw | M::Vpsrad | M::Vpsraq
        | M::Vpsllvw | M::Vpsllvd | M::Vpsllvq | M::Vpsrlvw | M::Vpsrlvd | M::Vpsrlvq | M::Vpsravw | M::Vpsravd | M::Vpsravq
        | M::Vpshab | M::Vpshaw | M::Vpshad | M::Vpshaq | M::Vpshlb | M::Vpshlw | M::Vpshld | M::Vpshlq
        | M::Kshiftlb | M::Kshiftlw | M::Kshiftld | M::Kshiftlq | M::Kshiftrb | M::Kshiftrw | M::Kshiftrd | M::Kshiftrq => Class::Shift,

        M::Xor | M::Pxor | M::Xorps | M::Xorpd
        | M::Vpxor | M::Vpxord | M::Vpxorq | M::Vxorps | M::Vxorpd
        | M::Kxorb | M::Kxorw | M::Kxord | M::Kxorq => Class::Xor,

        M::And | M::Or | M::Not | M::Andn | M::Btc | M::Btr | M::Bts
        | M::Bextr | M::Blsi | M::Blsmsk | M::Blsr | M::Bzhi | M::Pdep | M::Pext
        | M::Blcfill | M::Blci | M::Blcic | M::Blcmsk | M::Blcs | M::Blsfill | M::Blsic | M::T1mskc | M::Tzmsk
        | M::Pand | M::Pandn | M::Por | M::Andps | M::Andpd | M::Andnps | M::Andnpd | M::Orps | M::Orpd
        | M::Vpand | M::Vpandd | M::Vpandq | M::Vpandn | M::Vpandnd | M::Vpandnq | M::Vpor | M::Vpord | M::Vporq | M::Vpcmov
        | M::Vandps | M::Vandpd | M::Vandnps | M::Vandnpd | M::Vorps | M::Vorpd
        | M::Kandb | M::Kandw | M::Kandd | M::Kandq | M::Kandnb | M::Kandnw | M::Kandnd | M::Kandnq
        | M::Korb | M::Korw | M::Kord | M::Korq | M::Knotb | M::Knotw | M::Knotd | M::Knotq
        | M::Kxnorb | M::Kxnorw | M::Kxnord | M::Kxnorq => Class::Logic,

        M::Vpternlogd | M::Vpternlogq => Class::Ternary,

        M::Add | M::Sub | M::Adc | M::Sbb | M::Adcx | M::Adox | M::Inc | M::Dec | M::Neg | M::Xadd
        | M::Paddb | M::Paddw | M::Paddd | M::Paddq | M::Paddsb | M::Paddsw | M::Paddusb | M::Paddusw
        | M::Psubb | M::Psubw | M::Psubd | M::Psubq | M::Psubsb | M::Psubsw | M::Psubusb | M::Psubusw
        | M::Vpaddb | M::Vpaddw | M::Vpaddd | M::Vpaddq | M::Vpaddsb | M::Vpaddsw | M::Vpaddusb | M::Vpaddusw
        | M::Vpsubb | M::Vpsubw | M::Vpsubd | M::Vpsubq | M::Vpsubsb | M::Vpsubsw | M::Vpsubusb | M::Vpsubusw
        | M::Phaddw | M::Phaddd | M::Phaddsw | M::Phsubw | M::Phsubd | M::Phsubsw
        | M::Vphaddw | M::Vphaddd | M::Vphaddsw | M::Vphsubw | M::Vphsubd | M::Vphsubsw
        | M::Pavgb | M::Pavgw | M::Vpavgb | M::Vpavgw | M::Psadbw | M::Vpsadbw | M::Mpsadbw | M::Vmpsadbw | M::Vdbpsadbw
        | M::Pabsb | M::Pabsw | M::Pabsd | M::Vpabsb | M::Vpabsw | M::Vpabsd | M::Vpabsq
        | M::Psignb | M::Psignw | M::Psignd | M::Vpsignb | M::Vpsignw | M::Vpsignd
        | M::Kaddb | M::Kaddw | M::Kaddd | M::Kaddq => Class::Add,

        M::Mul | M::Imul | M::Mulx
        | M::Pmullw | M::Pmulld | M::Pmulhw | M::Pmulhuw | M::Pmulhrsw | M::Pmuldq | M::Pmuludq | M::Pmaddwd | M::Pmaddubsw
        | M::Vpmullw | M::Vpmulld | M::Vpmullq | M::Vpmulhw | M::Vpmulhuw | M::Vpmulhrsw | M::Vpmuldq | M::Vpmuludq
        | M::Vpmaddwd | M::Vpmaddubsw | M::Vpmadd52luq | M::Vpmadd52huq
        | M::Vpdpbusd | M::Vpdpbusds | M::Vpdpwssd | M::Vpdpwssds | M::Vpdpbssd | M::Vpdpbssds | M::Vpdpbsud | M::Vpdpbsuds
        | M::Vpdpbuud | M::Vpdpbuuds | M::Vpdpwsud | M::Vpdpwsuds | M::Vpdpwusd | M::Vpdpwusds | M::Vpdpwuud | M::Vpdpwuuds
        | M::Vpmacsww | M::Vpmacswd | M::Vpmacssww | M::Vpmacsswd | M::Vpmacsdd | M::Vpmacssdd
        | M::Vpmacsdql | M::Vpmacsdqh | M::Vpmacssdql | M::Vpmacssdqh | M::Vpmadcswd | M::Vpmadcsswd
        | M::Tdpbssd | M::Tdpbsud | M::Tdpbusd | M::Tdpbuud => Class::Multiply,

        M::Aesenc | M::Aesenclast | M::Aesdec | M::Aesdeclast | M::Aesimc | M::Aeskeygenassist
        | M::Vaesenc | M::Vaesenclast | M::Vaesdec | M::Vaesdeclast | M::Vaesimc | M::Vaeskeygenassist
        | M::Aesenc128kl | M::Aesenc256kl | M::Aesdec128kl | M::Aesdec256kl
        | M::Aesencwide128kl | M::Aesencwide256kl | M::Aesdecwide128kl | M::Aesdecwide256kl
        | M::Xcryptecb | M::Xcryptcbc | M::Xcryptctr | M::Xcryptcfb | M::Xcryptofb
        | M::Gf2p8affineqb | M::Gf2p8affineinvqb | M::Gf2p8mulb
        | M::Vgf2p8affineqb | M::Vgf2p8affineinvqb | M::Vgf2p8mulb => Class::Aes,

        M::Sha1msg1 | M::Sha1msg2 | M::Sha1nexte | M::Sha1rnds4 | M::Sha256msg1 | M::Sha256msg2 | M::Sha256rnds2
        | M::Vsha512msg1 | M::Vsha512msg2 | M::Vsha512rnds2
        | M::Xsha1 | M::Xsha256 | M::Xsha512
        | M::Vsm3msg1 | M::Vsm3msg2 | M::Vsm3rnds2 | M::Vsm4key4 | M::Vsm4rnds4 => Class::Sha,

        M::Pclmulqdq | M::Vpclmulqdq | M::Crc32 => Class::Clmul,

        M::Bswap | M::Movbe | M::Pslldq | M::Psrldq | M::Vpslldq | M::Vpsrldq | M::Palignr | M::Vpalignr | M::Valignd | M::Valignq
        | M::Pshufb | M::Pshufw | M::Pshufd | M::Pshufhw | M::Pshuflw | M::Shufps | M::Shufpd | M::Pswapd
        | M::Vpshufb | M::Vpshufd | M::Vpshufhw | M::Vpshuflw | M::Vshufps | M::Vshufpd | M::Vpmultishiftqb
        | M::Vshuff32x4 | M::Vshuff64x2 | M::Vshufi32x4 | M::Vshufi64x2
        | M::Vperm2f128 | M::Vperm2i128 | M::Vpermb | M::Vpermw | M::Vpermd | M::Vpermq | M::Vpermps | M::Vpermpd | M::Vpperm
        | M::Vpermi2b | M::Vpermi2w | M::Vpermi2d | M::Vpermi2q | M::Vpermi2ps | M::Vpermi2pd | M::Vpermilps | M::Vpermilpd
        | M::Vpermt2b | M::Vpermt2w | M::Vpermt2d | M::Vpermt2q | M::Vpermt2ps | M::Vpermt2pd | M::Vpermil2ps | M::Vpermil2pd
        | M::Punpcklbw | M::Punpcklwd | M::Punpckldq | M::Punpcklqdq | M::Punpckhbw | M::Punpckhwd | M::Punpckhdq | M::Punpckhqdq
        | M::Vpunpcklbw | M::Vpunpcklwd | M::Vpunpckldq | M::Vpunpcklqdq | M::Vpunpckhbw | M::Vpunpckhwd | M::Vpunpckhdq | M::Vpunpckhqdq
        | M::Unpcklps | M::Unpcklpd | M::Unpckhps | M::Unpckhpd | M::Vunpcklps | M::Vunpcklpd | M::Vunpckhps | M::Vunpckhpd
        | M::Packsswb | M::Packssdw | M::Packuswb | M::Packusdw | M::Vpacksswb | M::Vpackssdw | M::Vpackuswb | M::Vpackusdw
        | M::Blendps | M::Blendpd | M::Blendvps | M::Blendvpd | M::Pblendw | M::Pblendvb
        | M::Vblendps | M::Vblendpd | M::Vblendvps | M::Vblendvpd | M::Vpblendw | M::Vpblendd | M::Vpblendvb
        | M::Vblendmps | M::Vblendmpd | M::Vpblendmb | M::Vpblendmw | M::Vpblendmd | M::Vpblendmq
        | M::Pinsrb | M::Pinsrw | M::Pinsrd | M::Pinsrq | M::Insertps | M::Pextrb | M::Pextrw | M::Pextrd | M::Pextrq | M::Extractps
        | M::Vpinsrb | M::Vpinsrw | M::Vpinsrd | M::Vpinsrq | M::Vinsertps | M::Vpextrb | M::Vpextrw | M::Vpextrd | M::Vpextrq | M::Vextractps
        | M::Vinsertf128 | M::Vinserti128 | M::Vinsertf32x4 | M::Vinsertf32x8 | M::Vinsertf64x2 | M::Vinsertf64x4
        | M::Vinserti32x4 | M::Vinserti32x8 | M::Vinserti64x2 | M::Vinserti64x4
        | M::Vextractf128 | M::Vextracti128 | M::Vextractf32x4 | M::Vextractf32x8 | M::Vextractf64x2 | M::Vextractf64x4
        | M::Vextracti32x4 | M::Vextracti32x8 | M::Vextracti64x2 | M::Vextracti64x4
        | M::Vcompressps | M::Vcompresspd | M::Vpcompressb | M::Vpcompressw | M::Vpcompressd | M::Vpcompressq
        | M::Vexpandps | M::Vexpandpd | M::Vpexpandb | M::Vpexpandw | M::Vpexpandd | M::Vpexpandq
        | M::Kunpckbw | M::Kunpckwd | M::Kunpckdq => Class::Shuffle,

        M::Prefetch | M::Prefetchnta | M::Prefetcht0 | M::Prefetcht1 | M::Prefetcht2 | M::Prefetchw | M::Prefetchwt1
        | M::Prefetchit0 | M::Prefetchit1
        | M::Vgatherpf0dps | M::Vgatherpf0dpd | M::Vgatherpf0qps | M::Vgatherpf0qpd
        | M::Vgatherpf1dps | M::Vgatherpf1dpd | M::Vgatherpf1qps | M::Vgatherpf1qpd
        | M::Vscatterpf0dps | M::Vscatterpf0dpd | M::Vscatterpf0qps | M::Vscatterpf0qpd
        | M::Vscatterpf1dps | M::Vscatterpf1dpd | M::Vscatterpf1qps | M::Vscatterpf1qpd => Class::Prefetch,

        // Restoring a whole FPU state (`fldenv`, `fxrstor`, `xrstor`) is left
        // out: the dynamic linker does so, and chooses no rounding mode.
        M::Ldmxcsr | M::Vldmxcsr | M::Fldcw => Class::Rounding,

        M::Jmp | M::Call | M::Ret | M::Retf | M::Iret | M::Iretd | M::Iretq | M::Sysret | M::Sysretq | M::Sysexit | M::Sysexitq | M::Uiret
        | M::Ja | M::Jae | M::Jb | M::Jbe | M::Je | M::Jne | M::Jg | M::Jge | M::Jl | M::Jle
        | M::Jo | M::Jno | M::Jp | M::Jnp | M::Js | M::Jns
        | M::Jcxz | M::Jecxz | M::Jrcxz | M::Loop | M::Loope | M::Loopne => Class::Branch,

        M::Mov | M::Movzx | M::Movsx | M::Movsxd | M::Movnti | M::Movdiri | M::Movdir64b | M::Lea | M::Xchg | M::Push | M::Pop
        | M::Pushf | M::Pushfq | M::Popf | M::Popfq | M::Enter | M::Leave | M::Xlatb | M::Lahf | M::Sahf
        | M::Cbw | M::Cwde | M::Cdqe | M::Cwd | M::Cdq | M::Cqo
        | M::Cmova | M::Cmovae | M::Cmovb | M::Cmovbe | M::Cmove | M::Cmovne | M::Cmovg | M::Cmovge | M::Cmovl | M::Cmovle
        | M::Cmovo | M::Cmovno | M::Cmovp | M::Cmovnp | M::Cmovs | M::Cmovns
        | M::Seta | M::Setae | M::Setb | M::Setbe | M::Sete | M::Setne | M::Setg | M::Setge | M::Setl | M::Setle
        | M::Seto | M::Setno | M::Setp | M::Setnp | M::Sets | M::Setns
        | M::Movd | M::Movq | M::Movdqa | M::Movdqu | M::Lddqu | M::Movntdq | M::Movntdqa | M::Movntq | M::Movdq2q | M::Movq2dq
        | M::Movaps | M::Movapd | M::Movups | M::Movupd | M::Movss | M::Movsd | M::Movntps | M::Movntpd | M::Movntss | M::Movntsd
        | M::Movhps | M::Movhpd | M::Movlps | M::Movlpd | M::Movhlps | M::Movlhps | M::Movddup | M::Movshdup | M::Movsldup
        | M::Movmskps | M::Movmskpd | M::Pmovmskb | M::Maskmovq | M::Maskmovdqu | M::Stmxcsr | M::Vstmxcsr | M::Fnstcw | M::Fstcw
        | M::Vmovd | M::Vmovq | M::Vmovdqa | M::Vmovdqa32 | M::Vmovdqa64 | M::Vmovdqu | M::Vmovdqu8 | M::Vmovdqu16 | M::Vmovdqu32
        | M::Vmovdqu64 | M::Vlddqu | M::Vmovntdq | M::Vmovntdqa | M::Vmovaps | M::Vmovapd | M::Vmovups | M::Vmovupd
        | M::Vmovss | M::Vmovsd | M::Vmovsh | M::Vmovw | M::Vmovntps | M::Vmovntpd | M::Vmovhps | M::Vmovhpd | M::Vmovlps | M::Vmovlpd
        | M::Vmovhlps | M::Vmovlhps | M::Vmovddup | M::Vmovshdup | M::Vmovsldup | M::Vmovmskps | M::Vmovmskpd | M::Vpmovmskb
        | M::Vmaskmovps | M::Vmaskmovpd | M::Vmaskmovdqu | M::Vpmaskmovd | M::Vpmaskmovq
        | M::Vbroadcastss | M::Vbroadcastsd | M::Vbroadcastf128 | M::Vbroadcasti128
        | M::Vbroadcastf32x2 | M::Vbroadcastf32x4 | M::Vbroadcastf32x8 | M::Vbroadcastf64x2 | M::Vbroadcastf64x4
        | M::Vbroadcasti32x2 | M::Vbroadcasti32x4 | M::Vbroadcasti32x8 | M::Vbroadcasti64x2 | M::Vbroadcasti64x4
        | M::Vpbroadcastb | M::Vpbroadcastw | M::Vpbroadcastd | M::Vpbroadcastq | M::Vpbroadcastmb2q | M::Vpbroadcastmw2d
        | M::Pmovsxbw | M::Pmovsxbd | M::Pmovsxbq | M::Pmovsxwd | M::Pmovsxwq | M::Pmovsxdq
        | M::Pmovzxbw | M::Pmovzxbd | M::Pmovzxbq | M::Pmovzxwd | M::Pmovzxwq | M::Pmovzxdq
        | M::Vpmovsxbw | M::Vpmovsxbd | M::Vpmovsxbq | M::Vpmovsxwd | M::Vpmovsxwq | M::Vpmovsxdq
        | M::Vpmovzxbw | M::Vpmovzxbd | M::Vpmovzxbq | M::Vpmovzxwd | M::Vpmovzxwq | M::Vpmovzxdq
        | M::Vpmovwb | M::Vpmovdb | M::Vpmovdw | M::Vpmovqb | M::Vpmovqw | M::Vpmovqd
        | M::Vpmovswb | M::Vpmovsdb | M::Vpmovsdw | M::Vpmovsqb | M::Vpmovsqw | M::Vpmovsqd
        | M::Vpmovuswb | M::Vpmovusdb | M::Vpmovusdw | M::Vpmovusqb | M::Vpmovusqw | M::Vpmovusqd
        | M::Vpmovb2m | M::Vpmovw2m | M::Vpmovd2m | M::Vpmovq2m | M::Vpmovm2b | M::Vpmovm2w | M::Vpmovm2d | M::Vpmovm2q
        | M::Vgatherdps | M::Vgatherdpd | M::Vgatherqps | M::Vgatherqpd | M::Vpgatherdd | M::Vpgatherdq | M::Vpgatherqd | M::Vpgatherqq
        | M::Vscatterdps | M::Vscatterdpd | M::Vscatterqps | M::Vscatterqpd
        | M::Vpscatterdd | M::Vpscatterdq | M::Vpscatterqd | M::Vpscatterqq
        | M::Kmovb | M::Kmovw | M::Kmovd | M::Kmovq | M::Vzeroall | M::Vzeroupper => Class::Move,

        // Named like floating point, and no such thing: integer compares,
        // processor state, the shadow stack, string instructions.
        M::Pmaxsd | M::Pminsd | M::Vpmaxsd | M::Vpminsd | M::Vpcmpd | M::Vp4dpwssd | M::Clflush | M::Seamops
        | M::Fxsave | M::Fxsave64 | M::Fxrstor | M::Fxrstor64 | M::Femms | M::Fnop | M::Lss | M::Psmash | M::Ccs_hash
        | M::Wrssd | M::Wrussd | M::Rdsspd | M::Incsspd | M::Lodsd | M::Stosd | M::Scasd | M::Insd | M::Outsd => Class::Other,

        _ => return None,
    })
}
