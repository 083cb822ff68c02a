//! `aarch64` instructions to classes.
//!
//! The table is [`class_of`]'s match. The decoder names instructions by their
//! encoding, not by the alias an assembler prints (`mov x0, x1` is an `orr`,
//! `lsl` an `ubfm`), so the aliases that are something else than their
//! encoding are told apart by operands, each in a function of its own.
//!
//! The decoder knows Armv8.5 and little beyond it, and none of the scalable
//! vectors (SVE, SME). What of those hash code or everyday code is made of is
//! in a table of encodings, [`later`]; the rest of SVE and SME is stepped over
//! as [`Class::Other`], being four bytes like all else.
//!
//! A scalar rotate is often no instruction of its own: `eor`, `bic` and their
//! kin can rotate a source on its way in, and compilers leave six in ten of
//! SHA-2's rotates and all of Salsa20's to that. Such an instruction does what
//! `xar` does for vectors, and like it counts as [`Class::Rotate`]: xors are
//! common in other code, and Salsa20 would else show no rotate at all. A source
//! that is shifted leaves the class as it is.
//!
//! NEON has no rotate: one is built from `shl` and `sri` or `usra`, and counts
//! as the two shifts it is. By 8 and 16 it is a shuffle, `tbl` and `rev32`.
//!
//! No Arm host was at hand: the table was held against LLVM 22's disassembler
//! and against programs under qemu, and has read no sample of real hardware.

mod later;
mod marks;

use yaxpeax_arch::{Decoder, U8Reader};
use yaxpeax_arm::armv8::a64::{DecodeError, InstDecoder, Instruction, Opcode, Operand, ShiftStyle};

use super::{Class, Decoded};

/// `fpcr` as `msr` encodes it (`S3_3_C4_C4_0`, without the top bit of its
/// `op0`, which is always set).
const FPCR: u16 = 0x5a20;

/// The first of the two conditions that always hold, `al` and `nv`.
const ALWAYS: u8 = 14;

/// Counts the instructions of a window; see [`super::decode`].
pub(super) fn decode(ip: u64, code: &[u8]) -> Decoded {
    let mut decoded = Decoded::default();
    let mut marks = marks::Collector::default();
    decoded.undecodable = walk(ip, code, |at, step| {
        let from = usize::try_from(at.wrapping_sub(ip)).unwrap_or(usize::MAX);
        if let Some(word) = code.get(from..).and_then(<[u8]>::first_chunk) {
            marks.add(u32::from_le_bytes(*word), &mut decoded.marks);
        }
        decoded.mix.add(match step {
            Step::Known(instruction) => class_of(instruction),
            Step::Unknown(word) => later::class_of(word).unwrap_or(Class::Other),
        });
    });
    decoded
}

/// Writes out the instructions of a window; see [`super::disassemble`].
pub(super) fn disassemble(ip: u64, code: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    walk(ip, code, |at, step| {
        lines.push(match step {
            Step::Known(instruction) => format!("{at:x}: {instruction}"),
            Step::Unknown(word) => format!("{at:x}: .inst {word:#010x}"),
        });
    });
    lines
}

/// One instruction of a window.
enum Step<'a> {
    Known(&'a Instruction),
    /// One that the decoder does not know, as its encoding.
    Unknown(u32),
}

