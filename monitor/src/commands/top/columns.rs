//! The list's columns, and which of them there is room for; and the words for a
//! row that the table and the details share.

use ratatui::text::{Line, Span};

use super::glyphs::{self, Theme, Tone};
use crate::{commands::cli::Sort, telemetry::view::Row};

/// Columns of the screen that are kept for the program, which comes last: which
/// row it is matters more than what is told of it beside the verdict.
const LEAST_PROGRAM: u16 = 16;

/// A column of the list.
#[derive(Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) sort: Option<Sort>,
    pub(super) right: bool,
    /// Where there is little room, and where there is enough; 0 for not at all.
    widths: [u16; 2],
    pub(super) cell: fn(&Row, usize, &Context) -> Line<'static>,
}

/// What a cell is drawn with.
pub(super) struct Context {
    pub(super) theme: Theme,
    /// The height of a sparkline, in percent of one core.
    pub(super) most: f32,
}

const COLUMNS: [Column; 9] = [
    Column {
        title: "PID",
        sort: Some(Sort::Pid),
        right: true,
        widths: [7, 7],
        cell: |row, _, _| Line::raw(row.pid.to_string()),
    },
    Column {
        title: "CPU%",
        sort: Some(Sort::Cpu),
        right: true,
        widths: [5, 5],
        cell: |row, _, _| {
            // From ten cores on the tenth of a percent is of no use.
            let digits = usize::from(row.cpu_percent < 999.95);
            Line::raw(format!("{:.digits$}", row.cpu_percent))
        },
    },
    Column {
        title: "CPU s",
        sort: Some(Sort::Time),
        right: true,
        widths: [0, 9],
        cell: |row, _, _| Line::raw(format!("{:.1}", row.cpu_seconds)),
    },
    Column {
        title: "HISTORY",
        sort: None,
        right: false,
        widths: [8, 30],
        cell: |row, width, context| {
            Line::raw(context.theme.sparkline(&row.history, context.most, width))
        },
    },
    Column {
        title: "SCORE",
        sort: Some(Sort::Score),
        right: false,
        widths: [9, 15],
        cell: score,
    },
    Column {
        title: "FAMILY",
        sort: Some(Sort::Family),
        right: false,
        widths: [11, 11],
        cell: |row, width, _| Line::raw(glyphs::begin(&row.family, width)),
    },
    Column {
        title: "VERDICT",
        sort: Some(Sort::Verdict),
        right: false,
        widths: [9, 9],
        cell: |row, _, _| Line::raw(action_state(row).to_owned()),
    },
    Column {
        title: "MIX",
        sort: None,
        right: false,
        widths: [8, 20],
        cell: |row, width, context| {
            let classes = glyphs::stacked(&row.mix, width);
            let spans = classes.into_iter().map(|class| {
                let style = context.theme.class(class);
                Span::styled(glyphs::letter(class).to_string(), style)
            });
            Line::from(spans.collect::<Vec<_>>())
        },
    },
    Column {
        title: "WHERE",
        sort: None,
        right: false,
        widths: [0, 28],
        cell: |row, width, _| Line::raw(glyphs::begin(&place(row), width)),
    },
];

/// The columns that make room, first the first: each becomes narrower, and if that
/// is not enough, each is left out.
const GIVING_WAY: [&str; 6] = ["WHERE", "HISTORY", "MIX", "SCORE", "CPU s", "FAMILY"];

/// The columns of a screen of this width, with their own.
pub(super) fn fitting(width: u16) -> Vec<(Column, u16)> {
    let mut columns = COLUMNS.map(|column| (column, column.widths[1]));
    for narrowest in [false, true] {
        for title in GIVING_WAY {
            if left(&columns, width) >= LEAST_PROGRAM {
                break;
            }
            let given = columns.iter_mut().find(|(column, _)| column.title == title);
            if let Some((column, width)) = given {
                *width = if narrowest { 0 } else { column.widths[0] };
            }
        }
    }
    let columns = columns.into_iter();
    columns.filter(|(_, width)| *width > 0).collect()
}

/// What these leave of the screen: each has a blank behind it.
pub(super) fn left(columns: &[(Column, u16)], width: u16) -> u16 {
    let widths = columns.iter().map(|(_, width)| *width);
    let taken: u16 = widths
        .filter(|width| *width > 0)
        .map(|width| width + 1)
        .sum();
    width.saturating_sub(taken)
}

fn score(row: &Row, width: usize, context: &Context) -> Line<'static> {
    if row.samples == 0 {
        return Line::raw("");
    }
    let bar = context.theme.bar(row.score, width.saturating_sub(5));
    Line::raw(format!("{:.2} {bar}", row.score))
}

/// What it is taken for.
pub(super) fn action_state(row: &Row) -> &str {
    match row.verdict.as_str() {
        "none" if row.suspected => "suspected",
        "none" if !row.enough => "too few",
        "none" => "-",
        verdict => verdict,
    }
}

/// Where it belongs, shortly.
pub(super) fn place(row: &Row) -> String {
    let container = row.container.as_ref();
    let container = container.map(|id| id.chars().take(12).collect());
    container
        .or_else(|| row.unit.clone())
        .unwrap_or_else(|| "-".to_owned())
}

/// What it executes, or what it calls itself if that cannot be read.
pub(super) fn program(row: &Row) -> &str {
    if row.exe.is_empty() {
        &row.comm
    } else {
        &row.exe
    }
}

pub(super) fn tone(row: &Row) -> Tone {
    match row.verdict.as_str() {
        "miner" => Tone::Miner,
        "hashing" => Tone::Hashing,
        _ if row.suspected => Tone::Suspected,
        _ => Tone::Plain,
    }
}
