use super::*;
use unjack_core::score::{EvidenceKind, Witness};

/// Of a process with so many samples that burned `cpu` seconds of ten.
fn explained(samples: u32, cpu: f64, evidence: Vec<Evidence>) -> Explanation {
    let summary = Summary {
        samples,
        ..Summary::default()
    };
    let assessment = Assessment {
        hashing: 0.99,
        score: 0.82,
        family: Some(Family::Sha256d),
        ..Assessment::default()
    };
    report(
        7,
        &summary,
        &assessment,
        evidence,
        (cpu, 10.0),
        &Thresholds::DEFAULT,
    )
}

fn weighed() -> Vec<Evidence> {
    vec![
        Evidence::new(EvidenceKind::Mix, "xor 45 %".to_owned(), 12.0),
        Evidence::new(
            EvidenceKind::Witness(Witness::Flows),
            "it reads".to_owned(),
            -10.5,
        ),
        Evidence::told("its burn is flat".to_owned()),
    ]
}

#[test]
fn every_line_has_its_number_and_the_sum_is_below() {
    let text = explained(400, 10.0, weighed()).render();
    let expected =
        "\n  +12.0  xor 45 %\n  -10.5  it reads\n      ·  its burn is flat\n  = +1.5, score 0.82\n";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn what_is_not_weighed_has_no_sum() {
    let text = explained(0, 0.0, Vec::new()).render();
    assert!(
        text.ends_with("\n      ·  it uses 0.0 % of a core, less than the 2 % of --min-cpu\n"),
        "{text}"
    );
}

#[test]
fn the_object_has_a_member_a_line() {
    let json = serde_json::to_value(explained(1, 10.0, weighed())).unwrap();
    assert_eq!(
        json["evidence"],
        serde_json::json!([
            {"text": "xor 45 %", "log_odds": 12.0, "kind": "mix"},
            {"text": "it reads", "log_odds": -10.5, "kind": "witness:flows"},
            {"text": "its burn is flat", "log_odds": 0.0, "kind": "note"},
            {"text": "1 samples are too few to judge by", "log_odds": 0.0, "kind": "note"},
        ])
    );
}
