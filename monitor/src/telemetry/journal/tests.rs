use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::host::{
    cgroup::identity::Runtime,
    container::{Container, Home},
};
use crate::respond::action::breaker::Level;
use unjack_core::score::{Evidence, EvidenceKind};

fn written(format: Format, event: &Event) -> String {
    let mut out = Vec::new();
    let ts = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    Journal::new(&mut out, format).write(ts, event).unwrap();
    String::from_utf8(out).unwrap()
}

fn verdict(exe: &str) -> Event {
    Event::Verdict(VerdictEvent {
        pid: 4242,
        thread: None,
        start_time: 123_456,
        exe: Some(exe.to_owned()),
        comm: "nginx".to_owned(),
        home: Home::default(),
        verdict: "miner",
        unexplained: false,
        family: "randomx",
        score: 0.973,
        cpu_percent: 99.8,
        burn_seconds: 6.04,
        evidence: vec![
            Evidence::new(EvidenceKind::Mix, "xor 45 %".to_owned(), 4.004),
            Evidence::new(EvidenceKind::Place, "of the host's own".to_owned(), -11.5),
            Evidence::told("its burn is flat".to_owned()),
        ],
        code: vec!["in \"/tmp/a\": xor r9,r9".to_owned()],
    })
}

fn action() -> Event {
    Event::Action(ActionEvent {
        pid: 4242,
        action: Action::Kill,
        outcome: Outcome::DryRun,
        reason: "miner".to_owned(),
        others: 0,
        fallback: None,
        seconds: 0.25,
    })
}

#[test]
fn verdict_as_json_has_the_promised_fields_in_order() {
    assert_eq!(
        written(Format::Json, &verdict("/tmp/nginx")),
        concat!(
            r#"{"ts":"2023-11-14T22:13:20.123Z","event":"verdict","pid":4242,"start_time":123456,"#,
            r#""exe":"/tmp/nginx","comm":"nginx","verdict":"miner","family":"randomx","score":0.973,"#,
            r#""cpu_percent":99.8,"burn_seconds":6.04,"evidence":["#,
            r#"{"text":"xor 45 %","log_odds":4.0,"kind":"mix"},"#,
            r#"{"text":"of the host's own","log_odds":-11.5,"kind":"place"},"#,
            r#"{"text":"its burn is flat","log_odds":0.0,"kind":"note"}],"#,
            r#""code":["in \"/tmp/a\": xor r9,r9"]}"#,
            "\n"
        )
    );
}

#[test]
fn action_as_json() {
    assert_eq!(
        written(Format::Json, &action()),
        concat!(
            r#"{"ts":"2023-11-14T22:13:20.123Z","event":"action","pid":4242,"action":"kill","#,
            r#""outcome":"dry-run","reason":"miner","seconds":0.25}"#,
            "\n"
        )
    );
}

fn evidence() -> Event {
    Event::Evidence(EvidenceEvent {
        pid: 4242,
        folder: "20231114T221320.123Z-4242-1a2b3c4d".to_owned(),
        sha256: None,
        lost: vec!["image-too-large"],
    })
}

#[test]
fn evidence_in_both_forms() {
    assert_eq!(
        written(Format::Json, &evidence()),
        concat!(
            r#"{"ts":"2023-11-14T22:13:20.123Z","event":"evidence","pid":4242,"#,
            r#""folder":"20231114T221320.123Z-4242-1a2b3c4d","sha256":null,"lost":["image-too-large"]}"#,
            "\n"
        )
    );
    assert_eq!(
        written(Format::Text, &evidence()),
        "2023-11-14T22:13:20.123Z evidence of pid 4242: 20231114T221320.123Z-4242-1a2b3c4d, \
         image not kept (lost: image-too-large)\n"
    );
}

#[test]
fn ready_as_json() {
    let event = Event::Ready {
        version: "0.1.0".to_owned(),
        kernel: "6.1.0".to_owned(),
        programs: vec!["sched_switch".to_owned()],
        sampler: "cpu-clock".to_owned(),
    };
    assert_eq!(
        written(Format::Json, &event),
        concat!(
            r#"{"ts":"2023-11-14T22:13:20.123Z","event":"ready","version":"0.1.0","kernel":"6.1.0","#,
            r#""programs":["sched_switch"],"sampler":"cpu-clock"}"#,
            "\n"
        )
    );
}

#[test]
fn verdict_as_text_is_a_line_and_its_evidence() {
    assert_eq!(
        written(Format::Text, &verdict("/tmp/nginx")),
        "2023-11-14T22:13:20.123Z miner pid 4242 \"/tmp/nginx\" (calls itself \"nginx\"): randomx, \
         score 0.97, 100 % of a core, 6.0 CPU seconds so far\n     +4.0  xor 45 %\n    -11.5  of the host's own\n\
         \u{20}       ·  its burn is flat\n    code: in \"/tmp/a\": xor r9,r9\n"
    );
}

