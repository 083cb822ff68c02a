//! What is drawn with: bars, sparklines, letters for classes, colours.
//!
//! Every text that comes in is cleaned already; here it is only cut to fit, by
//! the columns it takes on a terminal. Nothing is told by colour alone.

use std::ffi::OsStr;

use ratatui::style::{Color, Modifier, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::telemetry::view::Part;
use unjack_core::score::Evidence;

/// Eighths of a character, from below and from the left, and what stands for
/// them where only ASCII is shown.
const SPARKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII_SPARKS: [char; 8] = ['_', '.', ':', '-', '=', '+', '*', '#'];
const BARS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
const ASCII_BAR: char = '#';
/// Where only ASCII is shown: the number of evidence that is not weighed.
const ASCII_TOLD: &str = ".";

/// How things look on this terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Theme {
    /// It may show colours.
    pub(super) color: bool,
    /// It shows more than ASCII.
    pub(super) unicode: bool,
}

/// What a process is taken for, as a reason for a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// It mines.
    Miner,
    /// It hashes for a reason.
    Hashing,
    /// It hashes, and has no verdict yet.
    Suspected,
    /// It is nothing.
    Plain,
}

impl Theme {
    /// For the environment: `NO_COLOR` (<https://no-color.org>) if it is not
    /// empty, and the locale's character set.
    pub(super) fn of<'a>(variable: impl Fn(&str) -> Option<&'a OsStr>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let charset = locale
            .unwrap_or_default()
            .to_string_lossy()
            .to_ascii_lowercase();
        Self {
            color: set("NO_COLOR").is_none(),
            unicode: charset.contains("utf-8") || charset.contains("utf8"),
        }
    }

    /// In this colour, if colours may be.
    fn fg(self, color: Color) -> Style {
        if self.color {
            Style::new().fg(color)
        } else {
            Style::new()
        }
    }

    pub(super) fn tone(self, tone: Tone) -> Style {
        match tone {
            Tone::Miner => self.fg(Color::Red).add_modifier(Modifier::BOLD),
            Tone::Hashing => self.fg(Color::Yellow),
            Tone::Suspected => self.fg(Color::Magenta),
            Tone::Plain => Style::new(),
        }
    }

    /// What a line of evidence adds.
    pub(super) fn number(self, evidence: &Evidence) -> String {
        if self.unicode || evidence.is_weighed() {
            evidence.number()
        } else {
            ASCII_TOLD.to_owned()
        }
    }

    pub(super) fn heading(self) -> Style {
        self.fg(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    pub(super) fn quiet() -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(super) fn alarm(self) -> Style {
        self.fg(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub(super) fn chosen() -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// Of one class of instructions: what mixes bits, what is made for hashing
    /// and ciphers, arithmetic, floating point, and all that moves and jumps.
    pub(super) fn class(self, class: &str) -> Style {
        match class {
            "rotate" | "shift" | "xor" | "logic" | "ternary" => self.fg(Color::Red),
            "aes" | "sha" | "clmul" => self.fg(Color::Magenta),
            "add" | "multiply" => self.fg(Color::Yellow),
            "float" | "rounding" | "prefetch" | "shuffle" => self.fg(Color::Blue),
            _ => Self::quiet(),
        }
    }

    /// A row of bars as high as the newest `width` values are beside `most`; what
    /// there is nothing of yet is blank.
    pub(super) fn sparkline(self, values: &[f32], most: f32, width: usize) -> String {
        let sparks = if self.unicode { SPARKS } else { ASCII_SPARKS };
        let newest = &values[values.len().saturating_sub(width)..];
        let blank = " ".repeat(width - newest.len());
        let spark = |value: &f32| {
            let part = if most > 0.0 { value / most } else { 0.0 };
            let step = (f64::from(part.clamp(0.0, 1.0)) * 7.0).round();
            (0_u8..8)
                .zip(sparks)
                .find(|(index, _)| f64::from(*index) >= step)
                .map_or(sparks[7], |(_, spark)| spark)
        };
        blank + &newest.iter().map(spark).collect::<String>()
    }

    /// A bar that fills `share` of `width`, padded with blanks.
    pub(super) fn bar(self, share: f64, width: usize) -> String {
        let eighths = (share.clamp(0.0, 1.0) * 8.0 * width as f64).round();
        let mut bar = String::new();
        for cell in 0..width {
            let left = eighths - 8.0 * cell as f64;
            bar.push(if left >= 8.0 {
                if self.unicode { BARS[7] } else { ASCII_BAR }
            } else if left >= 1.0 && self.unicode {
                let part = BARS.iter().zip(1_u8..).find(|(_, n)| f64::from(*n) >= left);
                part.map_or(' ', |(bar, _)| *bar)
            } else if left >= 4.0 {
                ASCII_BAR
            } else {
                ' '
            });
        }
        bar
    }
}

/// The letter of a class of instructions: capitals for what hashes are made of.
pub(super) fn letter(class: &str) -> char {
    match class {
        "rotate" => 'R',
        "shift" => 'S',
        "xor" => 'X',
        "logic" => 'L',
        "ternary" => 'T',
        "add" => 'A',
        "multiply" => 'M',
        "aes" => 'E',
        "sha" => 'H',
        "clmul" => 'C',
        "shuffle" => 'U',
        "float" => 'F',
        "prefetch" => 'P',
        "rounding" => 'N',
        "branch" => 'b',
        "move" => 'v',
        _ => 'o',
    }
}

/// A class of each of `width` characters, so that each class has as many as its
/// share; the rest, which is of small shares, has none.
pub(super) fn stacked(mix: &[Part], width: usize) -> Vec<&str> {
    let mut classes = Vec::with_capacity(width);
    let mut sum = 0.0;
    for Part { class, share } in mix {
        sum += share * width as f64;
        while (classes.len() as f64) + 0.5 <= sum && classes.len() < width {
            classes.push(class.as_str());
        }
    }
    classes
}

/// The text, if it fits, else its beginning and an ellipsis.
pub(super) fn begin(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let kept = text.chars().take_while(|c| takes(*c, &mut left));
    let mut kept: String = kept.collect();
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// The text, if it fits, else an ellipsis and its end: of a path that tells more.
pub(super) fn end(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let kept = text.chars().rev().take_while(|c| takes(*c, &mut left));
    let mut kept: Vec<char> = kept.collect();
    if width > 0 {
        kept.push('…');
    }
    kept.into_iter().rev().collect()
}

/// Whether there is room for one more; if so, it is taken.
fn takes(c: char, left: &mut usize) -> bool {
    let width = c.width().unwrap_or(0);
    let fits = width <= *left;
    *left -= if fits { width } else { 0 };
    fits
}

/// The text in lines of at most `width` columns, cut between words where that can
/// be; all but the first begin with `indent` blanks.
pub(super) fn wrap(text: &str, width: usize, indent: usize) -> Vec<String> {
    let width = width.max(indent + 8);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let mut word = word.to_owned();
        loop {
            let between = usize::from(!line.trim().is_empty());
            if line.width() + between + word.width() <= width {
                line.push_str(if between == 1 { " " } else { "" });
                line.push_str(&word);
                break;
            }
            if between == 1 {
                lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
                continue;
            }
            // A word longer than a line.
            let mut left = width - line.width();
            let piece: String = word.chars().take_while(|c| takes(*c, &mut left)).collect();
            word = word[piece.len()..].to_owned();
            line.push_str(&piece);
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
        }
    }
    lines.push(line);
    lines
}

/// Seconds, as a person says them.
pub(super) fn span(seconds: f64) -> String {
    let whole = std::time::Duration::try_from_secs_f64(seconds.max(0.0).floor());
    let whole = whole.unwrap_or_default().as_secs();
    let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{whole} s"),
        (0, 0, _) => format!("{minutes} min {} s", whole % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UTF8: Theme = Theme {
        color: true,
        unicode: true,
    };
    const ASCII: Theme = Theme {
        color: false,
        unicode: false,
    };

    #[test]
    fn bars_fill_their_share() {
        assert_eq!(UTF8.bar(0.0, 4), "    ");
        assert_eq!(UTF8.bar(1.0, 4), "████");
        assert_eq!(UTF8.bar(0.5, 4), "██  ");
        assert_eq!(UTF8.bar(0.03125, 4), "▏   ");
        assert_eq!(UTF8.bar(0.9, 4), "███▋");
        assert_eq!(UTF8.bar(7.0, 2), "██");
        assert_eq!(ASCII.bar(0.9, 4), "####");
        assert_eq!(ASCII.bar(0.5, 4), "##  ");
        assert_eq!(ASCII.bar(f64::NAN, 4), "    ");
    }

    #[test]
    fn sparklines_show_the_newest_last() {
        assert_eq!(UTF8.sparkline(&[0.0, 50.0, 100.0], 100.0, 5), "  ▁▅█");
        assert_eq!(UTF8.sparkline(&[100.0, 0.0, 100.0], 100.0, 2), "▁█");
        assert_eq!(UTF8.sparkline(&[250.0], 100.0, 1), "█");
        assert_eq!(UTF8.sparkline(&[], 100.0, 3), "   ");
        assert_eq!(UTF8.sparkline(&[5.0], 0.0, 1), "▁");
        assert_eq!(ASCII.sparkline(&[0.0, 100.0], 100.0, 2), "_#");
    }

    #[test]
    fn a_mix_is_as_many_letters_as_its_shares() {
        let part = |class: &str, share| Part {
            class: class.to_owned(),
            share,
        };
        let mix = [part("xor", 0.5), part("move", 0.25), part("sha", 0.2)];
        let letters: String = stacked(&mix, 8).into_iter().map(letter).collect();
        assert_eq!(letters, "XXXXvvHH");
        assert!(stacked(&[], 8).is_empty());
    }

    #[test]
    fn every_class_has_a_letter_of_its_own() {
        let letters: std::collections::BTreeSet<char> = unjack_core::isa::Class::ALL
            .iter()
            .map(|class| letter(class.name()))
            .collect();
        assert_eq!(letters.len(), unjack_core::isa::Class::ALL.len());
    }

    #[test]
    fn texts_are_cut_by_columns() {
        assert_eq!(begin("system.slice", 12), "system.slice");
        assert_eq!(begin("system.slice", 7), "system…");
        assert_eq!(end("/usr/bin/nginx", 7), "…/nginx");
        assert_eq!(end("日本語", 4), "…語");
        assert_eq!(begin("日本語", 4), "日…");
        assert_eq!(begin("abc", 0), "");
    }

    #[test]
    fn lines_are_cut_between_words() {
        assert_eq!(
            wrap("for: one two three", 12, 2),
            ["for: one two", "  three"]
        );
        assert_eq!(
            wrap("abcdefghijklmnop q", 10, 0),
            ["abcdefghij", "klmnop q"]
        );
        assert_eq!(wrap("", 10, 2), [""]);
    }

    #[test]
    fn times_are_said_shortly() {
        assert_eq!(span(7.9), "7 s");
        assert_eq!(span(80.0), "1 min 20 s");
        assert_eq!(span(7_300.0), "2 h 1 min");
        assert_eq!(span(200_000.0), "2 d 7 h");
        assert_eq!(span(-1.0), "0 s");
    }

    #[test]
    fn colours_and_characters_are_what_the_environment_says() {
        let theme = |variables: &'static [(&str, &str)]| {
            Theme::of(|name| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| OsStr::new(*value))
            })
        };
        assert_eq!(theme(&[("LANG", "en_GB.UTF-8")]), UTF8);
        assert_eq!(theme(&[("LANG", "C.utf8"), ("NO_COLOR", "")]), UTF8);
        assert_eq!(
            theme(&[("LC_ALL", "C"), ("LANG", "en_GB.UTF-8"), ("NO_COLOR", "1")]),
            ASCII
        );
        assert!(theme(&[]).color && !theme(&[]).unicode);
    }
}
