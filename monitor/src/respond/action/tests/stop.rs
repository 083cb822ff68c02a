//! A process that is stopped for a moment, and goes on.

use super::*;

/// Stops and lets go; what was sent.
fn stop(fake: &Fake, order: &ActionRequest) -> (Result<bool, Refusal>, Vec<Signal>) {
    let home = tempfile::tempdir().unwrap();
    let hold_manager =
        hold_manager::HoldManager::new(store::Store::new(home.path().join("state")), false);
    let held = stop_briefly(order, &LINEAGE, fake, &hold_manager).map(|still| still.is_some());
    (held, fake.sent.borrow().clone())
}

#[test]
fn who_is_stopped_is_written_down_until_it_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let store = || store::Store::new(home.path().join("state"));
    let hold_manager = hold_manager::HoldManager::new(store(), false);
    let intents = || store().with(|locked| locked.state.moments).unwrap();
    let fake = Fake::new(9);
    let still = stop_briefly(&order(PID, 0), &LINEAGE, &fake, &hold_manager).unwrap();
    assert_eq!(intents(), [TransientStop::Stopped(order(PID, 0).judged())]);
    drop(still);
    assert_eq!(intents(), []);
}

#[test]
fn who_could_not_be_let_go_on_stays_written_down() {
    use Signal::{Continue, Stop};
    let stopped = order(PID, 0).judged();
    for (signal, errno, held, left) in [
        (
            Continue,
            libc::EPERM,
            Ok(true),
            vec![TransientStop::Stopped(stopped)],
        ),
        // It was killed meanwhile.
        (Continue, libc::ESRCH, Ok(true), vec![]),
        // It was never stopped.
        (Stop, libc::EPERM, Err(Refusal::NoPermission), vec![]),
    ] {
        let home = tempfile::tempdir().unwrap();
        let store = || store::Store::new(home.path().join("state"));
        let hold_manager = hold_manager::HoldManager::new(store(), false);
        let fake = Fake {
            unsent: Some((signal, errno)),
            ..Fake::new(9)
        };
        let still = stop_briefly(&order(PID, 0), &LINEAGE, &fake, &hold_manager);
        assert_eq!(still.map(|still| still.is_some()), held, "{signal:?}");
        let intents = store().with(|locked| locked.state.moments).unwrap();
        assert_eq!(intents, left, "{signal:?}: {errno}");
    }
}

#[test]
fn where_nothing_can_be_written_down_no_process_is_stopped() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let hold_manager = hold_manager::HoldManager::new(store::Store::new(file.join("state")), false);
    let fake = Fake::new(9);
    let held =
        stop_briefly(&order(PID, 0), &LINEAGE, &fake, &hold_manager).map(|still| still.is_some());
    assert_eq!(held, Ok(false));
    assert_eq!(*fake.sent.borrow(), []);
}

#[test]
fn one_that_was_stopped_goes_on() {
    let sent = vec![Signal::Stop, Signal::Continue];
    assert_eq!(stop(&Fake::new(9), &order(PID, 0)), (Ok(true), sent));
}

#[test]
fn one_that_others_stopped_is_left_so() {
    let fake = Fake {
        stopped: true,
        ..Fake::new(9)
    };
    assert_eq!(stop(&fake, &order(PID, 0)), (Ok(false), vec![]));
}

#[test]
fn who_must_not_be_signalled_is_not_stopped() {
    for (fake, pid, refusal) in [
        (Fake::new(9), 1, Refusal::Init),
        (Fake::new(9), 900, Refusal::Myself),
        (Fake::new(9), 800, Refusal::Ancestor),
        (Fake::new(9).then(Ok(is(OTHER))), PID, Refusal::Replaced),
        (
            Fake::new(9).then(Err(LookError::Gone)),
            PID,
            Refusal::Vanished,
        ),
        (
            Fake {
                cancelled_after: 0,
                ..Fake::new(9)
            },
            PID,
            Refusal::Cancelled,
        ),
    ] {
        assert_eq!(stop(&fake, &order(pid, 0)), (Err(refusal), vec![]));
    }
}
