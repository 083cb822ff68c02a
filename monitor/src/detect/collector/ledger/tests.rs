//! Named cases for the ledger.

use super::*;

fn slot(tgid: u32, start_ns: u64, group_ns: u64) -> TaskSlot {
    TaskSlot {
        tid: tgid,
        tgid,
        start_ns,
        group_ns,
        ..TaskSlot::default()
    }
}

fn look(ledger: &mut Ledger, slots: &[TaskSlot]) -> Vec<Charge> {
    for slot in slots {
        ledger.see(slot);
    }
    ledger.finish();
    let nothing = Charge::Kernel(0.0);
    ledger
        .take()
        .into_iter()
        .filter(|charge| *charge != nothing)
        .collect()
}

/// A pid that no process has: its name cannot be had.
const NO_PROCESS: u32 = u32::MAX;

#[test]
fn a_short_process_is_charged_at_its_exit_under_its_last_name() {
    let mut ledger = Ledger::default();
    assert_eq!(look(&mut ledger, &[slot(NO_PROCESS, 1, 300_000_000)]), []);
    ledger.exit(
        Process {
            tgid: NO_PROCESS,
            start_ns: 1,
        },
        500_000_000,
        0,
        b"cc1\0\0\0",
    );
    assert_eq!(ledger.take(), [Charge::Group("comm:cc1".into(), 0.5)]);
}

#[test]
fn a_process_never_seen_alive_is_charged_whole() {
    let mut ledger = Ledger::default();
    ledger.exit(
        Process {
            tgid: 9,
            start_ns: 1,
        },
        2_000_000,
        0,
        b"true",
    );
    assert_eq!(ledger.take(), [Charge::Group("comm:true".into(), 0.002)]);
}

#[test]
fn one_whose_exit_was_lost_goes_to_other() {
    let mut ledger = Ledger::default();
    look(&mut ledger, &[slot(NO_PROCESS, 1, 400_000_000)]);
    assert_eq!(look(&mut ledger, &[]), []);
    assert_eq!(look(&mut ledger, &[]), [Charge::Other(0.4)]);
    assert_eq!(look(&mut ledger, &[]), []);
}

#[test]
fn an_exit_that_comes_after_the_look_is_charged_once() {
    let mut ledger = Ledger::default();
    look(&mut ledger, &[slot(NO_PROCESS, 1, 400_000_000)]);
    look(&mut ledger, &[]);
    ledger.exit(
        Process {
            tgid: NO_PROCESS,
            start_ns: 1,
        },
        400_000_000,
        0,
        b"late",
    );
    assert_eq!(ledger.take(), [Charge::Group("comm:late".into(), 0.4)]);
    assert_eq!(look(&mut ledger, &[]), []);
}

#[test]
fn what_the_probes_sum_themselves_is_not_charged_twice() {
    let mut ledger = Ledger::default();
    look(&mut ledger, &[slot(NO_PROCESS, 1, MIN_EXIT_NS - 1)]);
    look(&mut ledger, &[]);
    assert_eq!(look(&mut ledger, &[]), []);
}

#[test]
fn a_reused_pid_is_another_process() {
    let mut ledger = Ledger::default();
    look(&mut ledger, &[slot(NO_PROCESS, 1, 400_000_000)]);
    look(&mut ledger, &[slot(NO_PROCESS, 2, 100_000_000)]);
    ledger.exit(
        Process {
            tgid: NO_PROCESS,
            start_ns: 1,
        },
        400_000_000,
        0,
        b"old",
    );
    ledger.exit(
        Process {
            tgid: NO_PROCESS,
            start_ns: 2,
        },
        100_000_000,
        0,
        b"new",
    );
    let expected = [
        Charge::Group("comm:old".into(), 0.4),
        Charge::Group("comm:new".into(), 0.1),
    ];
    assert_eq!(ledger.take(), expected);
}

#[test]
fn kernel_threads_are_one_group() {
    let mut ledger = Ledger::default();
    let thread = TaskSlot {
        flags: TASK_KTHREAD,
        ..slot(2, 0, 250_000_000)
    };
    assert_eq!(look(&mut ledger, &[thread]), [Charge::Kernel(0.25)]);
}

