//! What kinds of connections look like, second after second.

use Way::{In, Out};

use super::*;

const SECOND: u64 = 1_000_000_000;
/// Bytes of a segment.
const SEGMENT: u64 = 1448;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

/// Messages on a connection: when, in milliseconds, which way, and how many bytes.
type Messages = Vec<(u64, Way, u64)>;

fn peer(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, number], 3333))
}

/// What the kernel would say at this millisecond of a connection begun at `begun`.
fn at(ms: u64, begun: u64, cookie: u64, messages: &Messages) -> Observation {
    let so_far = |way: Way| {
        let these = messages.iter().filter(move |it| it.1 == way && it.0 <= ms);
        these.copied()
    };
    let bytes = |way| so_far(way).map(|it| it.2).sum();
    let segments = |way| {
        let all: u64 = so_far(way).map(|it| it.2.div_ceil(SEGMENT)).sum();
        u32::try_from(all).unwrap()
    };
    let since = |way| {
        let last = so_far(way).map(|it| it.0).max().unwrap_or(begun);
        u32::try_from(ms - last).unwrap()
    };
    Observation {
        cookie,
        peer: peer(7),
        outward: true,
        sent: bytes(Out),
        received: bytes(In),
        segments_out: segments(Out),
        segments_in: segments(In),
        since_sent_ms: since(Out),
        since_received_ms: since(In),
        rtt_us: 40_000,
    }
}

/// Looks from second to second at connections that `found` tells of, of a process
/// that burns one core.
fn watch(seconds: u64, every: u64, found: impl Fn(u64) -> Vec<Observation>) -> Shape {
    let mut observer = Observer::default();
    for second in (0..=seconds).step_by(usize::try_from(every).unwrap()) {
        // Not in step with whole seconds, as messages here are.
        let ms = 1000 * second + 137;
        let now_ns = ms * 1_000_000;
        observer.look(now_ns, now_ns, &found(ms), false);
    }
    observer.shape()
}

/// The same of a process that burns as `busy` says of each millisecond.
fn watch_busy(seconds: u64, messages: &Messages, busy: impl Fn(u64) -> bool) -> Shape {
    let mut observer = Observer::default();
    for second in 0..=seconds {
        let ms = 1000 * second + 137;
        let cpu_ms = (0..ms).filter(|ms| busy(*ms)).count() as u64;
        observer.look(
            ms * 1_000_000,
            cpu_ms * 1_000_000,
            &[at(ms, 0, 1, messages)],
            false,
        );
    }
    observer.shape()
}

/// Two minutes of one outward connection.
fn two_minutes(messages: &Messages) -> Shape {
    watch(120, 1, |ms| vec![at(ms, 0, 1, messages)])
}

/// Messages that come again every so many milliseconds.
fn every(ms: u64, message: &[(u64, Way, u64)]) -> Messages {
    let rounds = (0..125_000).step_by(usize::try_from(ms).unwrap());
    rounds
        .flat_map(|begin| message.iter().map(move |it| (begin + it.0, it.1, it.2)))
        .collect()
}

/// A miner's login, jobs every so often, and shares with their answers.
fn pool(job_ms: u64, share_ms: u64) -> Messages {
    let mut all = vec![(50, Out, 240), (90, In, 420)];
    all.extend(every(job_ms, &[(job_ms - 500, In, 380)]));
    all.extend(every(
        share_ms,
        &[(share_ms, Out, 180), (share_ms + 40, In, 70)],
    ));
    all
}

#[track_caller]
fn check_pool(shape: &Shape, pushes: u32, submissions: u32) {
    assert!(shape.is_pool_like(), "{shape:?}");
    assert!(shape.pushes >= pushes, "{shape:?}");
    assert!(shape.submissions >= submissions, "{shape:?}");
    assert!(shape.messages_per_second < 4.0, "{shape:?}");
}

#[track_caller]
fn check_none(messages: &Messages) -> Shape {
    let shape = two_minutes(messages);
    assert_eq!(shape.pushes, 0, "{shape:?}");
    shape
}

#[test]
fn a_pool_at_every_usual_pace() {
    for (job, share) in [(10_000, 3_700), (20_000, 5_300), (30_000, 21_000)] {
        let shape = two_minutes(&pool(job, share));
        let (jobs, shares) = (120_000 / job, 120_000 / share);
        // Those that come with something else within a second are not counted.
        let most = |all: u64| u32::try_from(all / 2).unwrap();
        check_pool(&shape, most(jobs), most(shares));
        assert!(u64::from(shape.pushes) <= jobs + 1 && u64::from(shape.submissions) <= shares + 1);
        assert!((shape.age_seconds - 120.0).abs() < 1.0, "{shape:?}");
    }
}

