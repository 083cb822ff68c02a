use super::*;
use unjack_core::event::Sample;

/// A pid that no process has, so that nothing is read of it.
const NO_PROCESS: u32 = u32::MAX;
const SECOND: u64 = 1_000_000_000;

fn process(start_ns: u64) -> Process {
    Process {
        tgid: NO_PROCESS,
        start_ns,
    }
}

fn sample(start_ns: u64) -> Event {
    Event::Sample(Sample::user(
        process(start_ns),
        NO_PROCESS,
        start_ns,
        0x1000,
        &[0x90],
    ))
}

fn slot(tid: u32, start_ns: u64, group_ns: u64, voluntary: u64) -> TaskSlot {
    TaskSlot {
        tid,
        tgid: NO_PROCESS,
        start_ns,
        group_ns,
        voluntary,
        ..TaskSlot::default()
    }
}

fn tick(collector: &mut Collector, now_ns: u64, slots: &[TaskSlot]) {
    collector.tick(now_ns, |visit| slots.iter().for_each(visit));
}

#[test]
fn a_sampled_process_becomes_a_subject_with_its_counters() {
    let mut collector = Collector::new(Arch::X86_64, 60 * SECOND);
    collector.take(&sample(1));
    let thread = slot(5, 0, 0, 30);
    tick(
        &mut collector,
        SECOND,
        &[slot(NO_PROCESS, 1, 7, 12), thread],
    );
    let subject = collector.subject(process(1)).expect("it was sampled");
    let reading = subject.profile.latest().expect("it was ticked");
    assert_eq!((reading.cpu_ns, reading.voluntary), (7, 42));
}

#[test]
fn a_process_that_left_the_table_is_forgotten() {
    let mut collector = Collector::new(Arch::X86_64, 60 * SECOND);
    collector.take(&sample(1));
    tick(&mut collector, SECOND, &[]);
    assert!(collector.subject(process(1)).is_none());
}

#[test]
fn an_exit_returns_the_subject() {
    let mut collector = Collector::new(Arch::X86_64, 60 * SECOND);
    collector.take(&sample(1));
    let exit = Event::Exit {
        process: process(1),
        cpu_ns: 9,
        parent: 0,
        comm: *b"miner\0\0\0\0\0\0\0\0\0\0\0",
    };
    let (subject, cpu_ns) = collector.take(&exit).expect("it was sampled");
    assert_eq!((subject.profile.process, cpu_ns), (process(1), 9));
}

#[test]
fn only_who_takes_what_is_left_has_it_kept_and_bounded() {
    let ends = |mut collector: Collector| {
        for start_ns in 1..=MAX_REMAINS as u64 + 9 {
            collector.take(&sample(start_ns));
            collector.take(&Event::Exit {
                process: process(start_ns),
                cpu_ns: 9,
                parent: 0,
                comm: [0; 16],
            });
        }
        (collector.take_exited().len(), collector.forgotten)
    };
    let collector = Collector::new(Arch::X86_64, 60 * SECOND);
    assert_eq!(ends(collector), (0, 0));
    let collector = Collector::new(Arch::X86_64, 60 * SECOND).with_remains();
    assert_eq!(ends(collector), (MAX_REMAINS, 9));
}

#[test]
fn an_exec_makes_the_profile_stale() {
    let mut collector = Collector::new(Arch::X86_64, 60 * SECOND);
    collector.take(&sample(1));
    collector.take(&Event::Exec {
        process: process(1),
        time_ns: 2,
        image: ImageKey::default(),
    });
    assert_eq!(
        collector
            .subject(process(1))
            .unwrap()
            .profile
            .summary(0)
            .samples,
        0
    );
}

#[test]
fn samples_are_never_booked_to_an_image_they_are_not_of() {
    let key = |inode| ImageKey { device: 1, inode };
    let sample_of = |inode| {
        let mut event = sample(1);
        if let Event::Sample(sample) = &mut event {
            sample.image = key(inode);
        }
        event
    };
    let exec_of = |inode| Event::Exec {
        process: process(1),
        time_ns: 2,
        image: key(inode),
    };
    let mut collector = Collector::new(Arch::X86_64, 60 * SECOND).with_remains();
    let mut take = |event| {
        collector.take(&event);
        let exited = collector
            .take_exited()
            .iter()
            .map(|of| of.image.inode)
            .sum();
        let subject = collector.subject(process(1)).expect("it was sampled");
        let of: u64 = subject.image_key().inode;
        (subject.profile.summary(0).samples, of, exited)
    };
    // Taken in late, when `/proc` says 8 for all of them.
    assert_eq!(take(sample_of(7)), (1, 7, 0_u64));
    assert_eq!(take(exec_of(8)), (0, 8, 7));
    assert_eq!(take(sample_of(8)), (1, 8, 0));
    // The same again.
    assert_eq!(take(exec_of(8)), (1, 8, 0));
    // An exec whose record was lost.
    assert_eq!(take(sample_of(9)), (1, 9, 8));
}

#[test]
fn what_was_burned_before_two_execs_in_a_second_is_not_the_last_ones() {
    let mut collector = Collector::new(Arch::X86_64, 60 * SECOND);
    collector.take(&sample(1));
    tick(&mut collector, SECOND, &[slot(NO_PROCESS, 1, 7, 0)]);
    for time_ns in [2, 3] {
        collector.take(&Event::Exec {
            process: process(1),
            time_ns,
            image: ImageKey::default(),
        });
    }
    let subject = collector.subject(process(1)).expect("it was sampled");
    assert_eq!(subject.case.stolen_ns, 7);
}

#[test]
fn an_exec_whose_record_was_lost_is_noticed() {
    let mut collector = Collector::new(Arch::X86_64, 60 * SECOND);
    collector.take(&sample(1));
    tick(&mut collector, SECOND, &[slot(NO_PROCESS, 1, 7, 0)]);
    tick(
        &mut collector,
        2 * SECOND,
        &[TaskSlot {
            execs: 1,
            ..slot(NO_PROCESS, 1, 9, 0)
        }],
    );
    assert_eq!(
        collector
            .subject(process(1))
            .unwrap()
            .profile
            .summary(0)
            .samples,
        0
    );
}

#[test]
fn subjects_are_bounded_and_the_oldest_goes() {
    let mut collector = Collector::new(Arch::X86_64, 60 * SECOND);
    for start_ns in 1..=MAX_SUBJECTS as u64 + 1 {
        collector.take(&sample(start_ns));
    }
    assert_eq!(
        (collector.subjects().count(), collector.dropped),
        (MAX_SUBJECTS, 1)
    );
    assert!(collector.subject(process(1)).is_none());
}
