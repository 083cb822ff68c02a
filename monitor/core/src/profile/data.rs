//! How much data code works through, told from where its registers and the top of
//! its stack point to in one sample after the other.

use std::collections::BTreeMap;

use super::look::{POINTER, SLOTS};

/// A register or a word of the stack holds a pointer if it does in this part of
/// the samples.
const POINTER_SHARE: f64 = 0.5;
/// Lines that can be told apart.
const LINES_MAX: f64 = 2_147_483_648.0;
/// What goes the same way in this part of its steps counts something, such as
/// nonces: data is worked through again and again.
const COUNTS_FROM: f64 = 0.9;

/// See [`Summary::data_lines`](super::Summary::data_lines): of samples, in order of
/// time, that each hold a thread and the line that every slot points to, 0 for none.
pub(super) fn data_lines(samples: &[(u32, [u32; SLOTS])]) -> f64 {
    let needed = (POINTER_SHARE * samples.len() as f64).max(2.0);
    let mut held: Vec<(u32, u32)> = Vec::with_capacity(samples.len());
    let mut lines: Vec<u32> = Vec::with_capacity(samples.len());
    let mut most = 0.0_f64;
    for slot in 0..SLOTS {
        let slots = samples.iter().map(|(thread, data)| (*thread, data[slot]));
        held.clear();
        held.extend(slots.filter(|(_, line)| *line != 0));
        if held.len() as f64 >= needed && !is_counter(&held) {
            lines.clear();
            lines.extend(held.iter().map(|(_, line)| *line));
            // Some are elsewhere for a moment: the middle part tells the reach.
            most = most.max(working_set(&mut lines));
        }
    }
    most
}

/// Whether most are offsets that, in each thread, only grow or only shrink: a number
/// that is none.
fn is_counter(seen: &[(u32, u32)]) -> bool {
    let offsets = || seen.iter().filter(|(_, line)| line & POINTER == 0);
    if 2 * offsets().count() <= seen.len() {
        return false;
    }
    let (mut up, mut steps) = (0.0, 0.0);
    let mut last = BTreeMap::new();
    for (thread, line) in offsets() {
        if let Some(last) = last.insert(thread, line)
            && last != line
        {
            steps += 1.0;
            up += f64::from(u8::from(last < line));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// How many lines are worked through where one slot held these.
    fn lines(held: impl Iterator<Item = u32>) -> f64 {
        let samples: Vec<_> = held
            .map(|line| {
                let mut data = [0; SLOTS];
                data[40] = line;
                (1, data)
            })
            .collect();
        data_lines(&samples)
    }

    #[test]
    fn offsets_that_only_grow_are_a_nonce() {
        assert!(lines((0..200).map(|n| 1000 + 7 * n)) < 1.0);
        assert!(lines((0..200).map(|n| 9000 - 7 * n)) < 1.0);
        // In between something else lies there.
        let other = |n| {
            if n % 20 == 0 {
                POINTER | n
            } else {
                1000 + 7 * n
            }
        };
        assert!(lines((0..200).map(other)) < 1.0);
        // Two threads, each with nonces of its own.
        let mut samples = Vec::new();
        for n in 0..100 {
            for (thread, from) in [(1, 9000), (2, 1000)] {
                let mut data = [0; SLOTS];
                data[40] = from + 7 * n;
                samples.push((thread, data));
            }
        }
        assert!(data_lines(&samples) < 1.0);
    }

    #[test]
    fn a_buffer_that_is_hashed_again_and_again_is_as_large_as_it_is() {
        // 16 KiB, seen a hundred times a second and gone through ten thousand times.
        let seen = lines((0..480_u32).map(|n| 1000 + n.wrapping_mul(2_654_435_761) % 256));
        assert!((220.0..280.0).contains(&seen), "{seen}");
        let header = lines((0..480_u32).map(|n| 1000 + n / 3 % 2));
        assert!((1.0..3.0).contains(&header), "{header}");
    }
}