#[test]
fn a_pool_looked_at_every_other_second() {
    let messages = pool(20_000, 5_300);
    let shape = watch(120, 2, |ms| vec![at(ms, 0, 1, &messages)]);
    check_pool(&shape, 3, 8);
}

#[test]
fn a_miner_that_sends_two_shares_a_second() {
    let shape = two_minutes(&pool(15_000, 523));
    assert!(shape.submissions > 30, "{shape:?}");
}

#[test]
fn polling_over_one_connection() {
    let shape = check_none(&every(5_000, &[(700, Out, 600), (760, In, 900)]));
    assert!(shape.submissions > 0);
    // Neither of a server that takes seconds to answer, at once or in parts.
    check_none(&every(9_000, &[(700, Out, 600), (5_100, In, 1500)]));
    check_none(&every(
        5_000,
        &[(700, Out, 600), (760, In, 800), (900, In, 800)],
    ));
}

#[test]
fn a_long_poll_is_followed_by_the_next() {
    let shape = check_none(&every(15_000, &[(13_000, In, 400), (13_060, Out, 500)]));
    assert_eq!(shape.submissions, 0);
    // The answer just before a look, the next question just after.
    let shape = check_none(&every(15_000, &[(13_100, In, 400), (13_160, Out, 500)]));
    assert_eq!(shape.submissions, 0);
}

#[test]
fn pings_are_answered_at_once() {
    let shape = check_none(&every(20_000, &[(3_000, In, 90), (3_001, Out, 94)]));
    assert_eq!(shape.submissions, 0);
    check_none(&every(20_000, &[(3_000, Out, 33), (3_045, In, 100)]));
}

#[test]
fn heartbeats_are_small() {
    let shape = check_none(&every(30_000, &[(9_000, In, 30), (19_000, Out, 30)]));
    assert_eq!(shape.submissions, 0);
}

#[test]
fn an_idle_connection() {
    let shape = check_none(&vec![(10, Out, 500), (60, In, 900)]);
    let Shape {
        looks,
        submissions,
        peers,
        ..
    } = shape;
    assert_eq!((looks, submissions, peers), (121, 0, 1));
    assert!(two_minutes(&Vec::new()).messages_per_second < 1e-9);
}

#[test]
fn what_carries_data_is_no_pools() {
    for way in [In, Out] {
        let shape = two_minutes(&every(50, &[(0, way, 40_000)]));
        assert_eq!((shape.pushes, shape.submissions), (0, 0), "{shape:?}");
        let flows = [shape.received_per_cpu_second, shape.sent_per_cpu_second];
        let expected = usize::from(way == Out);
        assert!(
            (700_000.0..900_000.0).contains(&flows[expected]),
            "{shape:?}"
        );
        assert!(flows[1 - expected] < 1.0);
    }
}

#[test]
fn a_login_servers_questions_to_its_database() {
    // Four logins a second, two questions each.
    let login = [(0, Out, 90), (2, In, 200), (180, Out, 120), (183, In, 30)];
    check_none(&every(250, &login));
    check_none(&every(2_300, &login));
}

#[test]
fn an_accepted_connection_is_to_no_pool() {
    let messages = pool(10_000, 3_700);
    let shape = watch(120, 1, |ms| {
        let found = at(ms, 0, 1, &messages);
        vec![Observation {
            outward: false,
            ..found
        }]
    });
    assert_eq!((shape.pushes, shape.submissions), (0, 0));
    assert_eq!((shape.accepted, shape.peers), (1, 0));
}

#[test]
fn many_peers_are_counted_up_to_a_bound() {
    let messages = every(4_000, &[(100, In, 61), (120, Out, 61)]);
    // Sixteen at a time, others every second.
    let shape = watch(60, 1, |ms| {
        let first = ms / 1000 * 4;
        let connection = |number: u64| Observation {
            peer: peer(u8::try_from(number % 250).unwrap()),
            ..at(ms, 0, number, &messages)
        };
        (first..first + 16).map(connection).collect()
    });
    assert_eq!(shape.peers, 64);
    assert_eq!(shape.pushes, 0);
}

