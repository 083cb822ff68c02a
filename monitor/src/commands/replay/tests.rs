use std::collections::BTreeSet;

use clap::Parser as _;
use proptest::prelude::*;

use super::*;
use crate::{
    commands::{
        cli::{Cli, Command},
        record::{
            encoder::{Known, RecordingEncoder},
            line::{End, Tick, Why},
        },
    },
    host::{Facts, Image},
    telemetry::journal::Outcome,
};
use unjack_core::{
    event::Sample,
    profile::{Place, Row},
    shape::Shape,
    verdict::Thresholds,
};

const SECOND: u64 = 1_000_000_000;
/// When recordings begin.
const BEGUN: u64 = 1000 * SECOND;
/// `xor eax, ecx; rol eax, 5; add eax, edx`, over and over: what hashes.
const MIXING: [u8; 7] = [0x31, 0xc8, 0xc1, 0xc0, 0x05, 0x01, 0xd0];
/// `cmp eax, ecx; jne +0; mov ecx, eax`, over and over: what does not.
const BRANCHING: [u8; 6] = [0x39, 0xc8, 0x75, 0x00, 0x89, 0xc1];

fn config(flags: &[&str]) -> config::Replay {
    let cli = Cli::try_parse_from(["unjack", "replay", "x"].iter().chain(flags)).unwrap();
    let Command::Replay(args) = cli.command else {
        panic!("not a replay")
    };
    config::Replay::from_cli(&args, "").unwrap()
}

fn process(number: u32) -> Process {
    Process {
        // No process has such an id, so nothing is read of it.
        tgid: u32::MAX - number,
        start_ns: 1,
    }
}

/// What a process does in every second of its life.
#[derive(Clone, Debug)]
struct Life {
    number: u32,
    /// Seconds from the beginning: the first, and the one it ends in.
    seconds: std::ops::Range<u64>,
    /// Threads that hash, and that do not.
    hashing: u32,
    honest: u32,
    /// Samples a second of each.
    hz: u64,
    image: u64,
    /// It executes its image anew in every second.
    restless: bool,
}

fn life(number: u32, seconds: std::ops::Range<u64>, hashing: u32, honest: u32) -> Life {
    Life {
        number,
        seconds,
        hashing,
        honest,
        hz: 99,
        image: u64::from(number) + 10,
        restless: false,
    }
}

impl Life {
    /// Its samples of a second, from `BEGUN`.
    fn samples(&self, second: u64) -> Vec<Sample> {
        let process = process(self.number);
        let threads = (0..self.hashing + self.honest).map(|thread| {
            let code: &[u8] = if thread < self.hashing {
                &MIXING
            } else {
                &BRANCHING
            };
            (thread, code.iter().copied().cycle().take(63).collect())
        });
        let mut samples: Vec<Sample> = threads
            .flat_map(|(thread, code): (u32, Vec<u8>)| {
                (0..self.hz).map(move |n| {
                    let time_ns = BEGUN + second * SECOND + n * SECOND / self.hz;
                    let ip = 0x5555_0000_0000 + (n / 10 + second) % 30 * 64;
                    let tid = process.tgid - thread;
                    let mut sample = Sample::user(process, tid, time_ns, ip, &code);
                    sample.image = ImageKey {
                        device: 1,
                        inode: self.image,
                    };
                    sample.cgroup = 77;
                    sample.counters.run_ns = (second - self.seconds.start) * SECOND + n;
                    sample
                })
            })
            .collect();
        samples.sort_by_key(|sample| sample.time_ns);
        samples
    }

    fn cpu_ns(&self, second: u64) -> u64 {
        (second + 1 - self.seconds.start) * SECOND * u64::from(self.hashing + self.honest) * self.hz
            / 99
    }
}

/// The header of a recording that these tests make.
fn header() -> crate::commands::record::line::Header {
    crate::commands::record::line::Header {
        begun: 1_700_000_000,
        lineage: vec![3, 2, 1],
        ..crate::commands::record::header(99, &Thresholds::DEFAULT, BEGUN)
    }
}

/// A recording of these lives, as a host would have made it where the facts of all
/// processes could be read, and where what hashes mines at a pool.
fn recording(lives: &[Life], seconds: u64) -> Vec<u8> {
    recording_of(lives, seconds, Shape::pool_like())
}

