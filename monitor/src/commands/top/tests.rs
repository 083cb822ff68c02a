//! How the screen looks, cell by cell.

use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::Buffer,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    style::{Color, Modifier},
};
use unicode_width::UnicodeWidthStr;

use super::{glyphs::Theme, list, observer::Detail, plain, state::State};
use crate::{
    commands::{cli::Sort, explain::ThreadMix},
    detect::collector::HotCode,
    host::Member,
    telemetry::view::{Counts, Host, Part, Probed, Program, Row, Stolen, View},
};
use unjack_core::{
    score::{Evidence, EvidenceKind, Witness},
    text::clean,
};

const UTF8: Theme = Theme {
    color: true,
    unicode: true,
};
/// What a process may call itself.
const HOSTILE: &[u8] = b"\x1b[2J\x1b]0;x\x07\xc2\x9b31m\r\n\xe2\x80\xae/evil\xff";

fn row(pid: u32, exe: &str, cpu: f32, score: f64) -> Row {
    let (verdict, family) = if score > 0.8 {
        ("miner", "randomx")
    } else {
        ("none", "")
    };
    let part = |class: &str, share| Part {
        class: class.to_owned(),
        share,
    };
    Row {
        pid,
        start_time: 1,
        exe: exe.to_owned(),
        comm: "nginx: worker p".to_owned(),
        uid: Some(1000),
        unit: Some("a-unit-with-a-long-name.service".to_owned()),
        cgroup: "/system.slice/a-unit-with-a-long-name.service".to_owned(),
        cpu_percent: f64::from(cpu),
        cpu_seconds: 12.3,
        history: (0..60_u8).map(|n| cpu * f32::from(n) / 60.0).collect(),
        samples: 400,
        enough: true,
        threads: 2,
        mix: vec![part("xor", 0.5), part("move", 0.3), part("other", 0.2)],
        hashing: score,
        score,
        family: family.to_owned(),
        verdict: verdict.to_owned(),
        evidence: vec![
            Evidence::new(
                EvidenceKind::Family,
                "the mix is 98 % like randomx (randomx light)".to_owned(),
                7.04,
            ),
            Evidence::new(
                EvidenceKind::Witness(Witness::Flows),
                "387.0 MB read and written per CPU second, which is more than fits one line of a \
                 narrow screen"
                    .to_owned(),
                -2.4,
            ),
            Evidence::told("its burn is flat".to_owned()),
        ],
        ..Row::default()
    }
}

fn view(rows: Vec<Row>) -> View {
    View {
        version: "0.1.0".to_owned(),
        host: Host {
            name: "host".to_owned(),
            kernel: "6.18.44".to_owned(),
            processors: 2,
            running_seconds: 80.0,
            uptime_seconds: 7_300.0,
            ..Host::default()
        },
        stolen: vec![Stolen {
            family: "randomx".to_owned(),
            stolen_seconds: 12.34,
            allowed_seconds: 0.0,
        }],
        processes: rows,
        probes: Probed {
            sampler: "cpu-clock".to_owned(),
            programs: vec![Program::default(); 5],
            counts: Counts {
                samples: 1234,
                ..Counts::default()
            },
        },
        ..View::default()
    }
}

fn more(process: Member) -> Detail {
    Detail {
        process,
        hot_code: Some(HotCode {
            share: 0.09,
            ip: 0x7f5f_76fe_fd3c,
            file: None,
            instructions: vec!["7f5f76fefd3c: imul r13,r11".to_owned(); 3],
        }),
        threads: vec![
            ThreadMix {
                tid: 30417,
                samples: 321,
                hashing: 1.0,
                mix: serde_json::Map::new(),
            };
            2
        ],
    }
}

fn two() -> Vec<Row> {
    vec![
        row(30417, "/tmp/nginx", 98.7, 0.99),
        row(
            4_194_303,
            "/usr/lib/some/very/long/path/to/a/program",
            12.0,
            0.01,
        ),
    ]
}

fn draw(state: &mut State, theme: Theme, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| list::draw(frame, state, theme))
        .unwrap();
    terminal.backend().buffer().clone()
}

