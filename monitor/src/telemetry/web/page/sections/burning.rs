//! Who burns.

use maud::{Markup, html};

use super::{
    super::parts::{bar, duration, mix_bar, mix_text, percent, plot},
    evidence, name, tone,
};
use crate::telemetry::view::{Row, View};

/// Digits of a container's id that are shown, as its runtime does.
const SHORT_ID: usize = 12;
/// Score from which mining is more likely than not.
const SUSPECT: f64 = 0.5;

/// Who burns, a row each with its details below.
pub(in crate::telemetry::web::page) fn burning(view: &View) -> Markup {
    html! {
        section id="burning" aria-labelledby="burning-title" {
            h2 id="burning-title" { "What is burning now" }
            @if view.processes.is_empty() {
                p.none { "No process uses enough CPU to be sampled." }
            } @else {
                p.hint {
                    "Suspects first. In the bars colour is arithmetic, which hashing is made of; "
                    "grey is moving data, branches and the rest."
                }
                table.processes {
                    caption.unseen { "Processes by suspicion, then by CPU" }
                    thead {
                        tr {
                            th scope="col" { "Process" }
                            th scope="col" { "Verdict" }
                            th scope="col" { "Score" }
                            th scope="col" { "CPU" }
                            th scope="col" { "Last minute" }
                            th scope="col" { "What it executes" }
                        }
                    }
                    @for row in &view.processes { (process(row)) }
                }
            }
            @if view.processes_left_out > 0 {
                p.none { (view.processes_left_out) " more use less CPU and are not shown." }
            }
        }
    }
}

fn process(row: &Row) -> Markup {
    let id = format!("p-{}-{}", row.pid, row.start_time);
    html! {
        tbody id=(id) class=(tone(&row.verdict, row.suspected, row.allowed)) {
            tr {
                th.who scope="row" {
                    @let stands_out = row.suspected || row.verdict != "none";
                    (name(&row.exe, &row.comm, stands_out))
                    span.sub {
                        "pid " (row.pid)
                        @if let Some(uid) = row.uid { ", user " (uid) }
                        (home(row))
                    }
                }
                td data-label="Verdict" { (verdict(row)) }
                td.score data-label="Score" {
                    @if row.enough {
                        span.number { (format!("{:.2}", row.score)) }
                        (bar(if row.score >= SUSPECT { "fill hot" } else { "fill" }, row.score))
                    } @else { span.sub { "–" } }
                }
                td.cpu data-label="CPU" {
                    span.number { (percent(row.cpu_percent)) }
                    span.sub { (duration(row.cpu_seconds)) }
                }
                td data-label="Last minute" { (plot(&row.history)) }
                td.executes data-label="Executes" {
                    @if row.mix.is_empty() { span.sub { "no code seen yet" } }
                    @else { (mix_bar(&row.mix)) }
                }
            }
            tr.more {
                td colspan="6" {
                    details id={ (id) "-why" } {
                        summary {
                            @if row.mix.is_empty() { "no instructions sampled" }
                            @else { (mix_text(&row.mix)) }
                        }
                        (details(row))
                    }
                }
            }
        }
    }
}

/// Where it belongs, as far as a source other than the process itself says so.
fn home(row: &Row) -> Markup {
    let short: Option<String> = row
        .container
        .as_ref()
        .map(|id| id.chars().take(SHORT_ID).collect());
    html! {
        @if let Some(unit) = &row.unit { ", unit " b { (unit) } }
        @if let Some(id) = short { ", container " b { (id) } }
        @if let Some(pod) = &row.pod { ", pod " b { (pod) } }
    }
}

fn verdict(row: &Row) -> Markup {
    let (class, text) = match row.verdict.as_str() {
        "miner" if row.allowed => ("badge calm", "allowed"),
        "miner" => ("badge bad", "miner"),
        "hashing" => ("badge warn", "hashing"),
        _ if row.suspected && row.score >= SUSPECT => ("badge warn", "suspected"),
        _ if row.suspected => ("badge warn", "hashes"),
        _ if !row.enough => ("badge calm", "too new"),
        _ => ("badge calm", "ordinary"),
    };
    html! {
        span class=(class) { (text) }
        @if !row.family.is_empty() { span.family { (row.family) } }
    }
}

fn details(row: &Row) -> Markup {
    let facts = [
        ("Image", row.exe.as_str()),
        ("Calls itself", row.comm.as_str()),
        ("Unit", row.unit.as_deref().unwrap_or("")),
        ("Container", row.container.as_deref().unwrap_or("")),
        ("Pod", row.pod.as_deref().unwrap_or("")),
        ("Cgroup", row.cgroup.as_str()),
    ];
    html! {
        div.details {
            dl {
                @for (name, value) in facts {
                    @if !value.is_empty() { dt { (name) } dd { (value) } }
                }
                dt { "Sampled" }
                dd { (row.samples) " times in " (row.threads) @if row.threads == 1 { " thread" } @else { " threads" } }
                dt { "Hashing" } dd { (format!("{:.2}", row.hashing)) }
                dt { "Mining" } dd { (format!("{:.2}", row.score)) }
                @if row.verdict != "none" { dt { "Action" } dd { (row.standing) } }
            }
            table.classes {
                caption.unseen { "Share of each class of instructions" }
                tbody {
                    @for part in &row.mix {
                        tr {
                            th scope="row" { (part.class) }
                            td.number { (percent(100.0 * part.share)) }
                            td { (bar(&format!("c-{}", part.class), part.share)) }
                        }
                    }
                }
            }
            (evidence(&row.evidence, &[], row.score))
        }
    }
}
