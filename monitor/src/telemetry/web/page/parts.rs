//! Small parts of the page: plots, bars and numbers for people.

use std::{
    fmt::Write as _,
    time::{Duration, UNIX_EPOCH},
};

use maud::{Markup, Render, html};

use crate::telemetry::view::{HISTORY, Part};
use unjack_core::isa::Class;

/// Height of a plot, in its own units; a second is one unit wide.
const HEIGHT: f32 = 24.0;
/// Percent of a core that a plot's height stands for at the least.
const FULL: f32 = 100.0;

/// Burn of the last minute as a plot. What is not known yet is left empty.
pub(super) fn plot(history: &[f32]) -> Markup {
    let most = history.iter().copied().fold(0.0, f32::max);
    let scale = HEIGHT / most.max(FULL);
    let missing = HISTORY.saturating_sub(history.len());
    let mut line = String::new();
    for (at, percent) in history.iter().enumerate() {
        let x = missing + at + 1;
        // Writing to a String cannot fail.
        let _ = write!(line, "{x},{:.1} ", HEIGHT - scale * percent);
    }
    let area = format!("{},{HEIGHT} {line}{HISTORY},{HEIGHT}", missing + 1);
    let now = history.last().copied().unwrap_or(0.0);
    let label = format!(
        "CPU in the last {} seconds: at most {most:.0} percent of a core, now {now:.0}",
        history.len()
    );
    html! {
        svg.plot role="img" aria-label=(label) viewBox="0 0 60 24" preserveAspectRatio="none" {
            @if history.len() > 1 {
                polygon points=(area) {}
                polyline points=(line.trim_end()) {}
            }
        }
    }
}

/// A mix as one bar, a piece a class, always in the same order: arithmetic first,
/// so that how much of it there is, is seen at a glance.
pub(super) fn mix_bar(mix: &[Part]) -> Markup {
    let place = |part: &&Part| {
        let mut classes = Class::ALL.iter();
        classes.position(|class| class.name() == part.class)
    };
    let mut parts: Vec<&Part> = mix.iter().collect();
    parts.sort_by_key(place);
    let mut from = 0.0;
    let pieces = parts.into_iter().map(|part| {
        let x = from;
        from += part.share;
        (x, part)
    });
    html! {
        svg.mix role="img" aria-label=(mix_text(mix)) viewBox="0 0 1 1" preserveAspectRatio="none" {
            @for (x, part) in pieces {
                rect class={ "c-" (part.class) } x=(format!("{x:.4}")) width=(format!("{:.4}", part.share)) height="1" {
                    title { (part.class) " " (percent(100.0 * part.share)) }
                }
            }
        }
    }
}

/// The largest parts of a mix in words.
pub(super) fn mix_text(mix: &[Part]) -> String {
    const SHOWN: usize = 5;
    let parts: Vec<String> = mix
        .iter()
        .take(SHOWN)
        .map(|part| format!("{} {}", part.class, percent(100.0 * part.share)))
        .collect();
    parts.join(", ")
}

/// A share from 0 to 1 as a bar.
pub(super) fn bar(class: &str, share: f64) -> Markup {
    html! {
        svg.bar aria-hidden="true" viewBox="0 0 1 1" preserveAspectRatio="none" {
            rect.rail width="1" height="1" {}
            rect class=(class) width=(format!("{:.3}", share.clamp(0.0, 1.0))) height="1" {}
        }
    }
}

/// Percent, with a digit after the point where that is seen.
pub(super) fn percent(percent: f64) -> String {
    if percent < 9.95 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.0} %")
    }
}

/// Seconds as people say them: the two largest units.
pub(super) fn duration(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds).map_or(0, |time| time.as_secs());
    let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86400);
    match whole {
        // A sum of nothing is -0, which is told with its sign.
        0..60 => format!("{:.1} s", seconds.max(0.0) + 0.0),
        60..3600 => format!("{minutes} min {} s", whole % 60),
        3600..172_800 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// How long ago, in one unit.
pub(super) fn ago(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds).map_or(0, |time| time.as_secs());
    match whole {
        0..60 => format!("{whole} s ago"),
        60..3600 => format!("{} min ago", whole / 60),
        3600..172_800 => format!("{} h ago", whole / 3600),
        _ => format!("{} d ago", whole / 86400),
    }
}

/// A number with its digits in threes.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A moment, in seconds since the Unix epoch.
pub(super) struct UtcTime(pub(super) f64);

impl Render for UtcTime {
    fn render(&self) -> Markup {
        let since = Duration::try_from_secs_f64(self.0).unwrap_or_default();
        // Years beyond 9999 cannot be told.
        let since = since.min(Duration::from_hours(24 * 365 * 8000));
        let text = humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string();
        let shown = text.replace('T', " ").replace('Z', " UTC");
        html! { time datetime=(text) { (shown) } }
    }
}
