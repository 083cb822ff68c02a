use super::*;

const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn parse(text: &str) -> Result<Hashes, (usize, String)> {
    let mut hashes = Hashes::default();
    hashes.parse(text).map(|()| hashes)
}

#[track_caller]
fn check(text: &str, expected: Option<&str>) {
    let digest = Digest::parse(ABC).unwrap();
    assert_eq!(parse(text).unwrap().get(&digest), expected, "{text:?}");
}

#[track_caller]
fn check_bad(text: &str, line: usize, problem: &str) {
    let (at, why) = parse(text).unwrap_err();
    assert_eq!(at, line, "{text:?}: {why}");
    assert!(why.contains(problem), "{why}");
}

#[test]
fn a_digest_with_and_without_a_name() {
    check(ABC, Some(""));
    check(
        &format!("{ABC} HKTL_BITCOINMINE\n"),
        Some("HKTL_BITCOINMINE"),
    );
    check(
        &format!("\t{} \t TROJ_COINMINE \r\n", ABC.to_uppercase()),
        Some("TROJ_COINMINE"),
    );
}

#[test]
fn what_sha256sum_prints() {
    check(&format!("{ABC}  /opt/a b\n"), Some("/opt/a b"));
    check(&format!("{ABC} *xmrig\n"), Some("xmrig"));
}

#[test]
fn comments_and_empty_lines_are_skipped() {
    check(
        &format!("# miners\n\n   \n{ABC} xmrig # seen in March\n"),
        Some("xmrig"),
    );
    check("#", None);
    check("", None);
}

#[test]
fn a_bad_line_is_told_by_its_number() {
    check_bad(&format!("{ABC}\n\nxmrig\n"), 3, "no SHA-256");
    check_bad(&format!("# x\n{}\n", &ABC[1..]), 2, "no SHA-256");
    check_bad(&format!("{ABC} a\u{202e}b"), 1, "cannot be seen");
    check_bad(&format!("{ABC} {}", "n".repeat(129)), 1, "128");
}

#[test]
fn a_bad_line_is_told_without_what_would_hurt_a_terminal() {
    let (_, problem) = parse("\x1b[2J").unwrap_err();
    assert!(!problem.chars().any(char::is_control), "{problem:?}");
}

/// Every text there is leads to a list or to a line it has: here a fixed walk
/// through pieces of good and bad lines.
#[test]
fn any_text_is_a_list_or_an_error_in_one_of_its_lines() {
    let pieces = [
        ABC,
        " ",
        "\n",
        "#",
        "\r\n",
        "é",
        "\0",
        "*",
        "name",
        &ABC[2..],
        "\u{2028}",
    ];
    let mut state = 1_u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..state % 9 {
            // Numerical Recipes' generator: any will do.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            text += pieces[usize::try_from(state >> 33).unwrap() % pieces.len()];
        }
        state = state.wrapping_add(0x9e37_79b9);
        match parse(&text) {
            Ok(hashes) => assert!(hashes.len() <= text.lines().count()),
            Err((line, _)) => assert!((1..=text.lines().count()).contains(&line), "{text:?}"),
        }
    }
}

fn read(content: &[u8]) -> Result<Lists, ListError> {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("list");
    std::fs::write(&path, content).unwrap();
    Lists::read(&Files {
        deny: vec![path],
        ..Files::default()
    })
}

#[test]
fn errors_name_file_and_line() {
    let error = read(format!("{ABC}\nbad\n").as_bytes()).unwrap_err();
    assert!(
        error.to_string().contains("/list:2: \"bad\" is no SHA-256"),
        "{error}"
    );
    let error = read(&[ABC.as_bytes(), b"\n\n\xff"].concat()).err();
    assert!(error.is_some_and(|error| error.line == Some(3)));
    let error = Lists::read(&Files {
        allow: vec!["/nonexistent/list".into()],
        ..Files::default()
    })
    .unwrap_err();
    assert_eq!((error.list, error.line), (List::Allow, None));
    assert!(error.problem.contains("cannot be read"), "{error}");
}

#[test]
fn a_file_without_end_is_refused() {
    let error = Lists::read(&Files {
        deny: vec!["/dev/zero".into()],
        ..Files::default()
    })
    .unwrap_err();
    assert!(error.problem.contains("larger than 16 MiB"), "{error}");
}
