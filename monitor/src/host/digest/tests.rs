//! Files and processes of this very test.

use std::{
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    sync::atomic::{AtomicU64, Ordering},
};

use sha2::{Digest as _, Sha256};

use super::{budget::Budget, hasher::FORGOTTEN, *};

fn key(n: u64) -> Key {
    Key {
        image: Image {
            device: 1,
            inode: n,
        },
        changed: (1, 2),
        size: 3,
    }
}

#[test]
fn a_digest_reads_back_as_it_is_shown() {
    let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(Digest::parse(text).unwrap().to_string(), text);
    assert_eq!(
        Digest::parse(&text.to_uppercase()).unwrap().to_string(),
        text
    );
}

#[test]
fn what_is_no_digest_is_none() {
    let wide = "é".repeat(32);
    for text in ["", "ba78", &"g".repeat(64), &"a".repeat(65), &wide] {
        assert_eq!(Digest::parse(text), None, "{text}");
    }
}

#[test]
fn the_cache_forgets_the_oldest_and_keeps_the_rest() {
    let mut cache = Cache::default();
    for n in 0..MAX_KNOWN as u64 + 10 {
        cache.put(key(n), Digest([1; 32]));
        cache.put(key(n), Digest([2; 32]));
    }
    assert_eq!(cache.len(), MAX_KNOWN);
    assert_eq!(cache.get(&key(9)), None);
    assert_eq!(cache.get(&key(10)), Some(Digest([2; 32])));
}

#[test]
fn a_changed_file_is_another() {
    let mut cache = Cache::default();
    cache.put(key(1), Digest([1; 32]));
    let changed = Key {
        changed: (1, 3),
        ..key(1)
    };
    assert_eq!(cache.get(&changed), None);
}

/// What the threads say of this very test.
fn ask(process: Process, image: Image) -> Result<Digest, Unknown> {
    wait(process, image, Duration::from_mins(1))
}

fn this_process() -> (Process, Image) {
    let tgid = std::process::id();
    let seen = ProcHandle::open_pid(tgid).unwrap();
    let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second();
    let start_ns = seen.start_ticks().unwrap() * tick;
    (Process { tgid, start_ns }, seen.image().unwrap())
}

#[test]
fn the_image_of_a_process_is_hashed() {
    let (process, image) = this_process();
    let bytes = std::fs::read("/proc/self/exe").unwrap();
    let expected = Digest(Sha256::digest(&bytes).into());
    assert_eq!(ask(process, image), Ok(expected));
}

#[test]
fn another_image_or_process_is_not() {
    let (process, image) = this_process();
    let other = Image {
        inode: image.inode + 1,
        ..image
    };
    assert_eq!(ask(process, other), Err(Unknown::Gone));
    let other = Process {
        start_ns: 1,
        ..process
    };
    assert_eq!(ask(other, image), Err(Unknown::Gone));
}

fn file() -> File {
    use rustix::fs::{MemfdFlags, memfd_create};
    memfd_create("of-a-test", MemfdFlags::CLOEXEC)
        .unwrap()
        .into()
}

#[test]
fn a_file_has_the_digest_other_programs_print() {
    let mut file = file();
    file.write_all(b"abc").unwrap();
    // FIPS 180-2, appendix B.1.
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    for _ in 0..2 {
        assert_eq!(of(&file).unwrap().to_string(), expected);
    }
}

#[test]
fn a_file_beyond_the_bound_has_none_and_is_counted() {
    let before: Vec<_> = counts().collect();
    let file = file();
    file.set_len(MAX_BYTES + 1).unwrap();
    let (answer, answered) = sync_channel(1);
    let open = move || Ok(file);
    let (process, _) = this_process();
    assert!(ask_opened(Purpose::Judged(process), open, move |digest| {
        answer.send(digest).unwrap();
    }));
    assert_eq!(answered.recv().unwrap(), Err(Unknown::TooLarge));
    let too_large = |counts: &[(&str, u64)]| {
        let of = counts.iter().find(|(name, _)| *name == "too-large");
        of.unwrap().1
    };
    assert!(too_large(&counts().collect::<Vec<_>>()) > too_large(&before));
}

#[test]
fn what_is_in_work_is_late_and_unreadable_in_the_end() {
    let hasher = Hasher::start().unwrap();
    let image = key(77).image;
    assert_eq!(late(&hasher, image), Unknown::Late);
    lock(&hasher.waited_for).insert(
        image,
        (
            Instant::now().checked_sub(PATIENCE).unwrap(),
            Instant::now(),
        ),
    );
    assert_eq!(late(&hasher, image), Unknown::Unreadable);
    // Who waits for it an hour later waits for the first time.
    let ago = |time| Instant::now().checked_sub(time).unwrap();
    lock(&hasher.waited_for).insert(image, (ago(2 * PATIENCE), ago(FORGOTTEN)));
    assert_eq!(late(&hasher, image), Unknown::Late);
}

fn charged(file: &File, may_read: impl Fn(u64) -> bool) -> Result<Digest, Unknown> {
    of_file(&Mutex::default(), file, may_read)
}

#[test]
fn sparse_files_cost_what_their_size_says_and_small_ones_are_read_on() {
    let (user, now) = (User::of(1000), Instant::now());
    let budget = Mutex::new(Budget::new(now));
    let take = |bytes| lock(&budget).take(user, bytes, now);
    assert!(take(budget::USER_BURST - (1 << 20)));
    for _ in 0..10 {
        let sparse = tempfile::tempfile().unwrap();
        sparse.set_len(250 << 20).unwrap();
        assert!(
            sparse.metadata().unwrap().blocks() < 100,
            "it is not sparse"
        );
        assert_eq!(charged(&sparse, take), Err(Unknown::OverBudget));
    }
    let small = file();
    small.set_len(1 << 20).unwrap();
    assert!(charged(&small, take).is_ok());
    assert_eq!(charged(&small, take), Err(Unknown::OverBudget));
}

#[test]
fn a_file_that_says_it_is_empty_is_charged_for_what_is_read() {
    let read = AtomicU64::new(0);
    let take = |bytes| {
        read.fetch_add(bytes, Ordering::Relaxed);
        true
    };
    let file = File::open("/proc/self/status").unwrap();
    assert_eq!(file.metadata().unwrap().len(), 0);
    assert!(charged(&file, take).is_ok());
    assert!(read.load(Ordering::Relaxed) > 0);
    assert_eq!(charged(&file, |bytes| bytes == 0), Err(Unknown::OverBudget));
}

#[test]
fn what_is_read_for_a_process_is_of_the_budget_of_its_user() {
    let (process, _) = this_process();
    let user = User::of(rustix::process::getuid().as_raw());
    assert_eq!(Purpose::Executed(process).user(), Ok(user));
    assert_eq!(Purpose::Condemned(70_000).user(), Ok(User::of(70_000)));
    let gone = Process {
        start_ns: 1,
        ..process
    };
    assert_eq!(Purpose::Judged(gone).user(), Err(Unknown::Gone));
}
