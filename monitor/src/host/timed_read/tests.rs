use std::fmt;

use super::*;

/// No process has such an id, and each test has ids of its own: its reads are in the way
/// of no other test.
const NO_PROCESS: i32 = -1000;

/// A read that hangs until the sender is dropped.
fn hang(look: Look) -> (mpsc::SyncSender<()>, Result<(), LookError>) {
    let (go_on, wait) = mpsc::sync_channel::<()>(1);
    let found = timed_read(look, move || wait.recv().map_err(|_| LookError::Gone));
    (go_on, found)
}

fn why<T: fmt::Debug>(found: Result<T, LookError>) -> Cause {
    match found {
        Err(LookError::CannotTell(cause)) => cause,
        other => panic!("{other:?}"),
    }
}

fn counted(cause: Cause) -> u64 {
    let mut all = unanswered();
    all.find(|(it, _)| *it == cause)
        .map_or(0, |(_, count)| count)
}

/// A place ends right after the answer.
fn wait_free(look: Look) {
    while timed_read(look, || Ok(())).is_err() {
        thread::yield_now();
    }
}

#[test]
fn a_read_that_hangs_is_in_no_other_reads_way() {
    let look = (NO_PROCESS, What::Words);
    let before = (counted(Cause::Timeout), counted(Cause::Pending));
    let (go_on, given_up) = hang(look);
    assert_eq!(why(given_up), Cause::Timeout);
    assert!(hanging() >= 1);
    // Of something else, and of another, on another thread; the same not.
    let name = || Ok(thread::current().name().map(str::to_owned));
    let reads = Some("reads".to_owned());
    assert_eq!(
        timed_read((NO_PROCESS, What::Mappings), name).unwrap(),
        reads
    );
    assert_eq!(
        timed_read((NO_PROCESS - 1, What::Words), name).unwrap(),
        reads
    );
    assert_eq!(why(timed_read(look, || Ok(()))), Cause::Pending);
    let after = (counted(Cause::Timeout), counted(Cause::Pending));
    assert!(
        after.0 > before.0 && after.1 > before.1,
        "{before:?} {after:?}"
    );
    drop(go_on);
    wait_free(look);
}

#[test]
fn a_read_that_panics_times_out_and_the_next_does_not() {
    let look = (NO_PROCESS - 2, What::Words);
    let panicked: Result<(), _> = timed_read(look, || panic!("as this test wants it"));
    assert_eq!(why(panicked), Cause::Timeout);
    wait_free(look);
}

#[test]
fn a_thread_of_its_own_is_given_up_until_it_is_done() {
    let look = (NO_PROCESS - 3, What::Sockets);
    let (go_on, wait) = mpsc::sync_channel::<()>(1);
    let slow = move || wait.recv().map_err(|_| LookError::Gone);
    assert_eq!(why(alone(look, Duration::ZERO, slow)), Cause::Timeout);
    assert_eq!(
        why(alone(look, Duration::from_mins(1), || Ok(()))),
        Cause::Pending
    );
    drop(go_on);
    while alone(look, Duration::from_mins(1), || Ok(())).is_err() {
        thread::yield_now();
    }
}

/// What two callers read at the same time, and nothing hangs.
#[test]
fn the_same_read_twice_at_once_is_answered_twice() {
    let look = (NO_PROCESS - 4, What::Folder);
    let (go_on, wait) = mpsc::sync_channel::<()>(0);
    let first = thread::spawn(move || timed_read(look, move || Ok(wait.recv().is_ok())));
    // It is under way: the other end takes what is sent.
    let (begun, told) = mpsc::sync_channel::<()>(1);
    let second = timed_read(look, move || Ok(begun.send(()).is_ok()));
    assert!(second.unwrap() && told.recv().is_ok());
    go_on.send(()).unwrap();
    assert!(first.join().unwrap().unwrap());
}

/// One process of many that hangs costs the others their answer once, and is left out of
/// the next scan.
#[test]
fn a_scan_leaves_out_what_hangs() {
    let (go_on, wait) = mpsc::sync_channel::<()>(1);
    let wait = std::sync::Arc::new(Mutex::new(wait));
    let hangs = NO_PROCESS - 11;
    let read = move || {
        let of = |pid: i32| {
            let wait = std::sync::Arc::clone(&wait);
            timed_read((pid, What::Folder), move || {
                if pid == hangs {
                    let _ = wait.lock().unwrap_or_else(PoisonError::into_inner).recv();
                }
                Ok(pid)
            })
        };
        let pids = (NO_PROCESS - 12)..=(NO_PROCESS - 10);
        pids.map(of).filter_map(Result::ok).collect::<Vec<i32>>()
    };
    let found = scan(read).unwrap();
    assert_eq!(found, [NO_PROCESS - 12, NO_PROCESS - 10]);
    drop(go_on);
    wait_free((hangs, What::Folder));
}

/// Of a thread that has spent its time no read is begun, and no other thread minds.
#[test]
fn a_thread_that_waited_too_long_is_refused_and_others_are_not() {
    let look = (NO_PROCESS - 20, What::Folder);
    let refused = thread::spawn(move || {
        let mut waited = Waited::new();
        let _first = waited.patience(Instant::now(), PATIENCE);
        waited.add(Duration::from_secs(6));
        WAITED.set(waited);
        why(timed_read(look, || Ok(())))
    });
    assert_eq!(refused.join().unwrap(), Cause::Budget);
    timed_read(look, || Ok(())).unwrap();
}
