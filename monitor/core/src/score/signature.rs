//! Which hash it is, by the numbers it signs its code with.
//!
//! In: how often each rotation, shift and constant was seen ([`Summary::marks`]). Out:
//! the [`Signature`] that explains most of them, and how well. The table is of
//! published algorithms; nothing in it is fitted.
//!
//! [`Summary::marks`]: crate::profile::Summary::marks

use std::collections::BTreeMap;

mod algorithm;
mod table;

pub use self::{algorithm::Algorithm, table::SIGNATURES};
use crate::isa::{
    constants::Group,
    marks::{Kind, Mark},
};

/// What an algorithm is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Proof of work, and much else: checksums, passwords, signatures, ciphers.
    Hash,
    /// No hash that anything is mined with: random numbers, tables, checks.
    Other,
}

/// An algorithm, by its numbers.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    /// Which it is.
    pub algorithm: Algorithm,
    /// What it is there for.
    pub purpose: Use,
    /// Bits of its words.
    width: u32,
    /// Rotations, as bits to the right.
    rotations: &'static [u32],
    /// Constants that are its own.
    constants: &'static [Group],
}

/// How well one fits.
#[derive(Clone, Copy, Debug)]
pub struct Match {
    /// Which.
    pub signature: &'static Signature,
    /// 0 to 1: the part of all rotations that are its own, times how many of its own
    /// were seen, of those that as many draws show.
    pub strength: f64,
    /// Rotations that are its own.
    pub rotations: f64,
    /// Part of all rotations that they are, 0 to 1.
    pub own: f64,
    /// Different rotations of its own that were seen.
    pub seen: usize,
}

/// Rotations without which nothing is said: a chance rotation is in any code.
const LEAST: f64 = 8.0;
/// Constants of an algorithm's own that count as much as all of its rotations.
const CONSTANTS: f64 = 12.0;

/// Part of all rotations that an algorithm must explain to be one of a chain.
const PART: f64 = 0.06;
/// Different rotations of its own that it must show for that: one may be anything's.
const AMOUNTS: usize = 2;

/// What was seen of one width of words, by bits; the index of a rotation is to the
/// right.
#[derive(Clone, Copy, Debug)]
struct Moves {
    rotate: [f64; 64],
    left: [f64; 64],
    right: [f64; 64],
}

impl Moves {
    const NONE: Self = Self {
        rotate: [0.0; 64],
        left: [0.0; 64],
        right: [0.0; 64],
    };

    /// Rotations to the right by so many bits. Where a vector unit rotates by two
    /// shifts, each pair of them is one; the left half of one by all bits but one is an
    /// addition.
    fn rotations(&self, width: u32, amount: u32) -> f64 {
        let (right, left) = (amount as usize, (width - amount) as usize);
        let halves = if left == 1 {
            self.right[right]
        } else {
            self.right[right].min(self.left[left])
        };
        self.rotate[right] + halves
    }
}

/// What a summary's marks say of rotations and constants.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// Words of 32 and of 64 bits.
    moves: [Moves; 2],
    /// Constants by group.
    constants: [f64; 64],
    /// All rotations, of either width.
    all: f64,
}

impl Numbers {
    /// Reads marks, each with how often it was seen.
    #[must_use]
    pub fn of(marks: &BTreeMap<Mark, u32>) -> Self {
        let mut numbers = Self {
            moves: [Moves::NONE; 2],
            constants: [0.0; 64],
            all: 0.0,
        };
        for (mark, count) in marks {
            let (amount, count) = (mark.amount() as usize, f64::from(*count));
            let moves = match mark.width() {
                32 => &mut numbers.moves[0],
                64 => &mut numbers.moves[1],
                _ if mark.kind() == Some(Kind::Constant) => {
                    numbers.constants[amount] += count;
                    continue;
                }
                _ => continue,
            };
            match mark.kind() {
                Some(Kind::Rotate) => moves.rotate[amount] += count,
                Some(Kind::Left) => moves.left[amount] += count,
                Some(Kind::Right) => moves.right[amount] += count,
                _ => {}
            }
        }
        numbers.all = [32, 64]
            .into_iter()
            .flat_map(|width| (1..width).map(move |amount| (width, amount)))
            .map(|(width, amount)| numbers.rotations(width, amount))
            .sum();
        numbers
    }