#[test]
fn the_most_pool_like_connection_is_told_of() {
    let (miner, polls) = (
        pool(10_000, 3_700),
        every(1_000, &[(700, Out, 600), (760, In, 1500)]),
    );
    let shape = watch(120, 1, |ms| {
        let other = Observation {
            peer: peer(9),
            ..at(ms, 0, 2, &polls)
        };
        vec![other, at(ms, 0, 1, &miner)]
    });
    check_pool(&shape, 6, 16);
    assert_eq!(shape.peers, 2);
    assert!(shape.received_per_cpu_second > 1000.0);
}

#[test]
fn a_miner_that_connects_again_goes_on_counting() {
    let messages = pool(10_000, 3_700);
    // Every twenty seconds another connection, and two seconds without.
    let shape = watch(120, 1, |ms| {
        let (turn, into) = (ms / 20_000, ms % 20_000);
        let found = at(into, 0, turn, &messages);
        if into < 18_000 {
            vec![found]
        } else {
            Vec::new()
        }
    });
    check_pool(&shape, 4, 12);
    assert_eq!(shape.peers, 1);
    assert!(shape.age_seconds > 110.0, "{shape:?}");
}

#[test]
fn what_was_before_the_first_look_is_not_counted() {
    let messages = vec![(0, In, 5_000_000), (1, Out, 3_000_000)];
    let shape = watch(2, 1, |ms| vec![at(ms, 0, 1, &messages)]);
    assert!(shape.received_per_cpu_second + shape.sent_per_cpu_second < 1.0);
    assert!((shape.age_seconds - 2.0).abs() < 1e-9);
}

#[test]
fn counters_that_go_back_or_wrap_around_do_no_harm() {
    let mut observer = Observer::default();
    let found = at(0, 0, 1, &Vec::new());
    for (second, count) in [(1, u32::MAX), (2, 4), (3, 0), (1, 7)] {
        let found = Observation {
            segments_in: count,
            segments_out: count,
            received: u64::from(count),
            since_sent_ms: u32::MAX,
            rtt_us: u32::MAX,
            ..found
        };
        observer.look(second * SECOND, (9 - second) * SECOND, &[found], true);
    }
    assert!(observer.shape().listens);
}

#[test]
fn no_more_connections_are_followed_than_there_is_room_for() {
    let mut observer = Observer::default();
    for second in 1..50 {
        let of = |number: u64| Observation {
            peer: peer(u8::try_from(number % 250).unwrap()),
            ..at(0, 0, 100 * second + number, &Vec::new())
        };
        let found: Vec<_> = (0..100).map(of).collect();
        observer.look(second * SECOND, second * SECOND, &found, false);
        assert!(observer.followed() <= MAX_CONNECTIONS);
    }
}

/// A job, its result after so many milliseconds, and that it was taken.
fn job(done_ms: u64) -> [(u64, Way, u64); 3] {
    [(300, In, 250), (done_ms, Out, 150), (done_ms + 40, In, 70)]
}

#[test]
fn a_worker_at_a_queue_is_idle_when_a_job_comes() {
    // A job every so often, and its result when it is done.
    for (every_ms, work_ms) in [
        (3_000, 1_200),
        (7_300, 5_100),
        (20_100, 18_200),
        (61_000, 45_000),
    ] {
        let messages = every(every_ms, &job(300 + work_ms));
        let busy = |ms: u64| (300..300 + work_ms).contains(&(ms % every_ms));
        let shape = watch_busy(120, &messages, busy);
        assert_eq!(shape.pushes, 0, "{every_ms} {shape:?}");
        assert!(shape.submissions > 0, "{every_ms} {shape:?}");
    }
}

#[test]
fn a_miner_that_is_throttled_goes_on() {
    for (on_ms, of_ms) in [(3, 100), (10, 100), (70, 100), (700, 1000)] {
        let shape = watch_busy(120, &pool(10_000, 7_700), |ms| ms % of_ms < on_ms);
        check_pool(&shape, 4, 7);
    }
}

#[test]
fn a_miner_that_is_stopped_four_seconds_in_five_goes_on() {
    // What it would send while it is stopped it sends when it runs again.
    let runs = |ms: u64| ms % 5_000 < 1_000;
    let mut messages = pool(1_900, 2_300);
    for message in &mut messages {
        if message.1 == Out && !runs(message.0) {
            message.0 = message.0.next_multiple_of(5_000) + 20;
        }
    }
    messages.sort_unstable_by_key(|message| message.0);
    let shape = watch_busy(120, &messages, runs);
    assert!(shape.is_pool_like() && shape.pushes >= 3, "{shape:?}");
}

#[test]
fn a_worker_that_mines_while_it_waits_is_a_miner() {
    let messages = every(7_300, &job(5_400));
    check_pool(&watch_busy(120, &messages, |_| true), 8, 8);
}
