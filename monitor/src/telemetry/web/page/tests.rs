use maud::Render as _;

use super::{parts::*, *};
use crate::respond::action::breaker::Level;
use crate::telemetry::view::{
    ActionTaken, Counts, Finding, Health, Kept, OpenBreaker, Part, Probed, Program, Setting, Stolen,
};
use unjack_core::{
    score::{Evidence, EvidenceKind},
    text::clean,
};

/// What a process may call itself, or its image.
const HOSTILE: &[u8] =
    b"</title><script>alert(1)</script>\"'><img src=x onerror=alert(2)>\n\xff\x1b[2J&amp;";

fn said(text: &str, log_odds: f64) -> Evidence {
    Evidence::new(EvidenceKind::Mix, text.to_owned(), log_odds)
}

fn row(pid: u32, verdict: &str) -> Row {
    Row {
        pid,
        start_time: 5,
        exe: "/usr/bin/sha256sum".to_owned(),
        comm: "sha256sum".to_owned(),
        cpu_percent: 99.6,
        cpu_seconds: 70.0,
        history: vec![0.0, 50.0, 100.0],
        samples: 400,
        enough: true,
        threads: 1,
        mix: vec![
            Part {
                class: "rotate".to_owned(),
                share: 0.75,
            },
            Part {
                class: "xor".to_owned(),
                share: 0.25,
            },
        ],
        hashing: 1.0,
        score: 0.97,
        family: "sha256d".to_owned(),
        verdict: verdict.to_owned(),
        standing: "settled".to_owned(),
        evidence: vec![
            said("it rotates", 4.04),
            said("it reads", -0.5),
            said("it is flat", 0.0),
        ],
        ..Row::default()
    }
}

fn finding(verdict: &str) -> Finding {
    Finding {
        time: 1_700_000_000.0,
        times: 1,
        pid: 42,
        start_time: Some(5),
        exe: "/tmp/nginx".to_owned(),
        verdict: verdict.to_owned(),
        family: "randomx".to_owned(),
        score: 0.98,
        evidence: vec![said("it hashes", 3.0)],
        code: vec!["in memory without a file: xor".to_owned()],
        ..Finding::default()
    }
}

fn drawn(view: &View) -> String {
    page(view, "/metrics").into_string()
}

#[track_caller]
fn check_has(page: &str, parts: &[&str]) {
    for part in parts {
        assert!(page.contains(part), "no {part:?} in {page}");
    }
}

#[test]
fn whatever_a_process_calls_itself_is_text() {
    let name = clean(HOSTILE, 256);
    // What was not cleaned is no more than text, either.
    for name in [name, String::from_utf8_lossy(HOSTILE).into_owned()] {
        let hostile = Row {
            exe: format!("/tmp/{name}"),
            comm: name.clone(),
            unit: Some(name.clone()),
            container: Some(name.clone()),
            pod: Some(name.clone()),
            cgroup: name.clone(),
            family: name.clone(),
            evidence: vec![said(&name, 1.0)],
            mix: vec![Part {
                class: name.clone(),
                share: 1.0,
            }],
            ..row(1, &name)
        };
        let found = Finding {
            exe: name.clone(),
            comm: name.clone(),
            home: name.clone(),
            verdict: name.clone(),
            evidence: vec![Evidence::told(name.clone())],
            code: vec![name.clone()],
            deeds: vec![ActionTaken {
                reason: name.clone(),
                ..ActionTaken::default()
            }],
            kept: Some(Kept {
                folder: name.clone(),
                sha256: Some(name.clone()),
                lost: vec![name.clone()],
            }),
            ban: Some(name.clone()),
            ..finding("miner")
        };
        let mut view = View {
            processes: vec![hostile],
            findings: vec![found],
            ..View::default()
        };
        view.host.name.clone_from(&name);
        view.breaker.push(OpenBreaker {
            of: name.clone(),
            ..OpenBreaker::default()
        });
        view.health.not_ready = Some(name.clone());
        view.policy.push(Setting {
            name: name.clone(),
            value: name.clone(),
        });
        let page = drawn(&view);
        assert_eq!(page.matches("<script").count(), 1, "{page}");
        assert_eq!(page.matches("</title><link").count(), 1, "{page}");
        assert!(!page.contains("<img"), "{page}");
        // Nothing ends the attribute it is in.
        assert!(!page.contains("\"'>"), "{page}");
        check_has(&page, &["&lt;script&gt;alert(1)&lt;/script&gt;&quot;'&gt;"]);

        let json = serde_json::to_string(&view).unwrap();
        assert!(!json.contains(['\n', '\u{1b}']), "{json}");
        assert_eq!(serde_json::from_str::<View>(&json).unwrap(), view);
    }
}

