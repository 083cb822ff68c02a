//! Proof-of-work hashes of published crates, by name, and the loop over nonces.
//!
//! Built as a library for WebAssembly, `grind.js` calls [`grind`] as a miner in
//! node or in a page does; built as a program, `main.rs` does.

mod pads;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use groestl::Groestl512;
use sha2::{Digest, Sha256, Sha512};
use sha3::{Keccak256, Sha3_256};
use skein::Skein512_512;
use streebog::{Streebog256, Streebog512};
use whirlpool::Whirlpool;

/// A block header in Bitcoin's layout: the nonce is at its end.
pub type Header = [u8; 80];
/// The words that are compared with the target: of 32 bytes of digest, the most
/// significant.
type Hash = Box<dyn FnMut(&Header) -> u32>;

/// Makes a hash, with the memory it keeps.
type Make = fn() -> Hash;

/// Every hash by its name. The coin in a comment is one that is or was mined
/// with it.
const HASHES: [(&str, Make); 30] = [
    ("groestl", twice::<Groestl512>),    // Groestlcoin
    ("gost", || digest(|h| top(&Streebog256::digest(Streebog512::digest(h))))), // GOSTcoin
    ("whirlpool", twice::<Whirlpool>),   // Whirlcoin
    ("skein2", twice::<Skein512_512>),   // Woodcoin
    ("jh", twice::<jh::Jh512>),          // the fourth of X11
    ("sm3", twice::<sm3::Sm3>),          // Hcash of 2018, among others
    ("cubehash", || digest(|h| top(&cubehash::CubeHash512::digest(h)))), // the eighth of X11
    ("eaglesong", eaglesong),            // Nervos CKB
    ("blake256", blake256),              // Decred
    ("blake512", blake512),              // the first of X11
    ("blake2b", || digest(|h| top(&blake2::Blake2b256::digest(h)))), // Siacoin
    ("blake2s", || digest(|h| top(&blake2::Blake2s256::digest(h)))), // Kadena
    ("blake3", || digest(|h| top(blake3::hash(h).as_bytes()))), // Alephium
    ("keccak", || digest(|h| top(&Keccak256::digest(h)))), // Maxcoin
    ("sha3d", twice::<Sha3_256>),        // BSHA3
    ("sha256d", twice::<Sha256>),        // Bitcoin
    ("sha512d", twice::<Sha512>),        // Radiant's longer kin
    ("argon2d", || argon2(Algorithm::Argon2d, 16_000, 1)), // Argentum
    ("argon2id", || argon2(Algorithm::Argon2id, 512, 3)), // TurtleCoin
    ("scrypt", scrypt),                  // Litecoin
    ("yescrypt", yescrypt),              // GlobalBoost-Y
    ("argon2d-fresh", argon2_fresh),     // 4 MiB, allocated for each hash
    ("scrypt-8192", || scrypt_of(13, 1)), // 1 MiB
    ("scrypt-4m", || scrypt_of(12, 8)),  // 4 MiB
    ("xelis", xelis),                    // XELIS
    ("astrobwt", || digest(|h| top(&pads::astrobwt(h)))), // Dero of 2020
    ("cryptonight", || cryptonight(pads::ORIGINAL)), // Monero of 2014
    ("cryptonight-lite", || cryptonight(pads::LITE)), // AEON
    ("cryptonight-heavy", || cryptonight(pads::HEAVY)), // Sumokoin
    ("cryptonight-turtle", || cryptonight(pads::TURTLE)), // TurtleCoin of 2018
];

/// The number of a hash, by its name.
#[must_use]
pub fn number(name: &str) -> Option<usize> {
    HASHES.iter().position(|(known, _)| *known == name)
}

/// Makes the hash of that number, if there is one.
#[must_use]
pub fn hash(number: usize) -> Option<Hash> {
    HASHES.get(number).map(|(_, make)| make())
}

fn digest(hash: impl FnMut(&Header) -> u32 + 'static) -> Hash {
    Box::new(hash)
}

fn twice<D: Digest>() -> Hash {
    digest(|header| top(&D::digest(D::digest(header))))
}

fn eaglesong() -> Hash {
    digest(|header| {
        let mut digest = [0; 32];
        eaglesong::eaglesong(header, &mut digest);
        top(&digest)
    })
}

fn blake256() -> Hash {
    use blake_hash::Digest;
    digest(|header| top(&blake_hash::Blake256::digest(header)))
}

fn blake512() -> Hash {
    use blake_hash::Digest;
    digest(|header| top(&blake_hash::Blake512::digest(header)))
}

/// The memory is kept from hash to hash, as miners do.
fn argon2(algorithm: Algorithm, kib: u32, passes: u32) -> Hash {
    let params = Params::new(kib, passes, 1, Some(32)).expect("these are allowed");
    let mut memory = vec![Block::default(); params.block_count()];
    let argon2 = Argon2::new(algorithm, Version::V0x13, params);
    digest(move |header| {
        let mut digest = [0; 32];
        argon2
            .hash_password_into_with_memory(header, header, &mut digest, &mut memory)
            .expect("it takes its own memory");
        top(&digest)
    })
}

