//! What cannot be replayed.

use super::*;

#[track_caller]
fn check_refused(recording: &[u8], expected: &str) {
    let error = replay(recording, &config(&[]), &Lists::default(), |_| {})
        .expect_err("it is damaged")
        .to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn what_cannot_be_replayed_is_told_with_its_line_and_what_to_do() {
    let good = String::from_utf8(recording(&[life(1, 0..9, 1, 0)], 9)).unwrap();
    let lines = good.lines().count();
    check_refused(b"", "line 1: this is no recording of unjack (it is empty");
    check_refused(b"\x7fELF\n", "line 1: this is no recording");
    check_refused(
        b"{\"unjack_recording\":1,\"unjack\":\"0.1.0\"}\n",
        "line 1: it has format 1, made by unjack 0.1.0, and this unjack replays format 2: \
         such a file has no samples, so record again",
    );
    check_refused(
        b"{\"unjack_recording\":3,\"unjack\":\"9.0\\u001b\"}\n",
        r"format 3, made by unjack 9.0\x1b, and",
    );
    let third = good.replacen("\"unit\":\"reading\"", "\"unit\":\"writing\"", 1);
    check_refused(third.as_bytes(), "line 4: unknown variant `writing`");
    check_refused(third.as_bytes(), "cut it with `head -n 3`");
    let hostile = good.replacen("\"unit\":\"reading\"", r#""unit":"\u001b[2J\nline 9""#, 1);
    check_refused(
        hostile.as_bytes(),
        r"line 4: unknown variant `\x1b[2J\x0aline 9`",
    );
    let long = good.replacen(
        "\"unit\":\"reading\"",
        &format!("\"unit\":\"{}\"", "x".repeat(9000)),
        1,
    );
    check_refused(long.as_bytes(), "xxx…; the file is damaged");
    let long = good.replacen(
        "{\"unit\":\"tick\"",
        &format!("{}{{\"unit\":\"tick\"", " ".repeat(2 << 20)),
        1,
    );
    check_refused(long.as_bytes(), "line 5: longer than 1048576 bytes");
    let back = good.replacen("\"time_ns\":1005000000000", "\"time_ns\":1", 1);
    check_refused(back.as_bytes(), "time goes back");
    let who = good.replacen("comm 1", &"x".repeat(70_000), 1);
    check_refused(who.as_bytes(), "line 3: longer than 65536 bytes");
    let mut crowd = vec![Line::Tick(Tick { time_ns: BEGUN })];
    crowd.extend((0..1000).map(|number| Line::Who(Box::new(who_of(number)))));
    check_refused(&text(&crowd), "more than 512 processes in a second");

    // One that was cut off is replayed as far as it goes.
    let cut = &good[..good.len() - 60];
    let report = judged(cut.as_bytes(), &[]);
    assert_eq!(report.recording.ended, "cut");
    assert!(report.render().contains("note: the recording has no end"));
    assert_eq!(verdicts(&report).len(), 1);
    assert_eq!(
        judged(good.as_bytes(), &[]).recording.ended,
        "done",
        "{lines}"
    );
}
