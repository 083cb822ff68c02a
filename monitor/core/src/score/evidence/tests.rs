use super::*;

fn line(kind: EvidenceKind, text: &str, log_odds: f64) -> Evidence {
    Evidence::new(kind, text.to_owned(), log_odds)
}

#[test]
fn a_line_is_an_object_with_two_decimals() {
    let check = |line: Evidence, expected: &str| {
        assert_eq!(serde_json::to_string(&line).unwrap(), expected);
        let back: Evidence = serde_json::from_str(expected).unwrap();
        assert_eq!((&back.kind, &back.text), (&line.kind, &line.text));
        assert!((back.log_odds - line.log_odds).abs() <= 0.005, "{back:?}");
    };
    check(
        line(EvidenceKind::Mix, "xor 45 %", 4.0),
        r#"{"text":"xor 45 %","log_odds":4.0,"kind":"mix"}"#,
    );
    check(
        line(EvidenceKind::Witness(Witness::Flows), "a", -1.23456),
        r#"{"text":"a","log_odds":-1.23,"kind":"witness:flows"}"#,
    );
    check(
        line(EvidenceKind::Note, "a", -0.001),
        r#"{"text":"a","log_odds":0.0,"kind":"note"}"#,
    );
}

#[test]
fn every_kind_is_read_as_it_is_written() {
    let others = [
        EvidenceKind::Mix,
        EvidenceKind::Family,
        EvidenceKind::Pool,
        EvidenceKind::Stratum,
        EvidenceKind::Connections,
        EvidenceKind::Place,
        EvidenceKind::Note,
        EvidenceKind::Others,
    ];
    for kind in others
        .into_iter()
        .chain(Witness::ALL.map(EvidenceKind::Witness))
    {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    for none in ["flows", "witness:", "witness:io"] {
        assert_eq!(none.parse::<EvidenceKind>(), Err(NoKind), "{none}");
    }
}

#[test]
fn a_person_reads_one_decimal_and_a_dot_for_what_is_not_weighed() {
    let weighed = line(EvidenceKind::Mix, "a", 4.04);
    assert_eq!(weighed.to_string(), "+4.0 a");
    assert_eq!(line(EvidenceKind::Mix, "a", -10.0).to_string(), "-10.0 a");
    assert_eq!(Evidence::told("a".to_owned()).to_string(), "· a");
}

#[test]
fn detail_replaces_the_text_of_its_kind_alone() {
    let mut lines = vec![
        line(EvidenceKind::Mix, "a pool", 4.0),
        line(EvidenceKind::Pool, "a pool", 3.0),
    ];
    Evidence::detail(&mut lines, EvidenceKind::Pool, "192.0.2.7".to_owned());
    assert_eq!(
        lines,
        [
            line(EvidenceKind::Mix, "a pool", 4.0),
            line(EvidenceKind::Pool, "192.0.2.7", 3.0),
        ]
    );
    Evidence::detail(&mut lines, EvidenceKind::Stratum, "login".to_owned());
    assert_eq!(lines[0], line(EvidenceKind::Stratum, "login", 0.0));
    assert_eq!(lines.len(), 3);
}

#[test]
fn what_is_not_shown_still_counts() {
    let lines: Vec<Evidence> = (1..=5)
        .map(|n| line(EvidenceKind::Place, "a", f64::from(n)))
        .collect();
    assert_eq!(Evidence::first(&lines, 5), lines);
    let three = Evidence::first(&lines, 3);
    assert_eq!(three[..2], lines[..2]);
    assert_eq!(
        three[2],
        line(EvidenceKind::Others, "and 3 more lines", 12.0)
    );
    assert_eq!(Evidence::sum(&three), Evidence::sum(&lines));
    assert_eq!(Evidence::first(&lines, 0), []);
}

#[test]
fn lines_that_are_only_told_have_no_sum() {
    let told = Evidence::told("it is on a list".to_owned());
    assert_eq!(Evidence::sum(std::slice::from_ref(&told)), None);
    let weighed = [
        told,
        line(EvidenceKind::Mix, "a", 1.5),
        line(EvidenceKind::Place, "b", -2.0),
    ];
    assert_eq!(Evidence::sum(&weighed), Some(-0.5));
}
