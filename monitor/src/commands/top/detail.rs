//! One process, with all that is known of it.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    columns::{action_state, tone},
    glyphs::{self, Theme},
    observer::Detail,
    state::State,
};
use crate::{
    commands::explain::ThreadMix,
    detect::collector::HotCode,
    telemetry::{
        journal::NUMBER,
        view::{Part, Row},
    },
};
use unjack_core::score::Evidence;
use unjack_core::text::Quoted;

/// Blanks before the lines of a section.
const INDENT: usize = 2;
/// Columns of the mix that no bar is in.
const MIX_TEXT: u16 = 24;
/// Columns of the longest bar.
const LONGEST_BAR: u16 = 40;

/// A screen of so many columns is wide.
const WIDE: u16 = 120;

/// Draws the chosen process: on a wide screen in two columns.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &mut State, theme: Theme) {
    let Some(row) = state.chosen_row() else {
        let text = "it has ended, or uses no CPU any more; Esc goes back";
        return frame.render_widget(Paragraph::new(text).style(Theme::quiet()), area);
    };
    let more = state.more();
    let [top, below] = Layout::vertical([Constraint::Length(5), Constraint::Min(0)]).areas(area);
    frame.render_widget(
        Paragraph::new(head(row, usize::from(top.width), theme)),
        top,
    );
    let columns = if area.width >= WIDE {
        let [left, _, right] = Layout::horizontal([
            Constraint::Length(MIX_TEXT + LONGEST_BAR),
            Constraint::Length(2),
            Constraint::Min(0),
        ])
        .areas(below);
        vec![
            (
                left,
                join([mix(row, left.width, theme), threads(more, theme)]),
            ),
            (
                right,
                join([
                    evidence(row, right.width, theme),
                    code(more, right.width, theme),
                ]),
            ),
        ]
    } else {
        let all = [
            evidence(row, below.width, theme),
            mix(row, below.width, theme),
            code(more, below.width, theme),
            threads(more, theme),
        ];
        vec![(below, join(all))]
    };
    // Not further than that the last line is still there.
    let longest = columns.iter().map(|(_, lines)| lines.len()).max();
    let last = longest
        .unwrap_or(0)
        .saturating_sub(usize::from(below.height));
    let scroll = state.scroll.min(last);
    for (area, lines) in columns {
        let lines: Vec<_> = lines.into_iter().skip(scroll).collect();
        frame.render_widget(Paragraph::new(lines), area);
    }
    state.bottom = last;
}

/// Sections, a blank line between them; those that are empty are left out.
fn join<'a>(sections: impl IntoIterator<Item = Vec<Line<'a>>>) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    for section in sections {
        if !section.is_empty() && !lines.is_empty() {
            lines.push(Line::default());
        }
        lines.extend(section);
    }
    lines
}

fn head(row: &Row, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let exe = Quoted(&row.exe).to_string();
    let family = if row.family.is_empty() {
        String::new()
    } else {
        format!(" {}", row.family)
    };
    let numbers = format!(
        "{}{family}  score {:.2}  hashing {:.2}  {:.1} % of a core  {:.1} CPU s",
        action_state(row),
        row.score,
        row.hashing,
        row.cpu_percent,
        row.cpu_seconds
    );
    let user = row
        .uid
        .map_or_else(|| "?".to_owned(), |uid| uid.to_string());
    let mut place = format!("user {user}");
    let parts = [
        ("unit", &row.unit),
        ("container", &row.container),
        ("pod", &row.pod),
    ];
    for (what, part) in parts {
        if let Some(part) = part {
            place.push_str("  ");
            place.push_str(what);
            place.push(' ');
            place.push_str(&glyphs::begin(part, 40));
        }
    }
    place.push_str("  cgroup ");
    place.push_str(&row.cgroup);
    let most = row
        .history
        .iter()
        .fold(100.0, |most: f32, value| most.max(*value));
    let spark = theme.sparkline(
        &row.history,
        most,
        row.history.len().min(width.saturating_sub(20)),
    );
    let first = format!("process {} ", row.pid);
    let calls = format!("  calls itself {}", Quoted(&row.comm));
    let room = width.saturating_sub(first.len());
    vec![
        Line::from(vec![
            Span::styled(first, theme.heading()),
            Span::raw(glyphs::end(
                &exe,
                room.saturating_sub(calls.chars().count()).max(room / 2),
            )),
            Span::styled(calls, Theme::quiet()),
        ]),
        Line::styled(glyphs::begin(&numbers, width), theme.tone(tone(row))),
        Line::raw(glyphs::begin(&place, width)),
        Line::from(vec![
            Span::raw(spark),
            Span::styled(format!("  of {most:.0} %"), Theme::quiet()),
        ]),
        Line::default(),
    ]
}

