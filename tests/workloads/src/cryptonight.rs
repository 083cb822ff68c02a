//! `CryptoNight` as Monero had it until 2018 (variant 0), by the processor's AES
//! instructions as miners have it. Nothing but mining uses it.
//!
//! Written after CNS008, "`CryptoNight` Hash Function":
//! <https://cryptonote.org/cns/cns008.txt>.

use std::arch::x86_64::{
    __m128i, _mm_aesenc_si128, _mm_aeskeygenassist_si128, _mm_cvtsi128_si64, _mm_set_epi64x,
    _mm_setzero_si128, _mm_shuffle_epi32, _mm_slli_si128, _mm_unpackhi_epi64, _mm_xor_si128,
};

use anyhow::{Result, ensure};
use groestl::Groestl256;
use jh::Jh256;
use sha2::Digest as _;
use skein::Skein512_256;

use crate::Step;
use crate::grind::{nonce_loop, word};

/// Blocks of 16 bytes in the scratchpad of 2 MiB.
const BLOCKS: usize = (2 << 20) / 16;
/// Rounds of the main loop, each of which reads and writes two blocks.
const ROUNDS: usize = 1 << 19;
/// Blocks that are encrypted at once.
const LANES: usize = 8;
/// Bytes that Keccak takes at once, with a capacity of 512 bits.
const RATE: usize = 136;

/// Keccak's state: 200 bytes.
type State = [u64; 25];
type Pad = Vec<__m128i>;

/// A thread's miner. The scratchpad is its own and kept.
pub(super) fn miner(thread: u32) -> Result<Step> {
    let able = is_x86_feature_detected!("aes") && is_x86_feature_detected!("sse2");
    ensure!(able, "this processor lacks AES instructions");
    // SAFETY: the processor has SSE2, which is all that a zero takes.
    let mut pad: Pad = vec![unsafe { _mm_setzero_si128() }; BLOCKS];
    Ok(nonce_loop(thread, 1, move |header| {
        // SAFETY: the processor has the instructions.
        word(&unsafe { hash(header, &mut pad) })
    }))
}

#[target_feature(enable = "aes,sse2")]
fn hash(input: &[u8], pad: &mut Pad) -> [u8; 32] {
    let mut state = absorb(input);
    fill(&state, pad);
    mix(&state, pad);
    fold(&mut state, pad);
    permute(&mut state);
    finish(&state)
}

fn permute(state: &mut State) {
    keccak::Keccak::new().with_f1600(|f| f(state));
}

/// Keccak as it was before SHA-3, and all of its state.
fn absorb(input: &[u8]) -> State {
    let mut padded = input.to_vec();
    padded.push(1);
    padded.resize(padded.len().next_multiple_of(RATE), 0);
    if let Some(last) = padded.last_mut() {
        *last |= 0x80;
    }
    let mut state = [0; 25];
    for block in padded.chunks_exact(RATE) {
        for (word, bytes) in state.iter_mut().zip(block.as_chunks().0) {
            *word ^= u64::from_le_bytes(*bytes);
        }
        permute(&mut state);
    }
    state
}

/// The digest that the state's lowest bits choose.
fn finish(state: &State) -> [u8; 32] {
    use blake_hash::Digest as _;
    let bytes: Vec<u8> = state.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut digest = [0; 32];
    match state[0] & 3 {
        0 => digest.copy_from_slice(&blake_hash::Blake256::digest(&bytes)),
        1 => digest.copy_from_slice(&Groestl256::digest(&bytes)),
        2 => digest.copy_from_slice(&Jh256::digest(&bytes)),
        _ => digest.copy_from_slice(&Skein512_256::digest(&bytes)),
    }
    digest
}

#[target_feature(enable = "sse2")]
fn pair(low: u64, high: u64) -> __m128i {
    _mm_set_epi64x(high.cast_signed(), low.cast_signed())
}

#[target_feature(enable = "sse2")]
fn low(block: __m128i) -> u64 {
    _mm_cvtsi128_si64(block).cast_unsigned()
}

#[target_feature(enable = "sse2")]
fn high(block: __m128i) -> u64 {
    low(_mm_unpackhi_epi64(block, block))
}

/// The block at this word of the state, which is `at` words from its beginning.
#[target_feature(enable = "sse2")]
fn block(state: &State, at: usize) -> __m128i {
    pair(state[at], state[at + 1])
}

/// The state's bytes 64 to 191, and the ten round keys of AES-256 at this word.
#[target_feature(enable = "aes,sse2")]
fn text_and_keys(state: &State, key: usize) -> ([__m128i; LANES], [__m128i; 10]) {
    let mut text = [_mm_setzero_si128(); LANES];
    for (number, lane) in text.iter_mut().enumerate() {
        *lane = block(state, 8 + 2 * number);
    }
    let (even, odd) = (block(state, key), block(state, key + 2));
    (text, expand(even, odd))
}

