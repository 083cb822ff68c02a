//! The loop that is to be found: proof of work as Bitcoin has it, SHA-256 of the
//! SHA-256 of an 80-byte header, nonce after nonce, for a pool.

use std::{
    hint::black_box,
    io::{self, Read, Write},
    time::{Duration, Instant},
};

use rustix::{
    process::{Signal, set_parent_process_death_signal},
    thread::set_name,
};
use sha2::{Digest, Sha256};

use super::work::Work;
use crate::host::clock::monotonic_ns;

/// How long it hashes if it is not ended.
pub(super) const LIFETIME: Duration = Duration::from_mins(2);
/// Hashes between two looks at the clock.
const BATCH: u32 = 4096;
/// Bytes of a block's header, and where its nonce is.
const HEADER: usize = 80;
const NONCE: usize = 76;
/// Where the root of the transactions is, which stands for the pool's work.
const ROOT: std::ops::Range<usize> = 36..68;
/// Time between two looks at what the pool has said: what they take is nothing
/// beside the hashing.
const LOOK: Duration = Duration::from_millis(100);

/// Waits on standard input for the pool's port on 127.0.0.1 (two bytes as this
/// processor orders them), gets work there, tells on standard output when the first
/// hash was done (nanoseconds of `CLOCK_MONOTONIC`, eight bytes likewise), and hashes
/// until it is ended, its parent is gone or two minutes are over.
///
/// # Errors
/// Standard input or output fails, or the pool gives no work.
pub fn run() -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // For people: it is executed under the number of a descriptor.
    set_name(c"unjack-selftest")?;
    // A parent that is gone already leaves nothing to read.
    let mut port = [0; 2];
    io::stdin().read_exact(&mut port)?;
    let mut work = Work::get(u16::from_ne_bytes(port))?;
    let begun = Instant::now();
    let mut looked = begun;
    let mut header = [0; HEADER];
    header[ROOT].copy_from_slice(&work.root());
    let mut nonce: u32 = 0;
    let mut best = hash(&mut header, nonce);
    let mut out = io::stdout();
    out.write_all(&monotonic_ns().to_ne_bytes())?;
    out.flush()?;
    while begun.elapsed() < LIFETIME {
        for _ in 0..BATCH {
            nonce = nonce.wrapping_add(1);
            best = best.min(hash(&mut header, nonce));
        }
        black_box(&best);
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            if work.look(nonce)? {
                header[ROOT].copy_from_slice(&work.root());
            }
        }
    }
    Ok(())
}

/// The hash of the header with this nonce.
fn hash(header: &mut [u8; HEADER], nonce: u32) -> [u8; 32] {
    header[NONCE..].copy_from_slice(&nonce.to_le_bytes());
    Sha256::digest(Sha256::digest(header)).into()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// Block 125552 of Bitcoin's main chain, as the protocol's documentation
    /// works it out: <https://en.bitcoin.it/wiki/Block_hashing_algorithm>.
    #[test]
    fn a_known_blocks_hash() {
        let text = "0100000081cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000\
                    e320b6c2fffc8d750423db8b1eb942ae710e951ed797f7affc8892b0f1fc122bc7f5d74d\
                    f2b9441a42a14695";
        let bytes: Vec<u8> = (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect();
        let mut header: [u8; HEADER] = bytes.try_into().unwrap();
        let nonce = u32::from_le_bytes(header[NONCE..].try_into().unwrap());
        let mut hash = hash(&mut header, nonce);
        hash.reverse();
        let mut hex = String::new();
        for byte in hash {
            write!(hex, "{byte:02x}").unwrap();
        }
        assert_eq!(
            hex,
            "00000000000000001e8d6829a8a21adc5d38d0a473b144b6765798e61f98bd1d"
        );
    }
}
