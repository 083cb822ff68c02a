//! The details of one process.

use super::*;

#[test]
fn details_at_80_by_24_scroll_to_the_last_line() {
    let lines = detailed(80, 24);
    assert_eq!(
        lines[3],
        r#"process 30417 "/tmp/nginx"  calls itself "nginx: worker p""#
    );
    assert_eq!(
        lines[4],
        "miner randomx  score 0.99  hashing 0.99  98.7 % of a core  12.3 CPU s"
    );
    assert!(
        lines[5].starts_with("user 1000  unit a-unit-with-a-long-name.service  cgroup /system")
    );
    let at = |text: &str| lines.iter().position(|line| line == text);
    assert_eq!(at("EVIDENCE"), Some(8));
    assert_eq!(
        lines[9..14],
        [
            "   +7.0  the mix is 98 % like randomx (randomx light)",
            "   -2.4  387.0 MB read and written per CPU second, which is more than fits one",
            "         line of a narrow screen",
            "      ·  its burn is flat",
            "  = +4.6, score 0.99",
        ]
    );
    assert_eq!(at("INSTRUCTIONS"), Some(15));
    assert!(
        lines[16].starts_with("  X xor        50.0 %  ████"),
        "{}",
        lines[16]
    );
    assert!(at("HOTTEST CODE").is_some());

    let mut state = opened();
    state.press(KeyEvent::new(KeyCode::End, KeyModifiers::NONE));
    let end = self::lines(&draw(&mut state, UTF8, 80, 24));
    assert!(
        end[22].starts_with("  30417         321     1.00 ██████████"),
        "{end:?}"
    );
    state.press(KeyEvent::new(KeyCode::Up, KeyModifiers::NONE));
    let up = self::lines(&draw(&mut state, UTF8, 80, 24));
    assert_eq!(up[22], end[21], "a key up moves at once");
}

#[test]
fn details_at_200_by_50_are_side_by_side() {
    let lines = detailed(200, 50);
    let heading = lines.iter().find(|line| line.contains("EVIDENCE")).unwrap();
    assert!(heading.starts_with("INSTRUCTIONS"), "{heading}");
    let all = lines.join("\n");
    for text in [
        "THREADS",
        "HOTTEST CODE",
        "imul r13,r11",
        "387.0 MB read and written per CPU second, which is more than fits one line of a narrow screen",
    ] {
        assert!(all.contains(text), "{text}");
    }
}

#[test]
fn what_is_known_of_another_is_not_drawn() {
    let mut state = opened();
    for key in [KeyCode::Esc, KeyCode::Down, KeyCode::Enter] {
        state.press(KeyEvent::new(key, KeyModifiers::NONE));
    }
    let all = lines(&draw(&mut state, UTF8, 200, 50)).join("\n");
    assert!(all.contains("process 4194303 "), "{all}");
    for text in ["HOTTEST CODE", "THREADS", "30417"] {
        assert!(!all.contains(text), "{text}: {all}");
    }
}
