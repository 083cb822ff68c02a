mod unexplained;

use std::collections::BTreeMap;

use super::*;
use crate::{
    isa::{CLASSES, Class, Mix},
    profile::{Code, CpuTime, Network, Rounding, SystemUse, Threads},
    shape::Shape,
};

const SECOND: u64 = 1_000_000_000;
const THRESHOLDS: Thresholds = Thresholds::DEFAULT;

fn summary(classes: &[(Class, u32)]) -> Summary {
    let mut counts = [0; CLASSES];
    for (class, count) in classes {
        counts[*class as usize] = *count;
    }
    Summary {
        samples: 400,
        code: Code {
            mix: Mix::from_counts(counts),
            kernel_share: 0.0,
            undecodable_share: 0.0,
            concentration: 0.5,
            hot_lines: 20.0,
            hottest: None,
            places: BTreeMap::new(),
            ..Code::default()
        },
        time: CpuTime {
            steadiness: 1.0,
            since_ns: 0,
            cores: 1.0,
            span_ns: 5 * SECOND,
            ..CpuTime::default()
        },
        threads: Threads {
            sampled: 1,
            ..Threads::default()
        },
        system: SystemUse {
            voluntary: 0.0,
            io: Some(0.0),
            ..SystemUse::default()
        },
        ..Summary::default()
    }
}

fn miner() -> Summary {
    let code = summary(&[
        (Class::Rotate, 20),
        (Class::Xor, 30),
        (Class::Add, 20),
        (Class::Move, 30),
    ]);
    Summary {
        code: Code {
            mixing: code.code.mix,
            mixing_share: 1.0,
            ..code.code
        },
        network: Network {
            shape: Shape::pool_like(),
            ..code.network
        },
        ..code
    }
}

/// The same with no connection at all.
fn hashing() -> Summary {
    Summary {
        network: Network {
            shape: Shape {
                looks: 3,
                ..Shape::default()
            },
            ..miner().network
        },
        ..miner()
    }
}

fn ordinary() -> Summary {
    summary(&[(Class::Branch, 20), (Class::Move, 60), (Class::Other, 20)])
}

/// Judges each summary a second after the last; the verdicts reported.
fn detections(summaries: &[Summary]) -> Vec<Option<Verdict>> {
    rulings_if(summaries, |_| false)
}

fn rulings_if(summaries: &[Summary], denied: fn(&Assessment) -> bool) -> Vec<Option<Verdict>> {
    let model = Model::shipped().unwrap();
    let mut judgement = Judgement::default();
    let times = (10..).map(|second| second * SECOND);
    let judge = |(summary, now): (&Summary, u64)| {
        let detection = judgement.judge(now, summary, &model, &THRESHOLDS, denied);
        detection.map(|detection| detection.verdict)
    };
    summaries.iter().zip(times).map(judge).collect()
}

#[test]
fn two_judgements_make_a_verdict_and_it_is_reported_once() {
    let found = detections(&[miner(), miner(), miner(), miner()]);
    assert_eq!(found, [None, Some(Verdict::Miner), None, None]);
}

#[test]
fn one_judgement_alone_does_not() {
    assert_eq!(
        detections(&[miner(), ordinary(), miner(), ordinary()]),
        [None; 4]
    );
}

#[test]
fn ordinary_work_is_not_reported() {
    assert_eq!(detections(&[ordinary(), ordinary(), ordinary()]), [None; 3]);
}

#[test]
fn hashing_with_no_way_out_is_reported_as_such() {
    assert_eq!(
        detections(&[hashing(), hashing()]),
        [None, Some(Verdict::Hashing)]
    );
}

#[test]
fn hashing_that_turns_to_mining_is_reported_again() {
    let found = detections(&[hashing(), hashing(), miner(), miner()]);
    assert_eq!(
        found,
        [None, Some(Verdict::Hashing), None, Some(Verdict::Miner)]
    );
}

/// What is certain after two seconds is said then; what is not, waits.
#[test]
fn what_is_less_certain_takes_longer() {
    let mut likely = miner();
    likely.network.shape.pushes = 1;
    likely.network.shape.submissions = 2;
    let found = detections(&vec![likely; 6]);
    let first = found.iter().position(Option::is_some);
    assert_eq!(first, Some(3), "{found:?}");
}

#[test]
fn an_algorithm_that_only_mines_waits_for_a_look_at_the_connections() {
    let unseen = |span| Summary {
        time: CpuTime {
            span_ns: span * SECOND,
            ..miner().time
        },
        rounding: Rounding {
            switches: 90,
            rounded: 60,
            modes: [20; 3],
        },
        network: Network {
            shape: Shape::default(),
            ..miner().network
        },
        ..miner()
    };
    let seen = |span| Summary {
        network: Network {
            shape: hashing().network.shape,
            ..unseen(span).network
        },
        ..unseen(span)
    };
    assert_eq!(detections(&[unseen(1), unseen(2)]), [None; 2]);
    let miner = Some(Verdict::Miner);
    assert_eq!(detections(&[seen(1), seen(2)]), [None, miner]);
    // What was judged meanwhile counts.
    assert_eq!(
        detections(&[unseen(1), unseen(2), seen(3)]),
        [None, None, miner]
    );
    // But not for ever: what cannot be looked at is no excuse.
    let found = detections(&[1, 2, 3, 4, 5, 6, 7, 8].map(unseen));
    assert!(found[..4].iter().all(Option::is_none), "{found:?}");
    assert!(found.contains(&miner), "{found:?}");
}