/// The same where connections behave like this.
fn recording_of(lives: &[Life], seconds: u64, shape: Shape) -> Vec<u8> {
    let mut recorded = Vec::new();
    for second in 0..seconds {
        for life in lives {
            let process = process(life.number);
            let file = Some(Image {
                device: 1,
                inode: life.image,
            });
            if second == life.seconds.end {
                recorded.push(Line::Exit(Exit {
                    process,
                    cpu_ns: life.cpu_ns(second - 1),
                }));
            }
            if !life.seconds.contains(&second) {
                continue;
            }
            let rows = life.samples(second).iter().map(row).collect();
            recorded.push(Line::Samples(Samples {
                process,
                image: (1, life.image),
                file,
                cgroup: 77,
                rows,
            }));
            if second == life.seconds.start {
                recorded.push(Line::Who(Box::new(who(life))));
            }
            recorded.push(Line::Reading(Counted {
                process,
                file,
                cpu_ns: life.cpu_ns(second),
                voluntary: 0,
                execs: 0,
                io_bytes: Some(0),
                pool: false,
                stratum: false,
                shape,
            }));
        }
        recorded.push(Line::Tick(Tick {
            time_ns: BEGUN + (second + 1) * SECOND,
        }));
    }
    recorded.push(Line::End(End {
        why: Why::ActionResult,
        lost: 0,
    }));
    text(&recorded)
}

fn row(sample: &Sample) -> Row {
    Row::from(&DecodedSample::new(
        unjack_core::isa::Arch::X86_64,
        sample,
        Place::File,
    ))
}

fn who(life: &Life) -> Who {
    Who {
        process: process(life.number),
        facts: Facts {
            comm: format!("comm {}", life.number),
            exe: format!("/opt/{}", life.number),
            uid: Some(life.number),
            ..Facts::default()
        },
        host_exe: Some(format!("/opt/{}", life.number)),
        system: false,
        sha256: Some(crate::host::digest::Digest([0xab; 32])),
    }
}

fn text(lines: &[Line]) -> Vec<u8> {
    let mut text = serde_json::to_vec(&header()).unwrap();
    for line in lines {
        text.push(b'\n');
        text.extend(serde_json::to_vec(line).unwrap());
    }
    text.push(b'\n');
    text
}

fn judged(recording: &[u8], flags: &[&str]) -> Report {
    replay(recording, &config(flags), &Lists::default(), |_| {}).unwrap()
}

fn verdicts(report: &Report) -> Vec<(u32, &'static str, Option<Outcome>)> {
    let entries = report.verdicts.iter().map(|entry| {
        let number = u32::MAX - entry.verdict.pid;
        let outcome = entry.action.map(|act| act.outcome);
        (number, entry.verdict.verdict, outcome)
    });
    entries.collect()
}

#[test]
fn a_miner_would_be_killed_and_honest_work_left_alone() {
    let lives = [life(1, 0..30, 1, 0), life(2, 0..60, 0, 1)];
    let report = judged(&recording(&lives, 60), &["--core-hour-cost", "3600"]);
    assert_eq!(verdicts(&report), [(1, "miner", Some(Outcome::Gone))]);
    let entry = &report.verdicts[0];
    assert!((1.5..5.0).contains(&entry.t), "{entry:?}");
    assert_eq!(entry.verdict.exe.as_deref(), Some("/opt/1"));
    assert!(
        entry
            .verdict
            .evidence
            .iter()
            .any(|line| line.log_odds > 0.0 && line.text.starts_with("the mix is"))
    );
    // From the verdict on until it ended.
    assert!(
        (entry.saved_cpu_seconds - (30.0 - entry.t)).abs() < 1e-6,
        "{entry:?}"
    );
    assert!((entry.ended.unwrap() - 30.0).abs() < 1e-6, "{entry:?}");
    let total = &report.total;
    assert_eq!((total.miners, total.acted_on), (1, 1));
    let stolen: f64 = total.stolen_cpu_seconds.values().sum();
    assert!((stolen - 30.0).abs() < 1e-6, "{total:?}");
    assert!((total.saved_cpu_seconds - entry.saved_cpu_seconds).abs() < 1e-6);
    assert!(
        (total.stolen_cost.unwrap() - 30.0).abs() < 1e-6,
        "{total:?}"
    );
    assert!(report.unknown.is_empty(), "{:?}", report.unknown);
    let text = report.render();
    assert!(text.contains("miner pid 4294967294 \"/opt/1\""), "{text}");
    assert!(text.contains("would kill: saves"), "{text}");
    assert!(text.contains("60 s from 2023-11-14T22:13:20Z"), "{text}");
}

