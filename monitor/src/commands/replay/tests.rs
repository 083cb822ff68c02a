use std::collections::BTreeSet;

use clap::Parser as _;
use monitor_ebpf::{COMM_BYTES, TaskSlot};
use proptest::prelude::*;

use super::*;
use crate::{
    commands::{
        cli::{Cli, Command},
        record::{
            encoder::{Known, RecordingEncoder},
            line::{Counted, End, Exit, Line, Samples, Tick, Who, Why},
        },
    },
    detect::{
        detector::{Heard, Witnesses},
        pipeline::{Input, Source},
    },
    host::{Facts, Image},
    telemetry::journal::Outcome,
};
use unjack_core::{
    event::{ImageKey, Sample},
    profile::{DecodedSample, Place, Row, SAMPLE_HZ},
    shape::Shape,
    verdict::Thresholds,
};

mod damaged;
mod live;
mod old;

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
        hz: SAMPLE_HZ.into(),
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
            / u64::from(SAMPLE_HZ)
    }
}

/// The header of a recording that these tests make.
fn header() -> crate::commands::record::line::Header {
    crate::commands::record::line::Header {
        begun: 1_700_000_000,
        lineage: vec![3, 2, 1],
        ..crate::commands::record::header(SAMPLE_HZ, &Thresholds::DEFAULT, BEGUN)
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
        why: Why::Done,
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
        provenance: None,
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
            .any(|line| line.log_odds > 0.0 && line.text.starts_with("the instruction mix is"))
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
