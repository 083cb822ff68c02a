use monitor_ebpf::TaskSlot;

use super::*;
use unjack_core::{
    event::{Event, Sample},
    isa::Arch,
};

const SECOND: u64 = 1_000_000_000;
/// No process has an id from here on, so that nothing is read of them.
const NO_PROCESS: u32 = u32::MAX - 1000;

/// Process `n` of a crowd, in which each burns a percent less than the one
/// before it.
fn process(n: u32) -> Process {
    Process {
        tgid: NO_PROCESS + n,
        start_ns: 1,
    }
}

fn crowd(size: u32, seconds: u64) -> Collector {
    let mut collector = Collector::new(Arch::X86_64, 600 * SECOND);
    for second in 0..=seconds {
        for n in 0..size {
            // `xor eax, ecx` and a jump: half of either.
            let code = [0x31, 0xc8, 0x75, 0x00];
            let sample = Sample::user(process(n), NO_PROCESS + n, second * SECOND, 0x1000, &code);
            collector.take(&Event::Sample(sample));
        }
        let slot = |n: u32| TaskSlot {
            tid: NO_PROCESS + n,
            tgid: NO_PROCESS + n,
            start_ns: 1,
            group_ns: second * SECOND / 100 * u64::from(100 - n),
            ..TaskSlot::default()
        };
        collector.tick((second + 1) * SECOND, |visit| {
            (0..size).map(slot).for_each(|slot| visit(&slot));
        });
    }
    collector
}

fn shown(collector: &mut Collector, now_s: u64) -> (Vec<Row>, usize) {
    let model = Model::shipped().unwrap();
    let thresholds = Thresholds::DEFAULT;
    rows(collector, &model, &thresholds, now_s * SECOND, |_, _| {})
}

fn pids(rows: &[Row]) -> Vec<u32> {
    rows.iter().map(|row| row.pid - NO_PROCESS).collect()
}

#[test]
fn the_highest_burners_are_shown_and_the_rest_is_counted() {
    let (rows, left_out) = shown(&mut crowd(50, 10), 11);
    assert!(pids(&rows).into_iter().eq(0..40));
    assert_eq!(left_out, 10);
    let first = &rows[0];
    assert!((first.cpu_percent - 100.0).abs() < 1.0, "{first:?}");
    assert_eq!((first.samples, first.enough), (11, false), "{first:?}");
}

#[test]
fn who_is_suspected_or_has_a_verdict_comes_before_who_burns_more() {
    let mut collector = crowd(50, 10);
    let case = |collector: &mut Collector, n| {
        let subject = collector.subject(process(n)).unwrap();
        std::mem::take(&mut subject.case)
    };
    let mut suspect = case(&mut collector, 45);
    suspect.suspected = true;
    collector.subject(process(45)).unwrap().case = suspect;
    let mut miner = case(&mut collector, 49);
    let detection = unjack_core::verdict::Detection::decreed(&Summary::default());
    miner.judgement.adopt(11 * SECOND, detection);
    miner.family = Some(Family::RandomX);
    collector.subject(process(49)).unwrap().case = miner;

    let (rows, _) = shown(&mut collector, 11);
    assert_eq!(&pids(&rows)[..3], [49, 45, 0]);
    assert_eq!((&*rows[0].verdict, &*rows[0].family), ("miner", "randomx"));
    assert_eq!((&*rows[1].verdict, rows[1].suspected), ("none", true));
    assert!(!rows[2].suspected);
}

#[test]
fn a_history_is_of_a_minute_and_ends_now() {
    let mut collector = crowd(1, 100);
    let (rows, _) = shown(&mut collector, 101);
    assert_eq!(rows[0].history, [100.0; HISTORY]);
    let (rows, _) = shown(&mut crowd(2, 3), 4);
    assert_eq!(rows[1].history, [99.0; 3]);
}

#[test]
fn a_mix_has_the_largest_class_first_and_nothing_that_is_not_there() {
    let (rows, _) = shown(&mut crowd(1, 10), 11);
    let mix: Vec<_> = rows[0].mix.iter().map(|part| &*part.class).collect();
    assert_eq!(mix, ["xor", "branch"]);
    assert!((rows[0].mix[0].share - 0.5).abs() < 1e-9);
    assert!(!rows[0].evidence.is_empty());
}

#[test]
fn who_does_not_burn_is_not_shown() {
    let mut collector = Collector::new(Arch::X86_64, 600 * SECOND);
    let sample = Sample::user(process(1), NO_PROCESS + 1, 1, 0x1000, &[0x90]);
    collector.take(&Event::Sample(sample));
    assert_eq!(shown(&mut collector, 2), (Vec::new(), 0));
}
