//! The list as one plain table: for pipes, scripts and logs.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use super::columns::{action_state, place, program};
use crate::telemetry::view::{Row, View};

const TITLES: [&str; 8] = [
    "PID", "CPU%", "CPU_S", "SCORE", "FAMILY", "VERDICT", "WHERE", "PROGRAM",
];
/// Of these, how many are numbers, and stand on the right.
const NUMBERS: usize = 4;

/// A line a process, no cell empty, the program last: columns are as wide as
/// what is in them, and nothing is cut.
pub(super) fn render(view: &View) -> String {
    let rows: Vec<[String; 8]> = view.processes.iter().map(cells).collect();
    let titles = TITLES.map(str::to_owned);
    let mut widths = TITLES.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let mut text = String::new();
    for row in std::iter::once(&titles).chain(&rows) {
        let mut line = String::new();
        for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
            let blanks = " ".repeat(width - cell.width());
            let (left, right) = if index < NUMBERS {
                (blanks.as_str(), "")
            } else {
                ("", blanks.as_str())
            };
            // Writing to a String cannot fail.
            let _ = write!(line, "{left}{cell}{right}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    if view.processes_left_out > 0 {
        let _ = writeln!(
            text,
            "and {} more that use less CPU",
            view.processes_left_out
        );
    }
    text
}

fn cells(row: &Row) -> [String; 8] {
    let or_none = |text: &str| if text.is_empty() { "-" } else { text }.to_owned();
    [
        row.pid.to_string(),
        format!("{:.1}", row.cpu_percent),
        format!("{:.1}", row.cpu_seconds),
        format!("{:.2}", row.score),
        or_none(&row.family),
        action_state(row).replace(' ', "-"),
        place(row),
        or_none(program(row)),
    ]
}
