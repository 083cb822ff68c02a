use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use tempfile::TempDir;

use super::*;

const LIMITS: EvidenceLimits = EvidenceLimits {
    size: 16 << 20,
    count: 3,
};

fn home() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn open(home: &TempDir, limits: EvidenceLimits) -> Store {
    Store::open(&home.path().join("kept"), limits).unwrap()
}

fn name(n: u32) -> String {
    format!("20261124T19110{}.000Z-{n}-1a2b3c4d", n % 10)
}

/// Keeps a folder of so many bytes; how many had to go.
fn keep(store: &mut Store, n: u32, bytes: usize) -> io::Result<u64> {
    let (folder, pruned) = store.begin(&name(n), bytes as u64)?;
    let filled = folder.write("image", &vec![1; bytes]);
    Ok(pruned + store.finish(&folder, filled)?)
}

fn kept(home: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(home.path().join("kept")).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_oldest_goes_when_there_are_too_many() {
    let home = home();
    let mut store = open(&home, LIMITS);
    for n in 1..=3 {
        assert_eq!(keep(&mut store, n, 10).unwrap(), 0);
    }
    assert_eq!(keep(&mut store, 4, 10).unwrap(), 1);
    assert_eq!(kept(&home), [name(2), name(3), name(4)]);
}

#[test]
fn the_oldest_go_when_they_are_too_large() {
    let home = home();
    let mut store = open(&home, LIMITS);
    keep(&mut store, 1, 6 << 20).unwrap();
    keep(&mut store, 2, 6 << 20).unwrap();
    assert_eq!(keep(&mut store, 3, 14 << 20).unwrap(), 2);
    assert_eq!(kept(&home), [name(3)]);
}

#[test]
fn a_new_store_knows_what_was_kept_and_removes_what_was_not_finished() {
    let home = home();
    let mut store = open(&home, LIMITS);
    keep(&mut store, 1, 10).unwrap();
    let (folder, _) = store.begin(&name(2), 10).unwrap();
    folder.write("image", b"half").unwrap();
    drop(store);
    assert_eq!(kept(&home).len(), 2);
    let mut store = open(&home, EvidenceLimits { count: 1, ..LIMITS });
    assert_eq!(kept(&home), [name(1)]);
    keep(&mut store, 3, 10).unwrap();
    assert_eq!(kept(&home), [name(3)]);
}

#[test]
fn others_folders_are_left_alone() {
    let home = home();
    drop(open(&home, LIMITS));
    fs::create_dir(home.path().join("kept/mine")).unwrap();
    fs::write(home.path().join("kept/20261124T191101.000Z"), "x").unwrap();
    let mut store = open(&home, EvidenceLimits { count: 1, ..LIMITS });
    for n in 1..=2 {
        keep(&mut store, n, 10).unwrap();
    }
    assert_eq!(kept(&home), ["20261124T191101.000Z", &name(2), "mine"]);
}

#[test]
fn a_folder_that_failed_leaves_nothing() {
    let home = home();
    let mut store = open(&home, LIMITS);
    let (folder, _) = store.begin(&name(1), 10).unwrap();
    folder.write("image", b"half").unwrap();
    let failed = Err(io::Error::from_raw_os_error(libc::ENOSPC));
    let error = store.finish(&folder, failed).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
    assert!(kept(&home).is_empty());
}

#[test]
fn an_image_larger_than_all_room_is_not_copied() {
    let home = home();
    let mut store = open(&home, LIMITS);
    let path = home.path().join("large");
    fs::write(&path, vec![0; 16 << 20]).unwrap();
    let (folder, _) = store.begin(&name(1), 16 << 20).unwrap();
    let copied = folder.copy(
        "image",
        File::open(&path).unwrap(),
        64 << 20,
        Duration::from_mins(1),
    );
    assert_eq!(copied, Err(Loss::ImageTooLarge));
    folder.write("incident.json", b"{}").unwrap();
    store.finish(&folder, Ok(())).unwrap();
    let files = fs::read_dir(home.path().join("kept").join(name(1))).unwrap();
    assert_eq!(files.count(), 1);
}

#[test]
fn a_copy_takes_no_longer_than_it_may() {
    let home = home();
    let mut store = open(&home, LIMITS);
    let path = home.path().join("file");
    fs::write(&path, b"abc").unwrap();
    let (folder, _) = store.begin(&name(1), 3).unwrap();
    let copy = |time| folder.copy("image", File::open(&path).unwrap(), 3, time);
    // `until` is over before the first byte.
    assert_eq!(copy(Duration::ZERO), Err(Loss::ImageUnreadable));
    let digest = copy(Duration::from_mins(1)).unwrap().to_string();
    assert!(digest.starts_with("ba7816bf8f01cfea"), "{digest}");
}

#[test]
fn all_is_closed_to_others_and_nothing_is_executable() {
    let home = home();
    let mut store = open(&home, LIMITS);
    keep(&mut store, 1, 10).unwrap();
    let folder = home.path().join("kept").join(name(1));
    for (path, mode) in [
        (home.path().join("kept"), 0o700),
        (folder.clone(), 0o700),
        (folder.join("image"), 0o600),
    ] {
        let meta = fs::metadata(&path).unwrap();
        assert_eq!(meta.permissions().mode() & 0o7777, mode, "{path:?}");
    }
}

#[test]
fn a_directory_others_may_enter_or_a_link_is_refused() {
    let home = home();
    let open = home.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(Store::open(&open, LIMITS).is_err());
    let real = home.path().join("real");
    drop(Store::open(&real, LIMITS).unwrap());
    symlink(&real, home.path().join("link")).unwrap();
    assert!(Store::open(&home.path().join("link"), LIMITS).is_err());
}

#[test]
fn only_names_of_our_form_are_ours() {
    for (name, expected) in [
        ("20261124T191108.123Z-4242-1a2b3c4d", true),
        ("20261124T191108.123Z-4242-1a2b3c4", false),
        ("20261124T191108.123Z--1a2b3c4d", false),
        ("20261124T191108.123Z-4242-1a2b3c4d-", false),
        ("../../../../../../../Z-4242-1a2b3c4d", false),
        ("mine", false),
        ("", false),
    ] {
        assert_eq!(is_ours(name), expected, "{name}");
    }
}
