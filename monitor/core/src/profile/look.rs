//! One sample, decoded and cut down to what a summary needs.

mod row;

use std::ops::Range;

use monitor_ebpf::{REGISTERS, STACK_WORDS};

pub use self::row::Row;
use super::Place;
use crate::{
    event::{Counters, Sample},
    isa::{self, Arch, CLASSES, Class, Mix, marks::Marks},
};

/// Bytes of a cache line, the unit hot code and data are counted in.
pub(super) const LINE: u64 = 64;
/// Bytes of a page, to which code is aligned wherever it is loaded.
const PAGE: u64 = 4096;
/// Addresses below this are not taken for pointers: hash state of 32 bits is
/// all there. Heaps, stacks and libraries of a position-independent program lie
/// above.
const POINTERS_FROM: u64 = 1 << 32;
/// The end of user space with four-level page tables.
const POINTERS_TO: u64 = 1 << 47;
/// What generated code may use as a pointer instead: an offset into `WebAssembly`'s
/// memory. What is smaller counts something, and a compiler puts no data there.
const OFFSETS: Range<u64> = 1 << 10..1 << 26;
/// Set in a line that is no offset's.
pub(super) const POINTER: u32 = 1 << 31;

/// Instructions after which rubbish is not held against a window: a program that
/// puts it behind a branch that is always taken must not look like no code at all.
const STRAIGHT: u32 = 3;

/// Where a pointer into the data may be kept: a register, or a word of the
/// stack.
pub(super) const SLOTS: usize = REGISTERS + STACK_WORDS;

/// Mixing code is what hashes consist of: so much of it rotates, shifts,
/// exclusive-ors or does a round of a cipher or hash, …
const MIXING: f64 = 0.2;
/// … and so little of it branches.
const MIXING_BRANCHES: f64 = 0.12;

/// One sample, decoded. Some 450 bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DecodedSample {
    pub(super) time_ns: u64,
    pub(super) tid: u32,
    pub(super) line: u64,
    pub(super) kernel: bool,
    pub(super) place: Place,
    pub(super) undecodable: bool,
    /// [`Sample::rounding`].
    pub(super) rounding: Option<u8>,
    /// A window holds at most 64 instructions, so a byte a class does.
    pub(super) mix: [u8; CLASSES],
    /// The amounts and constants in its code.
    pub(super) marks: Marks,
    /// It is of mixing code.
    pub(super) mixing: bool,
    /// The cache line each register, and then each word of the stack, points
    /// to: cut to 31 bits, which is enough to tell lines apart, and [`POINTER`] is
    /// set; an offset's as it is; 0 where it holds no pointer.
    pub(super) data: [u32; SLOTS],
    pub(super) counters: Counters,
}

impl DecodedSample {
    /// Decodes a sample of code for `arch`.
    #[must_use]
    pub fn new(arch: Arch, sample: &Sample, place: Place) -> Self {
        let arch = if sample.compat {
            arch.compat()
        } else {
            Some(arch)
        };
        let decoded = arch
            .map(|arch| isa::decode(arch, sample.ip, sample.code()))
            .unwrap_or_default();
        Self {
            time_ns: sample.time_ns,
            tid: sample.tid,
            line: sample.ip / LINE * LINE,
            kernel: sample.kernel,
            place,
            undecodable: decoded.undecodable && decoded.mix.total() < STRAIGHT,
            rounding: sample.rounding,
            marks: decoded.marks,
            mix: Class::ALL.map(|class| u8::try_from(decoded.mix.count(class)).unwrap_or(u8::MAX)),
            mixing: is_mixing(&decoded.mix),
            data: std::array::from_fn(|slot| {
                let word = match slot.checked_sub(REGISTERS) {
                    None => sample.registers[slot],
                    Some(word) => sample.stack[word],
                };
                data_line(word, place == Place::Anonymous)
            }),
            counters: sample.counters,
        }
    }

    /// The kind of memory its code lies in.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// The same look of who left: what was not looked up will never be.
    #[must_use]
    pub fn left(mut self) -> Self {
        if self.place == Place::Unread {
            self.place = Place::Unknown;
        }
        self
    }

