//! What hashes for long with nothing that explains it.

use super::*;

/// The time after which it is reported, in seconds.
const AFTER: u64 = 20;

/// What a process does, and for how many seconds.
type Part = (fn() -> Summary, usize);

fn limits() -> Thresholds {
    Thresholds {
        unexplained_ns: AFTER * SECOND,
        ..THRESHOLDS
    }
}

/// It serves clients.
fn explained() -> Summary {
    Summary {
        network: Network {
            shape: Shape {
                accepted: 3,
                received_per_cpu_second: 1000.0,
                ..hashing().network.shape
            },
            ..hashing().network
        },
        ..hashing()
    }
}

fn idle() -> Summary {
    Summary {
        time: CpuTime {
            cores: 0.01,
            ..hashing().time
        },
        ..hashing()
    }
}

/// Judges a process that does these one after another; the detections, with the second of
/// each.
fn judged(
    judgement: &mut Judgement,
    thresholds: &Thresholds,
    parts: &[Part],
) -> Vec<(u64, Detection)> {
    let model = Model::shipped().unwrap();
    let seconds = parts
        .iter()
        .flat_map(|(part, seconds)| std::iter::repeat_n(part(), *seconds));
    let judge = |(second, summary): (u64, Summary)| {
        let now_ns = (10 + second) * SECOND;
        let detection = judgement.judge(now_ns, &summary, &model, thresholds, |_| false);
        detection.map(|detection| (second, detection))
    };
    (0..).zip(seconds).filter_map(judge).collect()
}

/// The seconds at which such a process is reported as unexplained.
#[track_caller]
fn check(thresholds: &Thresholds, parts: &[Part], expected: &[u64]) {
    let found: Vec<u64> = judged(&mut Judgement::default(), thresholds, parts)
        .into_iter()
        .filter(|(_, detection)| detection.unexplained)
        .map(|(second, _)| second)
        .collect();
    assert_eq!(found, expected);
}

/// The verdict stands from second 1 on.
#[test]
fn it_is_reported_once_after_the_time() {
    check(&limits(), &[(hashing, 1000)], &[1 + AFTER]);
    check(&THRESHOLDS, &[(hashing, 2000)], &[601]);
}

#[test]
fn it_is_reported_apart_from_the_verdict_and_says_so_first() {
    let detections = judged(&mut Judgement::default(), &limits(), &[(hashing, 30)]);
    let [(1, verdict), (21, again)] = &detections[..] else {
        panic!("{detections:?}");
    };
    assert!(verdict.first && !verdict.unexplained);
    assert!(!again.first && again.unexplained);
    assert_eq!(again.verdict, Verdict::Hashing);
    let (first, others) = again.evidence.split_first().unwrap();
    assert_eq!(
        first.text,
        "it has been hashing for 20 seconds, and neither data that it reads nor a connection \
         explains it: allow it with --allow, or act on it with --act-on hashing or --deny"
    );
    assert!(!first.is_weighed());
    // The lines still add up to the score.
    assert_eq!(others, verdict.evidence);
    let sum = Evidence::sum(&again.evidence).unwrap();
    assert!((sum - again.assessment.log_odds).abs() < 1e-9);
}

#[test]
fn the_time_is_said_in_plain_words() {
    for (seconds, expected) in [(90, "for 90 seconds,"), (600, "for 10 minutes,")] {
        let text = unexplained_text(seconds * SECOND);
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn zero_is_never() {
    let never = Thresholds {
        unexplained_ns: 0,
        ..THRESHOLDS
    };
    check(&never, &[(hashing, 1000)], &[]);
}

#[test]
fn what_is_explained_is_not_reported() {
    let detections = judged(&mut Judgement::default(), &limits(), &[(explained, 100)]);
    assert_eq!(detections.len(), 1, "hashing all the same: {detections:?}");
    check(&limits(), &[(explained, 1000)], &[]);
}

#[test]
fn an_explanation_meanwhile_begins_the_time_anew() {
    let parts: [Part; 3] = [(hashing, 15), (explained, 5), (hashing, 30)];
    check(&limits(), &parts, &[20 + AFTER]);
}

#[test]
fn a_pause_begins_the_time_anew() {
    let parts: [Part; 3] = [(hashing, 15), (idle, 1), (hashing, 15)];
    check(&limits(), &parts, &[]);
    let parts: [Part; 3] = [(hashing, 15), (idle, 1), (hashing, 30)];
    check(&limits(), &parts, &[17 + AFTER]);
}

#[test]
fn other_work_meanwhile_begins_the_time_anew() {
    let parts: [Part; 3] = [(hashing, 15), (ordinary, 3), (hashing, 15)];
    check(&limits(), &parts, &[]);
}

#[test]
fn a_pause_after_the_report_does_not_repeat_it() {
    let parts: [Part; 3] = [(hashing, 30), (idle, 5), (hashing, 1000)];
    check(&limits(), &parts, &[1 + AFTER]);
}

/// An exec of another image begins with a new judgement.
#[test]
fn another_image_is_reported_again() {
    for _image in 0..2 {
        check(&limits(), &[(hashing, 30)], &[1 + AFTER]);
    }
}

#[test]
fn a_miner_is_a_miner_and_not_unexplained() {
    check(&limits(), &[(miner, 1000)], &[]);
}
