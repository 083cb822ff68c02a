//! What algorithms sign their code with: by how many bits it rotates and shifts, and
//! which constants it holds.
//!
//! A hash is told from other code by these numbers better than by anything else:
//! they are fixed by its specification, and no compiler changes them. SHA-256
//! rotates words of 32 bits by 2, 6, 11, 13, 22 and 25 and by no other amount.
//!
//! Bounds: a window has at most [`MARKS`] marks; what is beyond is not kept, as the
//! next window of the same loop begins elsewhere.

use serde::{Deserialize, Serialize};

/// Marks of one window: code that only rotates has a dozen in 64 bytes.
pub const MARKS: usize = 12;

/// What a mark is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum Kind {
    /// Rotation, as bits to the right.
    Rotate = 1,
    /// Shift to the left.
    Left = 2,
    /// Logical shift to the right.
    Right = 3,
    /// Arithmetic shift to the right.
    Arithmetic = 4,
    /// Rotation by a register's value; the amount is 0.
    Variable = 5,
    /// A constant of a known algorithm: the amount is the number of its
    /// [`Group`](super::constants::Group), the width 8.
    Constant = 6,
}

/// One number that code is signed with, in 16 bits: its kind, the width of the words
/// and the amount.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Mark(u16);

impl Mark {
    /// A rotation to the right of a word of `width` bits; `None` if it moves nothing.
    #[must_use]
    pub fn rotate_right(width: u32, amount: u32) -> Option<Self> {
        let amount = amount % width.max(1);
        (amount != 0).then(|| Self::pack(Kind::Rotate, width, amount))
    }

    /// The same to the left.
    #[must_use]
    pub fn rotate_left(width: u32, amount: u32) -> Option<Self> {
        Self::rotate_right(width, width - amount % width.max(1))
    }

    /// A shift; `None` if it moves nothing, or everything out.
    #[must_use]
    pub fn shift(kind: Kind, width: u32, amount: u32) -> Option<Self> {
        (amount != 0 && amount < width).then(|| Self::pack(kind, width, amount))
    }

    /// A rotation by a register's value.
    #[must_use]
    pub fn variable(width: u32) -> Self {
        Self::pack(Kind::Variable, width, 0)
    }

    /// A constant of the group with this number.
    #[must_use]
    pub fn constant(group: u8) -> Self {
        Self::pack(Kind::Constant, 8, u32::from(group))
    }

    fn pack(kind: Kind, width: u32, amount: u32) -> Self {
        // Widths 8, 16, 32 and 64 are 0 to 3; amounts are below 64.
        let width = width.max(8).trailing_zeros().saturating_sub(3).min(3);
        #[expect(clippy::cast_possible_truncation, reason = "two and six bits")]
        let low = (((width & 3) << 6) | (amount & 63)) as u16;
        Self(((kind as u16) << 8) | low)
    }

    /// What it is of; `None` if it is no mark.
    #[must_use]
    pub fn kind(self) -> Option<Kind> {
        Some(match self.0 >> 8 {
            1 => Kind::Rotate,
            2 => Kind::Left,
            3 => Kind::Right,
            4 => Kind::Arithmetic,
            5 => Kind::Variable,
            6 => Kind::Constant,
            _ => return None,
        })
    }

    /// Bits of the words: 8, 16, 32 or 64.
    #[must_use]
    pub fn width(self) -> u32 {
        8 << ((self.0 >> 6) & 3)
    }

    /// Bits by which they move, 1 to 63; a constant's group.
    #[must_use]
    pub fn amount(self) -> u32 {
        u32::from(self.0 & 63)
    }

    /// As a number, to be read again by [`from_bits`](Self::from_bits).
    #[must_use]
    pub fn bits(self) -> u16 {
        self.0
    }

    /// From a number; `None` if there is no such mark.
    #[must_use]
    pub fn from_bits(bits: u16) -> Option<Self> {
        Self(bits).kind().map(|_| Self(bits))
    }
}

/// The marks of one window, in the order of its code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    marks: [Mark; MARKS],
    len: u8,
}

impl Marks {
    /// Adds one, if there is room and it is one.
    pub fn add(&mut self, mark: Option<Mark>) {
        if let Some(mark) = mark
            && let Some(slot) = self.marks.get_mut(usize::from(self.len))
        {
            *slot = mark;
            self.len += 1;
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Mark> + '_ {
        self.marks.iter().copied().take(usize::from(self.len))
    }
}

impl FromIterator<Mark> for Marks {
    fn from_iter<I: IntoIterator<Item = Mark>>(marks: I) -> Self {
        let mut all = Self::default();
        for mark in marks {
            all.add(Some(mark));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_is_the_same_from_both_sides() {
        assert_eq!(Mark::rotate_left(32, 7), Mark::rotate_right(32, 25));
        assert_eq!(Mark::rotate_left(64, 1), Mark::rotate_right(64, 63));
        assert_eq!(Mark::rotate_left(32, 32), None);
        assert_eq!(Mark::rotate_right(32, 0), None);
    }

    #[test]
    fn a_mark_tells_what_it_was_made_of() {
        for width in [8, 16, 32, 64] {
            for amount in 1..width {
                let mark = Mark::shift(Kind::Left, width, amount).unwrap();
                assert_eq!(mark.kind(), Some(Kind::Left));
                assert_eq!((mark.width(), mark.amount()), (width, amount));
                assert_eq!(Mark::from_bits(mark.bits()), Some(mark));
            }
            assert_eq!(Mark::shift(Kind::Right, width, width), None);
        }
        assert_eq!(Mark::from_bits(0), None);
        assert_eq!(Mark::from_bits(u16::MAX), None);
    }

    #[test]
    fn what_has_no_room_is_left_out() {
        let mut marks = Marks::default();
        for amount in 1..=30 {
            marks.add(Mark::rotate_right(32, amount));
        }
        assert_eq!(marks.iter().count(), MARKS);
    }
}
