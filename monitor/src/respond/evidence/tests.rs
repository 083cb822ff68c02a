use super::*;

#[test]
fn a_folders_name_sorts_by_time_and_says_nothing_of_the_process_but_its_id() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    let process = Process {
        tgid: 4242,
        start_ns: 1,
    };
    let image = Image {
        device: 1,
        inode: 2,
    };
    let first = name(now, process, image);
    assert!(first.starts_with("20231114T221320.123Z-4242-"), "{first}");
    assert_eq!(first.len(), "20231114T221320.123Z-4242-".len() + 8);
    let later = name(now + Duration::from_millis(1), process, image);
    assert!(later > first);
}

#[test]
fn a_full_disk_and_a_quota_are_told_from_other_errors() {
    for (errno, expected) in [
        (libc::ENOSPC, Loss::DiskFull),
        (libc::EDQUOT, Loss::DiskFull),
        (libc::EIO, Loss::Io),
    ] {
        let error = io::Error::from_raw_os_error(errno);
        assert_eq!(Loss::from(&error), expected);
    }
}

#[test]
fn code_is_shown_with_its_bytes() {
    let piece = Piece {
        samples: 7,
        ip: 0x40_1000,
        file: None,
        bytes: "31c8".to_owned(),
        instructions: vec!["xor eax,ecx".to_owned()],
    };
    assert_eq!(
        code_text(&[piece]),
        "7 samples in memory without a file\n401000: 31c8\n    xor eax,ecx\n\n"
    );
}
