use std::{convert::Infallible, mem};

use super::*;
use crate::detect::detector::Heard;
use unjack_core::{
    event::{Contact, Sample},
    isa::Arch,
    profile::SAMPLE_HZ,
    score::Model,
    shape::Shape,
    verdict::{Suspicion, Thresholds, Verdict},
};

const SECOND: u64 = 1_000_000_000;
/// `xor eax, ecx; rol eax, 5; add eax, edx`: what hashes.
const MIXING: [u8; 7] = [0x31, 0xc8, 0xc1, 0xc0, 0x05, 0x01, 0xd0];
const MINER: Process = Process {
    // No process has such an id, so nothing is read of it.
    tgid: u32::MAX,
    start_ns: 1,
};

/// Events that wait, and a miner's counters.
#[derive(Default)]
struct Waiting {
    events: Vec<Event>,
    records: Vec<Vec<u8>>,
    cpu_ns: u64,
}

impl Source for Waiting {
    type Error = Infallible;

    fn events(&mut self, take: &mut dyn FnMut(Input<'_>)) -> Result<(), Infallible> {
        for record in mem::take(&mut self.records) {
            take(Input::Record(&record));
        }
        for event in mem::take(&mut self.events) {
            take(Input::Event(&event, None));
        }
        Ok(())
    }

    fn counters(&mut self, visit: &mut dyn FnMut(bool, &TaskSlot)) {
        let slot = TaskSlot {
            tid: MINER.tgid,
            tgid: MINER.tgid,
            start_ns: MINER.start_ns,
            group_ns: self.cpu_ns,
            ..TaskSlot::default()
        };
        visit(true, &slot);
    }
}

/// What the witnesses were told.
#[derive(Default)]
struct Told {
    executed: Vec<Process>,
    connected: Vec<Process>,
    suspected: Vec<(Process, Suspicion)>,
}

impl Witnesses for Told {
    fn heard(&self, _: &Subject) -> Heard {
        Heard {
            shape: Shape::pool_like(),
            ..Heard::default()
        }
    }

    fn suspects(&mut self, process: Process, _: f64, suspicion: Suspicion, _: u64) {
        self.suspected.push((process, suspicion));
    }

    fn executes(&mut self, process: Process) {
        self.executed.push(process);
    }

    fn connects(&mut self, process: Process, _: Contact) -> bool {
        self.connected.push(process);
        true
    }
}

#[derive(Default)]
struct Counts {
    taken: u32,
    exited: u32,
    forgotten: u32,
    malformed: u32,
}

impl Tap for Counts {
    fn taken(&mut self, taken: Taken<'_>, _: &mut Collector) {
        self.taken += 1;
        self.exited += u32::from(taken.exited.is_some());
    }

    fn contact_forgotten(&mut self) {
        self.forgotten += 1;
    }

    fn malformed(&mut self, _: &Malformed) {
        self.malformed += 1;
    }
}

/// Only the connections of other processes are looked at.
struct NotItself;

impl PolicyContext for NotItself {
    fn watches(&self, process: Process) -> bool {
        process != MINER
    }
}

fn pipeline() -> (Pipeline<Told>, Collector) {
    let thresholds = Thresholds::DEFAULT;
    let detector = Detector::new(Model::shipped().unwrap(), thresholds, SAMPLE_HZ);
    let pipeline = Pipeline::new(detector, Told::default(), Cadence::default());
    (
        pipeline,
        Collector::new(Arch::X86_64, thresholds.patience_ns),
    )
}

/// A second of a miner's samples.
fn samples(second: u64) -> Vec<Event> {
    let code: Vec<u8> = MIXING.iter().copied().cycle().take(63).collect();
    let sample = |n: u64| {
        let time_ns = second * SECOND + n * SECOND / 99;
        let ip = 0x5555_0000_0000 + (n / 10 + second) % 30 * 64;
        Event::Sample(Sample::user(MINER, MINER.tgid, time_ns, ip, &code))
    };
    (0..99).map(sample).collect()
}

/// Seconds of a miner; the verdicts in them.
fn mine(
    pipeline: &mut Pipeline<Told>,
    collector: &mut Collector,
    seconds: u64,
    policy: &mut impl PolicyContext,
) -> Vec<(u64, Verdict)> {
    let mut verdicts = Vec::new();
    for second in 0..seconds {
        let mut source = Waiting {
            events: samples(second),
            cpu_ns: (second + 1) * SECOND,
            ..Waiting::default()
        };
        for drain in 1..=4 {
            let Ok(due) = pipeline.step(&mut source, collector, &mut ());
            assert_eq!(due, drain == 4, "drain {drain}");
        }
        let (now_ns, mut spilled) = ((second + 1) * SECOND, 0);
        pipeline.tick(now_ns, &mut source, collector, |spill, _| {
            spilled += u32::from(spill);
        });
        assert_eq!(spilled, 1);
        let detections = pipeline.judge(collector, policy);
        verdicts.extend(detections.into_iter().map(|(process, detection)| {
            assert_eq!(process, MINER);
            (second, detection.verdict)
        }));
    }
    verdicts
}

#[test]
fn a_miner_is_found_by_what_flows_in() {
    let (mut pipeline, mut collector) = pipeline();
    let found = mine(&mut pipeline, &mut collector, 8, &mut ());
    assert!(
        matches!(found[..], [(second, Verdict::Miner)] if second < 6),
        "{found:?}"
    );
    let suspected = &pipeline.witnesses.suspected;
    assert!(suspected.contains(&(MINER, Suspicion::Hashes)));
    let subject = collector.subject(MINER).unwrap();
    assert_eq!(
        pipeline.summary(subject, 0).network.shape,
        Shape::pool_like()
    );
}

#[test]
fn a_policy_says_whose_connections_are_looked_at() {
    let (mut pipeline, mut collector) = pipeline();
    let found = mine(&mut pipeline, &mut collector, 8, &mut NotItself);
    assert_eq!(found.len(), 1);
    assert_eq!(pipeline.witnesses.suspected, []);
}

#[test]
fn every_event_reaches_whom_it_concerns() {
    let (mut pipeline, mut collector) = pipeline();
    let contact = Contact {
        to: "192.0.2.7:3333".parse().unwrap(),
        refused: false,
    };
    let mut source = Waiting {
        records: vec![vec![0xff; 3]],
        events: [
            samples(0),
            vec![
                Event::Exec {
                    process: MINER,
                    time_ns: SECOND,
                    image: ImageKey::default(),
                },
                Event::Connect(MINER, contact),
                Event::Exit {
                    process: MINER,
                    cpu_ns: SECOND,
                    parent: 1,
                    comm: [0; monitor_ebpf::COMM_BYTES],
                },
            ],
        ]
        .concat(),
        cpu_ns: 0,
    };
    let mut counts = Counts::default();
    let Ok(()) = pipeline.drain(&mut source, &mut collector, &mut counts);
    let Counts {
        taken,
        exited,
        forgotten,
        malformed,
    } = counts;
    // The connection is the witnesses'.
    assert_eq!((taken, exited), (99 + 2, 1));
    assert_eq!((forgotten, malformed, collector.malformed), (1, 1, 1));
    let Told {
        executed,
        connected,
        suspected,
    } = &pipeline.witnesses;
    assert_eq!(
        (&executed[..], &connected[..]),
        (&[MINER][..], &[MINER][..])
    );
    assert!(suspected.is_empty() && !collector.knows(MINER));
}