#[test]
fn nothing_is_styled_in_place_nor_fetched_from_elsewhere() {
    let view = View {
        processes: vec![row(1, "miner"), row(2, "none")],
        findings: vec![finding("miner")],
        ..View::default()
    };
    for text in [drawn(&view), STYLE.to_owned(), SCRIPT.to_owned()] {
        for banned in [
            " style=",
            "<style",
            "@import",
            "url(",
            "onclick=",
            "innerHTML",
        ] {
            assert!(!text.contains(banned), "{banned} in {text}");
        }
        let icon = text.replace("xmlns='http://www.w3.org/2000/svg'", "");
        assert!(
            !icon.contains("http://") && !icon.contains("https://"),
            "{text}"
        );
        assert!(!icon.contains("\"//"), "{text}");
    }
}

#[test]
fn a_miner_is_told_with_its_verdict_family_and_evidence() {
    let view = View {
        processes: vec![row(7, "miner"), row(8, "none")],
        stolen: vec![Stolen {
            family: "sha256d".to_owned(),
            stolen_seconds: 125.0,
            allowed_seconds: 3.0,
        }],
        core_hour_cost: Some(7.2),
        ..View::default()
    };
    let page = drawn(&view);
    check_has(
        &page,
        &[
            "which cost <strong>0.25</strong>, at 7.2 an hour",
            "<title>1 miner – ",
            "<tbody id=\"p-7-5\" class=\"bad\">",
            "<tbody id=\"p-8-5\" class=\"calm\">",
            "<span class=\"badge bad\">miner</span><span class=\"family\">sha256d</span>",
            "aria-label=\"rotate 75 %, xor 25 %\"",
            "<li class=\"for\"><b>+4.0</b> it rotates</li>\
             <li class=\"against\"><b>-0.5</b> it reads</li>\
             <li class=\"also\"><b>·</b> it is flat</li></ul>\
             <p class=\"sum\">sum <b>+3.5</b> = score <b>0.97</b></p>",
            "points=\"58,24.0 59,12.0 60,0.0\"",
            "<p class=\"big\">2 min 5 s</p>",
            "and 3.0 s that is allowed",
        ],
    );
}

#[test]
fn who_is_allowed_is_no_miner_to_be_counted() {
    let allowed = Row {
        allowed: true,
        ..row(7, "miner")
    };
    let page = drawn(&View {
        processes: vec![allowed],
        ..View::default()
    });
    check_has(&page, &["No miner", "badge calm\">allowed<"]);
}

#[test]
fn what_was_done_is_told_with_the_verdict() {
    let deed = |action: &str, outcome: &str, reason: &str| ActionTaken {
        action: action.to_owned(),
        outcome: outcome.to_owned(),
        reason: reason.to_owned(),
        others: 2,
        seconds: 0.25,
        ..ActionTaken::default()
    };
    let killed = Finding {
        deeds: vec![deed("kill", "refused", "guarded"), deed("kill", "gone", "")],
        kept: Some(Kept {
            folder: "2026-42".to_owned(),
            ..Kept::default()
        }),
        ..finding("miner")
    };
    let seen = Finding {
        pid: 43,
        deeds: vec![deed("observe", "dry-run", "observe")],
        ..finding("miner")
    };
    let unexplained = Finding {
        pid: 44,
        unexplained: true,
        ..finding("hashing")
    };
    let page = drawn(&View {
        time: 1_700_000_090.0,
        findings: vec![killed, seen, unexplained],
        findings_forgotten: 1234,
        ..View::default()
    });
    check_has(
        &page,
        &[
            "kill <span class=\"badge warn\">refused</span> guarded",
            "kill <span class=\"badge good\">gone</span> <span class=\"quiet\">after 0.2 s</span> and 2 others",
            "evidence: <code>2026-42</code>",
            "<summary>Evidence: 1 lines</summary>",
            "<li class=\"code\"><b>code</b> in memory without a file: xor</li>",
            "<span class=\"badge calm\">only observed</span>",
            "<span class=\"badge warn\">hashing</span><span class=\"sub\">unexplained</span>",
            "1 min ago",
            "<time datetime=\"2023-11-14T22:13:20Z\">2023-11-14 22:13:20 UTC</time>",
            "1\u{202f}234 older ones",
        ],
    );
}