#[test]
fn flags_change_what_is_done() {
    let recording = recording(&[life(1, 0..40, 1, 0)], 40);
    for (flags, outcome, reason) in [
        (
            &["--allow", "user=1"] as &[&str],
            Outcome::Refused,
            "allowed",
        ),
        (&["--allow", "exe=/opt/*"], Outcome::Refused, "allowed"),
        (&["--allow", "exe=/opt/2"], Outcome::Gone, ""),
        (&["--allow", "family=argon2"], Outcome::Gone, ""),
        (&["--action", "observe"], Outcome::DryRun, ""),
        (&["--action", "freeze"], Outcome::Held, ""),
    ] {
        let report = judged(&recording, flags);
        let act = report.verdicts[0].action.unwrap();
        assert_eq!((act.outcome, act.reason), (outcome, reason), "{flags:?}");
        let saved = report.total.saved_cpu_seconds > 0.0;
        assert_eq!(saved, matches!(outcome, Outcome::Gone | Outcome::Held));
        let allowed = report.total.allowed_cpu_seconds > 0.0;
        assert_eq!(allowed, reason == "allowed", "{flags:?}");
    }
    let kill = judged(&recording, &[]).total.saved_cpu_seconds;
    let throttle = judged(&recording, &["--action", "throttle", "--throttle-to", "50"]);
    assert!((throttle.total.saved_cpu_seconds - kill / 2.0).abs() < 1e-6);
    assert_eq!(verdicts(&judged(&recording, &["--min-cpu", "250"])), []);
}

#[test]
fn digests_that_were_recorded_match() {
    let recording = recording(&[life(1, 0..20, 0, 1)], 20);
    let ab = "ab".repeat(32);
    let rule = format!("sha256={ab}");
    let report = judged(&recording, &["--deny", &rule]);
    assert_eq!(verdicts(&report), [(1, "miner", Some(Outcome::Gone))]);
    let mut deny = crate::detect::reputation::Hashes::default();
    deny.parse(&format!("{ab} TROJ_COINMINE")).unwrap();
    let lists = Lists {
        deny: std::sync::Arc::new(deny),
        ..Lists::default()
    };
    let report = replay(&recording[..], &config(&[]), &lists, |_| {}).unwrap();
    // As soon as it is executed.
    assert!(report.verdicts[0].t < 1.5, "{report:?}");
    assert!(
        report.verdicts[0].verdict.evidence[0]
            .text
            .contains("TROJ_COINMINE")
    );
}

#[test]
fn the_breaker_opens_as_it_would_have() {
    let lives: Vec<Life> = (1..=4).map(|number| life(number, 0..90, 1, 0)).collect();
    // All are one user's.
    let limits = ["--max-kills", "2", "--max-kills-per-user", "2"];
    let report = judged(&recording(&lives, 90), &limits);
    assert_eq!(report.total.refused.get("breaker"), Some(&2), "{report:?}");
    // A minute later the others are.
    assert_eq!(report.total.acted_on, 4);
    assert!(
        verdicts(&report)
            .iter()
            .all(|(.., outcome)| *outcome == Some(Outcome::Gone))
    );
}

#[test]
fn who_could_not_be_read_is_acted_on_once_it_can() {
    let life = life(1, 0..60, 1, 0);
    let lives = std::slice::from_ref(&life);
    let text = String::from_utf8(recording(lives, 60)).unwrap();
    let unread = text.replace("\"uid\":1,", "\"uid\":null,");
    assert_ne!(unread, text);
    // Twenty seconds later its user is known.
    let tick = format!("{{\"unit\":\"tick\",\"time_ns\":{}}}", BEGUN + 20 * SECOND);
    let known = serde_json::to_string(&Line::Who(Box::new(who(&life)))).unwrap();
    let read = unread.replace(&tick, &format!("{known}\n{tick}"));
    assert_ne!(read, unread);
    let flags = ["--allow", "user=5"];
    let report = judged(read.as_bytes(), &flags);
    let done = |report: &Report| {
        let refused = report.total.refused.get("unreadable").copied();
        (report.total.acted_on, refused)
    };
    assert_eq!(done(&report), (1, Some(1)));
    // It is tried again every half minute.
    let report = judged(unread.as_bytes(), &flags);
    assert_eq!(done(&report), (0, Some(2)));
}

