//! Machine code to a mix of instruction classes.
//!
//! In: the bytes at a sampled instruction pointer. Out: how many instructions
//! of each [`Class`] they hold. Nothing else happens here: no I/O, no clock,
//! no state between calls, and both architectures are compiled on every host,
//! so that a recording from one can be replayed on the other.
//!
//! The bytes belong to a process that may be hostile. Decoding is bounded by
//! the window handed in, allocates nothing and never follows a pointer; bytes
//! that are no instruction end it and are reported as such.
//!
//! A window is read *forward* from the instruction pointer, which is the one
//! place certain to be an instruction boundary, and only up to the first
//! unconditional jump, return or trap: what lies behind that may never run.
//! Code behind a call or a conditional branch runs too, so it counts.
//!
//! The classes say what an instruction computes, not how wide it is: vector
//! forms count with their scalar kin, so that one algorithm looks alike
//! whether it was compiled for a general register or for AVX-512.

mod aarch64;
pub mod constants;
pub mod marks;
mod x86_64;

use serde::{Deserialize, Serialize};

use self::marks::Marks;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_aarch64;
#[cfg(test)]
mod tests_x86_64;

/// What an instruction computes.
///
/// The order is the order of [`Class::ALL`] and of every table indexed by
/// `class as usize`; models are trained on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Class {
    /// Rotation and funnel shift (`shld`, `extr`), and what rotates as part of
    /// more (`xar`, `rax1`, `eor … ror`).
    Rotate,
    /// Shift and bit-field extraction; also each half of a rotate that was
    /// built from two shifts.
    Shift,
    /// Exclusive or, but not the idiom that clears a register.
    Xor,
    /// And, or, not, bitwise select and the bit-manipulation sets. Those that
    /// only set flags (`test`, `tst`) compare, and are [`Class::Other`].
    Logic,
    /// Arbitrary or three-input logic: `vpternlog`, `eor3`, `bcax`.
    Ternary,
    /// Integer add, subtract, negate, absolute difference, and `lea` where it
    /// adds. `cmp` is [`Class::Other`].
    Add,
    /// Integer multiply, alone or with an add. Division is [`Class::Other`].
    Multiply,
    /// AES rounds and key schedule, and the Galois-field set (GFNI) that
    /// ciphers are built from.
    Aes,
    /// SHA-1, SHA-2, SM3 and SM4 rounds and schedules.
    Sha,
    /// Carry-less multiply and CRC.
    Clmul,
    /// Moving lanes, bytes or bits within registers: permute, blend, insert,
    /// extract, interleave, whole-register byte shift, byte swap.
    Shuffle,
    /// Floating-point arithmetic, conversion and comparison.
    Float,
    /// Prefetch hints.
    Prefetch,
    /// Loading a register that holds the rounding mode: `ldmxcsr`, `fldcw`,
    /// `msr fpcr`.
    Rounding,
    /// Jumps, calls, returns and loops.
    Branch,
    /// Loads, stores, copies, broadcasts, widening and narrowing, conditional
    /// moves, address formation without arithmetic, and setting a register to
    /// zero or to all ones.
    Move,
    /// All else: compare, divide, count bits, no-op, system, string.
    Other,
}

/// How many classes there are.
pub const CLASSES: usize = Class::ALL.len();

impl Class {
    /// Every class, in order.
    pub const ALL: [Self; 17] = [
        Self::Rotate,
        Self::Shift,
        Self::Xor,
        Self::Logic,
        Self::Ternary,
        Self::Add,
        Self::Multiply,
        Self::Aes,
        Self::Sha,
        Self::Clmul,
        Self::Shuffle,
        Self::Float,
        Self::Prefetch,
        Self::Rounding,
        Self::Branch,
        Self::Move,
        Self::Other,
    ];

    /// The class's name in reports and models.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rotate => "rotate",
            Self::Shift => "shift",
            Self::Xor => "xor",
            Self::Logic => "logic",
            Self::Ternary => "ternary",
            Self::Add => "add",
            Self::Multiply => "multiply",
            Self::Aes => "aes",
            Self::Sha => "sha",
            Self::Clmul => "clmul",
            Self::Shuffle => "shuffle",
            Self::Float => "float",
            Self::Prefetch => "prefetch",
            Self::Rounding => "rounding",
            Self::Branch => "branch",
            Self::Move => "move",
            Self::Other => "other",
        }
    }
}

