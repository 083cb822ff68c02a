use std::ops::Range;

use monitor_ebpf::REGISTERS;

use super::*;
use crate::{event::Counters, isa::Class};

const PROCESS: Process = Process {
    tgid: 1,
    start_ns: 2,
};
const SECOND: u64 = 1_000_000_000;

/// `xor eax, ecx; rol eax, 5; jmp .` and what follows a jump.
const XOR_ROL: [u8; 8] = [0x31, 0xc8, 0xc1, 0xc0, 0x05, 0xeb, 0xfe, 0xcc];

fn sample(tid: u32, second: u64, ip: u64) -> Sample {
    Sample::user(PROCESS, tid, second * SECOND, ip, &XOR_ROL)
}

fn profile(samples: &[(u32, u64, u64)]) -> Profile {
    let mut profile = Profile::new(PROCESS);
    for (tid, second, ip) in samples {
        profile.add(Arch::X86_64, &sample(*tid, *second, *ip), Place::File);
    }
    profile
}

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

#[test]
fn an_empty_profile_has_zero_everywhere() {
    let summary = Profile::new(PROCESS).summary(0);
    assert_eq!(summary.samples, 0);
    assert_eq!(summary.code.hottest, None);
    near(summary.code.kernel_share, 0.0);
    near(summary.time.cores, 0.0);
}

#[test]
fn the_mix_is_summed_over_the_window_only() {
    let profile = profile(&[(1, 1, 0x1000), (1, 5, 0x1000), (1, 6, 0x1000)]);
    let mix = profile.summary(5 * SECOND).code.mix;
    assert_eq!(
        (mix.count(Class::Xor), mix.count(Class::Rotate), mix.total()),
        (2, 2, 6)
    );
}

#[test]
fn kernel_samples_count_for_the_share_and_not_for_the_mix() {
    let mut profile = profile(&[(1, 1, 0x1000)]);
    let mut kernel = Sample::user(PROCESS, 1, SECOND, 0x1000, &[]);
    kernel.kernel = true;
    profile.add(Arch::X86_64, &kernel, Place::Unknown);
    let summary = profile.summary(0);
    near(summary.code.kernel_share, 0.5);
    assert_eq!(summary.code.mix.total(), 3);
    near(summary.code.places[&Place::File], 1.0);
}

#[test]
fn one_hot_line_is_full_concentration() {
    let summary = profile(&[(1, 1, 0x1000), (1, 1, 0x1010), (1, 1, 0x103f)]).summary(0);
    near(summary.code.concentration, 1.0);
    near(summary.code.hot_lines, 1.0);
    assert_eq!(summary.code.hottest, Some((0x1000, 1.0)));
}

#[test]
fn all_lines_different_is_none() {
    let summary = profile(&[(1, 1, 0x1000), (1, 1, 0x2000), (1, 1, 0x3000)]).summary(0);
    near(summary.code.concentration, 0.0);
    near(summary.code.hot_lines, 3.0);
}

#[test]
fn threads_are_told_apart() {
    let threads = profile(&[(1, 1, 0), (2, 1, 0), (2, 1, 0)]).threads(0, 1);
    let counts: Vec<(u32, u32)> = threads.iter().map(|(tid, s)| (*tid, s.samples)).collect();
    assert_eq!(counts, [(2, 2), (1, 1)]);
}

#[test]
fn rates_are_taken_over_the_window() {
    let mut profile = Profile::new(PROCESS);
    for second in 0..10 {
        let burned = if second < 5 {
            0
        } else {
            (second - 4) * SECOND / 2
        };
        profile.read(Reading {
            time_ns: second * SECOND,
            cpu_ns: burned,
            voluntary: second * 10,
            io_bytes: Some(second * 1000),
        });
    }
    let summary = profile.summary(4 * SECOND);
    assert_eq!(summary.time.span_ns, 5 * SECOND);
    near(summary.time.cores, 0.5);
    near(summary.system.voluntary, 20.0);
    near(summary.system.io.unwrap(), 2000.0);
}

#[test]
fn unknown_io_stays_unknown() {
    let mut profile = Profile::new(PROCESS);
    profile.read(Reading {
        time_ns: 0,
        io_bytes: Some(1),
        ..Reading::default()
    });
    profile.read(Reading {
        time_ns: SECOND,
        io_bytes: None,
        ..Reading::default()
    });
    assert_eq!(profile.summary(0).system.io, None);
}