#[test]
fn who_recorded_is_not_acted_on() {
    let mut lines = recording(&[life(1, 0..20, 1, 0)], 20);
    let header = crate::commands::record::line::Header {
        lineage: vec![process(1).tgid, 1],
        ..header()
    };
    let rest = lines.iter().position(|byte| *byte == b'\n').unwrap();
    lines.splice(..rest, serde_json::to_vec(&header).unwrap());
    let report = judged(&lines, &[]);
    assert_eq!(report.verdicts[0].action.unwrap().reason, "self");
}

/// What is known of a process that mines at a pool.
fn at_pool() -> Heard {
    Heard {
        shape: Shape::pool_like(),
        ..Heard::default()
    }
}

/// A live host on which the same is known of every process.
struct Host<'a>(Policy<'a>, Heard);

impl PolicyContext for Host<'_> {
    fn heard(&mut self, _: &Subject) -> Heard {
        self.1
    }
    fn burns(&mut self, subject: &mut Subject, now_ns: u64) {
        self.0.burns(subject, now_ns);
    }
    fn listed(&mut self, subject: &mut Subject) -> Option<String> {
        self.0.listed(subject)
    }
    fn denies(&mut self, subject: &mut Subject, family: &str) -> bool {
        self.0.denies(subject, family)
    }
    fn allows(&mut self, subject: &mut Subject) -> bool {
        self.0.allows(subject)
    }
    fn suspects(&mut self, _: Process, _: f64, _: bool, _: u64) {}
}

/// What a live detector says of these lives and what a replay of the recording that
/// was made meanwhile says, where every process mines at a pool.
fn live_and_replayed(lives: &[Life], seconds: u64, flags: &[&str]) -> [Vec<String>; 2] {
    live_and_replayed_of(lives, seconds, flags, at_pool())
}

/// The same where this is known of every process.
fn live_and_replayed_of(
    lives: &[Life],
    seconds: u64,
    flags: &[&str],
    heard: Heard,
) -> [Vec<String>; 2] {
    let config = config(flags);
    let thresholds = config.policy.thresholds();
    let lists = Lists::default();
    let mut collector =
        Collector::new(unjack_core::isa::Arch::X86_64, thresholds.patience_ns).with_remains();
    let mut detector = Detector::new(Model::shipped().unwrap(), thresholds, 99);
    let policy = || Policy {
        config: &config,
        lists: &lists,
    };
    let mut context = Host(policy(), heard);
    let mut encoder = RecordingEncoder::new(&header(), u64::MAX);
    let mut live = Vec::new();
    for second in 0..seconds {
        for life in lives {
            let process = process(life.number);
            if second == life.seconds.end {
                encoder.take_in(
                    &mut collector,
                    &Event::Exit {
                        process,
                        cpu_ns: life.cpu_ns(second - 1),
                        parent: 0,
                        comm: [0; COMM_BYTES],
                    },
                );
            }
            if !life.seconds.contains(&second) {
                continue;
            }
            for (n, sample) in life.samples(second).into_iter().enumerate() {
                if n == 50 && life.restless {
                    let exec = Event::Exec {
                        process,
                        time_ns: sample.time_ns,
                        image: sample.image,
                    };
                    encoder.take_in(&mut collector, &exec);
                }
                encoder.take_in(&mut collector, &Event::Sample(sample));
            }
        }
        let now_ns = BEGUN + (second + 1) * SECOND;
        collector.tick(now_ns, |visit| {
            for life in lives.iter().filter(|life| life.seconds.contains(&second)) {
                visit(&TaskSlot {
                    tid: process(life.number).tgid,
                    tgid: process(life.number).tgid,
                    start_ns: 1,
                    group_ns: life.cpu_ns(second),
                    ..TaskSlot::default()
                });
            }
        });
        let detections = detector.judge(now_ns, &mut collector, &mut context);
        let recorded = |(process, detection): &(Process, unjack_core::verdict::Detection)| {
            format!("{now_ns} {process:?} {detection:?}")
        };
        live.extend(detections.iter().map(recorded));
        let known = |_: &mut Subject| Known {
            heard,
            ..Known::default()
        };
        encoder.tick(now_ns, collector.subjects(), |_| true, known);
    }
    encoder.end(Why::ActionResult);
    let recording = encoder.take();
    let (header, mut reader) = Reader::new(&recording[..]).unwrap();
    let mut again = Vec::new();
    let mut replay = Replay {
        collector: Collector::recorded(thresholds.patience_ns),
        detector: Detector::new(Model::shipped().unwrap(), thresholds, header.sample_hz),
        context: policy(),
        acts: Acts::new(&config, &header),
        who: BTreeMap::new(),
        counted: BTreeMap::new(),
    };
    while let Some(line) = reader.next_line().unwrap() {
        let detections = replay.take(line).unwrap();
        let now_ns = replay.acts.now_ns();
        again.extend(
            detections
                .iter()
                .map(|(process, detection)| format!("{now_ns} {process:?} {detection:?}")),
        );
    }
    [live, again]
}

