use proptest::prelude::*;

use super::*;

const LIMITS: BreakerLimits = BreakerLimits {
    host: 30,
    user: 10,
    image: 20,
};
const SECOND: u64 = 1_000_000_000;
const CONTAINER: &str = "/docker/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A process: the inode of its image, its user, its cgroup.
#[derive(Clone, Debug)]
struct Run {
    inode: u64,
    uid: u32,
    cgroup: String,
}

fn run(inode: u64, uid: u32, cgroup: &str) -> Run {
    Run {
        inode,
        uid,
        cgroup: cgroup.to_owned(),
    }
}

/// In a session of its user's.
fn of_user(inode: u64, uid: u32) -> Run {
    let cgroup = format!("/user.slice/user-{uid}.slice/session-1.scope");
    run(inode, uid, &cgroup)
}

fn act(breaker: &Breaker, run: &Run) -> Act {
    let facts = Facts {
        uid: Some(run.uid),
        cgroup: run.cgroup.clone(),
        exe: format!("/tmp/{}", run.inode),
        ..Facts::default()
    };
    let image = Image {
        device: 1,
        inode: run.inode,
    };
    breaker.about(image, Some(&facts))
}

/// Acts on a process if it may; or the level that it may not by.
fn tries(breaker: &mut Breaker, now_ns: u64, run: &Run) -> Result<(), Level> {
    let act = act(breaker, run);
    breaker.allows(now_ns, &act).map_err(|stop| stop.level)?;
    breaker.count(now_ns, &act);
    Ok(())
}

/// Acts on these, a tenth of a second apart: how many were acted on, and the level that
/// the last was stopped by.
fn all(breaker: &mut Breaker, runs: impl IntoIterator<Item = Run>) -> (usize, Result<(), Level>) {
    let mut now_ns = SECOND;
    let (mut acted, mut last) = (0, Ok(()));
    for run in runs {
        now_ns += SECOND / 10;
        last = tries(breaker, now_ns, &run);
        acted += usize::from(last.is_ok());
    }
    (acted, last)
}

#[track_caller]
fn check(runs: impl IntoIterator<Item = Run>, expected: (usize, Result<(), Level>)) {
    assert_eq!(all(&mut Breaker::new(LIMITS), runs), expected);
}

#[test]
fn many_different_honest_images_of_many_users_stop_it() {
    let honest = (0..200).map(|number| of_user(number, 1000 + u32::try_from(number).unwrap()));
    check(honest, (30, Err(Level::Host)));
    // The same of root, in units and containers of their own.
    let units = (0..200).map(|n| run(n, 0, &format!("/system.slice/a{n}.service")));
    check(units, (30, Err(Level::Host)));
}

#[test]
fn many_different_images_of_one_user_stop_for_that_user() {
    let many = (0..50).map(|inode| of_user(inode, 1000));
    check(many.clone(), (10, Err(Level::User)));
    let mut breaker = Breaker::new(LIMITS);
    let _ = all(&mut breaker, many);
    let now_ns = 7 * SECOND;
    assert_eq!(tries(&mut breaker, now_ns, &of_user(99, 1001)), Ok(()));
    // In other sessions, or in units that users share, it is the same user.
    let elsewhere = run(98, 1000, "/system.slice/cron.service");
    assert_eq!(tries(&mut breaker, now_ns, &elsewhere), Err(Level::User));
}

#[test]
fn users_of_one_slice_or_container_are_one() {
    let slice = "/user.slice/user-1000.slice/user@1000.service/a.scope";
    let subordinate = (0..50).map(|n| run(n, 100_000 + u32::try_from(n).unwrap(), slice));
    check(subordinate, (10, Err(Level::Cgroup)));
    let inside = (0..50).map(|n| run(n, u32::try_from(n).unwrap(), CONTAINER));
    check(inside, (10, Err(Level::Cgroup)));
}

