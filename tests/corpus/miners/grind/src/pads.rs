//! Hashes with a scratchpad that no crate has for every target: CryptoNight with its
//! AES in tables, as WebAssembly has it, and AstroBWT's suffix sort.

use groestl::Groestl256;
use salsa20::Salsa20;
use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};
use sha3::Digest as _;

use crate::Header;

/// The bytes of Keccak's state.
const STATE: usize = 200;
/// The bytes of a header that go into one block of Keccak.
const RATE: usize = 136;
/// Blocks of AES that are mixed at a time.
const LANES: usize = 8;

/// A kind of CryptoNight.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Bytes of its scratchpad, a power of two.
    pub memory: usize,
    /// Turns of its main loop.
    pub turns: u32,
    /// Whether a turn ends with a division, as that of the heavy kind does.
    pub heavy: bool,
}

/// Monero's first: 2 MiB.
pub const ORIGINAL: Kind = Kind {
    memory: 2 << 20,
    turns: 1 << 19,
    heavy: false,
};
/// AEON's: 1 MiB.
pub const LITE: Kind = Kind {
    memory: 1 << 20,
    turns: 1 << 18,
    heavy: false,
};
/// Sumokoin's: 4 MiB.
pub const HEAVY: Kind = Kind {
    memory: 4 << 20,
    turns: 1 << 18,
    heavy: true,
};
/// TurtleCoin's: 256 KiB.
pub const TURTLE: Kind = Kind {
    memory: 256 << 10,
    turns: 1 << 16,
    heavy: false,
};

/// CryptoNight, with the memory it keeps.
pub struct CryptoNight {
    kind: Kind,
    pad: Vec<u128>,
    tables: Box<[[u32; 256]; 4]>,
    sbox: Box<[u8; 256]>,
}

impl CryptoNight {
    /// Makes one of that kind.
    pub fn new(kind: Kind) -> Self {
        let sbox = Box::new(sbox());
        let mut tables = Box::new([[0; 256]; 4]);
        for (n, &s) in sbox.iter().enumerate() {
            let double = s << 1 ^ (s >> 7) * 0x1b;
            let word = u32::from_le_bytes([double, s, s, double ^ s]);
            for (turn, table) in (0..).zip(tables.iter_mut()) {
                table[n] = word.rotate_left(8 * turn);
            }
        }
        Self {
            kind,
            pad: vec![0; kind.memory / 16],
            tables,
            sbox,
        }
    }

    /// One round of AES as the processor's instruction does it.
    fn round(&self, block: u128, key: u128) -> u128 {
        let b = block.to_le_bytes();
        let word = |n: usize| {
            self.tables[0][usize::from(b[4 * n])]
                ^ self.tables[1][usize::from(b[(4 * n + 5) % 16])]
                ^ self.tables[2][usize::from(b[(4 * n + 10) % 16])]
                ^ self.tables[3][usize::from(b[(4 * n + 15) % 16])]
        };
        let words = u128::from(word(0))
            | u128::from(word(1)) << 32
            | u128::from(word(2)) << 64
            | u128::from(word(3)) << 96;
        words ^ key
    }

    /// The first ten round keys of AES-256.
    fn keys(&self, key: &[u8]) -> [u128; 10] {
        let mut words = [0_u32; 40];
        for (word, bytes) in words.iter_mut().zip(key[..32].chunks_exact(4)) {
            *word = u32::from_le_bytes(bytes.try_into().expect("four bytes"));
        }
        let substitute =
            |word: u32| u32::from_le_bytes(word.to_le_bytes().map(|b| self.sbox[usize::from(b)]));
        let mut constant = 1;
        for n in 8..40 {
            let mut word = words[n - 1];
            if n % 8 == 0 {
                word = substitute(word).rotate_right(8) ^ constant;
                constant <<= 1;
            } else if n % 8 == 4 {
                word = substitute(word);
            }
            words[n] = words[n - 8] ^ word;
        }
        std::array::from_fn(|n| {
            (0..4).fold(0, |key, m| key | u128::from(words[4 * n + m]) << (32 * m))
        })
    }

    fn mix(&self, text: &mut [u128; LANES], keys: &[u128; 10]) {
        for block in text.iter_mut() {
            *block = keys
                .iter()
                .fold(*block, |block, &key| self.round(block, key));
        }
    }

    /// The digest of some bytes, fewer than 136.
    pub fn digest(&mut self, input: &[u8]) -> [u8; 32] {
        let mut state = [0_u8; STATE];
        state[..input.len()].copy_from_slice(input);
        state[input.len()] ^= 1;
        state[RATE - 1] ^= 0x80;
        keccak(&mut state);

        let lanes = |state: &[u8; STATE]| std::array::from_fn(|n| block(&state[64 + 16 * n..]));
        let mut text: [u128; LANES] = lanes(&state);
        let keys = self.keys(&state);
        for at in (0..self.pad.len()).step_by(LANES) {
            self.mix(&mut text, &keys);
            self.pad[at..at + LANES].copy_from_slice(&text);
        }

        self.turn(&state);

        let mut text: [u128; LANES] = lanes(&state);
        let keys = self.keys(&state[32..]);
        for at in (0..self.pad.len()).step_by(LANES) {
            for (block, pad) in text.iter_mut().zip(&self.pad[at..]) {
                *block ^= pad;
            }
            self.mix(&mut text, &keys);
        }
        for (bytes, block) in state[64..192].chunks_exact_mut(16).zip(text) {
            bytes.copy_from_slice(&block.to_le_bytes());
        }
        keccak(&mut state);
        last(&state)
    }