/// The memory is allocated anew for each hash, as the crate's plain call has it.
fn argon2_fresh() -> Hash {
    let params = Params::new(4_096, 1, 1, Some(32)).expect("these are allowed");
    let argon2 = Argon2::new(Algorithm::Argon2d, Version::V0x13, params);
    digest(move |header| {
        let mut digest = [0; 32];
        argon2.hash_password_into(header, header, &mut digest).expect("these are allowed");
        top(&digest)
    })
}

fn cryptonight(kind: pads::Kind) -> Hash {
    let mut hash = pads::CryptoNight::new(kind);
    digest(move |header| top(&hash.digest(header)))
}

fn xelis() -> Hash {
    let mut pad = Box::new(xelis_hash::ScratchPad::default());
    digest(move |header| {
        let mut input = xelis_hash::AlignedInput::default();
        let bytes = input.as_mut_slice().expect("it is aligned");
        bytes[..header.len()].copy_from_slice(header);
        top(&xelis_hash::xelis_hash(bytes, &mut pad).expect("it takes its own memory"))
    })
}

fn scrypt() -> Hash {
    scrypt_of(10, 1)
}

/// `log_n` is the logarithm of the cost, `r` the size of a block in 128 bytes.
fn scrypt_of(log_n: u8, r: u32) -> Hash {
    let params = scrypt::Params::new(log_n, r, 1).expect("these are allowed");
    digest(move |header| {
        let mut digest = [0; 32];
        scrypt::scrypt(header, header, &params, &mut digest).expect("it gives 32 bytes");
        top(&digest)
    })
}

fn yescrypt() -> Hash {
    let params = yescrypt::Params::new(yescrypt::Mode::Rw, 2048, 8, 1).expect("allowed");
    digest(move |header| {
        let mut digest = [0; 32];
        yescrypt::yescrypt(header, header, &params, &mut digest).expect("it gives 32 bytes");
        top(&digest)
    })
}

/// What a target is compared with first.
fn top(digest: &[u8]) -> u32 {
    let word = digest[28..32].try_into().expect("four bytes");
    u32::from_le_bytes(word)
}

/// Tries `count` nonces from `nonce` on; the first whose hash is at most `limit`,
/// or nothing.
pub fn search(hash: &mut Hash, header: &mut Header, nonce: u32, count: u32, limit: u32) -> Option<u32> {
    (0..count).map(|n| nonce.wrapping_add(n)).find(|nonce| {
        header[76..].copy_from_slice(&nonce.to_le_bytes());
        hash(header) <= limit
    })
}

/// What the host of a WebAssembly instance uses: one thread, one hash.
#[cfg(target_arch = "wasm32")]
mod host {
    use std::cell::RefCell;

    use super::{Hash, Header};

    struct State {
        header: Header,
        hash: Option<Hash>,
    }

    thread_local! {
        static STATE: RefCell<State> = const { RefCell::new(State { header: [0; 80], hash: None }) };
    }

    /// Where the header is to be written.
    #[unsafe(no_mangle)]
    pub extern "C" fn header() -> *mut u8 {
        STATE.with_borrow_mut(|state| state.header.as_mut_ptr())
    }

    /// Chooses the hash by the number of its name; 0 if there is none such.
    #[unsafe(no_mangle)]
    pub extern "C" fn choose(number: u32) -> u32 {
        STATE.with_borrow_mut(|state| {
            state.hash = super::hash(number as usize);
            u32::from(state.hash.is_some())
        })
    }

    /// See [`super::search`]; -1 for nothing.
    #[unsafe(no_mangle)]
    pub extern "C" fn grind(nonce: u32, count: u32, limit: u32) -> i64 {
        STATE.with_borrow_mut(|State { header, hash }| {
            hash.as_mut()
                .and_then(|hash| super::search(hash, header, nonce, count, limit))
                .map_or(-1, i64::from)
        })
    }

    /// Writes the name of a hash to where the header is; its length, 0 at the end.
    #[unsafe(no_mangle)]
    pub extern "C" fn name(number: u32) -> u32 {
        let Some((name, _)) = super::HASHES.get(number as usize) else {
            return 0;
        };
        STATE.with_borrow_mut(|state| {
            state.header[..name.len()].copy_from_slice(name.as_bytes());
        });
        name.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hash_is_one_of_its_own() {
        let mut seen = std::collections::BTreeSet::new();
        for (name, make) in HASHES {
            let mut hash = make();
            let (one, two) = (hash(&[1; 80]), hash(&[2; 80]));
            assert_ne!(one, two, "{name} looks at the header");
            assert!(seen.insert(one), "{name} is another's");
            assert_eq!(hash(&[1; 80]), one, "{name} is the same again");
        }
    }

    #[test]
    fn a_nonce_is_found_where_every_hash_will_do() {
        let mut hash = HASHES[0].1();
        let mut header = [0; 80];
        assert_eq!(search(&mut hash, &mut header, 7, 3, u32::MAX), Some(7));
        assert_eq!(header[76..], [7, 0, 0, 0]);
    }
}
