use super::*;

fn myself() -> Process {
    let seen = Seen::open_pid(std::process::id()).expect("/proc is mounted");
    let ticks = seen.start_ticks().expect("own stat is readable");
    let start_ns = ticks * (1_000_000_000 / rustix::param::clock_ticks_per_second());
    Process {
        tgid: std::process::id(),
        start_ns,
    }
}

#[test]
fn own_facts() {
    let seen = Seen::open(myself()).unwrap();
    let facts = seen.facts().unwrap();
    let exe = std::env::current_exe().unwrap();
    let image = seen.image().unwrap();
    assert_eq!(seen.host_exe(image).as_deref(), exe.to_str());
    let other = Image {
        inode: image.inode + 1,
        ..image
    };
    assert_eq!(seen.host_exe(other), None);
    assert_eq!(
        Some(image),
        std::fs::metadata(&exe).ok().as_ref().map(Image::from)
    );
    assert_eq!(facts.uid, Some(rustix::process::getuid().as_raw()));
    assert!(!facts.kernel_thread);
}

#[test]
fn another_start_time_is_another_process() {
    let Process { tgid, start_ns } = myself();
    let other = Process {
        tgid,
        start_ns: start_ns + 1_000_000_000,
    };
    assert!(matches!(Seen::open(other), Err(LookError::Gone)));
}

#[test]
fn no_process_has_a_pid_beyond_the_range() {
    assert!(matches!(Seen::open_pid(u32::MAX), Err(LookError::Gone)));
    assert!(matches!(
        Seen::open_pid(i32::MAX as u32),
        Err(LookError::Gone)
    ));
}

#[test]
fn lineage_goes_from_here_to_init() {
    let chain = lineage();
    assert_eq!(chain[0], std::process::id());
    assert_eq!(chain[1], std::os::unix::process::parent_id());
}

#[test]
fn an_ordinary_process_is_not_hidden_and_does_not_pose() {
    let facts = Seen::open(myself()).unwrap().facts().unwrap();
    assert!(!facts.hidden && !facts.poses);
}
