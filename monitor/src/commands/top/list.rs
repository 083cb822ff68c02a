//! The list: a header with totals, a row a process, and the keys.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Modifier, Style},
    text::{Line, Span},
    widgets::{Cell, Paragraph, Row as TableRow, Table},
};

use super::{
    columns::{self, Column, Context, program, tone},
    detail,
    glyphs::{self, Theme, Tone},
    state::{KEYS, State},
};
use crate::telemetry::view::{Counts, Row, View};
use unjack_core::profile::total;

/// Below this nothing is shown but that there is no room.
const LEAST_WIDTH: u16 = 40;
const LEAST_HEIGHT: u16 = 8;

/// Draws the whole screen.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State, theme: Theme) {
    let area = frame.area();
    if area.width < LEAST_WIDTH || area.height < LEAST_HEIGHT {
        let text = format!("needs {LEAST_WIDTH}x{LEAST_HEIGHT}; q quits");
        return frame.render_widget(Paragraph::new(text), area);
    }
    let [head, body, foot] = Layout::vertical([
        Constraint::Length(3),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(area);
    header(frame, head, state, theme);
    if state.detail {
        detail::draw(frame, body, state, theme);
    } else {
        table(frame, body, state, theme);
    }
    let keys = keys(state, usize::from(foot.width));
    frame.render_widget(Paragraph::new(keys), foot);
}

fn header(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) {
    let view = &state.view;
    let width = usize::from(area.width);
    let lines: Vec<Line<'_>> = vec![
        title(state, width, theme),
        probes(view, width, theme),
        totals(view, width, theme),
    ];
    frame.render_widget(Paragraph::new(lines), area);
}

/// The parts that fit, with two blanks between them: the first comes first.
fn fit<'a>(parts: impl IntoIterator<Item = Span<'a>>, width: usize) -> Line<'a> {
    let mut line = Line::default();
    for part in parts {
        let between = if line.spans.is_empty() { 0 } else { 2 };
        if line.width() + between + part.width() > width {
            break;
        }
        if between > 0 {
            line.push_span(Span::raw("  "));
        }
        line.push_span(part);
    }
    line
}

fn title<'a>(state: &State, width: usize, theme: Theme) -> Line<'a> {
    let view = &state.view;
    let host = &view.host;
    let parts = [
        Span::styled(format!("unjack {}", view.version), theme.heading()),
        if state.paused {
            Span::styled("paused", theme.alarm())
        } else {
            Span::raw(format!(
                "observing for {}",
                glyphs::span(host.running_seconds)
            ))
        },
        Span::raw(glyphs::begin(&host.name, 24)),
        Span::styled(
            format!("Linux {}", glyphs::begin(&host.kernel, 24)),
            Theme::quiet(),
        ),
        Span::styled(
            format!("up {}", glyphs::span(host.uptime_seconds)),
            Theme::quiet(),
        ),
    ];
    fit(parts, width)
}

fn probes<'a>(view: &View, width: usize, theme: Theme) -> Line<'a> {
    let probed = &view.probes;
    let Counts {
        samples,
        samples_lost,
        samples_capped,
        code_faults,
        samples_forgotten,
        events_lost,
        malformed,
        tasks_untracked,
        profiles_dropped,
    } = probed.counts;
    if probed.sampler.is_empty() {
        let text = "probes: their counters cannot be read";
        return fit([Span::styled(text, theme.alarm())], width);
    }
    let attached = format!(
        "probes: {} attached, by {}, {samples} samples",
        probed.programs.len(),
        probed.sampler
    );
    let bad = [
        (samples_lost, "samples lost"),
        (events_lost, "events lost"),
        (tasks_untracked, "tasks untracked"),
        (profiles_dropped, "profiles dropped"),
        (malformed, "records malformed"),
    ];
    let small = [
        (code_faults, "without code"),
        (samples_capped, "not taken"),
        (samples_forgotten, "forgotten"),
    ];
    let told = |style: Style| {
        move |(count, what): (u64, &'static str)| {
            (count > 0).then(|| Span::styled(format!("{count} {what}"), style))
        }
    };
    let bad: Vec<_> = bad.into_iter().filter_map(told(theme.alarm())).collect();
    let health = if bad.is_empty() {
        vec![Span::raw("nothing lost")]
    } else {
        bad
    };
    let small = small.into_iter().filter_map(told(Theme::quiet()));
    let attached = std::iter::once(Span::raw(attached));
    fit(attached.chain(health).chain(small), width)
}

