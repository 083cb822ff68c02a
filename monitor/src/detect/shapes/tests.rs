//! Whose connections count for whom; no socket is needed for that.

use super::*;
use crate::telemetry::metrics::Metrics;
use unjack_core::shape::Observation;

const SECOND: u64 = 1_000_000_000;

fn process(tgid: u32) -> Process {
    Process { tgid, start_ns: 1 }
}

fn shapes() -> (Shapes, Metrics) {
    let metrics = Metrics::new("").unwrap();
    (Shapes::new(Arc::new(metrics.traffic.clone())), metrics)
}

/// A look at this second at one that has no connection.
fn nothing(second: u64) -> Connections {
    Connections {
        time_ns: second * SECOND,
        ..Connections::default()
    }
}

/// A look at one with a pool: a job at each tenth second, a share and its answer at
/// the fifth after.
fn pool(second: u64) -> Connections {
    let (jobs, shares) = (second / 10, (second + 5) / 10);
    let count = |messages: u64| u32::try_from(messages).unwrap();
    let (job_ms, share_ms) = (second % 10 * 1000 + 400, (second + 5) % 10 * 1000 + 400);
    let connection = Observation {
        cookie: 1,
        peer: "192.0.2.7:3333".parse().unwrap(),
        outward: true,
        sent: 150 * shares,
        received: 400 * jobs + 70 * shares,
        segments_out: count(shares),
        segments_in: count(jobs + shares),
        since_sent_ms: count(share_ms),
        since_received_ms: count(job_ms.min(share_ms - 40)),
        rtt_us: 100,
    };
    Connections {
        kept: vec![connection],
        ..nothing(second)
    }
}

/// A minute in which a suspect has no connection, and these are its relatives; who
/// was looked at, and how it ended.
fn minute(relatives: &[u32], look: impl Fn(u32, u64) -> Option<Connections>) -> (Vec<u32>, Shape) {
    let (mut shapes, _metrics) = shapes();
    let suspect = process(1);
    let relatives: Vec<_> = relatives.iter().copied().map(process).collect();
    let mut looked = Vec::new();
    for second in 100..160 {
        shapes.retain(|_| Some(0));
        shapes.take(suspect, second * SECOND, &nothing(second));
        for next in shapes.next(suspect, second * SECOND) {
            match next {
                Next::Nothing => {}
                Next::Search => shapes.take_relatives(suspect, second * SECOND, &relatives),
                Next::Relative(relative) => {
                    looked.push(relative.tgid);
                    let found = look(relative.tgid, second);
                    shapes.take_relative(suspect, relative, found.as_ref());
                }
            }
        }
    }
    (looked, shapes.of(suspect))
}

#[test]
fn a_helpers_pool_is_the_suspects() {
    let (looked, shape) = minute(&[2, 3, 4, 5], |tgid, second| match tgid {
        3 => Some(pool(second)),
        4 => None,
        _ => Some(nothing(second)),
    });
    // The likeliest first, and every second from then on the one with a connection.
    assert_eq!(looked[..8], [2, 3, 3, 4, 3, 5, 3, 3]);
    assert!(shape.related && shape.is_pool_like(), "{shape:?}");
    assert!(shape.pushes >= 4 && shape.submissions >= 4, "{shape:?}");
}

#[test]
fn who_has_no_relative_with_a_pool_has_none() {
    let (looked, shape) = minute(&[2, 3], |_, second| Some(nothing(second)));
    assert_eq!(looked, [2, 3]);
    assert!(!shape.related && shape.looks == 60, "{shape:?}");
    let (looked, _) = minute(&[], |_, _| None);
    assert!(looked.is_empty());
}

#[test]
fn a_suspect_with_a_pool_of_its_own_needs_no_relative() {
    let (mut shapes, _metrics) = shapes();
    for second in 100..140 {
        shapes.take(process(1), second * SECOND, &pool(second));
    }
    let shape = shapes.of(process(1));
    assert!(shape.is_pool_like() && !shape.related, "{shape:?}");
    assert_eq!(shapes.next(process(1), 140 * SECOND), [Next::Nothing; 2]);
}

#[test]
fn only_so_many_relatives_are_followed() {
    let (mut shapes, _metrics) = shapes();
    let (suspect, all) = (process(1), (2..30).map(process).collect::<Vec<_>>());
    shapes.take(suspect, 0, &nothing(100));
    shapes.take_relatives(suspect, 0, &all);
    for (second, relative) in (100..).zip(&all) {
        shapes.take_relative(suspect, *relative, Some(&pool(second)));
        assert!(shapes.observed[&suspect].related.len() <= MAX_RELATED);
    }
    assert!(shapes.observed[&suspect].waiting.is_empty());
    // One that accepted a connection and began none is not followed.
    let before = shapes.observed[&suspect].related.len();
    let mut found = pool(150);
    found.kept[0].outward = false;
    shapes.take_relative(suspect, process(40), Some(&found));
    let related = &shapes.observed[&suspect].related;
    assert_eq!((before, related.len()), (MAX_RELATED, MAX_RELATED));
    assert!(related.iter().all(|it| it.process != process(40)));
}

#[test]
fn a_shape_goes_with_its_process_or_image() {
    let (mut shapes, _metrics) = shapes();
    let take = |shapes: &mut Shapes| {
        for tgid in 1..=3 {
            shapes.take(process(tgid), 0, &nothing(1));
        }
    };
    let known = |shapes: &Shapes| [1, 2, 3].map(|tgid| !shapes.of(process(tgid)).is_unknown());
    take(&mut shapes);
    shapes.executes(process(1));
    assert_eq!(known(&shapes), [false, true, true]);
    take(&mut shapes);
    shapes.retain(|process| (process.tgid != 1).then_some(0));
    assert_eq!(known(&shapes), [false, true, true]);
    // An exec whose record was lost.
    shapes.retain(|process| Some(u32::from(process.tgid == 2)));
    assert_eq!(known(&shapes), [false, false, true]);
}

#[test]
fn beyond_the_bound_only_the_stale_make_room() {
    let (mut shapes, metrics) = shapes();
    let most = u32::try_from(MAX_OBSERVED).unwrap();
    for tgid in 0..most {
        shapes.take(process(tgid), 0, &nothing(100 + u64::from(tgid > 0)));
    }
    assert_eq!(metrics.traffic.observers_dropped.get(), 0);
    shapes.take(process(most), 0, &nothing(101));
    assert!(shapes.of(process(most)).is_unknown());
    assert_eq!(metrics.traffic.observers_dropped.get(), 1);
    shapes.take(process(most), 0, &nothing(100 + STALE_NS / SECOND));
    assert!(!shapes.of(process(most)).is_unknown());
    assert!(shapes.of(process(0)).is_unknown());
    assert_eq!(shapes.observed.len(), MAX_OBSERVED);
}
