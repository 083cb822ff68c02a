//! The marks of an `aarch64` instruction, by its encoding: see [`crate::isa::marks`].
//!
//! Encodings: Arm Architecture Reference Manual, C4.1 "A64 instruction set encoding".

use crate::isa::{
    constants,
    marks::{Kind, Mark, Marks},
};

/// Collects the marks of a window.
#[derive(Default)]
pub(super) struct Collector {
    /// The register and the number that `movz` and `movk` are putting together.
    constant: Option<(u32, u64)>,
}

impl Collector {
    /// Adds an instruction's marks.
    pub(super) fn add(&mut self, word: u32, marks: &mut Marks) {
        marks.add(scalar(word).or_else(|| vector(word)));
        marks.add(self.constant(word));
    }

    /// A constant that is whole with this instruction.
    fn constant(&mut self, word: u32) -> Option<Mark> {
        // `movz`, and `movk`, which keeps the other bits.
        let keeps = match word & 0x7f80_0000 {
            0x5280_0000 => false,
            0x7280_0000 => true,
            _ => return None,
        };
        let (register, at) = (word & 31, bits(word, 21, 2) * 16);
        let piece = u64::from(bits(word, 5, 16)) << at;
        let before = self.constant.filter(|(of, _)| keeps && *of == register);
        let number = piece | before.map_or(0, |(_, number)| number);
        self.constant = Some((register, number));
        if !keeps {
            return None;
        }
        match u32::try_from(number) {
            Ok(number) => constants::word(number),
            Err(_) => constants::long_word(number),
        }
    }
}

/// So many bits of a word, from that one on.
fn bits(word: u32, from: u32, count: u32) -> u32 {
    (word >> from) & ((1 << count) - 1)
}

/// Of general registers.
fn scalar(word: u32) -> Option<Mark> {
    let width = if word >> 31 == 1 { 64 } else { 32 };
    match bits(word, 23, 6) {
        // Bit fields: a shift if they reach to the end of the register.
        0b10_0110 => {
            let (by, last) = (bits(word, 16, 6), bits(word, 10, 6));
            match bits(word, 29, 2) {
                0b10 if last == width - 1 => Mark::shift(Kind::Right, width, by),
                0b10 if last + 1 == by => Mark::shift(Kind::Left, width, width - by),
                0b00 if last == width - 1 => Mark::shift(Kind::Arithmetic, width, by),
                _ => None,
            }
        }
        // `extr`: of one register twice it rotates.
        0b10_0111 if bits(word, 16, 5) == bits(word, 5, 5) => {
            Mark::rotate_right(width, bits(word, 10, 6))
        }
        // Logic, and additions, of a source that is shifted on its way in.
        _ if bits(word, 24, 5) == 0b0_1010 || bits(word, 24, 5) == 0b0_1011 => {
            let by = bits(word, 10, 6);
            match bits(word, 22, 2) {
                0b00 => Mark::shift(Kind::Left, width, by),
                0b01 => Mark::shift(Kind::Right, width, by),
                0b10 => Mark::shift(Kind::Arithmetic, width, by),
                _ if bits(word, 24, 5) == 0b0_1010 => Mark::rotate_right(width, by),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Of vectors.
fn vector(word: u32) -> Option<Mark> {
    // `xar`, and `rax1`, which rotates by one to the left.
    if word & 0xffe0_0000 == 0xce80_0000 {
        return Mark::rotate_right(64, bits(word, 10, 6));
    }
    if word & 0xffe0_fc00 == 0xce60_8c00 {
        return Mark::rotate_left(64, 1);
    }
    // Advanced SIMD shift by immediate, vectors and single ones.
    if bits(word, 23, 6) != 0b01_1110 || bits(word, 10, 1) != 1 {
        return None;
    }
    let number = bits(word, 16, 7);
    let width = match number >> 3 {
        0 => return None,
        1 => 8,
        2..=3 => 16,
        4..=7 => 32,
        _ => 64,
    };
    let unsigned = bits(word, 29, 1) == 1;
    match (unsigned, bits(word, 11, 5)) {
        // `shl` and `sli`.
        (_, 0b0_1010) => Mark::shift(Kind::Left, width, number - width),
        // `ushr`, `usra` and `sri`.
        (true, 0b0_0000 | 0b0_0010 | 0b0_1000) => {
            Mark::shift(Kind::Right, width, 2 * width - number)
        }
        (false, 0b0_0000 | 0b0_0010) => Mark::shift(Kind::Arithmetic, width, 2 * width - number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Arch, constants::Group, decode};

    #[track_caller]
    fn check(words: &[u32], expected: &[Mark]) {
        let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let decoded = decode(Arch::Aarch64, 0x1000, &code);
        assert_eq!(decoded.marks.iter().collect::<Vec<_>>(), expected);
    }

    fn right(width: u32, amount: u32) -> Mark {
        Mark::rotate_right(width, amount).unwrap()
    }

    fn shift(kind: Kind, width: u32, amount: u32) -> Mark {
        Mark::shift(kind, width, amount).unwrap()
    }

    #[test]
    fn scalar_rotations_and_shifts() {
        // ror w0, w1, #6; eor w0, w1, w2, ror #11; ror x3, x4, #41
        check(
            &[0x1381_1820, 0x4ac2_2c20, 0x93c4_a483],
            &[right(32, 6), right(32, 11), right(64, 41)],
        );
        // lsr w0, w1, #10; lsl x0, x1, #3; asr w0, w1, #5
        check(
            &[0x530a_7c20, 0xd37d_f020, 0x1305_7c20],
            &[
                shift(Kind::Right, 32, 10),
                shift(Kind::Left, 64, 3),
                shift(Kind::Arithmetic, 32, 5),
            ],
        );
        // add x0, x1, x2; extr x0, x1, x2, #9
        check(&[0x8b02_0020, 0x93c2_2420], &[]);
    }

    #[test]
    fn rotations_of_vectors() {
        // shl v0.4s, v1.4s, #7; sri v0.4s, v1.4s, #25; xar v0.2d, v1.2d, v2.2d, #24
        check(
            &[0x4f27_5420, 0x6f27_4420, 0xce82_6020],
            &[
                shift(Kind::Left, 32, 7),
                shift(Kind::Right, 32, 25),
                right(64, 24),
            ],
        );
        // rax1 v0.2d, v1.2d, v2.2d; ushr v0.2d, v1.2d, #63
        check(
            &[0xce62_8c20, 0x6f41_0420],
            &[right(64, 63), shift(Kind::Right, 64, 63)],
        );
    }

    #[test]
    fn constants_are_put_together() {
        // mov w0, #0x2f98; movk w0, #0x428a, lsl #16
        check(
            &[0x5285_f300, 0x72a8_5140],
            &[Mark::constant(Group::Sha256 as u8)],
        );
        // mov w0, #0x2f98; movk w1, #0x428a, lsl #16
        check(&[0x5285_f300, 0x72a8_5141], &[]);
    }
}