fn lines(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width);
    let cells = buffer.content().chunks(width);
    cells
        .map(|cells| {
            cells
                .iter()
                .map(ratatui::buffer::Cell::symbol)
                .collect::<String>()
        })
        .map(|line| line.trim_end().to_owned())
        .collect()
}

fn listed(rows: Vec<Row>, width: u16, height: u16) -> Vec<String> {
    let mut state = State::new(Sort::Verdict, false);
    state.take(view(rows));
    lines(&draw(&mut state, UTF8, width, height))
}

/// The first process, with all that is known of it.
fn opened() -> State {
    let mut state = State::new(Sort::Verdict, false);
    state.take(view(two()));
    state.press(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE));
    let process = state.lacking().unwrap();
    state.take_more(Some(more(process)));
    state
}

fn detailed(width: u16, height: u16) -> Vec<String> {
    lines(&draw(&mut opened(), UTF8, width, height))
}

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

#[test]
fn every_size_is_drawn() {
    for (width, height) in [
        (1, 1),
        (39, 24),
        (80, 7),
        (40, 8),
        (60, 10),
        (119, 9),
        (120, 8),
        (500, 3),
    ] {
        for lines in [listed(two(), width, height), detailed(width, height)] {
            assert!(!lines[0].is_empty(), "{width}x{height}");
        }
        listed(Vec::new(), width, height);
    }
    assert_eq!(listed(two(), 39, 24)[0], "needs 40x8; q quits");
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
fn what_was_lost_is_told() {
    let mut state = State::new(Sort::Pid, false);
    let mut view = view(two());
    view.probes.counts.samples_lost = 17;
    view.processes_left_out = 3;
    state.take(view);
    let lines = lines(&draw(&mut state, UTF8, 80, 24));
    assert!(
        lines[1].ends_with("1234 samples  17 samples lost"),
        "{}",
        lines[1]
    );
    assert!(lines[2].starts_with("using CPU: 5,"), "{}", lines[2]);
}

#[test]
fn without_colours_nothing_is_coloured_and_all_is_said() {
    let mut state = State::new(Sort::Verdict, false);
    state.take(view(two()));
    let plain = Theme {
        color: false,
        unicode: false,
    };
    for keys in [&[][..], &[KeyCode::Enter]] {
        for key in keys {
            state.press(KeyEvent::new(*key, KeyModifiers::NONE));
        }
        let buffer = draw(&mut state, plain, 200, 50);
        let coloured =
            |cell: &&ratatui::buffer::Cell| cell.fg != Color::Reset || cell.bg != Color::Reset;
        assert_eq!(buffer.content().iter().find(coloured), None);
        let text = lines(&buffer).join("\n");
        assert!(text.contains("miner"), "{text}");
        assert!(text.chars().all(|c| c.is_ascii() || c == '…'), "{text}");
    }
    let mut state = State::new(Sort::Verdict, false);
    state.take(view(two()));
    let buffer = draw(&mut state, UTF8, 80, 24);
    assert_eq!(buffer[(70, 4)].fg, Color::Red);
    assert!(
        buffer[(70, 4)].modifier.contains(Modifier::REVERSED),
        "it is chosen"
    );
}

#[test]
fn a_hostile_name_draws_nothing_of_its_own() {
    let name = clean(HOSTILE, 256);
    let hostile = Row {
        comm: name.clone(),
        unit: Some(name.clone()),
        container: Some(name.clone()),
        cgroup: name.clone(),
        ..row(7, &name, 50.0, 0.99)
    };
    let mut state = State::new(Sort::Verdict, false);
    state.take(view(vec![hostile.clone()]));
    for keys in [&[][..], &[KeyCode::Enter]] {
        for key in keys {
            state.press(KeyEvent::new(*key, KeyModifiers::NONE));
        }
        let text = lines(&draw(&mut state, UTF8, 200, 50)).join("");
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(!text.contains('\u{202e}'), "{text:?}");
        assert!(text.contains(r"\xff"), "{text:?}");
    }
    let view = view(vec![hostile]);
    let text = plain::render(&view);
    assert_eq!(text.lines().count(), 2);
    assert!(
        !text.replace('\n', "").chars().any(char::is_control),
        "{text:?}"
    );
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
