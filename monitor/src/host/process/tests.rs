use super::*;

fn myself() -> Process {
    let seen = ProcHandle::open_pid(std::process::id()).expect("/proc is mounted");
    let ticks = seen.start_ticks().expect("own stat is readable");
    let start_ns = ticks * (1_000_000_000 / rustix::param::clock_ticks_per_second());
    Process {
        tgid: std::process::id(),
        start_ns,
    }
}

#[test]
fn own_facts() {
    let seen = ProcHandle::open(myself()).unwrap();
    let facts = seen.facts().unwrap();
    let exe = std::env::current_exe().unwrap();
    let image = seen.image().unwrap();
    assert_eq!(seen.host_exe(image).unwrap().as_deref(), exe.to_str());
    let other = Image {
        inode: image.inode + 1,
        ..image
    };
    assert_eq!(seen.host_exe(other).unwrap(), None);
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
    assert!(matches!(ProcHandle::open(other), Err(LookError::Gone)));
}

#[test]
fn no_process_has_a_pid_beyond_the_range() {
    assert!(matches!(
        ProcHandle::open_pid(u32::MAX),
        Err(LookError::Gone)
    ));
    assert!(matches!(
        ProcHandle::open_pid(i32::MAX as u32),
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
    let facts = ProcHandle::open(myself()).unwrap().facts().unwrap();
    assert!(!facts.hidden && !facts.poses);
}

#[test]
fn own_code_is_in_the_own_image() {
    let seen = ProcHandle::open(myself()).unwrap();
    let image = seen.image().unwrap();
    let map = seen.maps(Some(image)).unwrap();
    let ip = own_facts as fn() as usize as u64;
    let exe = std::env::current_exe().unwrap();
    assert_eq!(map.name(ip), exe.to_str());
    // Where it has to be asked which file is mapped, that takes root.
    assert!(map.image(ip) == Some(image) || !rustix::process::geteuid().is_root());
}

#[test]
fn a_file_of_this_inode_elsewhere_is_not_roots() {
    let Some((path, own)) = ["/usr/bin/env", "/usr/bin/sh"]
        .map(Path::new)
        .into_iter()
        .find_map(|path| Some((path, roots_own(path)?)))
    else {
        return;
    };
    assert_eq!(known(path).ok(), Some(own));
    assert!(is_systems_own(path, own));
    let next = Image {
        inode: own.inode + 1,
        ..own
    };
    assert!(!is_systems_own(path, next));
    let other = Image {
        device: own.device + 1,
        ..own
    };
    assert_ne!(systems_own(path), Some(other));
    assert_eq!(roots_own(&std::env::current_exe().unwrap()), None);
}