    fn rotations(&self, width: u32, amount: u32) -> f64 {
        self.moves[usize::from(width == 64)].rotations(width, amount)
    }

    /// The algorithm for `purpose` whose numbers explain most, and how well; `None` if
    /// no rotation and no constant is anything's.
    #[must_use]
    pub fn best(&self, purpose: Use) -> Option<Match> {
        SIGNATURES
            .iter()
            .filter(|signature| signature.purpose == purpose)
            .map(|signature| self.fit(signature))
            .max_by(|a, b| a.strength.total_cmp(&b.strength))
            .filter(|found| found.strength > 0.0)
    }

    /// How many candidates of the SHA-3 competition it takes to explain the rotations:
    /// coins chain up to seventeen of them, one after the other.
    #[must_use]
    pub fn candidates(&self) -> usize {
        let mut left = self.clone();
        let mut count = 0;
        for _ in 0..SIGNATURES.len() {
            // The whole stays what it is, so that each must explain a part of it.
            let Some(found) = left.best(Use::Hash) else {
                break;
            };
            if found.own < PART {
                break;
            }
            let candidate = found.signature.algorithm.is_candidate();
            count += usize::from(candidate && found.seen >= AMOUNTS);
            left.remove(found.signature);
        }
        count
    }

    /// Takes away the rotations and constants that are an algorithm's own.
    fn remove(&mut self, signature: &Signature) {
        let moves = &mut self.moves[usize::from(signature.width == 64)];
        for amount in signature.rotations {
            let (right, left) = (*amount as usize, (signature.width - amount) as usize);
            moves.rotate[right] = 0.0;
            moves.right[right] = 0.0;
            moves.left[left] = 0.0;
        }
        for group in signature.constants {
            self.constants[*group as usize] = 0.0;
        }
    }