#[test]
fn little_burn_is_not_judged() {
    let idle = Summary {
        time: CpuTime {
            cores: 0.01,
            ..miner().time
        },
        ..miner()
    };
    assert_eq!(detections(&[idle.clone(), idle.clone(), idle]), [None; 3]);
}

#[test]
fn a_pause_begins_anew() {
    let idle = Summary {
        time: CpuTime {
            cores: 0.01,
            ..miner().time
        },
        ..miner()
    };
    assert_eq!(detections(&[miner(), idle, miner()]), [None; 3]);
}

#[test]
fn half_a_window_is_enough_for_what_mines_only() {
    let young = |summary: Summary| Summary {
        time: CpuTime {
            span_ns: SECOND * 5 / 2,
            ..summary.time
        },
        ..summary
    };
    assert_eq!(detections(&vec![young(hashing()); 3]), [None; 3]);
    assert_eq!(
        detections(&vec![young(miner()); 2]),
        [None, Some(Verdict::Miner)]
    );
    let moment = Summary {
        time: CpuTime {
            span_ns: SECOND / 2,
            ..miner().time
        },
        ..miner()
    };
    assert_eq!(detections(&vec![moment; 3]), [None; 3]);
}

#[test]
fn few_samples_are_not_judged() {
    let few = Summary {
        samples: MIN_SAMPLES - 1,
        ..miner()
    };
    assert_eq!(detections(&[few.clone(), few.clone(), few]), [None; 3]);
}

#[test]
fn a_denied_process_is_a_miner_whatever_it_does() {
    let found = rulings_if(&[ordinary(), ordinary()], |_| true);
    assert_eq!(found, [None, Some(Verdict::Miner)]);
}

#[test]
fn the_delay_counts_from_the_start_of_the_burn() {
    let model = Model::shipped().unwrap();
    let mut judgement = Judgement::default();
    let mut judge = |second: u64, span: u64| {
        let summary = Summary {
            time: CpuTime {
                span_ns: span * SECOND,
                ..miner().time
            },
            ..miner()
        };
        judgement.judge(second * SECOND, &summary, &model, &THRESHOLDS, |_| false)
    };
    assert_eq!(judge(11, 1), None);
    let detection = judge(12, 2).expect("two judgements");
    assert_eq!(detection.delay_ns, 2 * SECOND);
}

#[test]
fn a_verdict_is_reported_again_after_a_while() {
    let model = Model::shipped().unwrap();
    let mut judgement = Judgement::default();
    let mut reported = 0;
    for second in 0..=(REPEAT_NS / SECOND) + 2 {
        let now = (10 + second) * SECOND;
        let detection = judgement.judge(now, &miner(), &model, &THRESHOLDS, |_| false);
        reported += u32::from(detection.is_some());
    }
    assert_eq!(reported, 2);
}

/// A window of five seconds that ends at `second`, with one busy second.
fn burst(second: u64) -> Summary {
    Summary {
        time: CpuTime {
            steadiness: 0.2,
            since_ns: (second - 5) * SECOND,
            ..miner().time
        },
        ..miner()
    }
}

fn bursts(seconds: impl Iterator<Item = u64>) -> Vec<u64> {
    let model = Model::shipped().unwrap();
    let mut judgement = Judgement::default();
    let mut ruled = |second: &u64| {
        let summary = burst(*second);
        let now_ns = second * SECOND;
        let detection = judgement.judge(now_ns, &summary, &model, &Thresholds::DEFAULT, |_| false);
        detection.is_some()
    };
    seconds.filter(|second| ruled(second)).collect()
}

#[test]
fn one_burst_that_stays_in_the_window_is_not_reported() {
    assert_eq!(bursts(10..15), [0; 0]);
}

#[test]
fn burst_upon_burst_is_reported_after_four_windows() {
    assert_eq!(bursts(10..40), [25]);
}

#[test]
fn a_burst_now_and_then_while_idle_is_not_reported() {
    let model = Model::shipped().unwrap();
    let mut judgement = Judgement::default();
    for second in (10..100).step_by(5) {
        let busy = second % 20 == 0;
        let summary = Summary {
            time: CpuTime {
                cores: if busy { 0.2 } else { 0.0 },
                ..burst(second).time
            },
            ..burst(second)
        };
        let now_ns = second * SECOND;
        let detection = judgement.judge(now_ns, &summary, &model, &Thresholds::DEFAULT, |_| false);
        assert_eq!(detection, None);
    }
}

#[test]
fn only_the_first_report_of_a_verdict_is_marked_so() {
    let model = Model::shipped().unwrap();
    let mut judgement = Judgement::default();
    let mut firsts = Vec::new();
    for second in 10..(REPEAT_NS / SECOND) + 20 {
        let now_ns = second * SECOND;
        let detection = judgement.judge(now_ns, &miner(), &model, &Thresholds::DEFAULT, |_| false);
        firsts.extend(detection.map(|detection| detection.first));
    }
    assert_eq!(firsts, [true, false]);
}