#[test]
fn probes_and_policy_are_tables() {
    let page = drawn(&View {
        probes: Probed {
            sampler: "cpu-clock".to_owned(),
            programs: vec![Program {
                name: "sched_switch".to_owned(),
                ns_per_run: Some(81.4),
            }],
            counts: Counts {
                samples: 1_234_567,
                events_lost: 3,
                ..Counts::default()
            },
        },
        policy: vec![Setting {
            name: "--action".to_owned(),
            value: "kill".to_owned(),
        }],
        health: Health {
            not_ready: None,
            for_seconds: 7200.0,
        },
        ..View::default()
    });
    check_has(
        &page,
        &[
            "<code>sched_switch</code></th><td class=\"number\">81 ns</td>",
            "1\u{202f}234\u{202f}567",
            "<tr class=\"loss\"><th scope=\"row\">Events lost",
            "ready</span> for 2 h 0 min, sampling by cpu-clock",
            "<code>--action</code></th><td>kill</td>",
            "Miners are ended.",
        ],
    );
    assert_eq!(page.matches("class=\"loss\"").count(), 1);
}

#[test]
fn numbers_are_for_people() {
    assert_eq!(
        (duration(5.46), duration(-0.0)),
        ("5.5 s".to_owned(), "0.0 s".to_owned())
    );
    assert_eq!(duration(3599.9), "59 min 59 s");
    assert_eq!(duration(100_000.0), "27 h 46 min");
    assert_eq!(duration(1e7), "115 d 17 h");
    assert_eq!(
        (ago(0.2), ago(-5.0)),
        ("0 s ago".to_owned(), "0 s ago".to_owned())
    );
    assert_eq!(
        (percent(0.04), percent(9.96)),
        ("0.0 %".to_owned(), "10 %".to_owned())
    );
    assert_eq!(grouped(12), "12");
    // What cannot be is no reason to fail.
    for odd in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
        let _ = (
            duration(odd),
            ago(odd),
            UtcTime(odd).render(),
            bar("x", odd),
        );
    }
}

#[test]
fn a_mix_is_drawn_in_the_order_of_the_classes() {
    let part = |class: &str, share| Part {
        class: class.to_owned(),
        share,
    };
    let bar = mix_bar(&[part("move", 0.5), part("xor", 0.3), part("rotate", 0.2)]);
    let bar = bar.into_string();
    check_has(
        &bar,
        &[
            "aria-label=\"move 50 %, xor 30 %, rotate 20 %\"",
            "class=\"c-rotate\" x=\"0.0000\" width=\"0.2000\"",
            "class=\"c-xor\" x=\"0.2000\" width=\"0.3000\"",
            "class=\"c-move\" x=\"0.5000\" width=\"0.5000\"",
        ],
    );
}

#[test]
fn plots_of_little_and_of_many_cores() {
    assert!(!plot(&[]).into_string().contains("polyline"));
    let page = plot(&[400.0, 200.0]).into_string();
    check_has(&page, &["points=\"59,0.0 60,12.0\"", "at most 400 percent"]);
}

#[test]
fn what_the_breaker_is_open_for_is_told_first() {
    let page = drawn(&View {
        breaker: vec![OpenBreaker {
            level: Level::User,
            of: "user 1000".to_owned(),
            limit: 10,
            seconds_left: 41,
            let_pass: 3,
        }],
        breaker_left_out: 2,
        ..View::default()
    });
    check_has(
        &page,
        &[
            "The breaker is open for user 1000: 10 new images were acted on within a minute.",
            "For 41 s more are only reported; 3 so far.",
            "The breaker is open for 2 more.",
        ],
    );
    assert!(!drawn(&View::default()).contains("The breaker is open"));
}

#[test]
fn where_the_action_is_for_is_told_with_it() {
    let policy = |action: &str, only: &str| {
        let setting = |name: &str, value: &str| Setting {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        drawn(&View {
            policy: vec![setting("--action", action), setting("--only", only)],
            ..View::default()
        })
    };
    let limited = policy("kill", "unit=ci.service");
    check_has(
        &limited,
        &["Only for <strong>unit=ci.service</strong>; others are only reported."],
    );
    for page in [policy("kill", ""), policy("observe", "unit=ci.service")] {
        assert!(!page.contains("others are only reported"));
    }
}