    /// The main loop.
    fn turn(&mut self, state: &[u8; STATE]) {
        let Kind {
            memory,
            turns,
            heavy,
        } = self.kind;
        let cell = |word: u64| (word as usize & (memory - 16)) / 16;
        let mut a = block(state) ^ block(&state[32..]);
        let mut b = block(&state[16..]) ^ block(&state[48..]);
        let mut at = cell(a as u64);
        for _ in 0..turns {
            let c = self.round(self.pad[at], a);
            self.pad[at] = b ^ c;
            at = cell(c as u64);
            let d = self.pad[at];
            let product = u128::from(c as u64) * u128::from(d as u64);
            let low = (a as u64).wrapping_add((product >> 64) as u64);
            let high = ((a >> 64) as u64).wrapping_add(product as u64);
            a = u128::from(low) | u128::from(high) << 64;
            self.pad[at] = a;
            a ^= d;
            at = cell(a as u64);
            if heavy {
                let n = self.pad[at] as i64;
                let d = (self.pad[at] >> 64) as i32;
                let q = n.wrapping_div(i64::from(d | 5));
                self.pad[at] = self.pad[at] >> 64 << 64 | u128::from((n ^ q) as u64);
                at = cell((i64::from(d) ^ q) as u64);
            }
            b = c;
        }
    }
}

fn block(bytes: &[u8]) -> u128 {
    u128::from_le_bytes(bytes[..16].try_into().expect("sixteen bytes"))
}

fn keccak(state: &mut [u8; STATE]) {
    let mut words = std::array::from_fn(|n| {
        u64::from_le_bytes(state[8 * n..8 * n + 8].try_into().expect("eight bytes"))
    });
    tiny_keccak::keccakf(&mut words);
    for (bytes, word) in state.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
}

/// One of four hashes, by the state's first byte.
fn last(state: &[u8; STATE]) -> [u8; 32] {
    let mut digest = [0; 32];
    match state[0] & 3 {
        0 => {
            use blake_hash::Digest;
            digest.copy_from_slice(&blake_hash::Blake256::digest(state));
        }
        1 => digest.copy_from_slice(&Groestl256::digest(state)),
        2 => digest.copy_from_slice(&jh::Jh256::digest(state)),
        _ => digest.copy_from_slice(&skein::Skein512_256::digest(state)),
    }
    digest
}

/// The S-box of AES: inverses in its field, and a linear map.
fn sbox() -> [u8; 256] {
    let mut table = [0x63; 256];
    let (mut p, mut q) = (1_u8, 1_u8);
    loop {
        p ^= p << 1 ^ (p >> 7) * 0x1b;
        q ^= q << 1;
        q ^= q << 2;
        q ^= q << 4;
        q ^= (q >> 7) * 0x09;
        table[usize::from(p)] =
            q ^ q.rotate_left(1) ^ q.rotate_left(2) ^ q.rotate_left(3) ^ q.rotate_left(4) ^ 0x63;
        if p == 1 {
            return table;
        }
    }
}

/// Bytes of the first text that AstroBWT sorts, and at most of the second.
const TEXT: (usize, usize) = (147_253, 1 << 20);

/// AstroBWT, as Dero had it until 2022: a key stream's suffixes are sorted, twice.
pub fn astrobwt(header: &Header) -> [u8; 32] {
    let key: [u8; 32] = sha3::Sha3_256::digest(header).into();
    let first = sorted(key, TEXT.0);
    let more = u64::from_le_bytes(first[..8].try_into().expect("eight bytes")) as usize
        % (TEXT.1 - TEXT.0);
    sorted(first, TEXT.0 + more / 8)
}

/// The digest of the order of a key stream's suffixes.
fn sorted(key: [u8; 32], length: usize) -> [u8; 32] {
    let mut text = vec![0_u8; length];
    Salsa20::new(&key.into(), &[0; 8].into()).apply_keystream(&mut text);
    let mut order = vec![0; length];
    divsufsort::sort_in_place(&text, &mut order);
    let mut digest = sha3::Sha3_256::new();
    for piece in order {
        digest.update(piece.to_le_bytes());
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cryptonight_is_that_of_its_standard() {
        let digest = CryptoNight::new(ORIGINAL).digest(b"This is a test");
        let text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            text,
            "a084f01d1437a09c6985401b60d43554ae105802c5f5d8a9b3253649c0be6605"
        );
    }
}
