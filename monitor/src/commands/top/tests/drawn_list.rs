//! The list of processes.

use super::*;

#[test]
fn the_list_at_80_by_24() {
    let lines = listed(two(), 80, 24);
    let expected = [
        "unjack 0.1.0  observing for 1 min 20 s  host  Linux 6.18.44  up 2 h 1 min",
        "probes: 5 attached, by cpu-clock, 1234 samples  nothing lost",
        "using CPU: 2, 111 % of 200 %  miners: 1  hashing: 0  stolen: 12.3 CPU s",
        "    PID  CPU% HISTORY  SCORE     FAMILY      VERDICT   MIX      PROGRAM",
        "  30417  98.7 ▇▇▇▇▇███ 0.99 ████ randomx     miner     XXXXvvoo /tmp/nginx",
        "4194303  12.0 ▂▂▂▂▂▂▂▂ 0.01               -         XXXXvvoo …/to/a/program",
    ];
    for (line, expected) in lines.iter().zip(expected).take(5) {
        assert_eq!(line, expected);
    }
    assert!(
        lines[5].starts_with("4194303  12.0 ") && lines[5].ends_with("/a/program"),
        "{}",
        lines[5]
    );
    assert_eq!(
        lines[23],
        "q quit  Enter details  v verdict  c cpu  s score  t time  f family  p pid"
    );
}

#[test]
fn the_list_at_200_by_50() {
    let lines = listed(two(), 200, 50);
    let title = &lines[3];
    for column in [
        "PID", "CPU%", "CPU s", "HISTORY", "SCORE", "FAMILY", "VERDICT", "MIX", "WHERE", "PROGRAM",
    ] {
        assert!(title.contains(column), "{column}: {title}");
    }
    let program = title.find("PROGRAM").unwrap();
    let start = |line: &str, text: &str| line[..line.find(text).unwrap()].width();
    assert_eq!(start(&lines[4], "/tmp/nginx"), program);
    assert_eq!(
        start(&lines[5], "/usr/lib/some/very/long/path/to/a/program"),
        program
    );
    assert!(
        lines[4].contains("a-unit-with-a-long-name.ser…"),
        "{}",
        lines[4]
    );
    assert!(
        lines[4].contains("miner") && lines[4].contains("12.3"),
        "{}",
        lines[4]
    );
    assert!(
        lines[49].ends_with("r reverse  space pause"),
        "{}",
        lines[49]
    );
}

#[test]
fn a_hundred_cores_fit() {
    let lines = listed(vec![row(1, "/a", 12_800.0, 0.0)], 80, 24);
    assert!(lines[4].starts_with("      1 12800 "), "{}", lines[4]);
}

#[test]
fn a_long_list_scrolls_with_the_choice() {
    let rows = (1..=40).map(|pid| row(pid, "/a", 1.0, 0.0)).collect();
    let mut state = State::new(Sort::Pid, false);
    state.take(view(rows));
    state.press(KeyEvent::new(KeyCode::End, KeyModifiers::NONE));
    let lines = lines(&draw(&mut state, UTF8, 80, 24));
    assert!(lines[22].starts_with("     40 "), "{}", lines[22]);
}

#[test]
fn every_width_tells_the_program() {
    let mut before = 0;
    for width in 40..=200 {
        let lines = listed(two(), width, 24);
        assert!(lines[3].contains("PROGRAM"), "{width}: {}", lines[3]);
        assert!(lines[4].contains("/tmp/nginx"), "{width}: {}", lines[4]);
        assert!(lines[5].ends_with("/to/a/program"), "{width}: {}", lines[5]);
        assert!(lines[4].contains("miner"), "{width}: {}", lines[4]);
        // A wider screen never tells less.
        let titles = lines[3].split_whitespace().count();
        assert!(titles >= before, "{width}: {}", lines[3]);
        before = titles;
    }
}

#[test]
fn the_plain_table_is_aligned_and_cuts_nothing() {
    let mut rows = two();
    rows[1].unit = None;
    rows[1].container = Some("0123456789abcdef".to_owned());
    let view = view(rows);
    let expected = "    PID  CPU%  CPU_S  SCORE  FAMILY   VERDICT  WHERE                            PROGRAM
  30417  98.7   12.3   0.99  randomx  miner    a-unit-with-a-long-name.service  /tmp/nginx
4194303  12.0   12.3   0.01  -        -        0123456789ab                     /usr/lib/some/very/long/path/to/a/program
";
    assert_eq!(plain::render(&view), expected);
}