/// A reading in which I/O could not be told is no reading without I/O.
#[test]
fn io_that_cannot_be_told_for_a_while_is_that_of_the_rest() {
    let mut profile = Profile::new(PROCESS);
    for second in 0..10 {
        profile.read(Reading {
            time_ns: second * SECOND,
            cpu_ns: second * SECOND / 2,
            io_bytes: (2..8).contains(&second).then_some(second * 1000),
            ..Reading::default()
        });
    }
    near(profile.summary(0).system.io.unwrap(), 2000.0);
}

#[test]
fn counters_that_run_backwards_start_anew() {
    let mut profile = Profile::new(PROCESS);
    profile.read(Reading {
        time_ns: 1,
        cpu_ns: 100,
        ..Reading::default()
    });
    profile.read(Reading {
        time_ns: 2,
        cpu_ns: 50,
        ..Reading::default()
    });
    assert_eq!(profile.summary(0).time.span_ns, 0);
}

#[test]
fn looks_and_readings_are_bounded() {
    let mut profile = Profile::new(PROCESS);
    for n in 0..3 * MAX_LOOKS as u64 {
        profile.add(Arch::X86_64, &sample(1, n, 0), Place::File);
        profile.read(Reading {
            time_ns: n + 1,
            cpu_ns: n,
            ..Reading::default()
        });
    }
    assert_eq!(profile.looks.len(), MAX_LOOKS);
    assert!((MAX_READINGS / 2..=MAX_READINGS).contains(&profile.readings.len()));
    let first = profile.readings[0].time_ns;
    assert_eq!(first, 1, "thinned out, they span all of the time");
}

#[test]
fn reset_forgets() {
    let mut profile = profile(&[(1, 1, 0)]);
    profile.read(Reading::default());
    profile.reset();
    assert_eq!((profile.summary(0).samples, profile.latest()), (0, None));
}

#[test]
fn code_of_32_bits_is_decoded_as_such() {
    let mut sample = Sample::user(PROCESS, 1, SECOND, 0x1000, &[0x40, 0xc3]);
    sample.compat = true;
    let mut profile = Profile::new(PROCESS);
    profile.add(Arch::X86_64, &sample, Place::File);
    let mix = profile.summary(0).code.mix;
    assert_eq!((mix.count(Class::Add), mix.count(Class::Branch)), (1, 1));
}

#[test]
fn a_window_reaches_back_for_enough_samples_and_no_further() {
    let samples: Vec<(u32, u64, u64)> = (100..200).map(|second| (1, second, 0)).collect();
    let profile = profile(&samples);
    let since = |window, samples| {
        profile.since(200 * SECOND, window * SECOND, 60 * SECOND, samples) / SECOND
    };
    assert_eq!(since(5, 2), 195, "enough in the window itself");
    assert_eq!(since(5, 40), 160, "forty samples back");
    assert_eq!(since(5, 90), 140, "as far back as patience goes");
    assert_eq!(since(5, 500), 140, "never that many");
}

#[test]
fn the_newest_code_of_a_line_is_kept() {
    let mut profile = profile(&[(1, 1, 0x1000), (2, 2, 0x1008), (3, 3, 0x2000)]);
    assert_eq!(profile.code(0x1000).map(|sample| sample.tid), Some(2));
    assert_eq!(profile.code(0x3000), None);
    for _ in 0..MAX_CODE {
        profile.add(Arch::X86_64, &sample(4, 4, 0x4000), Place::File);
    }
    assert_eq!(profile.code(0x1000), None, "bounded");
    profile.reset();
    assert_eq!(profile.code(0x4000), None);
}

#[test]
fn a_burst_is_less_steady_than_a_burn() {
    let steadiness = |seconds: &[u64]| {
        let samples: Vec<(u32, u64, u64)> = seconds.iter().map(|second| (1, *second, 0)).collect();
        let mut profile = profile(&samples);
        for second in [5, 10] {
            profile.read(Reading {
                time_ns: second * SECOND,
                ..Reading::default()
            });
        }
        profile.summary(5 * SECOND).time.steadiness
    };
    near(steadiness(&[5, 6, 7, 8, 9]), 1.0);
    near(steadiness(&[7, 7, 7]), 0.2);
    near(steadiness(&[]), 0.0);
}

/// A sample with the counters a thread has after `second` seconds of burning.
fn counted(tid: u32, second: u64, rounds: bool) -> Sample {
    let mut sample = sample(tid, second, 0x1000);
    sample.counters = Counters {
        run_ns: second * SECOND,
        voluntary: second * 3,
        involuntary: 7,
        io_bytes: Some(second * 1000),
        faults: second * 5,
    };
    sample.rounding = Some(if rounds { 2 } else { 0 });
    sample
}

