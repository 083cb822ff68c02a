//! What is on the screen, and what keys do to it. Pure.

use ratatui::{
    crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    widgets::TableState,
};

use super::observer::Detail;
use crate::{
    commands::cli::Sort,
    host::Member,
    telemetry::view::{Row, View},
};

/// Rows, or lines, that a page key moves by.
const PAGE: i32 = 10;

/// The screen's state.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key's own, and any go together"
)]
pub(super) struct State {
    /// The moment that is shown.
    pub(super) view: View,
    pub(super) sort: Sort,
    pub(super) reversed: bool,
    /// Nothing new is shown.
    pub(super) paused: bool,
    /// One process is shown, not the list.
    pub(super) detail: bool,
    /// Lines that are above the screen, in the detail view; more than
    /// `bottom` is its end, wherever that is by the time it is drawn.
    pub(super) scroll: usize,
    /// The most of them there can be, as of when it was last drawn.
    pub(super) bottom: usize,
    pub(super) quit: bool,
    /// The chosen process, wherever it stands now.
    chosen: Option<Member>,
    /// More of one process; not of the chosen one if that changed since.
    more: Option<Detail>,
    /// Where the list's rows begin.
    pub(super) table: TableState,
}

/// Who it is, for good.
fn member(row: &Row) -> Member {
    Member {
        pid: row.pid,
        start_time: row.start_time,
    }
}

impl State {
    pub(super) fn new(sort: Sort, reversed: bool) -> Self {
        Self {
            sort,
            reversed,
            ..Self::default()
        }
    }

    /// Shows this moment.
    pub(super) fn take(&mut self, view: View) {
        self.view = view;
        // It was of the moment before.
        self.more = None;
        self.arrange();
    }

    /// Takes more of one process.
    pub(super) fn take_more(&mut self, more: Option<Detail>) {
        self.more = more;
    }

    /// More of the chosen process, if that is what there is.
    pub(super) fn more(&self) -> Option<&Detail> {
        let more = self.more.as_ref();
        more.filter(|more| Some(more.process) == self.chosen)
    }

    /// The process that more is to be shown of than there is.
    pub(super) fn lacking(&self) -> Option<Member> {
        let lacks = self.detail && self.more().is_none();
        self.chosen.filter(|_| lacks)
    }

    /// Its row, unless it is gone.
    pub(super) fn chosen_row(&self) -> Option<&Row> {
        let rows = &self.view.processes;
        rows.iter().find(|row| Some(member(row)) == self.chosen)
    }

    /// Does what a key is for.
    pub(super) fn press(&mut self, key: KeyEvent) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char(c) if control => self.quit |= c == 'c',
            KeyCode::Esc | KeyCode::Left | KeyCode::Backspace if self.detail => {
                self.detail = false;
            }
            KeyCode::Esc | KeyCode::Char('q') => self.quit = true,
            KeyCode::Enter | KeyCode::Right => {
                self.detail = self.chosen.is_some();
                self.scroll = 0;
            }
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::PageUp => self.step(-PAGE),
            KeyCode::PageDown => self.step(PAGE),
            KeyCode::Home | KeyCode::Char('g') => self.step(i32::MIN),
            KeyCode::End | KeyCode::Char('G') => self.step(i32::MAX),
            KeyCode::Char(' ') => self.paused = !self.paused,
            KeyCode::Char('r') => self.reversed = !self.reversed,
            KeyCode::Char(c) => {
                if let Some(sort) = sort_of(c) {
                    self.sort = sort;
                    self.reversed = false;
                }
            }
            _ => {}
        }
        self.arrange();
    }

    /// Moves the choice, or in the detail view the text.
    fn step(&mut self, by: i32) {
        let moved = |from: usize| {
            let by = isize::try_from(by).unwrap_or(isize::MAX);
            from.saturating_add_signed(by)
        };
        if self.detail {
            self.scroll = moved(self.scroll.min(self.bottom));
        } else {
            let last = self.view.processes.len().saturating_sub(1);
            let at = moved(self.table.selected().unwrap_or(0)).min(last);
            self.chosen = self.view.processes.get(at).map(member);
        }
    }

    /// Sorts the rows, and keeps the choice on its process; if that is gone, on
    /// its place.
    fn arrange(&mut self) {
        let rows = &mut self.view.processes;
        sort_rows(rows, self.sort, self.reversed);
        let place = self.table.selected().unwrap_or(0);
        let found = rows.iter().position(|row| Some(member(row)) == self.chosen);
        // Who looks at one process does not want another in its place.
        if found.is_none() && !self.detail {
            let place = place.min(rows.len().saturating_sub(1));
            self.chosen = rows.get(place).map(member);
            self.table.select((!rows.is_empty()).then_some(place));
        } else {
            self.table.select(found);
        }
    }
}