/// The first ten round keys of AES-256.
#[target_feature(enable = "aes,sse2")]
fn expand(mut even: __m128i, mut odd: __m128i) -> [__m128i; 10] {
    let mut keys = [even; 10];
    keys[1] = odd;
    macro_rules! next {
        ($number:literal, $constant:literal) => {
            let helped = _mm_aeskeygenassist_si128(odd, $constant);
            even = chain(even, _mm_shuffle_epi32(helped, 0xff));
            keys[$number] = even;
            let helped = _mm_aeskeygenassist_si128(even, 0);
            odd = chain(odd, _mm_shuffle_epi32(helped, 0xaa));
            keys[$number + 1] = odd;
        };
    }
    next!(2, 1);
    next!(4, 2);
    next!(6, 4);
    next!(8, 8);
    keys
}

/// Each word exclusive-or'd with all before it, and with the last word of the other.
#[target_feature(enable = "sse2")]
fn chain(key: __m128i, with: __m128i) -> __m128i {
    let key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
    let key = _mm_xor_si128(key, _mm_slli_si128(key, 8));
    _mm_xor_si128(key, with)
}

#[target_feature(enable = "aes,sse2")]
fn encrypt(text: &mut [__m128i; LANES], keys: &[__m128i; 10]) {
    for key in keys {
        for lane in &mut *text {
            *lane = _mm_aesenc_si128(*lane, *key);
        }
    }
}

/// Fills the scratchpad from the state.
#[target_feature(enable = "aes,sse2")]
fn fill(state: &State, pad: &mut Pad) {
    let (mut text, keys) = text_and_keys(state, 0);
    for blocks in pad.chunks_exact_mut(LANES) {
        encrypt(&mut text, &keys);
        blocks.copy_from_slice(&text);
    }
}

/// The main loop: AES and a multiplication, each at a place that the last one gave.
#[target_feature(enable = "aes,sse2")]
fn mix(state: &State, pad: &mut Pad) {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the lowest 21 bits are the place"
    )]
    let place = |word: u64| (word as usize >> 4) & (BLOCKS - 1);
    let mut a = _mm_xor_si128(block(state, 0), block(state, 4));
    let mut b = _mm_xor_si128(block(state, 2), block(state, 6));
    for _ in 0..ROUNDS {
        let at = place(low(a));
        let c = _mm_aesenc_si128(pad[at], a);
        pad[at] = _mm_xor_si128(b, c);
        let at = place(low(c));
        let there = pad[at];
        let (bottom, top) = low(c).carrying_mul(low(there), 0);
        let sum = pair(low(a).wrapping_add(top), high(a).wrapping_add(bottom));
        pad[at] = sum;
        a = _mm_xor_si128(sum, there);
        b = c;
    }
}

/// Folds the scratchpad into the state.
#[target_feature(enable = "aes,sse2")]
fn fold(state: &mut State, pad: &Pad) {
    let (mut text, keys) = text_and_keys(state, 4);
    for blocks in pad.chunks_exact(LANES) {
        for (lane, block) in text.iter_mut().zip(blocks) {
            *lane = _mm_xor_si128(*lane, *block);
        }
        encrypt(&mut text, &keys);
    }
    for (number, lane) in text.into_iter().enumerate() {
        state[8 + 2 * number] = low(lane);
        state[9 + 2 * number] = high(lane);
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// Of Monero's own tests (`tests/hash/tests-slow.txt`): one for each digest at
    /// the end.
    #[test]
    fn known_hashes() {
        if !is_x86_feature_detected!("aes") {
            return;
        }
        // SAFETY: any x86-64 processor has SSE2.
        let mut pad: Pad = vec![unsafe { _mm_setzero_si128() }; BLOCKS];
        let mut check = |input: &[u8], expected: &str| {
            // SAFETY: the processor has AES, as was just looked at.
            let digest = unsafe { hash(input, &mut pad) };
            let text = digest.iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            });
            assert_eq!(text, expected, "{}", input.escape_ascii());
        };
        check(
            b"de omnibus dubitandum",
            "2f8e3df40bd11f9ac90c743ca8e32bb391da4fb98612aa3b6cdc639ee00b31f5",
        );
        check(
            b"abundans cautela non nocet",
            "722fa8ccd594d40e4a41f3822734304c8d5eff7e1b528408e2229da38ba553c4",
        );
        check(
            b"caveat emptor",
            "bbec2cacf69866a8e740380fe7b818fc78f8571221742d729d9d02d7f8989b87",
        );
        check(
            b"ex nihilo nihil fit",
            "b1257de4efc5ce28c6b40ceb1c6c8f812a64634eb3e81c5220bee9b2b76a6f05",
        );
    }
}
