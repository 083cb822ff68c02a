//! Honest programs that hash for a living, until killed.
//!
//! Usage: serve login argon2id|argon2id-kept|bcrypt|scrypt|pbkdf2 PORT
//!        serve upload sha256|blake3|xxh3 PORT
//!        serve loop poh|ledger|ed25519|secp256k1|secp256k1-sign|equix|hashx|seal|siphash|wallet

mod http;
mod loops;

use std::env;
use std::process::ExitCode;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use sha2::{Digest as _, Sha256};

/// KiB and passes that OWASP recommends for Argon2id.
const ARGON2: (u32, u32) = (19_456, 2);
/// Bytes of a stored verifier.
const KEY: usize = 32;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["login", mode, port] => verifier(mode).map(|check| http::serve(port, &Login(check))),
        ["upload", mode, port] => digest(mode).map(|make| http::serve(port, &Upload(make))),
        ["loop", mode] => loops::run(mode),
        _ => None,
    };
    if done.is_none() {
        eprintln!("usage: serve login MODE PORT | upload MODE PORT | loop MODE");
    }
    ExitCode::FAILURE
}

type Check = Box<dyn Fn(&[u8]) -> bool + Sync>;

/// Checks the password of each request.
struct Login(Check);

impl http::Service for Login {
    fn answer(&self, body: &mut http::Body<'_>) -> String {
        let mut text = Vec::new();
        while let Some(piece) = body.next() {
            text.extend_from_slice(piece);
        }
        // The last string of a small object is the password.
        let password = text.rsplit(|&byte| byte == b'"').nth(1).unwrap_or_default();
        if (self.0)(password) { "yes" } else { "no" }.to_owned()
    }
}

/// Digests the body of each request.
struct Upload(fn() -> Box<dyn Digest>);

impl http::Service for Upload {
    fn answer(&self, body: &mut http::Body<'_>) -> String {
        let mut digest = (self.0)();
        while let Some(piece) = body.next() {
            digest.update(piece);
        }
        digest.end()
    }
}

trait Digest {
    fn update(&mut self, piece: &[u8]);
    fn end(&mut self) -> String;
}

impl Digest for Sha256 {
    fn update(&mut self, piece: &[u8]) {
        sha2::Digest::update(self, piece);
    }
    fn end(&mut self) -> String {
        format!("{:x}", self.finalize_reset())
    }
}

impl Digest for blake3::Hasher {
    fn update(&mut self, piece: &[u8]) {
        self.update(piece);
    }
    fn end(&mut self) -> String {
        self.finalize().to_hex().to_string()
    }
}

impl Digest for xxhash_rust::xxh3::Xxh3 {
    fn update(&mut self, piece: &[u8]) {
        self.update(piece);
    }
    fn end(&mut self) -> String {
        format!("{:x}", self.digest())
    }
}

fn digest(mode: &str) -> Option<fn() -> Box<dyn Digest>> {
    Some(match mode {
        "sha256" => || Box::new(Sha256::new()),
        "blake3" => || Box::new(blake3::Hasher::new()),
        "xxh3" => || Box::new(xxhash_rust::xxh3::Xxh3::new()),
        _ => return None,
    })
}

/// A verifier that is a derived key.
fn derived(derive: impl Fn(&[u8]) -> [u8; KEY] + Sync + 'static) -> Check {
    let stored = derive(b"password");
    Box::new(move |password| derive(password) == stored)
}

fn verifier(mode: &str) -> Option<Check> {
    const SALT: &[u8] = b"salt of 16 bytes";
    let argon2 = || {
        let params = Params::new(ARGON2.0, ARGON2.1, 1, Some(KEY)).expect("allowed");
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
    };
    Some(match mode {
        // New memory for each, as the crate's plain call has it.
        "argon2id" => {
            let argon2 = argon2();
            derived(move |password| {
                let mut key = [0; KEY];
                argon2
                    .hash_password_into(password, SALT, &mut key)
                    .expect("allowed");
                key
            })
        }
        // Memory that each thread keeps.
        "argon2id-kept" => {
            let argon2 = argon2();
            derived(move |password| {
                thread_local! {
                    static MEMORY: std::cell::RefCell<Vec<Block>> =
                        std::cell::RefCell::new(vec![Block::default(); ARGON2.0 as usize]);
                }
                let mut key = [0; KEY];
                MEMORY.with_borrow_mut(|memory| {
                    argon2
                        .hash_password_into_with_memory(password, SALT, &mut key, memory)
                        .expect("allowed");
                });
                key
            })
        }
        "bcrypt" => {
            let stored = bcrypt::hash("password", 10).expect("a cost that is allowed");
            Box::new(move |password| bcrypt::verify(password, &stored).unwrap_or(false))
        }
        "scrypt" => {
            let params = scrypt::Params::new(14, 8, 1, KEY).expect("allowed");
            derived(move |password| {
                let mut key = [0; KEY];
                scrypt::scrypt(password, SALT, &params, &mut key).expect("allowed");
                key
            })
        }
        "pbkdf2" => {
            derived(|password| pbkdf2::pbkdf2_hmac_array::<Sha256, KEY>(password, SALT, 100_000))
        }
        _ => return None,
    })
}
