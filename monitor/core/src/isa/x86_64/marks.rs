//! The marks of an x86 instruction: see [`super::super::marks`].

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use crate::isa::{
    constants as known,
    marks::{Kind, Mark, Marks},
};

/// `pshufd` that swaps the halves of each quadword, and `pshuflw` and `pshufhw` that
/// swap those of each doubleword: a rotation by half a word.
const SWAP: u8 = 0xb1;

/// Collects the marks of a window.
#[derive(Default)]
pub(super) struct Collector {
    /// What `cl` holds, if an immediate was put there: an engine that compiles in
    /// haste shifts by that register whatever the code says.
    cl: Option<u32>,
}

impl Collector {
    /// Adds an instruction's marks.
    pub(super) fn add(&mut self, instruction: &Instruction, marks: &mut Marks) {
        marks.add(moves(instruction, self.cl));
        constants(instruction, marks);
        if instruction.op0_kind() == OpKind::Register
            && instruction.op0_register().full_register() == Register::RCX
        {
            let loads = instruction.mnemonic() == Mnemonic::Mov && has_immediate(instruction);
            // Of what is put there a shift takes six bits at the most.
            self.cl = loads.then(|| (instruction.immediate(1) & 63) as u32);
        }
    }
}

fn has_immediate(instruction: &Instruction) -> bool {
    matches!(
        instruction.op1_kind(),
        OpKind::Immediate8 | OpKind::Immediate32 | OpKind::Immediate32to64 | OpKind::Immediate64
    )
}

/// Adds the constants in an instruction.
fn constants(instruction: &Instruction, marks: &mut Marks) {
    for operand in 0..instruction.op_count() {
        marks.add(match instruction.op_kind(operand) {
            OpKind::Immediate32 | OpKind::Immediate32to64 => {
                #[expect(clippy::cast_possible_truncation, reason = "it has 32 bits")]
                let word = instruction.immediate(operand) as u32;
                known::word(word)
            }
            OpKind::Immediate64 => match u32::try_from(instruction.immediate64()) {
                Ok(word) => known::word(word),
                Err(_) => known::long_word(instruction.immediate64()),
            },
            // An `lea` that adds. Other displacements are of tables and stacks.
            OpKind::Memory
                if instruction.mnemonic() == Mnemonic::Lea
                    && instruction.memory_base() != Register::None
                    && !instruction.is_ip_rel_memory_operand() =>
            {
                known::word(instruction.memory_displacement32())
            }
            _ => None,
        });
    }
}

/// By how many bits it rotates or shifts, where `cl` holds that.
fn moves(instruction: &Instruction, cl: Option<u32>) -> Option<Mark> {
    use Mnemonic as M;
    let fixed = amount(instruction, cl);
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

/// What says by how much, which is the last operand: an immediate, or `cl`.
fn amount(instruction: &Instruction, cl: Option<u32>) -> Option<u32> {
    let last = instruction.op_count().checked_sub(1)?;
    match instruction.op_kind(last) {
        OpKind::Immediate8 => Some(u32::from(instruction.immediate8())),
        OpKind::Register if instruction.op_register(last) == Register::CL => cl,
        _ => None,
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Arch, constants::Group, decode};

    /// The marks of 64-bit code.
    #[track_caller]
    fn check(code: &[u8], expected: &[Mark]) {
        let decoded = decode(Arch::X86_64, 0x1000, code);
        assert!(!decoded.undecodable, "{code:x?}");
        assert_eq!(decoded.marks.iter().collect::<Vec<_>>(), expected);
    }

    fn right(width: u32, amount: u32) -> Mark {
        Mark::rotate_right(width, amount).unwrap()
    }

    #[test]
    fn scalar_rotations() {
        // ror eax,0xd; rol ecx,0x7; rol edx,1
        check(
            &[0xc1, 0xc8, 0x0d, 0xc1, 0xc1, 0x07, 0xd1, 0xc2],
            &[right(32, 13), right(32, 25), right(32, 31)],
        );
        // rorx eax,ecx,0x19; ror rax,0x20
        check(
            &[0xc4, 0xe3, 0x7b, 0xf0, 0xc1, 0x19, 0x48, 0xc1, 0xc8, 0x20],
            &[right(32, 25), right(64, 32)],
        );
        // rol eax,cl; mov ecx,0x10; ror rax,cl; mov ecx,edx; ror rax,cl
        check(
            &[
                0xd3, 0xc0, 0xb9, 0x10, 0x00, 0x00, 0x00, 0x48, 0xd3, 0xc8, 0x89, 0xd1, 0x48, 0xd3,
                0xc8,
            ],
            &[Mark::variable(32), right(64, 16), Mark::variable(64)],
        );
    }

    #[test]
    fn a_double_shift_rotates_one_register_only() {
        // shrd rax,rax,0x17; shrd rax,rcx,0x17
        check(
            &[0x48, 0x0f, 0xac, 0xc0, 0x17, 0x48, 0x0f, 0xac, 0xc8, 0x17],
            &[right(64, 23)],
        );
    }

    #[test]
    fn halves_of_a_vectors_rotation() {
        // vpsrld ymm0,ymm1,0xc; vpslld ymm2,ymm1,0x14; psrlq xmm0,0x3f
        check(
            &[
                0xc5, 0xfd, 0x72, 0xd1, 0x0c, 0xc5, 0xed, 0x72, 0xf1, 0x14, 0x66, 0x0f, 0x73, 0xd0,
                0x3f,
            ],
            &[
                Mark::shift(Kind::Right, 32, 12).unwrap(),
                Mark::shift(Kind::Left, 32, 20).unwrap(),
                Mark::shift(Kind::Right, 64, 63).unwrap(),
            ],
        );
    }

    #[test]
    fn a_vectors_own_rotation_and_its_shuffles() {
        // vprord zmm0,zmm1,0x10; vprolq zmm0,zmm1,0x1
        check(
            &[
                0x62, 0xf1, 0x7d, 0x48, 0x72, 0xc1, 0x10, 0x62, 0xf1, 0xfd, 0x48, 0x72, 0xc9, 0x01,
            ],
            &[right(32, 16), right(64, 63)],
        );
        // pshufd xmm0,xmm1,0xb1; pshufd xmm0,xmm1,0x39
        check(
            &[0x66, 0x0f, 0x70, 0xc1, 0xb1, 0x66, 0x0f, 0x70, 0xc1, 0x39],
            &[right(64, 32)],
        );
    }

    #[test]
    fn constants_stand_in_additions() {
        let sha256 = Mark::constant(Group::Sha256 as u8);
        // add eax,0x428a2f98; lea eax,[rdx+rcx*1+0x71374491]
        check(
            &[
                0x05, 0x98, 0x2f, 0x8a, 0x42, 0x8d, 0x84, 0x0a, 0x91, 0x44, 0x37, 0x71,
            ],
            &[sha256, sha256],
        );
        // movabs rax,0x428a2f98d728ae22
        check(
            &[0x48, 0xb8, 0x22, 0xae, 0x28, 0xd7, 0x98, 0x2f, 0x8a, 0x42],
            &[Mark::constant(Group::Sha512 as u8)],
        );
        // mov eax,0x40; mov rax,[rdx+0x428a2f98]
        check(
            &[
                0xb8, 0x40, 0x00, 0x00, 0x00, 0x48, 0x8b, 0x82, 0x98, 0x2f, 0x8a, 0x42,
            ],
            &[],
        );
    }
}
