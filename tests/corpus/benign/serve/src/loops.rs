//! Work without a connection: ledgers, signatures, client puzzles, seals, tables.

use std::collections::HashMap;
use std::hash::Hasher as _;
use std::hint::black_box;

use chacha20poly1305::aead::AeadInPlace as _;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _};
use ed25519_dalek::{Signer as _, Verifier as _};
use sha2::{Digest as _, Sha256, Sha512};

/// Hashes between two entries of a ledger.
const TICK: u32 = 12_500;
/// Messages whose signatures are verified in turn.
const MESSAGES: u32 = 256;
/// Bytes that are sealed at a time.
const RECORD: usize = 16 << 10;
/// Rounds that BIP-39 asks of a wallet's seed.
const SEED_ROUNDS: u32 = 2048;

/// Runs a loop until killed; none if there is none of that name.
pub fn run(mode: &str) -> Option<()> {
    match mode {
        "poh" => ledger(false),
        "ledger" => ledger(true),
        "ed25519" => ed25519(),
        "secp256k1" => secp256k1(true),
        "secp256k1-sign" => secp256k1(false),
        "equix" => equix_puzzle(),
        "hashx" => hashx_programs(),
        "seal" => seal(),
        "siphash" => siphash(),
        "wallet" => wallet(),
        _ => return None,
    }
}

/// Proof of history: a chain of SHA-256, into which transactions are mixed once their
/// signatures are verified.
fn ledger(transactions: bool) -> ! {
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let public = key.verifying_key();
    let signature = key.sign(b"transaction");
    let mut state = [0_u8; 32];
    loop {
        for _ in 0..TICK {
            state = Sha256::digest(state).into();
        }
        if transactions && public.verify(b"transaction", &signature).is_ok() {
            let mixed = Sha256::new()
                .chain_update(state)
                .chain_update(signature.to_bytes());
            state = mixed.finalize().into();
        }
        black_box(state);
    }
}

fn ed25519() -> ! {
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let public = key.verifying_key();
    let messages: Vec<_> = (0..MESSAGES)
        .map(|n| n.to_le_bytes().repeat(50))
        .map(|message| (key.sign(&message), message))
        .collect();
    loop {
        for (signature, message) in &messages {
            assert!(public.verify(message, signature).is_ok());
        }
    }
}

fn secp256k1(verify: bool) -> ! {
    use k256::ecdsa::signature::{Signer as _, Verifier as _};
    use k256::ecdsa::{Signature, SigningKey, VerifyingKey};
    let key = SigningKey::from_slice(&[7; 32]).expect("a valid key");
    let public = VerifyingKey::from(&key);
    let signed: Signature = key.sign(b"transaction");
    for n in 0_u64.. {
        if verify {
            assert!(public.verify(b"transaction", &signed).is_ok());
        } else {
            let signature: Signature = key.sign(&n.to_le_bytes());
            black_box(signature);
        }
    }
    unreachable!("the numbers do not end")
}

/// The client puzzle of Tor's onion services: it is solved for a connection.
fn equix_puzzle() -> ! {
    for n in 0_u64.. {
        // Some challenges make no program; the client then takes the next.
        if let Ok(solutions) = equix::solve(&n.to_le_bytes()) {
            black_box(solutions.len());
        }
    }
    unreachable!("the numbers do not end")
}

/// The same puzzle's hash alone: a program for each seed, compiled and run.
fn hashx_programs() -> ! {
    for seed in 0_u64.. {
        if let Ok(program) = hashx::HashX::new(&seed.to_le_bytes()) {
            for n in 0..1 << 16 {
                black_box(program.hash_to_u64(n));
            }
        }
    }
    unreachable!("the numbers do not end")
}

/// Records of a transport that is encrypted.
fn seal() -> ! {
    let cipher = ChaCha20Poly1305::new(&[7; 32].into());
    let mut record = vec![0; RECORD];
    for n in 0_u64.. {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&n.to_le_bytes());
        let tag = cipher.encrypt_in_place_detached(&nonce.into(), b"", &mut record);
        black_box(tag.is_ok());
    }
    unreachable!("the numbers do not end")
}

/// A table that counts words, with the standard library's keyed hash.
fn siphash() -> ! {
    let words: Vec<String> = (0..50_000)
        .map(|n| format!("word {}", n * 7919 % 20_011))
        .collect();
    loop {
        let mut counts: HashMap<&str, u32> = HashMap::new();
        for word in &words {
            *counts.entry(word).or_default() += 1;
        }
        let mut hasher = siphasher::sip::SipHasher24::new();
        hasher.write_usize(counts.len());
        black_box(hasher.finish());
    }
}

/// A wallet that looks for its addresses: seeds from phrases, keys from seeds.
fn wallet() -> ! {
    use k256::ecdsa::{SigningKey, VerifyingKey};
    for n in 0_u64.. {
        let phrase = format!("abandon ability able about above absent {n}");
        let seed =
            pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(phrase.as_bytes(), b"mnemonic", SEED_ROUNDS);
        if let Ok(key) = SigningKey::from_slice(&seed[..32]) {
            let public = VerifyingKey::from(&key).to_encoded_point(true);
            black_box(Sha256::digest(public.as_bytes()));
        }
    }
    unreachable!("the numbers do not end")
}