/// Visits each instruction up to the end of the straight line, with its
/// address, and says whether bytes that are no instruction ended it.
fn walk(ip: u64, code: &[u8], mut visit: impl FnMut(u64, Step<'_>)) -> bool {
    let decoder = InstDecoder::default();
    let mut instruction = Instruction::default();
    let mut at = ip;
    for bytes in code.as_chunks::<4>().0 {
        let mut reader = U8Reader::new(bytes);
        match decoder.decode_into(&mut instruction, &mut reader) {
            Ok(()) => visit(at, Step::Known(&instruction)),
            Err(error) => {
                let word = u32::from_le_bytes(*bytes);
                // The decoder says so of SVE and SME, and of the reserved
                // encodings beside them too. Code that ran holds none of those.
                let scalable = error == DecodeError::IncompleteDecoder;
                if !scalable && later::class_of(word).is_none() {
                    return true;
                }
                visit(at, Step::Unknown(word));
                at = at.wrapping_add(4);
                continue;
            }
        }
        if ends_straight_line(instruction.opcode) {
            return false;
        }
        at = at.wrapping_add(4);
    }
    false
}

#[rustfmt::skip]
fn ends_straight_line(opcode: Opcode) -> bool {
    use Opcode as O;
    matches!(
        opcode,
        O::B | O::BR | O::Bcc(ALWAYS..) | O::BCcc(ALWAYS..) | O::BRAA | O::BRAAZ | O::BRAB | O::BRABZ
            | O::RET | O::RETAA | O::RETAB | O::RETAASPPC | O::RETABSPPC | O::RETAASPPCR | O::RETABSPPCR
            | O::ERET | O::ERETAA | O::ERETAB | O::DRPS
            | O::BRK | O::HLT | O::UDF
    )
}

/// The table. Rows are kept dense to be read as sets, one line a group of kin.
#[rustfmt::skip]
fn class_of(instruction: &Instruction) -> Class {
    use Opcode as O;
    match instruction.opcode {
        // `tst`, `cmn`, `cmp`: only the flags are kept.
        O::ANDS | O::ADDS | O::SUBS if is_zero(instruction.operands[0]) => Class::Other,

        _ if rotates_source(instruction) => Class::Rotate,
        O::RORV | O::EXTR | O::XAR | O::RAX1 => Class::Rotate,

        O::UBFM | O::SBFM if is_extension(instruction) => Class::Move,
        O::USHLL | O::USHLL2 | O::SSHLL | O::SSHLL2 if shifts_by_zero(instruction) => Class::Move,
        O::UBFM | O::SBFM | O::LSLV | O::LSRV | O::ASRV
        | O::SHL | O::SSHR | O::USHR | O::SRSHR | O::URSHR | O::SSRA | O::USRA | O::SRSRA | O::URSRA | O::SLI | O::SRI
        | O::SSHL | O::USHL | O::SRSHL | O::URSHL | O::SQSHL | O::UQSHL | O::SQRSHL | O::UQRSHL | O::SQSHLU
        | O::SHLL | O::SHLL2 | O::USHLL | O::USHLL2 | O::SSHLL | O::SSHLL2 | O::SHRN | O::SHRN2 | O::RSHRN | O::RSHRN2
        | O::SQSHRN | O::SQSHRN2 | O::UQSHRN | O::UQSHRN2 | O::SQRSHRN | O::SQRSHRN2 | O::UQRSHRN | O::UQRSHRN2
        | O::SQSHRUN | O::SQSHRUN2 | O::SQRSHRUN | O::SQRSHRUN2 => Class::Shift,

        O::EOR if same_sources(instruction) => Class::Move,
        O::EOR | O::EON | O::LDEOR(_) | O::LDEORB(_) | O::LDEORH(_) => Class::Xor,

        O::ORR if copies(instruction) => Class::Move,
        O::AND | O::ANDS | O::ORR | O::ORN | O::BIC | O::BICS | O::NOT | O::BSL | O::BIT | O::BIF | O::BFM
        | O::LDSET(_) | O::LDSETB(_) | O::LDSETH(_) | O::LDCLR(_) | O::LDCLRB(_) | O::LDCLRH(_) => Class::Logic,

        O::EOR3 | O::BCAX => Class::Ternary,

        O::ADD if adds_nothing(instruction) => Class::Move,
        O::ADD | O::ADDS | O::SUB | O::SUBS | O::ADC | O::ADCS | O::SBC | O::SBCS | O::NEG | O::ABS | O::SQNEG | O::SQABS
        | O::ADDP | O::ADDV | O::SADDLV | O::UADDLV | O::SADDLP | O::UADDLP | O::SADALP | O::UADALP
        | O::SHADD | O::UHADD | O::SRHADD | O::URHADD | O::SHSUB | O::UHSUB
        | O::SQADD | O::UQADD | O::SUQADD | O::USQADD | O::SQSUB | O::UQSUB
        | O::SADDL | O::SADDL2 | O::SADDW | O::SADDW2 | O::UADDL | O::UADDL2 | O::UADDW | O::UADDW2
        | O::SSUBL | O::SSUBL2 | O::SSUBW | O::SSUBW2 | O::USUBL | O::USUBL2 | O::USUBW | O::USUBW2
        | O::ADDHN | O::ADDHN2 | O::RADDHN | O::RADDHN2 | O::SUBHN | O::SUBHN2 | O::RSUBHN | O::RSUBHN2
        | O::SABD | O::SABA | O::SABDL | O::SABDL2 | O::SABAL | O::SABAL2
        | O::UABD | O::UABA | O::UABDL | O::UABDL2 | O::UABAL | O::UABAL2
        | O::LDADD(_) | O::LDADDB(_) | O::LDADDH(_) => Class::Add,

        O::MADD | O::MSUB | O::SMADDL | O::SMSUBL | O::UMADDL | O::UMSUBL | O::SMULH | O::UMULH
        | O::MUL | O::MLA | O::MLS | O::SMULL | O::SMULL2 | O::UMULL | O::UMULL2
        | O::SMLAL | O::SMLAL2 | O::SMLSL | O::SMLSL2 | O::UMLAL | O::UMLAL2 | O::UMLSL | O::UMLSL2
        | O::SQDMULH | O::SQRDMULH | O::SQRDMLAH | O::SQRDMLSH | O::SQDMULL | O::SQDMULL2
        | O::SQDMLAL | O::SQDMLAL2 | O::SQDMLSL | O::SQDMLSL2 | O::SDOT | O::UDOT => Class::Multiply,

        O::AESE | O::AESD | O::AESMC | O::AESIMC => Class::Aes,

        O::SHA1C | O::SHA1P | O::SHA1M | O::SHA1H | O::SHA1SU0 | O::SHA1SU1
        | O::SHA256H | O::SHA256H2 | O::SHA256SU0 | O::SHA256SU1
        | O::SHA512H | O::SHA512H2 | O::SHA512SU0 | O::SHA512SU1
        | O::SM3SS1 | O::SM3TT1A | O::SM3TT1B | O::SM3TT2A | O::SM3TT2B | O::SM3PARTW1 | O::SM3PARTW2
        | O::SM4E | O::SM4EKEY => Class::Sha,

        O::PMUL | O::PMULL | O::PMULL2
        | O::CRC32B | O::CRC32H | O::CRC32W | O::CRC32X | O::CRC32CB | O::CRC32CH | O::CRC32CW | O::CRC32CX => Class::Clmul,

        O::REV | O::REV16 | O::REV32 | O::REV64 | O::RBIT | O::EXT | O::TBL | O::TBX | O::INS | O::UMOV | O::SMOV
        | O::ZIP1 | O::ZIP2 | O::UZP1 | O::UZP2 | O::TRN1 | O::TRN2 => Class::Shuffle,

        O::FADD | O::FSUB | O::FMUL | O::FDIV | O::FNMUL | O::FMULX | O::FSQRT | O::FABS | O::FNEG | O::FABD
        | O::FMADD | O::FMSUB | O::FNMADD | O::FNMSUB | O::FMLA | O::FMLS | O::FMLAL | O::FMLAL2 | O::FMLSL | O::FMLSL2
        | O::FCMLA | O::FCADD | O::FADDP | O::FMAX | O::FMIN | O::FMAXNM | O::FMINNM | O::FMAXP | O::FMINP
        | O::FMAXNMP | O::FMINNMP | O::FMAXV | O::FMINV | O::FMAXNMV | O::FMINNMV
        | O::FCMP | O::FCMPE | O::FCCMP | O::FCCMPE | O::FCSEL
        | O::FCMEQ | O::FCMGE | O::FCMGT | O::FCMLE | O::FCMLT | O::FACGE | O::FACGT
        | O::FRECPE | O::FRECPS | O::FRECPX | O::FRSQRTE | O::FRSQRTS
        | O::FRINTN | O::FRINTP | O::FRINTM | O::FRINTZ | O::FRINTA | O::FRINTX | O::FRINTI
        | O::FRINT32Z | O::FRINT32X | O::FRINT64Z | O::FRINT64X
        | O::SCVTF | O::UCVTF | O::FCVT | O::FCVTL | O::FCVTL2 | O::FCVTN | O::FCVTN2 | O::FCVTXN | O::FCVTXN2 | O::BFCVT
        | O::FCVTNS | O::FCVTNU | O::FCVTPS | O::FCVTPU | O::FCVTMS | O::FCVTMU | O::FCVTZS | O::FCVTZU
        | O::FCVTAS | O::FCVTAU | O::FJCVTZS => Class::Float,

        O::PRFM | O::PRFUM => Class::Prefetch,

        O::MSR if instruction.operands[0] == Operand::SystemReg(FPCR) => Class::Rounding,

        O::B | O::BR | O::Bcc(_) | O::BCcc(_) | O::BL | O::BLR | O::CBZ | O::CBNZ | O::TBZ | O::TBNZ
        | O::BRAA | O::BRAAZ | O::BRAB | O::BRABZ | O::BLRAA | O::BLRAAZ | O::BLRAB | O::BLRABZ
        | O::RET | O::RETAA | O::RETAB | O::RETAASPPC | O::RETABSPPC | O::RETAASPPCR | O::RETABSPPCR
        | O::ERET | O::ERETAA | O::ERETAB | O::DRPS => Class::Branch,

        O::MOVN | O::MOVK | O::MOVZ | O::MOVI | O::MVNI | O::FMOV | O::DUP | O::ADR | O::ADRP | O::MRS
        | O::CSEL | O::CSINC | O::CSINV | O::CSNEG | O::SWP(_) | O::SWPB(_) | O::SWPH(_)
        | O::XTN | O::XTN2 | O::SQXTN | O::SQXTN2 | O::UQXTN | O::UQXTN2 | O::SQXTUN | O::SQXTUN2
        | O::LDR | O::LDRB | O::LDRH | O::LDRSB | O::LDRSH | O::LDRSW | O::LDRAA | O::LDRAB
        | O::LDUR | O::LDURB | O::LDURH | O::LDURSB | O::LDURSH | O::LDURSW
        | O::LDTR | O::LDTRB | O::LDTRH | O::LDTRSB | O::LDTRSH | O::LDTRSW | O::LDP | O::LDPSW | O::LDNP
        | O::LDAR | O::LDARB | O::LDARH | O::LDLAR | O::LDLARB | O::LDLARH | O::LDAPR | O::LDAPRB | O::LDAPRH
        | O::LDAPUR | O::LDAPURB | O::LDAPURH | O::LDAPURSB | O::LDAPURSH | O::LDAPURSW
        | O::LDXR | O::LDXRB | O::LDXRH | O::LDXP | O::LDAXR | O::LDAXRB | O::LDAXRH | O::LDAXP
        | O::STR | O::STRB | O::STRH | O::STRW | O::STUR | O::STURB | O::STURH | O::STTR | O::STTRB | O::STTRH
        | O::STP | O::STNP | O::STLR | O::STLRB | O::STLRH | O::STLLR | O::STLLRB | O::STLLRH | O::STLUR | O::STLURB | O::STLURH
        | O::STXR | O::STXRB | O::STXRH | O::STXP | O::STLXR | O::STLXRB | O::STLXRH | O::STLXP
        // The decoder's name for pairs it does not know: `stgp`, `ldtp`, `sttp`.
        | O::Invalid
        | O::LD1 | O::LD2 | O::LD3 | O::LD4 | O::LD1R | O::LD2R | O::LD3R | O::LD4R
        | O::ST1 | O::ST2 | O::ST3 | O::ST4 => Class::Move,

        _ => Class::Other,
    }
}

/// `xzr` or `wzr`.
fn is_zero(operand: Operand) -> bool {
    matches!(operand, Operand::Register(_, 31))
}

/// Both sources are one register, as it is: `eor` clears, `orr` copies.
fn same_sources(instruction: &Instruction) -> bool {
    match (instruction.operands[1], instruction.operands[2]) {
        (Operand::Register(_, a), Operand::RegShift(_, 0, _, b)) => a == b,
        (a, b) => a == b,
    }
}

/// `mov`: one source is zero or is the other.
fn copies(orr: &Instruction) -> bool {
    let shifts = matches!(orr.operands[2], Operand::RegShift(_, 1.., ..));
    is_zero(orr.operands[1]) && !shifts || same_sources(orr)
}

/// `eor x0, x1, x2, ror #19` and its kin.
fn rotates_source(instruction: &Instruction) -> bool {
    matches!(
        instruction.operands[2],
        Operand::RegShift(ShiftStyle::ROR, 1.., ..)
    )
}

/// `uxtb`, `uxth`, `sxtb`, `sxth`, `sxtw`: the low 8, 16 or 32 bits, unmoved.
fn is_extension(bitfield: &Instruction) -> bool {
    matches!(
        bitfield.operands[2..],
        [Operand::Immediate(0), Operand::Immediate(7 | 15 | 31)]
    )
}

/// `uxtl`, `sxtl`: a widening shift by nothing.
fn shifts_by_zero(instruction: &Instruction) -> bool {
    instruction.operands[2] == Operand::Immediate(0)
}

/// An `add` of 0: `mov x29, sp`, or an address on a page boundary.
fn adds_nothing(add: &Instruction) -> bool {
    matches!(
        add.operands[2],
        Operand::Immediate(0) | Operand::ImmShift(0, _)
    )
}
