use super::*;
use unjack_core::{
    event::{Process, Sample},
    isa::Arch,
    profile::{Place, Reading},
};

const SECOND: u64 = 1_000_000_000;
/// `xor eax, ecx; rol eax, 5; add eax, edx`: what hashes.
const MIXING: [u8; 7] = [0x31, 0xc8, 0xc1, 0xc0, 0x05, 0x01, 0xd0];
/// `cmp eax, ecx; jne +0; mov ecx, eax`: what does not.
const BRANCHING: [u8; 6] = [0x39, 0xc8, 0x75, 0x00, 0x89, 0xc1];

/// Adds a second of a process of thirty threads, the first of which hashes.
fn burn(subject: &mut Subject, second: u64) {
    let process = subject.profile.process;
    for n in 0..100 {
        let tid = 1 + u32::try_from((n + second * 100) % 30).unwrap();
        let code: &[u8] = if tid == 1 { &MIXING } else { &BRANCHING };
        let code: Vec<u8> = code.iter().copied().cycle().take(63).collect();
        let time_ns = (second - 1) * SECOND + n * SECOND / 100;
        let ip = 0x5555_0000_0000 + (n / 10 + second) % 30 * 64;
        let mut sample = Sample::user(process, tid, time_ns, ip, &code);
        sample.counters.run_ns = time_ns / 30;
        subject.profile.add(Arch::X86_64, &sample, Place::File);
    }
    subject.profile.read(Reading {
        time_ns: second * SECOND,
        cpu_ns: second * SECOND,
        io_bytes: Some(0),
        ..Reading::default()
    });
}

#[test]
fn a_threads_verdict_stands_though_the_whole_does_no_hashing() {
    let model = Model::shipped().unwrap();
    let mut subject = Subject::new(Process {
        // No process has such an id, so nothing is read of it.
        tgid: u32::MAX,
        start_ns: 1,
    });
    let mut found = Vec::new();
    for second in 1..=40 {
        burn(&mut subject, second);
        let mut whole = subject.profile.summary(0);
        whole.network.shape = Shape::pool_like();
        assert!(!model.assess(&whole).hashes());
        let now_ns = second * SECOND;
        let detection = judge_threads(now_ns, &mut subject, &whole, &model, &Thresholds::DEFAULT);
        found.extend(detection.map(|detection| (second, detection.thread)));
    }
    let first = found.first().expect("it is found").0;
    assert!(first <= 25, "found only after {first} s");
    assert!(
        found
            .into_iter()
            .eq((first..=40).map(|second| (second, Some(1))))
    );
}