fn totals<'a>(view: &View, width: usize, theme: Theme) -> Line<'a> {
    let count = |verdict: &str| {
        let rows = view.processes.iter();
        rows.filter(|row| row.verdict == verdict).count()
    };
    let (miners, hashing) = (count("miner"), count("hashing"));
    let burn = total(view.processes.iter().map(|row| row.cpu_percent));
    let stolen = total(view.stolen.iter().map(|of| of.stolen_seconds));
    let shown = view.processes.len() + view.processes_left_out;
    let style = |count: usize, tone| {
        if count > 0 {
            theme.tone(tone)
        } else {
            Style::new()
        }
    };
    let parts = [
        Span::raw(format!(
            "using CPU: {shown}, {burn:.0} % of {} %",
            100 * view.host.processors
        )),
        Span::styled(format!("miners: {miners}"), style(miners, Tone::Miner)),
        Span::styled(format!("hashing: {hashing}"), style(hashing, Tone::Hashing)),
        Span::styled(
            format!("stolen: {stolen:.1} CPU s"),
            style(usize::from(stolen > 0.0), Tone::Miner),
        ),
        Span::styled(format!("{} more", view.processes_left_out), Theme::quiet()),
    ];
    let all = parts.len() - usize::from(view.processes_left_out == 0);
    fit(parts.into_iter().take(all), width)
}

fn keys<'a>(state: &State, width: usize) -> Line<'a> {
    let key = |key: &str, what: &str, on: bool| {
        let style = if on {
            Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
        } else {
            Theme::quiet()
        };
        Span::styled(format!("{key} {what}"), style)
    };
    if state.detail {
        let parts = [
            key("q", "quit", false),
            key("Esc", "back", false),
            key("Up/Down", "scroll", false),
            key("space", "pause", state.paused),
        ];
        return fit(parts, width);
    }
    let sorts = KEYS
        .iter()
        .map(|(letter, sort, what)| key(&letter.to_string(), what, *sort == state.sort));
    let first = [key("q", "quit", false), key("Enter", "details", false)];
    let last = [
        key("r", "reverse", state.reversed),
        key("space", "pause", state.paused),
    ];
    fit(first.into_iter().chain(sorts).chain(last), width)
}

fn table(frame: &mut Frame<'_>, area: Rect, state: &mut State, theme: Theme) {
    let rows = &state.view.processes;
    if rows.is_empty() {
        let text = "no process uses CPU time yet";
        return frame.render_widget(Paragraph::new(text).style(Theme::quiet()), area);
    }
    let columns = columns::fitting(area.width);
    let rest = usize::from(columns::left(&columns, area.width));
    let context = Context {
        theme,
        most: most(rows),
    };
    let title = |column: &Column| {
        let mark = if column.sort == Some(state.sort) {
            Style::new().add_modifier(Modifier::UNDERLINED)
        } else {
            Style::new()
        };
        let line = Line::styled(column.title, mark);
        Cell::from(if column.right {
            line.right_aligned()
        } else {
            line
        })
    };
    let titles = columns.iter().map(|(column, _)| title(column));
    let titles = titles.chain([Cell::from("PROGRAM")]);
    let body = rows.iter().map(|row| {
        let cells = columns.iter().map(|(column, width)| {
            let line = (column.cell)(row, usize::from(*width), &context);
            Cell::from(if column.right {
                line.right_aligned()
            } else {
                line
            })
        });
        let program = Cell::from(glyphs::end(program(row), rest));
        TableRow::new(cells.chain([program])).style(theme.tone(tone(row)))
    });
    let widths = columns.iter().map(|(_, width)| Constraint::Length(*width));
    let widths = widths.chain([Constraint::Min(0)]);
    let table = Table::new(body, widths)
        .header(TableRow::new(titles).style(theme.heading()))
        .row_highlight_style(Theme::chosen());
    frame.render_stateful_widget(table, area, &mut state.table);
}

/// What all sparklines are as high as: the most any process burned, at least a
/// core.
fn most(rows: &[Row]) -> f32 {
    let all = rows.iter().flat_map(|row| &row.history);
    all.fold(100.0, |most, value| most.max(*value))
}