#[test]
fn users_of_a_unit_that_they_share_are_told_apart() {
    let unit = "/system.slice/ssh.service";
    let mut breaker = Breaker::new(LIMITS);
    let decoys = (0..50).map(|inode| run(inode, 1000, unit));
    assert_eq!(all(&mut breaker, decoys), (10, Err(Level::User)));
    assert_eq!(
        tries(&mut breaker, 7 * SECOND, &run(99, 1001, unit)),
        Ok(())
    );
}

/// The same user id in a container is another user.
#[test]
fn a_container_does_not_decide_about_the_host() {
    let mut breaker = Breaker::new(LIMITS);
    let decoys = (0..50).map(|inode| run(inode, 0, CONTAINER));
    let _ = all(&mut breaker, decoys);
    let service = run(99, 0, "/system.slice/a.service");
    assert_eq!(tries(&mut breaker, 7 * SECOND, &service), Ok(()));
}

#[test]
fn further_processes_of_an_image_count_for_that_image_alone() {
    let mut breaker = Breaker::new(LIMITS);
    let crowd = std::iter::repeat_n(of_user(1, 1000), 50);
    assert_eq!(all(&mut breaker, crowd), (20, Err(Level::Image)));
    let now_ns = 7 * SECOND;
    // Neither for another image of that user, nor for that image of another.
    assert_eq!(tries(&mut breaker, now_ns, &of_user(2, 1000)), Ok(()));
    assert_eq!(tries(&mut breaker, now_ns, &of_user(1, 1001)), Ok(()));
    assert_eq!(
        (breaker.open_at(Level::Image), breaker.open_at(Level::User)),
        (1, 0)
    );
}

/// What was acted on before is no news, and goes on while its user's is open.
#[test]
fn an_image_that_was_acted_on_before_is_not_new() {
    let mut breaker = Breaker::new(LIMITS);
    let old = of_user(1, 1000);
    assert_eq!(tries(&mut breaker, SECOND, &old), Ok(()));
    let mut now_ns = SECOND + 2 * MINUTE_NS;
    for _ in 0..5 {
        assert_eq!(tries(&mut breaker, now_ns, &old), Ok(()));
    }
    let new = |breaker: &mut Breaker, inode| tries(breaker, now_ns, &of_user(inode, 1000));
    for inode in 2..12 {
        assert_eq!(new(&mut breaker, inode), Ok(()));
    }
    assert_eq!(new(&mut breaker, 12), Err(Level::User));
    assert_eq!(tries(&mut breaker, now_ns, &old), Ok(()));
    // An hour later the inode may be another file's.
    now_ns += KNOWN_NS;
    for inode in 20..29 {
        assert_eq!(tries(&mut breaker, now_ns, &of_user(inode, 1000)), Ok(()));
    }
    assert_eq!(tries(&mut breaker, now_ns, &old), Ok(()));
    assert_eq!(
        tries(&mut breaker, now_ns, &of_user(30, 1000)),
        Err(Level::User)
    );
}

/// While it is open for the host, nothing that was judged is acted on.
#[test]
fn the_host_stops_what_is_known_too() {
    let mut breaker = Breaker::new(LIMITS);
    let old = of_user(1, 1);
    assert_eq!(tries(&mut breaker, SECOND, &old), Ok(()));
    let now_ns = SECOND + 2 * MINUTE_NS;
    for uid in 2..32 {
        assert_eq!(
            tries(&mut breaker, now_ns, &of_user(uid.into(), uid)),
            Ok(())
        );
    }
    assert_eq!(tries(&mut breaker, now_ns, &old), Err(Level::Host));
}

/// The row of the decoy: one is killed, then each minute 31 copies of it are started and
/// another image mines. Copies whose image is banned do not even get here; these are
/// files of their own, as with `--ban 0` or under another action.
#[test]
fn decoys_do_not_protect_another_image() {
    for miner in [of_user(1, 1001), run(1, 1001, "/system.slice/cron.service")] {
        let mut breaker = Breaker::new(LIMITS);
        for minute in 1..10 {
            let now_ns = minute * (MINUTE_NS + SECOND);
            for copy in 0..31 {
                let decoy = of_user(100 * minute + copy, 1000);
                let at_ns = now_ns + copy * SECOND / 10;
                let expected = if copy < 10 { Ok(()) } else { Err(Level::User) };
                assert_eq!(tries(&mut breaker, at_ns, &decoy), expected, "{copy}");
            }
            assert_eq!(tries(&mut breaker, now_ns + 4 * SECOND, &miner), Ok(()));
        }
        assert_eq!(breaker.open_at(Level::Host), 0);
    }
}