#[test]
fn a_replay_gives_the_verdicts_of_the_live_court_word_for_word() {
    let lives = [
        // A miner, honest work, a thread that hashes among many,
        life(1, 0..40, 1, 0),
        life(2, 0..40, 0, 2),
        Life {
            hz: 20,
            ..life(3, 0..40, 1, 12)
        },
        // one that burns little, one that executes itself over and over,
        Life {
            hz: 5,
            ..life(4, 3..40, 1, 0)
        },
        Life {
            restless: true,
            ..life(5, 0..40, 1, 0)
        },
    ];
    // and a new process of one image every two seconds.
    let relay = (0..18).map(|n| Life {
        image: 99,
        ..life(10 + n, u64::from(n) * 2..u64::from(n) * 2 + 2, 1, 0)
    });
    let lives: Vec<Life> = lives.into_iter().chain(relay).collect();
    let [live, again] = live_and_replayed(&lives, 40, &[]);
    assert_eq!(live, again);
    for what in [
        "tgid: 4294967294,",
        "thread: Some(",
        "processes of one image",
    ] {
        assert!(
            live.iter().any(|said| said.contains(what)),
            "{what}: {live:#?}"
        );
    }
}

/// How often a live detector and its replay say that nothing explains a hash.
fn unexplained(flags: &[&str], heard: Heard) -> usize {
    let lives = [life(1, 0..40, 1, 0)];
    let [live, again] = live_and_replayed_of(&lives, 40, flags, heard);
    assert_eq!(live, again);
    let said = |said: &&String| said.contains("unexplained: true");
    live.iter().filter(said).count()
}

#[test]
fn what_nothing_explains_is_reported_once_live_and_in_a_replay() {
    const AFTER: [&str; 2] = ["--unexplained-after", "20s"];
    let none = Heard::default();
    let serves = Heard {
        shape: Shape {
            looks: 3,
            accepted: 1,
            received_per_cpu_second: 100.0,
            ..Shape::default()
        },
        ..none
    };
    assert_eq!(unexplained(&AFTER, none), 1);
    assert_eq!(unexplained(&AFTER, serves), 0);
    assert_eq!(unexplained(&[], none), 0, "40 s are less than 10 minutes");
    let never = ["--unexplained-after", "0"];
    assert_eq!(unexplained(&never, none), 0);
}

#[test]
fn a_replay_tells_how_many_are_unexplained() {
    let lives = [life(1, 0..40, 1, 0)];
    let recording = recording_of(&lives, 40, Shape::default());
    let report = judged(&recording, &["--unexplained-after", "20s"]);
    let recorded: Vec<bool> = report
        .verdicts
        .iter()
        .map(|it| it.verdict.unexplained)
        .collect();
    assert_eq!(recorded, [false, true]);
    assert!(report.verdicts.iter().all(|it| it.action.is_none()));
    assert_eq!((report.total.hashing, report.total.unexplained), (1, 1));
    let allowed = judged(
        &recording,
        &["--unexplained-after", "20s", "--allow", "exe=/opt/1"],
    );
    assert_eq!((allowed.total.hashing, allowed.total.unexplained), (1, 0));
    let text = report.render();
    for said in [
        "CPU seconds so far, and nothing explains it\n",
        "total: 0 miners, 1 that hashes without a sign of mining, 1 of them unexplained; 0 acted on\n",
        "--patience 120s --unexplained-after 20s",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["policy"]["unexplained_after_seconds"], 20.0);
    assert_eq!(json["verdicts"][0].get("unexplained"), None);
    assert_eq!(json["verdicts"][1]["unexplained"], true);
}

