use super::*;
use unjack_core::{
    event::{Event, Sample},
    isa::Arch,
    profile::{Place, SAMPLE_HZ},
};

const SECOND: u64 = 1_000_000_000;
const IMAGE: ImageKey = ImageKey {
    device: 1,
    inode: 2,
};
/// `xor eax, ecx; rol eax, 5; add eax, edx`, over and over: what hashes.
const MIXING: [u8; 7] = [0x31, 0xc8, 0xc1, 0xc0, 0x05, 0x01, 0xd0];
/// `cmp eax, ecx; jne +0; mov ecx, eax`, over and over: what does not.
const BRANCHING: [u8; 6] = [0x39, 0xc8, 0x75, 0x00, 0x89, 0xc1];

fn process(number: u32) -> Process {
    Process {
        // No process has such an id, so nothing is read of it.
        tgid: u32::MAX - number,
        start_ns: 1,
    }
}

/// A sample at a time, in one of thirty cache lines.
fn sample(number: u32, time_ns: u64, code: &[u8]) -> Sample {
    let code: Vec<u8> = code.iter().copied().cycle().take(63).collect();
    let ip = 0x5555_0000_0000 + time_ns / 1_000_000 % 30 * 64;
    let process = process(number);
    let mut sample = Sample::user(process, process.tgid, time_ns, ip, &code);
    sample.image = IMAGE;
    sample.cgroup = 77;
    sample
}

/// What a process leaves that lived for the second before `second`.
fn exited(number: u32, second: u64, code: &[u8]) -> ExitedSamples {
    let look = |n: u64| {
        let time_ns = (second - 1) * SECOND + n * SECOND / 90;
        DecodedSample::new(Arch::X86_64, &sample(number, time_ns, code), Place::File)
    };
    ExitedSamples {
        image: IMAGE,
        cgroup: 77,
        looks: (0..90).map(look).collect(),
    }
}

/// A live process with samples of the last second.
fn live(collector: &mut Collector, number: u32, now_ns: u64, code: &[u8]) -> Option<Member> {
    for n in 0..90 {
        let time_ns = now_ns - SECOND + n * SECOND / 90;
        collector.take(&Event::Sample(sample(number, time_ns, code)));
    }
    let model = Model::shipped().unwrap();
    let subject = collector.subject(process(number)).unwrap();
    let mut summary = subject.profile.summary(0);
    summary.network.shape = Shape::pool_like();
    Member::of(subject, &summary, model.assess(&summary), 0)
}

/// A new process every second, one leaving as the next comes; the seconds in
/// which the live one is condemned.
fn relay(code: &[u8]) -> Vec<u64> {
    let model = Model::shipped().unwrap();
    let mut groups = Groups::new(SAMPLE_HZ);
    let mut condemned = Vec::new();
    for second in 11..30 {
        let number = u32::try_from(second).unwrap();
        groups.retire(&exited(number - 1, second - 1, code), &model);
        let mut collector = Collector::new(Arch::X86_64, 60 * SECOND);
        let member = live(&mut collector, number, second * SECOND, code);
        let members = member.into_iter().collect();
        let found = groups.judge(
            second * SECOND,
            members,
            &mut collector,
            &model,
            &Thresholds::DEFAULT,
        );
        if found.iter().any(|(found, _)| *found == process(number)) {
            condemned.push(second);
        }
    }
    condemned
}

#[test]
fn a_new_process_every_second_is_condemned_and_so_are_all_after_it() {
    let condemned = relay(&MIXING);
    let first = *condemned.first().expect("it is found");
    assert!(first <= 20, "found only after {first} s");
    assert!(condemned.iter().copied().eq(first..30), "{condemned:?}");
}

#[test]
fn honest_processes_in_turn_are_not() {
    assert_eq!(relay(&BRANCHING), [0; 0]);
}

/// One image is loaded at another address in each process: its code is no larger for that.
#[test]
fn where_an_image_was_loaded_does_not_spread_its_code() {
    let model = Model::shipped().unwrap();
    let lines = |moved: u64| {
        let mut group = Groups::new(SAMPLE_HZ);
        for number in 1..=9 {
            let mut exited = exited(number, 10, &MIXING);
            let by = u64::from(number) * moved;
            for look in &mut exited.looks {
                let mut sample = sample(number, look.time_ns(), &MIXING);
                sample.ip += by;
                *look = DecodedSample::new(Arch::X86_64, &sample, Place::File);
            }
            group.retire(&exited, &model);
        }
        let mut collector = Collector::new(Arch::X86_64, 60 * SECOND);
        let group = &group.groups[&Key::Image(IMAGE)];
        let (now_ns, limits) = (10 * SECOND, Thresholds::DEFAULT);
        group
            .summary(now_ns, &[], &mut collector, &limits, SAMPLE_HZ)
            .code
            .hot_lines
    };
    assert!((20.0..=30.1).contains(&lines(0)), "{}", lines(0));
    assert!((lines(0x7_3000) - lines(0)).abs() < 1e-9);
}

#[test]
fn one_process_alone_is_no_group() {
    let model = Model::shipped().unwrap();
    let mut groups = Groups::new(SAMPLE_HZ);
    let mut collector = Collector::new(Arch::X86_64, 60 * SECOND);
    for second in 11..30 {
        let member = live(&mut collector, 1, second * SECOND, &MIXING);
        let members = member.into_iter().collect();
        let now_ns = second * SECOND;
        let found = groups.judge(
            now_ns,
            members,
            &mut collector,
            &model,
            &Thresholds::DEFAULT,
        );
        assert!(found.is_empty());
    }
}

#[test]
fn an_innocent_of_the_same_image_is_not_condemned_with_the_rest() {
    let model = Model::shipped().unwrap();
    let mut groups = Groups::new(SAMPLE_HZ);
    let mut accused = Vec::new();
    for second in 11..30 {
        let now_ns = second * SECOND;
        groups.retire(&exited(7, second - 1, &MIXING), &model);
        let mut collector = Collector::new(Arch::X86_64, 60 * SECOND);
        let guilty = live(&mut collector, 1, now_ns, &MIXING);
        let innocent = live(&mut collector, 2, now_ns, &BRANCHING);
        let members = guilty.into_iter().chain(innocent).collect();
        let found = groups.judge(
            now_ns,
            members,
            &mut collector,
            &model,
            &Thresholds::DEFAULT,
        );
        accused.extend(found.into_iter().map(|(process, _)| process));
    }
    assert!(accused.contains(&process(1)) && !accused.contains(&process(2)));
}

#[test]
fn groups_are_bounded_and_the_oldest_goes() {
    let model = Model::shipped().unwrap();
    let mut groups = Groups::new(SAMPLE_HZ);
    for inode in 1..=MAX_GROUPS as u64 + 1 {
        let mut exited = exited(1, 10 + inode, &MIXING);
        exited.image.inode = inode;
        exited.cgroup = ROOT_CGROUP;
        groups.retire(&exited, &model);
    }
    assert_eq!(groups.groups.len(), MAX_GROUPS);
    let first = Key::Image(ImageKey { inode: 1, ..IMAGE });
    assert!(!groups.groups.contains_key(&first));
}
