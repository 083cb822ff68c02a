//! The sections of the page: what matters most here, and the others each in a
//! module.

mod burning;
mod findings;
mod state;

use maud::{Markup, html};

pub(super) use self::{
    burning::burning,
    findings::findings,
    state::{policy, probes},
};
use super::{
    miners,
    parts::{ago, duration, percent},
};
use crate::{
    respond::action::breaker::Level,
    telemetry::view::{Row, Stolen, View},
};
use unjack_core::{
    profile::{cost, total},
    score::Evidence,
};

/// What matters most, in large: who mines, what was taken, what is done about it.
pub(super) fn summary(view: &View) -> Markup {
    let miners: Vec<&Row> = miners(view).collect();
    let cores = total(miners.iter().map(|row| row.cpu_percent));
    let of = |verdict: &str| {
        let found = view.findings.iter();
        found.filter(|finding| finding.verdict == verdict).count()
    };
    let action = setting(view, "--action");
    html! {
        section.summary id="summary" aria-label="Summary" {
            @if let Some(why) = &view.health.not_ready {
                p.alarm role="alert" {
                    "unjack does not see this host: " (why) " (for " (duration(view.health.for_seconds)) "). "
                    "What follows may be old."
                }
            }
            (breaker(view))
            div.card.now .bad[!miners.is_empty()] {
                h2 { "Mining now" }
                p.big role="status" {
                    @match miners.len() {
                        0 => "No miner",
                        1 => "1 miner",
                        n => { (n) " miners" },
                    }
                }
                @if miners.is_empty() {
                    p { "No process that uses the CPU looks like one." }
                } @else {
                    p { "taking " strong { (percent(cores)) } " of a core" }
                }
            }
            (stolen(&view.stolen, view.core_hour_cost))
            div.card {
                h2 { "Found" }
                p.big {
                    a href="#findings" {
                        (of("miner")) @if of("miner") == 1 { " miner" } @else { " miners" }
                    }
                }
                p {
                    "and " (of("hashing")) " hashing with an explanation"
                    @if of("banned") > 0 { ", " (of("banned")) " banned images started again" }
                }
                @if let Some(newest) = view.findings.first() {
                    p { "newest: " strong { (base(&newest.exe, &newest.comm)) } ", " (ago(view.time - newest.time)) }
                }
            }
            div.card {
                h2 { "Policy" }
                p.big { (action) }
                p {
                    @match action {
                        "observe" => "Miners are reported; nothing is done to them.",
                        "throttle" => { "Miners are left " (setting(view, "--throttle-to")) " of a core." },
                        "freeze" => "Miners are stopped, and can continue later.",
                        _ => "Miners are ended.",
                    }
                    @match setting(view, "--only") {
                        "" => {}
                        _ if action == "observe" => {}
                        only => { " Only for " strong { (only) } "; others are only reported." }
                    }
                }
            }
        }
    }
}

/// What the circuit breaker keeps from being acted on.
fn breaker(view: &View) -> Markup {
    html! {
        @for open in &view.breaker {
            p.alarm role="alert" {
                "The breaker is open for " (open.of) ": "
                @match open.level {
                    Level::Image => { (open.limit) " processes" },
                    Level::User | Level::Cgroup | Level::Host => { (open.limit) " new images" },
                }
                " were acted on within a minute. For " (open.seconds_left) " s more are only reported; "
                (open.let_pass) " so far."
            }
        }
        @if view.breaker_left_out > 0 {
            p.alarm role="alert" { "The breaker is open for " (view.breaker_left_out) " more." }
        }
    }
}

/// What was taken since unjack started, by family.
fn stolen(stolen: &[Stolen], core_hour_cost: Option<f64>) -> Markup {
    let taken = total(stolen.iter().map(|taken| taken.stolen_seconds));
    let allowed = total(stolen.iter().map(|taken| taken.allowed_seconds));
    let mut families: Vec<&Stolen> = stolen.iter().collect();
    families.retain(|taken| taken.stolen_seconds > 0.0);
    families.sort_by(|a, b| b.stolen_seconds.total_cmp(&a.stolen_seconds));
    html! {
        div.card .bad[taken > 0.0] {
            h2 { "CPU time stolen" }
            p.big { (duration(taken)) }
            @if families.is_empty() {
                p { "since unjack started" }
            } @else {
                ul {
                    @for family in families {
                        li { strong { (family.family) } " " (duration(family.stolen_seconds)) }
                    }
                }
            }
            @if let Some(rate) = core_hour_cost {
                p { "which cost " strong { (format!("{:.2}", cost(taken, rate))) } ", at " (rate) " an hour of a core" }
            }
            @if allowed > 0.0 { p { "and " (duration(allowed)) " that is allowed" } }
        }
    }
}

/// Lines for and against with what each adds, the code, and what it all comes to.
fn evidence(lines: &[Evidence], code: &[String], score: f64) -> Markup {
    let side = |line: &Evidence| match line.log_odds {
        odds if odds > 0.0 => "for",
        odds if odds < 0.0 => "against",
        _ => "also",
    };
    html! {
        @if !lines.is_empty() || !code.is_empty() {
            ul.evidence {
                @for line in lines {
                    li class=(side(line)) { b { (line.number()) } " " (line.text) }
                }
                @for line in code {
                    li.code { b { "code" } " " (line) }
                }
            }
        }
        @if let Some(sum) = Evidence::sum(lines) {
            p.sum { "sum " b { (format!("{sum:+.1}")) } " = score " b { (format!("{score:.2}")) } }
        }
    }
}

fn setting<'a>(view: &'a View, name: &str) -> &'a str {
    let found = view.policy.iter().find(|setting| setting.name == name);
    found.map_or("", |setting| &setting.value)
}

/// How much a row is to stand out.
fn tone(verdict: &str, suspected: bool, allowed: bool) -> &'static str {
    match verdict {
        "miner" if !allowed => "bad",
        "hashing" => "warn",
        _ if suspected => "warn",
        _ => "calm",
    }
}

/// The name of its image, in its folder if that matters.
fn name(exe: &str, comm: &str, folder: bool) -> Markup {
    let at = exe.rfind('/').map_or(0, |slash| slash + 1);
    html! {
        span.path {
            @if folder { (&exe[..at]) }
            span.name { (base(exe, comm)) }
        }
    }
}

/// The last part of its image's path; of one that has none, the name it gave
/// itself.
fn base<'a>(exe: &'a str, comm: &'a str) -> &'a str {
    match (exe.rsplit('/').next().unwrap_or(""), comm) {
        ("", "") => "unknown",
        ("", comm) => comm,
        (name, _) => name,
    }
}