    fn fit(&self, signature: &'static Signature) -> Match {
        let count = |amount: u32| self.rotations(signature.width, amount);
        let rotations = || signature.rotations.iter().copied();
        let own: f64 = rotations().map(count).sum();
        // A vector unit rotates by whole bytes with a shuffle, which says no amount, and
        // swaps halves for other reasons. The others tell algorithms apart.
        let telling = || rotations().filter(|amount| amount % 8 != 0);
        let drawn: f64 = telling().map(count).sum();
        let seen = telling().filter(|amount| count(*amount) > 0.0).count();
        // So many different ones are seen in as many draws, if all are as likely.
        let kinds = telling().count().max(1) as f64;
        let expected = kinds * -(-drawn / kinds).exp_m1();
        let spread = if expected > 0.0 {
            (seen as f64 / expected).min(1.0)
        } else {
            0.0
        };
        let part = if self.all > 0.0 { own / self.all } else { 0.0 };
        let by_rotations = part * spread * (own / (own + LEAST));
        let named: f64 = (signature.constants.iter())
            .map(|group| self.constants[*group as usize])
            .sum();
        let by_constants = named / (named + CONSTANTS);
        Match {
            signature,
            strength: 1.0 - (1.0 - by_rotations) * (1.0 - by_constants),
            rotations: own,
            own: part,
            seen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(marks: &[(Option<Mark>, u32)]) -> BTreeMap<Mark, u32> {
        let marks = marks.iter();
        marks.map(|(mark, count)| (mark.unwrap(), *count)).collect()
    }

    fn rotating(width: u32, amounts: &[u32]) -> BTreeMap<Mark, u32> {
        let amounts = amounts.iter();
        let all: Vec<_> = amounts
            .map(|by| (Mark::rotate_right(width, *by), 10))
            .collect();
        marks(&all)
    }

    #[test]
    fn a_chain_is_more_than_one_candidate() {
        let candidates = |marks: &[&BTreeMap<Mark, u32>]| {
            let all = marks.iter().flat_map(|marks| marks.iter());
            Numbers::of(&all.map(|(mark, count)| (*mark, *count)).collect()).candidates()
        };
        let amounts = |algorithm: Algorithm| {
            let signature = SIGNATURES.iter().find(|found| found.algorithm == algorithm);
            let signature = signature.expect("it is known");
            rotating(signature.width, signature.rotations)
        };
        for signature in &SIGNATURES {
            let alone = candidates(&[&amounts(signature.algorithm)]);
            assert!(alone <= 1, "{}: {alone}", signature.algorithm);
        }
        let (luffa, cube) = (amounts(Algorithm::Luffa), amounts(Algorithm::CubeHash));
        let (keccak, skein) = (amounts(Algorithm::Keccak), amounts(Algorithm::Skein512));
        assert_eq!(candidates(&[&luffa, &cube]), 2);
        assert_eq!(candidates(&[&keccak, &cube, &luffa]), 3);
        // Skein has most of Keccak's amounts, and more of its own.
        assert!(candidates(&[&skein, &luffa]) >= 2);
        // Two hashes that are used everywhere are no chain of candidates.
        assert_eq!(
            candidates(&[&amounts(Algorithm::Sha256), &amounts(Algorithm::Sha512)]),
            0
        );
    }

    #[track_caller]
    fn check(marks: &BTreeMap<Mark, u32>, expected: Algorithm) {
        let found = Numbers::of(marks).best(Use::Hash).expect("it is known");
        assert_eq!(found.signature.algorithm, expected, "{found:?}");
        assert!(found.strength > 0.7, "{found:?}");
    }

    #[test]
    fn algorithms_are_known_by_their_rotations() {
        check(
            &rotating(32, &[2, 13, 22, 6, 11, 25, 7, 18, 17, 19]),
            Algorithm::Sha256,
        );
        check(&rotating(64, &[32, 24, 16, 63]), Algorithm::Blake2b);
        check(&rotating(32, &[16, 12, 8, 7]), Algorithm::Blake32);
        check(&rotating(32, &[16, 20, 24, 25]), Algorithm::ChaCha);
        check(&rotating(32, &[25, 23, 19, 14]), Algorithm::Salsa20);
    }

    /// A vector unit has no rotation: two shifts, and shuffles for whole bytes.
    #[test]
    fn rotations_of_vectors_are_known_by_their_halves() {
        let half = |kind, by| (Mark::shift(kind, 32, by), 20);
        let salsa = [
            half(Kind::Left, 7),
            half(Kind::Right, 25),
            half(Kind::Left, 9),
            half(Kind::Right, 23),
            half(Kind::Left, 13),
            half(Kind::Right, 19),
            half(Kind::Left, 18),
            half(Kind::Right, 14),
        ];
        check(&marks(&salsa), Algorithm::Salsa20);
        // BLAKE2b by AVX2: 24 and 16 are shuffles, 63 is half an addition.
        let blake = [
            (Mark::rotate_right(64, 32), 40),
            (Mark::shift(Kind::Right, 64, 63), 40),
        ];
        check(&marks(&blake), Algorithm::Blake2b);
    }

    #[test]
    fn what_only_swaps_halves_is_no_algorithm() {
        let swaps = marks(&[(Mark::rotate_right(64, 32), 400)]);
        let found = Numbers::of(&swaps).best(Use::Hash);
        assert!(found.is_none_or(|found| found.strength < 0.1), "{found:?}");
    }

    #[test]
    fn a_few_rotations_by_chance_are_no_algorithm() {
        let found = Numbers::of(&marks(&[(Mark::rotate_right(32, 7), 3)])).best(Use::Hash);
        assert!(found.is_none_or(|found| found.strength < 0.3), "{found:?}");
    }

    #[test]
    fn constants_tell_where_rotations_are_hidden() {
        check(
            &marks(&[(Some(Mark::constant(Group::Sha256 as u8)), 60)]),
            Algorithm::Sha256,
        );
    }

    #[test]
    fn generators_are_known_as_such() {
        let constants = marks(&[(Some(Mark::constant(Group::Random as u8)), 60)]);
        let numbers = Numbers::of(&constants);
        let other = numbers.best(Use::Other).expect("it is known");
        assert!(other.strength > 0.7, "{other:?}");
        assert!(numbers.best(Use::Hash).is_none());
    }
}