#[test]
fn it_is_open_for_a_minute_and_tells_what_it_let_pass() {
    let mut breaker = Breaker::new(LIMITS);
    let _ = all(&mut breaker, (0..13).map(|inode| of_user(inode, 1000)));
    // The tenth opened it, for its user and for that user's slice.
    let opened_ns = 2 * SECOND;
    let opened = breaker.changes(opened_ns);
    let texts: Vec<_> = breaker
        .open(opened_ns)
        .into_iter()
        .map(|it| it.of)
        .collect();
    assert_eq!(
        texts,
        ["user 1000", "cgroup \"/user.slice/user-1000.slice\""]
    );
    assert_eq!(opened.len(), 2);
    assert!(
        opened
            .iter()
            .all(|it| matches!(it, Change::Opened(it) if it.let_pass == 0))
    );
    let last_ns = opened_ns + MINUTE_NS - 1;
    assert!(breaker.changes(last_ns).is_empty());
    let user = |it: &Change| match it {
        Change::Closed(it) if it.level == Level::User => Some(it.let_pass),
        _ => None,
    };
    let closed = breaker.changes(opened_ns + MINUTE_NS);
    assert_eq!(closed.len(), 2);
    assert_eq!(closed.iter().find_map(user), Some(3));
    assert_eq!(
        tries(&mut breaker, opened_ns + MINUTE_NS, &of_user(20, 1000)),
        Ok(())
    );
}

#[test]
fn what_is_a_minute_apart_opens_nothing() {
    let limits = BreakerLimits {
        host: 2,
        user: 2,
        image: 2,
    };
    let mut breaker = Breaker::new(limits);
    for minute in 1..10 {
        let now_ns = minute * (MINUTE_NS + 1);
        assert_eq!(tries(&mut breaker, now_ns, &of_user(minute, 1)), Ok(()));
    }
    assert!(breaker.open(9 * (MINUTE_NS + 1)).is_empty());
}

/// Each table forgets its oldest for one more, and counts that.
#[test]
fn full_tables_forget_and_count() {
    let wide = BreakerLimits {
        host: 10_000,
        user: 10_000,
        image: 10_000,
    };
    let mut breaker = Breaker::new(wide);
    let kept = u64::try_from(MAX_KNOWN).unwrap();
    for inode in 0..kept {
        breaker.count(SECOND, &act(&breaker, &of_user(inode, 1)));
    }
    assert_eq!(breaker.forgotten(), 0);
    breaker.count(2 * SECOND, &act(&breaker, &of_user(kept, 1)));
    assert_eq!((breaker.known.len(), breaker.forgotten()), (MAX_KNOWN, 1));

    let mut breaker = Breaker::new(wide);
    let again = act(&breaker, &of_user(1, 1));
    for _ in 0..MAX_COUNTED {
        breaker.count(SECOND, &again);
    }
    // Of a new image there are four counts.
    assert_eq!(
        (breaker.recent.len(), breaker.forgotten()),
        (MAX_COUNTED, 3)
    );

    let narrow = BreakerLimits { image: 1, ..wide };
    let mut breaker = Breaker::new(narrow);
    for inode in 0..=kept {
        breaker.count(SECOND + inode, &act(&breaker, &of_user(inode, 1)));
    }
    // The table of images is as large, and forgot one as well.
    assert_eq!((breaker.open.len(), breaker.forgotten()), (MAX_OPEN, 2));
    let closed = breaker.changes(2 * SECOND);
    assert!(
        closed
            .iter()
            .any(|change| matches!(change, Change::Closed(_)))
    );
}

