//! The marks of an x86 instruction: see [`super::super::marks`].

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use crate::isa::{
    constants,
    marks::{Kind, Mark, Marks},
};

/// `pshufd` that swaps the halves of each quadword, and `pshuflw` and `pshufhw` that
/// swap those of each doubleword: a rotation by half a word.
const SWAP: u8 = 0xb1;

/// Adds an instruction's marks.
pub(super) fn add(instruction: &Instruction, marks: &mut Marks) {
    marks.add(moves(instruction));
    for operand in 0..instruction.op_count() {
        marks.add(match instruction.op_kind(operand) {
            OpKind::Immediate32 | OpKind::Immediate32to64 => {
                #[expect(clippy::cast_possible_truncation, reason = "it has 32 bits")]
                let word = instruction.immediate(operand) as u32;
                constants::word(word)
            }
            OpKind::Immediate64 => match u32::try_from(instruction.immediate64()) {
                Ok(word) => constants::word(word),
                Err(_) => constants::long_word(instruction.immediate64()),
            },
            // An `lea` that adds. Other displacements are of tables and stacks.
            OpKind::Memory
                if instruction.mnemonic() == Mnemonic::Lea
                    && instruction.memory_base() != Register::None
                    && !instruction.is_ip_rel_memory_operand() =>
            {
                constants::word(instruction.memory_displacement32())
            }
            _ => None,
        });
    }
}

/// By how many bits it rotates or shifts.
fn moves(instruction: &Instruction) -> Option<Mark> {
    use Mnemonic as M;
    let fixed = amount(instruction);
    match instruction.mnemonic() {
        M::Rol | M::Ror | M::Rorx => {
            let width = width(instruction);
            let Some(amount) = fixed else {
                return Some(Mark::variable(width));
            };
            if instruction.mnemonic() == M::Rol {
                Mark::rotate_left(width, amount)
            } else {
                Mark::rotate_right(width, amount)
            }
        }
        // Of one register twice it rotates; else it is arithmetic of long numbers.
        M::Shld if twice(instruction) => Mark::rotate_left(width(instruction), fixed?),
        M::Shrd if twice(instruction) => Mark::rotate_right(width(instruction), fixed?),
        M::Shl | M::Sal => Mark::shift(Kind::Left, width(instruction), fixed?),
        M::Shr => Mark::shift(Kind::Right, width(instruction), fixed?),
        M::Sar => Mark::shift(Kind::Arithmetic, width(instruction), fixed?),
        M::Pslld | M::Vpslld => Mark::shift(Kind::Left, 32, fixed?),
        M::Psllq | M::Vpsllq => Mark::shift(Kind::Left, 64, fixed?),
        M::Psrld | M::Vpsrld => Mark::shift(Kind::Right, 32, fixed?),
        M::Psrlq | M::Vpsrlq => Mark::shift(Kind::Right, 64, fixed?),
        M::Psllw | M::Vpsllw => Mark::shift(Kind::Left, 16, fixed?),
        M::Psrlw | M::Vpsrlw => Mark::shift(Kind::Right, 16, fixed?),
        M::Psrad | M::Vpsrad => Mark::shift(Kind::Arithmetic, 32, fixed?),
        M::Psraw | M::Vpsraw => Mark::shift(Kind::Arithmetic, 16, fixed?),
        M::Vprold => Mark::rotate_left(32, fixed?),
        M::Vprolq => Mark::rotate_left(64, fixed?),
        M::Vprord => Mark::rotate_right(32, fixed?),
        M::Vprorq => Mark::rotate_right(64, fixed?),
        M::Pshufd | M::Vpshufd if instruction.immediate8() == SWAP => Mark::rotate_right(64, 32),
        // The two come in a pair.
        M::Pshuflw | M::Vpshuflw if instruction.immediate8() == SWAP => Mark::rotate_right(32, 16),
        _ => None,
    }
}

/// The immediate that says by how much, which is the last operand.
fn amount(instruction: &Instruction) -> Option<u32> {
    let last = instruction.op_count().checked_sub(1)?;
    (instruction.op_kind(last) == OpKind::Immediate8).then(|| u32::from(instruction.immediate8()))
}

/// Bits of the first operand.
fn width(instruction: &Instruction) -> u32 {
    let bytes = match instruction.op0_kind() {
        OpKind::Register => instruction.op0_register().size(),
        _ => instruction.memory_size().size(),
    };
    u32::try_from(8 * bytes).unwrap_or(64)
}

/// The first two operands are one register.
fn twice(instruction: &Instruction) -> bool {
    instruction.op0_kind() == OpKind::Register
        && instruction.op1_kind() == OpKind::Register
        && instruction.op0_register() == instruction.op1_register()
}
