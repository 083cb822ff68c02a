use super::*;
use crate::{
    host::container::Home,
    policy::config::{Action, Scope},
    telemetry::journal::{Outcome, ScopeFallback},
};
use unjack_core::score::EvidenceKind;

fn verdict(pid: u32, start_time: u64, score: f64) -> Event {
    Event::Verdict(VerdictEvent {
        pid,
        thread: None,
        start_time,
        exe: Some("/tmp/a".to_owned()),
        comm: "a".to_owned(),
        verdict: "miner",
        unexplained: false,
        family: "randomx",
        score,
        cpu_percent: 99.0,
        burn_seconds: 5.0,
        evidence: (0..100)
            .map(|n| Evidence::new(EvidenceKind::Mix, n.to_string(), 0.5))
            .collect(),
        code: vec!["xor".to_owned(); 100],
        home: Home::default(),
    })
}

fn action(pid: u32, seconds: f64) -> Event {
    Event::Action(ActionEvent {
        pid,
        action: Action::Kill,
        outcome: Outcome::Gone,
        reason: String::new(),
        others: 2,
        fallback: Some(ScopeFallback {
            scope: Scope::Tree,
            scope_requested: Scope::Cgroup,
            scope_refused: "guarded",
        }),
        seconds,
    })
}

fn respawn(id: &str, pid: u32, refused: u64) -> Event {
    Event::Respawn(RespawnEvent {
        pid,
        outcome: "refused",
        ban: Listed {
            id: id.to_owned(),
            exe: "/tmp/a".to_owned(),
            sha256: None,
            reason: "verdict",
            why: "verdict miner, randomx".to_owned(),
            refused,
            seconds_left: 60,
            file: "1:2".to_owned(),
        },
        origin: Origin {
            cron: Some("/usr/sbin/cron".to_owned()),
            ..Origin::default()
        },
    })
}

fn hear(events: impl IntoIterator<Item = Event>) -> Recent {
    let mut recent = Recent::default();
    for (time, event) in (0_u32..).zip(events) {
        recent.hear(time.into(), &event);
    }
    recent
}

fn pids(recent: &Recent) -> Vec<u32> {
    recent.findings().map(|finding| finding.pid).collect()
}

#[test]
fn what_followed_is_told_with_the_verdict_it_followed() {
    let kept = Event::Evidence(EvidenceEvent {
        pid: 7,
        folder: "folder".to_owned(),
        sha256: None,
        lost: vec!["gone"],
    });
    let recent = hear([
        verdict(7, 1, 0.9),
        verdict(8, 1, 0.9),
        action(7, 0.5),
        kept,
        action(99, 0.1),
    ]);
    assert_eq!(pids(&recent), [8, 7]);
    let seven = recent.findings().last().unwrap();
    let [deed] = &seven.deeds[..] else {
        panic!("{seven:?}");
    };
    assert_eq!((&*deed.action, &*deed.outcome), ("kill", "gone"));
    assert_eq!((deed.time, deed.others), (2.0, 2));
    assert_eq!(deed.scope, "scope tree instead of cgroup: guarded");
    let kept = seven.kept.as_ref().unwrap();
    assert_eq!(
        (&*kept.folder, &*kept.lost),
        ("folder", &["gone".to_owned()][..])
    );
    assert_eq!(seven.evidence.len(), MAX_LINES);
    assert_eq!(Evidence::sum(&seven.evidence), Some(50.0));
    assert_eq!(seven.code.len(), MAX_LINES);
}

#[test]
fn a_verdict_told_again_is_the_same_and_another_process_of_the_pid_is_not() {
    let again = [verdict(7, 1, 0.9), action(7, 0.5), verdict(7, 1, 0.95)];
    let recent = hear(again.into_iter().chain([verdict(7, 2, 0.8)]));
    let findings: Vec<_> = recent.findings().collect();
    assert_eq!(findings.len(), 2);
    let old = findings[1];
    assert_eq!((old.time, old.times, old.score), (0.0, 2, 0.95));
    assert_eq!(old.deeds.len(), 1);
    assert_eq!((findings[0].times, findings[0].deeds.len()), (1, 0));
}

#[test]
fn what_was_once_told_as_unexplained_is_shown_so_from_then_on() {
    let told = |unexplained| match verdict(7, 1, 0.1) {
        Event::Verdict(event) => Event::Verdict(VerdictEvent {
            unexplained,
            ..event
        }),
        other => other,
    };
    let shown = |events: &[bool]| {
        let recent = hear(events.iter().map(|unexplained| told(*unexplained)));
        recent.findings().next().unwrap().unexplained
    };
    assert!(!shown(&[false]));
    assert!(shown(&[false, true]));
    assert!(shown(&[false, true, false]));
}

#[test]
fn a_ban_that_is_hit_again_and_again_is_one_finding() {
    let hits = [respawn("x", 1, 1), respawn("y", 2, 1), respawn("x", 3, 2)];
    let recent = hear(hits.into_iter().chain([action(3, 0.1)]));
    assert_eq!(pids(&recent), [3, 2]);
    let x = recent.findings().next().unwrap();
    assert_eq!((x.times, &*x.verdict, x.deeds.len()), (2, "banned", 1));
    assert_eq!(x.evidence.last().unwrap().text, "cron: /usr/sbin/cron");
}

#[test]
fn much_honest_hashing_does_not_push_out_a_miner() {
    let hashing = |pid| match verdict(pid, 1, 0.1) {
        Event::Verdict(event) => Event::Verdict(VerdictEvent {
            verdict: "hashing",
            ..event
        }),
        other => other,
    };
    let recent = hear(
        [verdict(7, 1, 0.9)]
            .into_iter()
            .chain((100..200).map(hashing)),
    );
    assert_eq!(pids(&recent).last(), Some(&7));
    assert_eq!(pids(&recent).first(), Some(&199));
    assert_eq!(recent.forgotten(), 51);
}

#[test]
fn the_oldest_goes_first_and_is_counted() {
    let many = u32::try_from(MAX_FINDINGS).unwrap() + 3;
    let mut recent = hear((0..many).map(|pid| verdict(pid, 1, 0.9)));
    assert_eq!(recent.findings().count(), MAX_FINDINGS);
    assert_eq!(recent.forgotten(), 3);
    assert_eq!(pids(&recent).last(), Some(&3));
    for n in 0_u32..20 {
        recent.hear(0.0, &action(many - 1, n.into()));
    }
    let newest = recent.findings().next().unwrap();
    assert_eq!(newest.deeds.len(), MAX_DEEDS);
    assert!((newest.deeds[0].seconds - 12.0).abs() < 1e-9);
}
