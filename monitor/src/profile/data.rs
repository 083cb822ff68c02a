//! How much data code works through, told from where its registers and the top of
//! its stack point to in one sample after the other.

use super::look::{POINTER, SLOTS};

/// A register or a word of the stack holds a pointer if it does in this part of
/// the samples.
const POINTER_SHARE: f64 = 0.5;
/// Lines that can be told apart.
const LINES_MAX: f64 = 2_147_483_648.0;
/// What goes the same way in this part of its steps counts something, such as
/// nonces: data is worked through again and again.
const COUNTS_FROM: f64 = 0.9;

/// See [`Summary::data_lines`](super::Summary::data_lines): of samples that each
/// hold a thread and the line that every slot points to, 0 for none; in the
/// thread's order.
pub(super) fn data_lines(samples: &[(u32, [u32; SLOTS])]) -> f64 {
    let needed = (POINTER_SHARE * samples.len() as f64).max(2.0);
    let mut held: Vec<u32> = Vec::with_capacity(samples.len());
    let mut most = 0.0_f64;
    for slot in 0..SLOTS {
        held.clear();
        held.extend(
            samples
                .iter()
                .map(|(_, data)| data[slot])
                .filter(|line| *line != 0),
        );
        if held.len() as f64 >= needed && !is_counter(&held) {
            // Some are elsewhere for a moment: the middle part tells the reach.
            most = most.max(working_set(&mut held));
        }
    }
    most
}

/// Whether offsets only grow, or only shrink: a number that is none.
fn is_counter(seen: &[u32]) -> bool {
    if seen.iter().any(|line| line & POINTER != 0) {
        return false;
    }
    let (mut up, mut steps) = (0.0, 0.0);
    for pair in seen.windows(2).filter(|pair| pair[0] != pair[1]) {
        steps += 1.0;
        up += f64::from(u8::from(pair[0] < pair[1]));
    }
    steps > 0.0 && !(1.0 - COUNTS_FROM..=COUNTS_FROM).contains(&(up / steps))
}

/// Into how many lines a pointer points that was seen at these: as many as would
/// show so many different ones, but no more than lie between the outer tenths.
fn working_set(seen: &mut [u32]) -> f64 {
    // Most are always the same: that is seen without sorting.
    if seen.iter().all(|line| *line == seen[0]) {
        return 1.0;
    }
    seen.sort_unstable();
    let count = seen.len();
    let different = seen.chunk_by(|a, b| a == b).count();
    let tenth = count / 10;
    let reach = f64::from(seen[count - 1 - tenth] - seen[tenth]) / 0.8 + 1.0;
    drawn_from(count as f64, different as f64).min(reach)
}

/// How many lines there are if `count` draws show `different` ones: where
/// `different = all * (1 - exp(-count / all))`.
fn drawn_from(count: f64, different: f64) -> f64 {
    let (mut low, mut high) = (different, LINES_MAX);
    // Halving the logarithm: twenty steps are exact enough for a logarithm.
    for _ in 0..20 {
        let all = (low * high).sqrt();
        if all * -(-count / all).exp_m1() < different {
            low = all;
        } else {
            high = all;
        }
    }
    low
}