/// The keys that sort, with what they sort by.
pub(super) const KEYS: [(char, Sort, &str); 6] = [
    ('v', Sort::Verdict, "verdict"),
    ('c', Sort::Cpu, "cpu"),
    ('s', Sort::Score, "score"),
    ('t', Sort::Time, "time"),
    ('f', Sort::Family, "family"),
    ('p', Sort::Pid, "pid"),
];

fn sort_of(key: char) -> Option<Sort> {
    let found = KEYS.iter().find(|(known, ..)| *known == key);
    found.map(|(_, sort, _)| *sort)
}

/// Sorts rows: numbers from the largest, names and ids from the first; those
/// that are alike by burn.
pub(super) fn sort_rows(rows: &mut [Row], sort: Sort, reversed: bool) {
    rows.sort_by(|a, b| {
        let order = match sort {
            Sort::Verdict => suspicion(b).cmp(&suspicion(a)),
            Sort::Cpu => std::cmp::Ordering::Equal,
            Sort::Score => b.score.total_cmp(&a.score),
            Sort::Time => b.cpu_seconds.total_cmp(&a.cpu_seconds),
            // Those of no family come last.
            Sort::Family => (a.family.is_empty(), &a.family).cmp(&(b.family.is_empty(), &b.family)),
            Sort::Pid => a.pid.cmp(&b.pid),
        };
        let order = order.then(b.cpu_percent.total_cmp(&a.cpu_percent));
        let order = if reversed { order.reverse() } else { order };
        order.then(a.pid.cmp(&b.pid))
    });
}