/// A process of one of three users, of one of their images, somewhere.
fn any_run(uids: std::ops::Range<u32>, inodes: u64) -> impl Strategy<Value = Run> {
    (0..inodes, uids, 0..4_usize).prop_map(|(inode, uid, place)| match place {
        0 => of_user(inode, uid),
        1 => run(
            inode,
            uid,
            &format!("/user.slice/user-{uid}.slice/user@{uid}.service/a/{inode}"),
        ),
        2 => run(inode, uid, "/system.slice/cron.service"),
        _ => run(inode, uid, &format!("/jobs/{inode}")),
    })
}

// Fewer cases than usual: each is some hundred processes.
proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever one user starts when: what is decided about others is what would be
    /// decided without it, unless the host's limit is reached.
    #[test]
    fn one_users_decoys_decide_nothing_about_others(
        honest in prop::collection::vec((0_u64..20 * SECOND, any_run(1001..1003, 15)), 1..60),
        decoys in prop::collection::vec((0_u64..2 * SECOND, any_run(1000..1001, 1000)), 1..400),
    ) {
        // What honest users' processes count for the host is below two thirds of it, what
        // one user's do is a third at the most.
        let mut events: Vec<(u64, bool, Run)> = Vec::new();
        for (is_decoy, runs) in [(false, honest), (true, decoys)] {
            let mut at_ns = SECOND;
            for (wait_ns, run) in runs {
                at_ns += wait_ns;
                events.push((at_ns, is_decoy, run));
            }
        }
        events.sort_by_key(|(at_ns, is_decoy, _)| (*at_ns, *is_decoy));
        let (mut alone, mut together) = (Breaker::new(LIMITS), Breaker::new(LIMITS));
        for (at_ns, is_decoy, run) in &events {
            let decided = tries(&mut together, *at_ns, run);
            if together.open_at(Level::Host) > 0 {
                break;
            }
            if !is_decoy {
                prop_assert_eq!(tries(&mut alone, *at_ns, run), decided, "{:?}", run);
            }
        }
    }

    /// One user's processes never reach the host's limit.
    #[test]
    fn one_user_never_opens_the_host(
        decoys in prop::collection::vec((0_u64..SECOND / 2, any_run(1000..1001, 1000)), 1..800),
    ) {
        let mut breaker = Breaker::new(LIMITS);
        let mut at_ns = SECOND;
        for (wait_ns, run) in decoys {
            at_ns += wait_ns;
            let _ = tries(&mut breaker, at_ns, &run);
            prop_assert_eq!(breaker.open_at(Level::Host), 0);
        }
    }

}

/// Times with the inode of an image and a user.
type Acts = [(u64, (u64, u32))];

proptest! {
    /// Whatever is asked when: never more than the limits in a minute.
    #[test]
    fn no_minute_has_more_than_the_limits(
        host in 1_u32..6,
        user in 1_u32..6,
        image in 1_u32..6,
        asks in prop::collection::vec((0_u64..9 * SECOND, 0_u64..3, 0_u32..3), 1..200),
    ) {
        let mut breaker = Breaker::new(BreakerLimits { host, user, image });
        let (mut now_ns, mut acts, mut new) = (0, Vec::new(), Vec::new());
        for (wait_ns, inode, uid) in asks {
            now_ns += wait_ns;
            if tries(&mut breaker, now_ns, &of_user(inode, uid)).is_ok() {
                if acts.iter().all(|(_, other)| *other != (inode, uid)) {
                    new.push((now_ns, (inode, uid)));
                }
                acts.push((now_ns, (inode, uid)));
            }
        }
        let within = |all: &Acts, at: u64| -> Vec<(u64, u32)> {
            let minute = all.iter().filter(|(t, _)| (at..at + MINUTE_NS).contains(t));
            minute.map(|(_, what)| *what).collect()
        };
        for (at, (inode, uid)) in &acts {
            let same = within(&acts, *at).iter().filter(|it| **it == (*inode, *uid)).count();
            prop_assert!(same <= image as usize);
            let new = within(&new, *at);
            prop_assert!(new.len() <= host as usize);
            prop_assert!(new.iter().filter(|it| it.1 == *uid).count() <= user as usize);
        }
    }
}