fn lives() -> impl Strategy<Value = Vec<Life>> {
    let one = (
        0..20_u64,
        1..25_u64,
        0..3_u32,
        0..3_u32,
        1..40_u64,
        0..3_u64,
        any::<bool>(),
    );
    prop::collection::vec(one, 1..6).prop_map(|lives| {
        (1..)
            .zip(lives)
            .map(
                |(number, (from, long, hashing, honest, hz, image, restless))| Life {
                    hz,
                    image,
                    restless,
                    ..life(number, from..from + long, hashing, honest)
                },
            )
            .collect()
    })
}

fn miners(report: &Report) -> BTreeSet<u32> {
    let entries = report.verdicts.iter();
    entries
        .filter(|entry| entry.verdict.verdict == "miner")
        .map(|entry| entry.verdict.pid)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn whatever_happens_replay_and_live_agree(lives in lives()) {
        let [live, again] = live_and_replayed(&lives, 30, &[]);
        prop_assert_eq!(live, again);
    }

    #[test]
    fn a_replay_is_the_same_every_time_and_a_higher_score_only_loses_miners(
        lives in lives(),
        scores in (0.0..1.0_f64, 0.0..1.0_f64),
    ) {
        let recording = recording(&lives, 30);
        let (low, high) = (scores.0.min(scores.1), scores.0.max(scores.1));
        let at = |score: f64| judged(&recording, &["--min-score", &score.to_string()]);
        let (few, many) = (at(high), at(low));
        prop_assert_eq!(at(high).render(), few.render());
        prop_assert!(miners(&few).is_subset(&miners(&many)));
    }

    #[test]
    fn an_allowed_user_is_reported_and_spared(lives in lives()) {
        let recording = recording(&lives, 30);
        let spared = judged(&recording, &["--allow", "user=1"]);
        let plain = judged(&recording, &[]);
        prop_assert_eq!(miners(&spared), miners(&plain));
        for entry in &spared.verdicts {
            let first = entry.verdict.pid == process(1).tgid;
            let reason = entry.action.map(|act| act.reason);
            prop_assert_eq!(reason == Some("allowed"), first && entry.verdict.verdict == "miner");
        }
    }

    #[test]
    fn a_hostile_recording_is_an_error_or_a_report(
        lives in lives(),
        at in any::<prop::sample::Index>(),
        with in prop::sample::select(vec![
            "18446744073709551615", "0", "-1", "null", "\"\\u0000\\u202e\"", "[]", "1e300", "}",
        ]),
    ) {
        // One number of a whole recording is another.
        let recording = String::from_utf8(recording(&lives, 12)).unwrap();
        let numbers: Vec<(usize, &str)> = recording
            .match_indices(|c: char| c.is_ascii_digit())
            .collect();
        let (from, _) = *at.get(&numbers);
        let to = recording[from..].find(|c: char| !c.is_ascii_digit()).unwrap() + from;
        let damaged = format!("{}{with}{}", &recording[..from], &recording[to..]);
        if let Ok(report) = replay(damaged.as_bytes(), &config(&[]), &Lists::default(), |_| {}) {
            prop_assert!(report.verdicts.len() <= lives.len() * 4);
            let forged = report.render().contains('\u{202e}');
            prop_assert!(!forged);
        }
    }
}

