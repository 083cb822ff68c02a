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
mod policy;

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
