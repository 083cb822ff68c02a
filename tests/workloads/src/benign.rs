//! Work that keeps a processor as busy as a miner does and hashes nothing.

use std::hint::black_box;

use crate::{Step, Task};

/// Numbers sieved in a step: they fit the first-level cache.
const SIEVE: usize = 8192;

/// Sieve, Collatz sequences and a harmonic sum, about 100 µs a step: stores,
/// additions, unpredictable branches and floating point.
pub(super) fn burn() -> Task {
    Task::new("burn", |number| {
        let mut seed = u64::from(number) + 1;
        let mut composite = vec![false; SIEVE];
        let step: Step = Box::new(move || {
            black_box(sieve(&mut composite));
            for start in seed..seed + 64 {
                black_box(collatz(start));
            }
            black_box(harmonic(2000));
            seed += 64;
            0
        });
        Ok(step)
    })
}

/// How many primes there are below the table's length.
fn sieve(composite: &mut [bool]) -> usize {
    composite.fill(false);
    let mut primes = 0;
    for number in 2..composite.len() {
        if !composite[number] {
            primes += 1;
            for multiple in (number * number..composite.len()).step_by(number) {
                composite[multiple] = true;
            }
        }
    }
    primes
}

/// Steps until the sequence that begins with `number` reaches 1.
fn collatz(mut number: u64) -> u32 {
    let mut steps = 0;
    while number > 1 {
        number = if number.is_multiple_of(2) {
            number / 2
        } else {
            3 * number + 1
        };
        steps += 1;
    }
    steps
}

fn harmonic(terms: u32) -> f64 {
    (1..=terms).map(|term| 1.0 / f64::from(term)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_burners_compute_what_they_say() {
        assert_eq!(sieve(&mut [false; 100]), 25);
        assert_eq!(collatz(27), 111);
        assert!((harmonic(4) - 25.0 / 12.0).abs() < 1e-12);
    }
}