#[test]
fn hostile_names_are_cleaned() {
    let mut ledger = Ledger::default();
    ledger.exit(
        Process {
            tgid: 9,
            start_ns: 1,
        },
        2_000_000,
        0,
        b"a\nb\x1b[2J",
    );
    let [Charge::Group(name, _)] = &ledger.take()[..] else {
        panic!("no charge")
    };
    assert!(!name.chars().any(char::is_control), "{name:?}");
}

#[test]
fn one_that_burns_is_charged_to_its_image_until_it_executes_another() {
    let process = myself();
    let mut ledger = Ledger::default();
    let burn =
        |ledger: &mut Ledger, burned| look(ledger, &[slot(process.tgid, process.start_ns, burned)]);
    let exe = std::env::current_exe().unwrap();
    let group = ending(exe.to_str().unwrap());
    assert_eq!(burn(&mut ledger, NAMING_NS - 1), []);
    assert_eq!(
        burn(&mut ledger, NAMING_NS),
        [Charge::Group(group.clone(), 0.1)]
    );
    // A little is enough now; until it may be another.
    assert_eq!(
        burn(&mut ledger, NAMING_NS + 1_000_000),
        [Charge::Group(group.clone(), 0.001)]
    );
    ledger.exec(process);
    assert_eq!(burn(&mut ledger, NAMING_NS + 2_000_000), []);
    assert_eq!(
        burn(&mut ledger, 2 * NAMING_NS + 1_000_000),
        [Charge::Group(group, 0.1)]
    );
}

#[test]
fn a_short_process_belongs_where_its_parent_does() {
    for by in [GroupBy::Unit, GroupBy::Container] {
        let mut ledger = Ledger::by(by);
        let gone = Process {
            tgid: NO_PROCESS,
            start_ns: 1,
        };
        let parent = ProcHandle::open(myself()).unwrap();
        let group = by.group(&parent).unwrap();
        ledger.exit(gone, 2_000_000, std::process::id(), b"true");
        ledger.exit(gone, 2_000_000, 0, b"true");
        ledger.exit(gone, 2_000_000, NO_PROCESS, b"true");
        let expected = [
            Charge::Group(group, 0.002),
            Charge::Other(0.002),
            Charge::Other(0.002),
        ];
        assert_eq!(ledger.take(), expected);
    }
}

#[test]
fn looks_are_bounded_and_counted() {
    let mut ledger = Ledger::by(GroupBy::Unit);
    let burners: Vec<_> = (0..u64::from(LOOKS) + 5)
        .map(|start_ns| slot(NO_PROCESS, start_ns, NAMING_NS))
        .collect();
    look(&mut ledger, &burners);
    assert_eq!(ledger.deferred(), 5);
    look(&mut ledger, &burners[..1]);
    assert_eq!(ledger.deferred(), 5);
}

/// As those of which reading hangs, however many.
#[test]
fn groups_that_cannot_be_told_leave_the_looks_to_others() {
    let mut ledger = Ledger::by(GroupBy::Unit);
    let burners: Vec<_> = (0..u64::from(LOOKS))
        .map(|start_ns| slot(NO_PROCESS, start_ns, NAMING_NS))
        .collect();
    look(&mut ledger, &burners);
    let other = slot(NO_PROCESS, 1000, NAMING_NS);
    let all = [burners.as_slice(), &[other]].concat();
    look(&mut ledger, &all);
    assert_eq!(ledger.deferred(), 0);
    for _ in 2..RETRY_TICKS {
        look(&mut ledger, &burners);
    }
    // All of them are asked for again.
    for slot in &burners {
        ledger.see(slot);
    }
    assert_eq!(ledger.looks, LOOKS);
}

#[test]
fn of_a_long_path_the_end_is_kept() {
    assert_eq!(ending("/usr/bin/java"), "/usr/bin/java");
    let long = format!("/{}/java", "x".repeat(MAX_GROUP_CHARS));
    let kept = ending(&long);
    assert_eq!(kept.chars().count(), MAX_GROUP_CHARS);
    assert!(kept.starts_with('…') && kept.ends_with("x/java"), "{kept}");
}

/// This process, to within a clock tick.
fn myself() -> Process {
    let tgid = std::process::id();
    let ticks = ProcHandle::open_pid(tgid).unwrap().start_ticks().unwrap();
    Process {
        tgid,
        start_ns: ticks * (1_000_000_000 / rustix::param::clock_ticks_per_second()),
    }
}
