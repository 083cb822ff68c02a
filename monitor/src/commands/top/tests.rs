//! How the screen looks, cell by cell.

mod drawn_details;
mod drawn_list;

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