#[test]
fn a_thread_is_judged_by_its_own_counters() {
    let mut profile = Profile::new(PROCESS);
    for second in 1..=5 {
        profile.add(Arch::X86_64, &counted(1, second, false), Place::File);
        profile.add(Arch::X86_64, &sample(2, second, 0x1000), Place::File);
    }
    for (time_ns, io_bytes) in [(0, 0), (5 * SECOND, 1 << 40)] {
        profile.read(Reading {
            time_ns,
            cpu_ns: time_ns,
            io_bytes: Some(io_bytes),
            ..Reading::default()
        });
    }
    let threads = profile.threads(0, 1);
    let (_, summary) = threads.iter().find(|(tid, _)| *tid == 1).unwrap();
    // Four seconds between its samples, of the five that are looked at.
    near(summary.time.cores, 0.8);
    near(summary.system.voluntary, 3.0);
    near(summary.system.io.unwrap(), 1000.0);
    near(summary.system.faults, 5.0);
}

#[test]
fn one_saved_rounding_mode_counts_once() {
    let mut profile = Profile::new(PROCESS);
    for (second, rounds) in [(1, true), (1, true), (1, true), (2, false), (3, true)] {
        profile.add(Arch::X86_64, &counted(1, second, rounds), Place::File);
    }
    let summary = profile.summary(0);
    assert_eq!(
        (summary.rounding.switches, summary.rounding.rounded),
        (3, 2)
    );
}

/// How many lines a pointer is said to work through that was seen at these.
#[track_caller]
fn works_through(place: fn(&mut Sample, u64), address: fn(u64) -> u64, expected: Range<f64>) {
    let mut profile = Profile::new(PROCESS);
    for n in 0..200 {
        let mut sample = sample(1, 1, 0x1000);
        // Hash state is no pointer, even if it is in all registers.
        sample.registers = [(n * 0x9e37_79b9) & 0xffff_ffff; REGISTERS];
        place(&mut sample, address(n));
        profile.add(Arch::X86_64, &sample, Place::File);
    }
    let lines = profile.summary(0).code.data_lines;
    assert!(expected.contains(&lines), "{lines}");
}

fn in_register(sample: &mut Sample, word: u64) {
    sample.registers[3] = word;
}

fn on_stack(sample: &mut Sample, word: u64) {
    sample.stack[40] = word;
}

/// Any line of so many bytes.
fn somewhere<const BYTES: u64>(n: u64) -> u64 {
    0x7f00_0000_0000 + n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % BYTES
}

#[test]
fn the_same_few_bytes_are_few_lines() {
    works_through(in_register, |_| 0x7f00_0000_0000, 0.9..1.1);
    works_through(on_stack, |n| 0x7f00_0000_0000 + n % 2 * 64, 1.0..2.1);
    // Two places far apart are still two.
    works_through(on_stack, |n| 0x7f00_0000_0000 - n % 2 * (1 << 36), 1.0..2.1);
    works_through(in_register, somewhere::<4096>, 40.0..90.0);
}

#[test]
fn data_that_flows_past_is_many_lines() {
    works_through(in_register, somewhere::<0x10_0000>, 8000.0..30_000.0);
    works_through(on_stack, somewhere::<0x10_0000>, 8000.0..30_000.0);
    works_through(
        on_stack,
        |n| 0x7f00_0000_0000 + n * 4096,
        10_000.0..20_000.0,
    );
}

#[test]
fn twins_do_what_the_busiest_does() {
    let mut profile = Profile::new(PROCESS);
    for n in 0..6 {
        for tid in [1, 2] {
            profile.add(Arch::X86_64, &sample(tid, n, 0x1000), Place::File);
        }
        if n == 0 {
            continue;
        }
        let nop = Sample::user(PROCESS, 3, n * SECOND, 0x1000, &[0x90; 8]);
        profile.add(Arch::X86_64, &nop, Place::File);
    }
    let summary = profile.summary(0);
    assert_eq!((summary.threads.sampled, summary.threads.twins), (3, 2));
}

#[test]
fn a_flat_burn_is_told_from_a_restless_one() {
    let flatness = |burns: [u64; 4]| {
        let mut profile = Profile::new(PROCESS);
        let mut cpu_ns = 0;
        for (second, burned) in (0..).zip(burns) {
            cpu_ns += burned;
            profile.read(Reading {
                time_ns: second * SECOND,
                cpu_ns,
                ..Reading::default()
            });
        }
        profile.summary(0).time.flatness
    };
    near(flatness([0, 5, 5, 5]), 1.0);
    near(flatness([0, 0, 0, 9]), 0.0);
}

#[test]
fn nothing_sums_up_to_a_plain_zero() {
    assert_eq!(format!("{:.1}", total([])), "0.0");
    assert_eq!(format!("{:.1}", total([1.0, 0.5])), "1.5");
}