fn suspicion(row: &Row) -> u8 {
    match row.verdict.as_str() {
        "miner" => 3,
        "hashing" => 2,
        _ => u8::from(row.suspected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    fn row(pid: u32, cpu: f64, score: f64, family: &str) -> Row {
        Row {
            pid,
            start_time: 1,
            cpu_percent: cpu,
            cpu_seconds: f64::from(pid),
            score,
            family: family.to_owned(),
            verdict: if score > 0.8 { "miner" } else { "none" }.to_owned(),
            ..Row::default()
        }
    }

    fn view(rows: &[Row]) -> View {
        View {
            processes: rows.to_vec(),
            ..View::default()
        }
    }

    fn more(process: Option<Member>) -> Option<Detail> {
        process.map(|process| Detail {
            process,
            hot_code: None,
            threads: Vec::new(),
        })
    }

    fn rows() -> [Row; 4] {
        [
            row(10, 50.0, 0.1, ""),
            row(11, 90.0, 0.2, "sha256d"),
            row(12, 20.0, 0.99, "randomx"),
            row(13, 1.0, 0.0, ""),
        ]
    }

    fn shown() -> State {
        let mut state = State::new(Sort::Verdict, false);
        state.take(view(&rows()));
        state
    }

    fn press(state: &mut State, keys: &[KeyCode]) {
        for key in keys {
            state.press(KeyEvent::new(*key, KeyModifiers::NONE));
        }
    }

    fn pids(state: &State) -> Vec<u32> {
        let rows = &state.view.processes;
        rows.iter().map(|row| row.pid).collect()
    }

    #[test]
    fn keys_sort_and_turn_round() {
        let mut state = shown();
        assert_eq!(pids(&state), [12, 11, 10, 13]);
        let mut check = |key, expected: [u32; 4]| {
            press(&mut state, &[KeyCode::Char(key)]);
            assert_eq!(pids(&state), expected, "{key}");
        };
        check('c', [11, 10, 12, 13]);
        check('s', [12, 11, 10, 13]);
        check('t', [13, 12, 11, 10]);
        check('f', [12, 11, 10, 13]);
        check('p', [10, 11, 12, 13]);
        check('r', [13, 12, 11, 10]);
        check('c', [11, 10, 12, 13]);
        check('v', [12, 11, 10, 13]);
    }

    #[test]
    fn the_choice_stays_on_its_process() {
        let mut state = shown();
        assert_eq!(state.chosen.map(|chosen| chosen.pid), Some(12));
        press(&mut state, &[KeyCode::Down, KeyCode::Char('p')]);
        assert_eq!(state.chosen.map(|chosen| chosen.pid), Some(11));
        assert_eq!(state.table.selected(), Some(1));
        // It is gone: the row that takes its place is chosen.
        state.take(view(&[rows()[0].clone(), rows()[3].clone()]));
        assert_eq!(state.chosen.map(|chosen| chosen.pid), Some(13));
        state.take(view(&[]));
        assert_eq!((state.chosen, state.table.selected()), (None, None));
        // A process of the same id is another.
        state.take(view(&rows()));
        let again = Row {
            start_time: 2,
            ..rows()[0].clone()
        };
        state.take(view(&[again]));
        assert_eq!(state.chosen.map(|chosen| chosen.start_time), Some(2));
    }

    #[test]
    fn moving_stops_at_both_ends() {
        let mut state = shown();
        press(&mut state, &[KeyCode::Up]);
        assert_eq!(state.table.selected(), Some(0));
        press(&mut state, &[KeyCode::End]);
        assert_eq!(state.table.selected(), Some(3));
        press(&mut state, &[KeyCode::PageDown, KeyCode::Down]);
        assert_eq!(state.table.selected(), Some(3));
        press(&mut state, &[KeyCode::Home]);
        assert_eq!(state.table.selected(), Some(0));
    }

    #[test]
    fn details_are_of_the_chosen_and_stay_with_it() {
        let mut state = shown();
        state.bottom = 5;
        press(&mut state, &[KeyCode::Enter, KeyCode::Down, KeyCode::Down]);
        assert!(state.detail);
        assert_eq!(state.scroll, 2);
        assert_eq!(state.chosen_row().map(|row| row.pid), Some(12));
        state.take(view(&[rows()[0].clone()]));
        assert!(state.detail && state.chosen_row().is_none(), "it is gone");
        press(&mut state, &[KeyCode::Esc]);
        assert!(!state.detail && !state.quit);
        assert_eq!(state.chosen_row().map(|row| row.pid), Some(10));
    }

    #[test]
    fn what_is_shown_of_one_process_is_never_anothers() {
        let mut state = shown();
        assert_eq!(state.lacking(), None, "the list needs none");
        press(&mut state, &[KeyCode::Char(' '), KeyCode::Enter]);
        let first = state.chosen;
        assert_eq!(state.lacking(), first, "also while paused");
        state.take_more(more(first));
        assert!(state.more().is_some() && state.lacking().is_none());

        press(&mut state, &[KeyCode::Esc, KeyCode::Down, KeyCode::Enter]);
        assert_ne!(state.chosen, first);
        assert!(state.more().is_none(), "it is of the one before");
        assert_eq!(state.lacking(), state.chosen);
        state.take_more(more(state.chosen));
        state.take(view(&rows()));
        assert_eq!(state.lacking(), state.chosen, "it is of the moment before");

        // One of the same id that began later is another.
        state.take_more(more(state.chosen.map(|chosen| Member {
            start_time: 2,
            ..chosen
        })));
        assert!(state.more().is_none());
    }

    #[test]
    fn nothing_chosen_has_no_details() {
        let mut state = State::new(Sort::Cpu, false);
        press(
            &mut state,
            &[KeyCode::Enter, KeyCode::Down, KeyCode::PageUp],
        );
        assert!(!state.detail);
    }

    #[test]
    fn three_keys_leave() {
        for key in [KeyCode::Char('q'), KeyCode::Esc] {
            let mut state = shown();
            press(&mut state, &[key]);
            assert!(state.quit, "{key:?}");
        }
        let mut state = shown();
        press(&mut state, &[KeyCode::Enter, KeyCode::Char('q')]);
        assert!(state.quit, "also from the details");
        let mut state = shown();
        state.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert!(state.quit);
        let mut state = shown();
        press(
            &mut state,
            &[KeyCode::Char('c'), KeyCode::Char('x'), KeyCode::F(1)],
        );
        assert!(!state.quit);
    }
}