fn section(name: &'static str, theme: Theme) -> Line<'static> {
    Line::styled(name, theme.heading())
}

fn evidence(row: &Row, width: u16, theme: Theme) -> Vec<Line<'static>> {
    let mut lines = vec![section("EVIDENCE", theme)];
    let width = usize::from(width).saturating_sub(INDENT);
    if row.evidence.is_empty() {
        lines.push(Line::raw("  no samples yet"));
    }
    for evidence in &row.evidence {
        let style = if evidence.log_odds > 0.0 {
            theme.tone(tone(row))
        } else {
            Theme::quiet()
        };
        let mut number = theme.number(evidence);
        let room = width.saturating_sub(NUMBER + INDENT);
        for line in glyphs::wrap(&evidence.text, room, 0) {
            let text = format!("{:INDENT$}{number:>NUMBER$}{:INDENT$}{line}", "", "");
            lines.push(Line::styled(text, style));
            // It stands at the first line alone.
            number.clear();
        }
    }
    if let Some(sum) = Evidence::sum(&row.evidence) {
        let text = format!("{:INDENT$}= {sum:+.1}, score {:.2}", "", row.score);
        lines.push(Line::raw(text));
    }
    lines
}

fn mix(row: &Row, width: u16, theme: Theme) -> Vec<Line<'static>> {
    let mut lines = vec![section("INSTRUCTIONS", theme)];
    let room = usize::from(width.saturating_sub(MIX_TEXT).min(LONGEST_BAR));
    let largest = row.mix.first().map_or(1.0, |part| part.share);
    if row.mix.is_empty() {
        lines.push(Line::raw("  none yet"));
    }
    for Part { class, share } in &row.mix {
        let bar = theme.bar(share / largest, room);
        lines.push(Line::from(vec![
            Span::raw(format!(
                "  {} {class:<9} {:>5.1} %  ",
                glyphs::letter(class),
                100.0 * share
            )),
            Span::styled(bar, theme.class(class)),
        ]));
    }
    lines
}

fn code(detail: Option<&Detail>, width: u16, theme: Theme) -> Vec<Line<'static>> {
    let Some(code) = detail.and_then(|detail| detail.hot_code.as_ref()) else {
        return Vec::new();
    };
    let HotCode { instructions, .. } = code;
    let width = usize::from(width).saturating_sub(INDENT);
    let mut lines = vec![section("HOTTEST CODE", theme)];
    for line in glyphs::wrap(&code.to_string(), width, INDENT) {
        lines.push(Line::raw(format!("{:INDENT$}{line}", "")));
    }
    for instruction in instructions {
        let text = glyphs::begin(instruction, width.saturating_sub(INDENT));
        lines.push(Line::styled(format!("    {text}"), Theme::quiet()));
    }
    lines
}

fn threads(detail: Option<&Detail>, theme: Theme) -> Vec<Line<'static>> {
    let Some(detail) = detail.filter(|detail| !detail.threads.is_empty()) else {
        return Vec::new();
    };
    let mut lines = vec![
        section("THREADS", theme),
        Line::styled("  id        samples  hashing", Theme::quiet()),
    ];
    for thread in &detail.threads {
        let ThreadMix {
            tid,
            samples,
            hashing,
            mix: _,
        } = thread;
        let bar = theme.bar(*hashing, 10);
        lines.push(Line::raw(format!(
            "  {tid:<8} {samples:>8}  {hashing:>7.2} {bar}"
        )));
    }
    lines
}
