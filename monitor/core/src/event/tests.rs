use zerocopy::IntoBytes;

use super::*;

const SAMPLE: SampleRecord = SampleRecord {
    kind: KIND_SAMPLE,
    tgid: 7,
    tid: 8,
    flags: 0,
    start_ns: 9,
    time_ns: 10,
    ip: 0x40_1000,
    code_len: 3,
    cpu: 1,
    image_device: 0,
    rounding: 0,
    image_inode: 0,
    cgroup: 0,
    run_ns: 0,
    voluntary: 0,
    involuntary: 0,
    io_bytes: 0,
    faults: 0,
    registers: [0; REGISTERS],
    code: [0x90; CODE_BYTES],
    stack: [0; STACK_WORDS],
};

#[test]
fn a_sample_keeps_its_valid_bytes_only() {
    let process = Process {
        tgid: 7,
        start_ns: 9,
    };
    let expected = Event::Sample(Sample {
        code: [0x90; CODE_BYTES],
        ..Sample::user(process, 8, 10, 0x40_1000, &[0x90; 3])
    });
    assert_eq!(decode(SAMPLE.as_bytes()), Ok(expected));
}

#[test]
fn a_code_length_beyond_the_record_is_cut() {
    let record = SampleRecord {
        code_len: u32::MAX,
        ..SAMPLE
    };
    let Ok(Event::Sample(sample)) = decode(record.as_bytes()) else {
        panic!("not a sample")
    };
    assert_eq!(sample.code().len(), CODE_BYTES);
}

#[test]
fn flags_are_told_apart() {
    for (flags, kernel, compat) in [
        (0, false, false),
        (SAMPLE_KERNEL, true, false),
        (SAMPLE_COMPAT, false, true),
    ] {
        let record = SampleRecord { flags, ..SAMPLE };
        let Ok(Event::Sample(sample)) = decode(record.as_bytes()) else {
            panic!("not a sample")
        };
        assert_eq!((sample.kernel, sample.compat), (kernel, compat));
    }
}

#[test]
fn a_connection_of_either_version() {
    for (address, expected) in [
        ("::ffff:192.0.2.7", "192.0.2.7:3333"),
        ("2001:db8::7", "[2001:db8::7]:3333"),
    ] {
        let address: Ipv6Addr = address.parse().unwrap();
        let record = ConnectRecord {
            kind: KIND_CONNECT,
            tgid: 7,
            start_ns: 9,
            time_ns: 10,
            address: address.octets(),
            port: 3333,
            refused: 1,
        };
        let contact = Contact {
            to: expected.parse().unwrap(),
            refused: true,
        };
        let process = Process {
            tgid: 7,
            start_ns: 9,
        };
        assert_eq!(
            decode(record.as_bytes()),
            Ok(Event::Connect(process, contact))
        );
    }
}

#[test]
fn a_short_record_is_malformed() {
    let bytes = &SAMPLE.as_bytes()[..40];
    assert_eq!(
        decode(bytes),
        Err(Malformed {
            kind: KIND_SAMPLE,
            len: 40
        })
    );
}

#[test]
fn an_unknown_kind_is_malformed() {
    assert_eq!(
        decode(&[0xff; 8]),
        Err(Malformed {
            kind: u32::MAX,
            len: 8
        })
    );
    assert_eq!(decode(&[]), Err(Malformed { kind: 0, len: 0 }));
}