    /// The same look with the place of its code within a page only: the same for all
    /// processes of one image, wherever each had it loaded.
    #[must_use]
    pub fn within_page(mut self) -> Self {
        self.line %= PAGE;
        self
    }

    /// Where its code is, rounded down to a cache line; `None` if the sample
    /// interrupted the kernel.
    #[must_use]
    pub fn code_line(&self) -> Option<u64> {
        (!self.kernel).then_some(self.line)
    }

    /// When it was taken.
    #[must_use]
    pub fn time_ns(&self) -> u64 {
        self.time_ns
    }
}

/// Whether code of this mix hashes.
fn is_mixing(mix: &Mix) -> bool {
    let mixing: f64 = [
        Class::Rotate,
        Class::Shift,
        Class::Xor,
        Class::Ternary,
        Class::Aes,
        Class::Sha,
    ]
    .map(|class| mix.share(class))
    .iter()
    .sum();
    mixing >= MIXING && mix.share(Class::Branch) <= MIXING_BRANCHES
}

/// The cache line a word of code points to that is `generated` or not, 0 if it does
/// not look like a pointer.
fn data_line(word: u64, generated: bool) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "see DecodedSample::data")]
    let line = (word / LINE) as u32;
    if (POINTERS_FROM..POINTERS_TO).contains(&word) {
        line | POINTER
    } else if generated && OFFSETS.contains(&word) {
        line
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rubbish_behind_a_branch_does_not_spoil_the_code_before_it() {
        let undecodable = |code: &[u8]| {
            let process = crate::event::Process {
                tgid: 1,
                start_ns: 1,
            };
            let sample = Sample::user(process, 1, 1, 0x1000, code);
            DecodedSample::new(Arch::X86_64, &sample, Place::File).undecodable
        };
        // xor eax, ecx; rol eax, 5; jz +2; two bytes that are nothing
        assert!(!undecodable(&[
            0x31, 0xc8, 0xc1, 0xc0, 0x05, 0x74, 0x02, 0x06, 0x06
        ]));
        assert!(undecodable(&[0x06; 8]));
    }

    #[test]
    fn who_left_is_not_excused_by_what_was_not_looked_up() {
        let process = crate::event::Process {
            tgid: 1,
            start_ns: 1,
        };
        let sample = Sample::user(process, 1, 1, 0x1000, &[0x90]);
        for place in Place::ALL {
            let left = DecodedSample::new(Arch::X86_64, &sample, place)
                .left()
                .place();
            let unknown = place == Place::Unread && left == Place::Unknown;
            assert!(unknown || left == place, "{place:?} becomes {left:?}");
        }
    }

    #[test]
    fn pointers_are_told_from_hash_state() {
        for generated in [false, true] {
            let line = |word| data_line(word, generated);
            assert_eq!(line(0xdead_beef), 0);
            assert_eq!(line(0xdead_beef_dead_beef), 0);
            let (a, b) = (line(0x7fff_1234_5600), line(0x7fff_1234_563f));
            assert!(a == b && a & POINTER != 0);
            assert_ne!(a, line(0x7fff_1234_5640));
            assert_eq!(line(0x7f00_0000_0000), POINTER);
        }
        // The first megabytes count only in generated code, where they are the
        // engine's.
        let both = |word| [data_line(word, false), data_line(word, true)];
        assert_eq!(both(0x10_0040), [0, 0x4001]);
        assert_eq!(both(64), [0, 0]);
        assert_eq!(both(OFFSETS.end), [0, 0]);
    }

    #[test]
    fn mixing_code_is_told_from_a_loop_around_it() {
        let mixing = |code: &[u8]| is_mixing(&isa::decode(Arch::X86_64, 0x1000, code).mix);
        // xor eax, ecx; rol eax, 5; add eax, edx
        assert!(mixing(&[0x31, 0xc8, 0xc1, 0xc0, 0x05, 0x01, 0xd0]));
        // cmp eax, ecx; jne +0; mov ecx, eax
        assert!(!mixing(&[0x39, 0xc8, 0x75, 0x00, 0x89, 0xc1]));
        assert!(!mixing(&[]));
    }
}