/// Instructions counted by class.
///
/// A count that would pass `u32::MAX` stays there: at a hundred windows of 64
/// bytes a second that takes more than a week, longer than any profile lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mix {
    counts: [u32; CLASSES],
}

impl Mix {
    /// From counts in the order of [`Class::ALL`].
    #[must_use]
    pub const fn from_counts(counts: [u32; CLASSES]) -> Self {
        Self { counts }
    }

    /// Counts one instruction.
    pub fn add(&mut self, class: Class) {
        let count = &mut self.counts[class as usize];
        *count = count.saturating_add(1);
    }

    /// Adds all that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine = mine.saturating_add(theirs);
        }
    }

    /// Instructions of one class.
    #[must_use]
    pub const fn count(&self, class: Class) -> u32 {
        self.counts[class as usize]
    }

    /// Instructions of all classes.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.counts
            .iter()
            .fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// One class's part of all instructions, 0 to 1; 0 if there are none.
    #[must_use]
    pub fn share(&self, class: Class) -> f64 {
        match self.total() {
            0 => 0.0,
            total => f64::from(self.count(class)) / f64::from(total),
        }
    }

    /// The part of the instructions that would have to be of another class to
    /// make this the other mix, 0 to 1.
    #[must_use]
    pub fn distance(&self, other: &Self) -> f64 {
        let apart = |class| (self.share(class) - other.share(class)).abs();
        Class::ALL.into_iter().map(apart).sum::<f64>() / 2.0
    }

    /// Every class with its [share](Self::share), in order.
    pub fn shares(&self) -> impl Iterator<Item = (Class, f64)> {
        Class::ALL
            .into_iter()
            .map(|class| (class, self.share(class)))
    }
}

/// The instruction sets that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86, on a 64-bit kernel.
    X86,
    /// 64-bit Arm, little-endian code.
    Aarch64,
}

impl Arch {
    /// The instruction set of the host this was built for, if it can be read.
    pub const HOST: Option<Self> = if cfg!(target_arch = "x86_64") {
        Some(Self::X86_64)
    } else if cfg!(target_arch = "aarch64") {
        Some(Self::Aarch64)
    } else {
        None
    };

    /// The 32-bit instruction set of the same processor, if it can be read.
    #[must_use]
    pub const fn compat(self) -> Option<Self> {
        match self {
            Self::X86_64 | Self::X86 => Some(Self::X86),
            Self::Aarch64 => None,
        }
    }
}

/// What a window of code held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// The instructions that were read.
    pub mix: Mix,
    /// The amounts and constants in them.
    pub marks: Marks,
    /// Reading ended at bytes that are no instruction. What was read before
    /// them is in `mix`.
    pub undecodable: bool,
}

/// Counts the instructions in `code`, which was found at address `ip`.
///
/// Reads forward, up to and including the first unconditional jump, return or
/// trap. An instruction that the end of the window cuts off is not counted,
/// and is not undecodable either.
#[must_use]
pub fn decode(arch: Arch, ip: u64, code: &[u8]) -> Decoded {
    match arch {
        Arch::X86_64 => x86_64::decode(64, ip, code),
        Arch::X86 => x86_64::decode(32, ip, code),
        Arch::Aarch64 => aarch64::decode(ip, code),
    }
}

/// The instructions that [`decode`] would count, as text for a person:
/// one `address: instruction` each, the address in hexadecimal.
///
/// Formatting is far slower than counting: for evidence, not for samples.
#[must_use]
pub fn disassemble(arch: Arch, ip: u64, code: &[u8]) -> Vec<String> {
    match arch {
        Arch::X86_64 => x86_64::disassemble(64, ip, code),
        Arch::X86 => x86_64::disassemble(32, ip, code),
        Arch::Aarch64 => aarch64::disassemble(ip, code),
    }
}
