//! Nonce loops over the hashes of real coins, by the crates that honest
//! programs use too.
//!
//! These have a subcommand each; [`drivers`](super::drivers) has the others.

use anyhow::anyhow;
use argon2::{Algorithm, Argon2, Block, Version};

use crate::Task;
use crate::grind::{BATCH, nonce_loop, word};

/// Bitcoin's double SHA-256, with the processor's SHA instructions if any.
pub(super) fn sha256d() -> Task {
    use sha2::{Digest, Sha256};
    Task::new("sha256d", |thread| {
        Ok(nonce_loop(thread, BATCH, |header| {
            word(&Sha256::digest(Sha256::digest(header)))
        }))
    })
}

/// The same in plain integer arithmetic.
pub(super) fn sha256d_portable() -> Task {
    use sha2_portable::{Digest, Sha256};
    Task::new("sha256d", |thread| {
        Ok(nonce_loop(thread, BATCH, |header| {
            word(&Sha256::digest(Sha256::digest(header)))
        }))
    })
}

/// Double SHA-512.
pub(super) fn sha512d() -> Task {
    use sha2::{Digest, Sha512};
    Task::new("sha512d", |thread| {
        Ok(nonce_loop(thread, BATCH, |header| {
            word(&Sha512::digest(Sha512::digest(header)))
        }))
    })
}

/// Keccak-256, the padding of before it became SHA-3.
pub(super) fn keccak() -> Task {
    use sha3::{Digest, Keccak256};
    Task::new("keccak", |thread| {
        Ok(nonce_loop(thread, BATCH, |header| {
            word(&Keccak256::digest(header))
        }))
    })
}

/// BLAKE3.
pub(super) fn blake3() -> Task {
    Task::new("blake3", |thread| {
        Ok(nonce_loop(thread, BATCH, |header| {
            word(blake3::hash(header).as_bytes())
        }))
    })
}

/// Litecoin's scrypt: 128 KiB and about half a millisecond a hash.
pub(super) fn scrypt() -> Task {
    Task::new("scrypt", |thread| {
        let params = scrypt::Params::new(10, 1, 1)
            .map_err(|error| anyhow!("scrypt refuses Litecoin's parameters: {error}"))?;
        Ok(nonce_loop(thread, 1, move |header| {
            let mut digest = [0; 32];
            match scrypt::scrypt(header, header, &params, &mut digest) {
                Ok(()) => word(&digest),
                Err(error) => unreachable!("scrypt refuses 32 bytes of output: {error}"),
            }
        }))
    })
}

/// Chukwa's Argon2id: 512 KiB, three passes, one lane. The memory is the
/// thread's own and kept, as miners do.
pub(super) fn argon2() -> Task {
    Task::new("argon2", |thread| {
        let params = argon2::Params::new(512, 3, 1, Some(32))
            .map_err(|error| anyhow!("argon2 refuses Chukwa's parameters: {error}"))?;
        let mut memory = vec![Block::default(); params.block_count()];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        Ok(nonce_loop(thread, 1, move |header| {
            let mut digest = [0; 32];
            match argon2.hash_password_into_with_memory(
                header,
                &header[..16],
                &mut digest,
                &mut memory,
            ) {
                Ok(()) => word(&digest),
                Err(error) => unreachable!("argon2 refuses its own memory: {error}"),
            }
        }))
    })
}
