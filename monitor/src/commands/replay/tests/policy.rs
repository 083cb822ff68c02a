//! What a policy would have done to a recording.

use super::*;

#[test]
fn a_miner_would_be_killed_and_honest_work_left_alone() {
    let lives = [life(1, 0..30, 1, 0), life(2, 0..60, 0, 1)];
    let report = judged(&recording(&lives, 60), &["--core-hour-cost", "3600"]);
    assert_eq!(verdicts(&report), [(1, "miner", Some(Outcome::Gone))]);
    let entry = &report.verdicts[0];
    assert!((1.5..5.0).contains(&entry.t), "{entry:?}");
    assert_eq!(entry.verdict.exe.as_deref(), Some("/opt/1"));
    assert!(
        entry
            .verdict
            .evidence
            .iter()
            .any(|line| line.log_odds > 0.0 && line.text.starts_with("the instruction mix is"))
    );
    // From the verdict on until it ended.
    assert!(
        (entry.saved_cpu_seconds - (30.0 - entry.t)).abs() < 1e-6,
        "{entry:?}"
    );
    assert!((entry.ended.unwrap() - 30.0).abs() < 1e-6, "{entry:?}");
    let total = &report.total;
    assert_eq!((total.miners, total.acted_on), (1, 1));
    let stolen: f64 = total.stolen_cpu_seconds.values().sum();
    assert!((stolen - 30.0).abs() < 1e-6, "{total:?}");
    assert!((total.saved_cpu_seconds - entry.saved_cpu_seconds).abs() < 1e-6);
    assert!(
        (total.stolen_cost.unwrap() - 30.0).abs() < 1e-6,
        "{total:?}"
    );
    assert!(report.unknown.is_empty(), "{:?}", report.unknown);
    let text = report.render();
    assert!(text.contains("miner pid 4294967294 \"/opt/1\""), "{text}");
    assert!(text.contains("would kill: saves"), "{text}");
    assert!(text.contains("60 s from 2023-11-14T22:13:20Z"), "{text}");
}

#[test]
fn flags_change_what_is_done() {
    let recording = recording(&[life(1, 0..40, 1, 0)], 40);
    for (flags, outcome, reason) in [
        (
            &["--allow", "user=1"] as &[&str],
            Outcome::Refused,
            "allowed",
        ),
        (&["--allow", "exe=/opt/*"], Outcome::Refused, "allowed"),
        (&["--allow", "exe=/opt/2"], Outcome::Gone, ""),
        (&["--allow", "family=argon2"], Outcome::Gone, ""),
        (&["--action", "observe"], Outcome::DryRun, ""),
        (&["--action", "freeze"], Outcome::Held, ""),
    ] {
        let report = judged(&recording, flags);
        let act = report.verdicts[0].action.unwrap();
        assert_eq!((act.outcome, act.reason), (outcome, reason), "{flags:?}");
        let saved = report.total.saved_cpu_seconds > 0.0;
        assert_eq!(saved, matches!(outcome, Outcome::Gone | Outcome::Held));
        let allowed = report.total.allowed_cpu_seconds > 0.0;
        assert_eq!(allowed, reason == "allowed", "{flags:?}");
    }
    let kill = judged(&recording, &[]).total.saved_cpu_seconds;
    let throttle = judged(&recording, &["--action", "throttle", "--throttle-to", "50"]);
    assert!((throttle.total.saved_cpu_seconds - kill / 2.0).abs() < 1e-6);
    assert_eq!(verdicts(&judged(&recording, &["--min-cpu", "250"])), []);
}

#[test]
fn digests_that_were_recorded_match() {
    let recording = recording(&[life(1, 0..20, 0, 1)], 20);
    let ab = "ab".repeat(32);
    let rule = format!("sha256={ab}");
    let report = judged(&recording, &["--deny", &rule]);
    assert_eq!(verdicts(&report), [(1, "miner", Some(Outcome::Gone))]);
    let mut deny = crate::detect::reputation::Hashes::default();
    deny.parse(&format!("{ab} TROJ_COINMINE")).unwrap();
    let lists = Lists {
        deny: std::sync::Arc::new(deny),
        ..Lists::default()
    };
    let report = replay(&recording[..], &config(&[]), &lists, |_| {}).unwrap();
    // As soon as it is executed.
    assert!(report.verdicts[0].t < 1.5, "{report:?}");
    assert!(
        report.verdicts[0].verdict.evidence[0]
            .text
            .contains("TROJ_COINMINE")
    );
}