#[test]
fn where_it_is_goes_with_it_in_both_forms() {
    let Event::Verdict(mut event) = verdict("/tmp/nginx") else {
        unreachable!()
    };
    event.home.container = Some(Container {
        id: "598a584c321ed436".to_owned(),
        runtime: Some(Runtime::Podman),
        name: Some("a\nb\"".to_owned()),
        image: None,
    });
    let event = Event::Verdict(event);
    assert!(written(Format::Json, &event).contains(concat!(
        r#""comm":"nginx","container":{"id":"598a584c321ed436","runtime":"podman","#,
        r#""name":"a\nb\"","image":null},"verdict":"miner""#
    )));
    let text = written(Format::Text, &event);
    assert_eq!(
        text.lines().nth(1),
        Some(r#"    in: container "a�b\"" (podman 598a584c321e)"#)
    );
}

#[test]
fn unexplained_hashing_is_said_in_both_forms() {
    let Event::Verdict(mut event) = verdict("/tmp/nginx") else {
        unreachable!()
    };
    event.verdict = "hashing";
    event.unexplained = true;
    let event = Event::Verdict(event);
    let json = written(Format::Json, &event);
    assert!(json.contains(r#""verdict":"hashing","unexplained":true,"family":"#));
    let text = written(Format::Text, &event);
    let line = text.lines().next().unwrap();
    assert!(
        line.ends_with("6.0 CPU seconds so far, and nothing explains it"),
        "{line}"
    );
}

#[test]
fn action_as_text_is_a_line() {
    assert_eq!(
        written(Format::Text, &action()),
        "2023-11-14T22:13:20.123Z kill pid 4242: dry-run after 0.2 s (miner)\n"
    );
}

#[test]
fn an_uncleaned_path_forges_no_line_in_either_form() {
    let hostile = verdict("/tmp/a\n2023 miner pid 1\x1b[2J\"");
    let json = written(Format::Json, &hostile);
    assert_eq!(json.matches('\n').count(), 1);
    let back: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(back["exe"], "/tmp/a\n2023 miner pid 1\x1b[2J\"");

    let text = written(Format::Text, &hostile);
    assert_eq!(text.lines().count(), 5);
    assert!(
        text.contains(r#"/tmp/a�2023 miner pid 1�[2J\"" (calls"#),
        "{text}"
    );
}

#[test]
fn a_full_output_is_an_error_and_not_the_end() {
    let mut room = [0_u8; 4];
    let mut journal = Journal::new(&mut room[..], Format::Json);
    assert!(journal.write(UNIX_EPOCH, &action()).is_err());
    assert!(journal.write(UNIX_EPOCH, &action()).is_err());
}

#[test]
fn an_action_in_a_narrower_scope_says_which_and_why() {
    let Event::Action(action) = action() else {
        panic!("no action")
    };
    let event = Event::Action(ActionEvent {
        fallback: Some(ScopeFallback {
            scope: Scope::Tree,
            scope_requested: Scope::Cgroup,
            scope_refused: "guarded",
        }),
        ..action
    });
    let json = json(SystemTime::UNIX_EPOCH, &event).unwrap();
    let fields = r#""scope":"tree","scope_requested":"cgroup","scope_refused":"guarded""#;
    assert!(json.contains(fields), "{json}");
    let text = to_text("ts", &event);
    assert!(
        text.contains(", scope tree instead of cgroup: guarded"),
        "{text}"
    );
}

#[test]
fn the_breaker_in_both_forms() {
    let event = |state, let_pass| {
        Event::Breaker(BreakerEvent {
            state,
            level: Level::User,
            of: "user 1000".to_owned(),
            limit: 10,
            let_pass,
        })
    };
    assert_eq!(
        written(Format::Json, &event("closed", 3)),
        concat!(
            r#"{"ts":"2023-11-14T22:13:20.123Z","event":"breaker","state":"closed","level":"user","#,
            r#""of":"user 1000","limit":10,"let_pass":3}"#,
            "\n"
        )
    );
    assert_eq!(
        written(Format::Text, &event("closed", 3)),
        "2023-11-14T22:13:20.123Z breaker closed for user 1000: 3 miners were not acted on\n"
    );
    assert_eq!(
        written(Format::Text, &event("opened", 0)),
        "2023-11-14T22:13:20.123Z breaker opened for user 1000: 10 new images were acted on \
         within a minute; for a minute more are only reported\n"
    );
}