#[track_caller]
fn check_refused(recording: &[u8], expected: &str) {
    let error = replay(recording, &config(&[]), &Lists::default(), |_| {})
        .expect_err("it is damaged")
        .to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn what_cannot_be_replayed_is_told_with_its_line_and_what_to_do() {
    let good = String::from_utf8(recording(&[life(1, 0..9, 1, 0)], 9)).unwrap();
    let lines = good.lines().count();
    check_refused(b"", "line 1: this is no recording of unjack (it is empty");
    check_refused(b"\x7fELF\n", "line 1: this is no recording");
    check_refused(
        b"{\"unjack_recording\":1,\"unjack\":\"0.1.0\"}\n",
        "line 1: it has format 1, made by unjack 0.1.0, and this unjack replays format 2: \
         such a file has no samples, so record again",
    );
    check_refused(
        b"{\"unjack_recording\":3,\"unjack\":\"9.0\\u001b\"}\n",
        r"format 3, made by unjack 9.0\x1b, and",
    );
    let third = good.replacen("\"unit\":\"reading\"", "\"unit\":\"writing\"", 1);
    check_refused(third.as_bytes(), "line 4: unknown variant `writing`");
    check_refused(third.as_bytes(), "cut it with `head -n 3`");
    let hostile = good.replacen("\"unit\":\"reading\"", r#""unit":"\u001b[2J\nline 9""#, 1);
    check_refused(
        hostile.as_bytes(),
        r"line 4: unknown variant `\x1b[2J\x0aline 9`",
    );
    let long = good.replacen(
        "\"unit\":\"reading\"",
        &format!("\"unit\":\"{}\"", "x".repeat(9000)),
        1,
    );
    check_refused(long.as_bytes(), "xxx…; the file is damaged");
    let long = good.replacen(
        "{\"unit\":\"tick\"",
        &format!("{}{{\"unit\":\"tick\"", " ".repeat(2 << 20)),
        1,
    );
    check_refused(long.as_bytes(), "line 5: longer than 1048576 bytes");
    let back = good.replacen("\"time_ns\":1005000000000", "\"time_ns\":1", 1);
    check_refused(back.as_bytes(), "time goes back");
    let who = good.replacen("comm 1", &"x".repeat(70_000), 1);
    check_refused(who.as_bytes(), "line 3: longer than 65536 bytes");
    let mut crowd = vec![Line::Tick(Tick { time_ns: BEGUN })];
    crowd.extend((0..1000).map(|number| Line::Who(Box::new(who_of(number)))));
    check_refused(&text(&crowd), "more than 512 processes in a second");

    // One that was cut off is replayed as far as it goes.
    let cut = &good[..good.len() - 60];
    let report = judged(cut.as_bytes(), &[]);
    assert_eq!(report.recording.ended, "cut");
    assert!(report.render().contains("note: the recording has no end"));
    assert_eq!(verdicts(&report).len(), 1);
    assert_eq!(
        judged(good.as_bytes(), &[]).recording.ended,
        "done",
        "{lines}"
    );
}

fn who_of(number: u32) -> Who {
    who(&life(number, 0..1, 1, 0))
}

#[test]
fn hostile_names_are_cleaned_anew() {
    let recording = String::from_utf8(recording(&[life(1, 0..20, 1, 0)], 20)).unwrap();
    let hostile = recording
        .replace("comm 1", r"\u001b[2Jx\u202e")
        .replace("\"exe\":\"/opt/1\"", r#""exe":"/opt/\\x1b\n1""#);
    let text = judged(hostile.as_bytes(), &[]).render();
    assert!(
        text.contains(r#""/opt/\x1b\x0a1" (calls itself "\x1b[2Jx\u{202e}")"#),
        "{text}"
    );
}

#[test]
fn outside_of_only_it_would_only_be_reported() {
    let lives = [life(1, 0..40, 1, 0), life(2, 0..40, 1, 0)];
    let report = judged(&recording(&lives, 40), &["--only", "user=2"]);
    let mut found = verdicts(&report);
    found.sort_unstable_by_key(|(number, ..)| *number);
    assert_eq!(
        found,
        [
            (1, "miner", Some(Outcome::DryRun)),
            (2, "miner", Some(Outcome::Gone))
        ]
    );
    let total = &report.total;
    assert_eq!((total.acted_on, total.outside_only), (1, 1), "{total:?}");
    let text = report.render();
    assert!(text.contains("would only be reported: not-only"), "{text}");
    assert!(
        text.contains("total: 1 only reported: outside of --only"),
        "{text}"
    );
    assert!(text.contains("--only user=2"), "{text}");
    assert!(report.unknown.is_empty(), "{:?}", report.unknown);

    // Of what is not recorded it says so.
    let report = judged(&recording(&lives, 40), &["--only", "namespace=ci"]);
    assert_eq!((report.total.acted_on, report.total.outside_only), (0, 2));
    assert!(
        report.unknown[0].contains("namespace= and image="),
        "{:?}",
        report.unknown
    );
}