#[test]
fn the_breaker_opens_as_it_would_have() {
    let lives: Vec<Life> = (1..=4).map(|number| life(number, 0..90, 1, 0)).collect();
    // All are one user's.
    let limits = ["--max-kills", "2", "--max-kills-per-user", "2"];
    let report = judged(&recording(&lives, 90), &limits);
    assert_eq!(report.total.refused.get("breaker"), Some(&2), "{report:?}");
    // A minute later the others are.
    assert_eq!(report.total.acted_on, 4);
    assert!(
        verdicts(&report)
            .iter()
            .all(|(.., outcome)| *outcome == Some(Outcome::Gone))
    );
}

#[test]
fn who_could_not_be_read_is_acted_on_once_it_can() {
    let life = life(1, 0..60, 1, 0);
    let lives = std::slice::from_ref(&life);
    let text = String::from_utf8(recording(lives, 60)).unwrap();
    let unread = text.replace("\"uid\":1,", "\"uid\":null,");
    assert_ne!(unread, text);
    // Twenty seconds later its user is known.
    let tick = format!("{{\"unit\":\"tick\",\"time_ns\":{}}}", BEGUN + 20 * SECOND);
    let known = serde_json::to_string(&Line::Who(Box::new(who(&life)))).unwrap();
    let read = unread.replace(&tick, &format!("{known}\n{tick}"));
    assert_ne!(read, unread);
    let flags = ["--allow", "user=5"];
    let report = judged(read.as_bytes(), &flags);
    let done = |report: &Report| {
        let refused = report.total.refused.get("unreadable").copied();
        (report.total.acted_on, refused)
    };
    assert_eq!(done(&report), (1, Some(1)));
    // It is tried again every half minute.
    let report = judged(unread.as_bytes(), &flags);
    assert_eq!(done(&report), (0, Some(2)));
}

#[test]
fn who_recorded_is_not_acted_on() {
    let mut lines = recording(&[life(1, 0..20, 1, 0)], 20);
    let header = crate::commands::record::line::Header {
        lineage: vec![process(1).tgid, 1],
        ..header()
    };
    let rest = lines.iter().position(|byte| *byte == b'\n').unwrap();
    lines.splice(..rest, serde_json::to_vec(&header).unwrap());
    let report = judged(&lines, &[]);
    assert_eq!(report.verdicts[0].action.unwrap().reason, "self");
}

#[test]
fn outside_of_only_it_would_only_be_reported() {
    let lives = [life(1, 0..40, 1, 0), life(2, 0..40, 1, 0)];
    let report = judged(&recording(&lives, 40), &["--only", "user=2"]);
    let mut found = verdicts(&report);
    found.sort_unstable_by_key(|(number, ..)| *number);
    assert_eq!(
        found,
        [
            (1, "miner", Some(Outcome::DryRun)),
            (2, "miner", Some(Outcome::Gone))
        ]
    );
    let total = &report.total;
    assert_eq!((total.acted_on, total.outside_only), (1, 1), "{total:?}");
    let text = report.render();
    assert!(text.contains("would only be reported: not-only"), "{text}");
    assert!(
        text.contains("total: 1 only reported: outside of --only"),
        "{text}"
    );
    assert!(text.contains("--only user=2"), "{text}");
    assert!(report.unknown.is_empty(), "{:?}", report.unknown);

    // Of what is not recorded it says so.
    let report = judged(&recording(&lives, 40), &["--only", "namespace=ci"]);
    assert_eq!((report.total.acted_on, report.total.outside_only), (0, 2));
    assert!(
        report.unknown[0].contains("namespace= and image="),
        "{:?}",
        report.unknown
    );
}
