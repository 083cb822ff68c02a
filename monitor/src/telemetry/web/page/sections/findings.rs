//! Verdicts, and what followed.

use maud::{Markup, html};

use super::{
    super::parts::{UtcTime, ago, duration, grouped, percent},
    evidence, name, tone,
};
use crate::telemetry::view::{ActionTaken, Finding, View};

/// Verdicts of late, and what followed.
pub(in crate::telemetry::web::page) fn findings(view: &View) -> Markup {
    html! {
        section id="findings" aria-labelledby="findings-title" {
            h2 id="findings-title" { "Verdicts and actions" }
            @if view.findings.is_empty() {
                p.none { "None since unjack started. What is found is listed here, with the reasons." }
            } @else {
                table.findings {
                    caption.unseen { "Verdicts, the newest first, and what followed" }
                    thead {
                        tr {
                            th scope="col" { "Process" }
                            th scope="col" { "When" }
                            th scope="col" { "Verdict" }
                            th scope="col" { "Score" }
                            th scope="col" { "Burned" }
                            th scope="col" { "What was done" }
                        }
                    }
                    @for (n, finding) in view.findings.iter().enumerate() {
                        (found(view.time, finding, n))
                    }
                }
            }
            @if view.findings_forgotten > 0 {
                p.none { (grouped(view.findings_forgotten)) " older ones are in the journal only." }
            }
        }
    }
}

fn found(now: f64, finding: &Finding, n: usize) -> Markup {
    let key = finding.ban.clone().unwrap_or_else(|| {
        let start = finding.start_time.unwrap_or_default();
        format!("{}-{start}-{}", finding.pid, finding.verdict)
    });
    let badge = if finding.verdict == "miner" {
        "bad"
    } else {
        "warn"
    };
    let judged = finding.ban.is_none();
    html! {
        tbody id={ "f-" (key) } class=(tone(&finding.verdict, false, false)) {
            tr {
                th.who scope="row" {
                    (name(&finding.exe, &finding.comm, true))
                    span.sub {
                        "pid " (finding.pid)
                        @if let Some(thread) = finding.thread { ", thread " (thread) }
                    }
                }
                td data-label="When" {
                    (ago(now - finding.time))
                    span.sub { (UtcTime(finding.time)) }
                }
                td data-label="Verdict" {
                    span class={ "badge " (badge) } { (finding.verdict) }
                    @if finding.unexplained { span.sub { "unexplained" } }
                    @if !finding.family.is_empty() { span.family { (finding.family) } }
                    @if finding.times > 1 { span.sub { (grouped(finding.times)) " times" } }
                }
                td data-label="Score" {
                    @if judged { span.number { (format!("{:.2}", finding.score)) } } @else { "–" }
                }
                td data-label="Burned" {
                    @if judged {
                        span.number { (duration(finding.burn_seconds)) }
                        span.sub { "at " (percent(finding.cpu_percent)) }
                    } @else { "–" }
                }
                td data-label="Done" {
                    @if finding.deeds.is_empty() { span.sub { "nothing" } }
                    @for deed in &finding.deeds { (done(deed)) }
                    @if let Some(kept) = &finding.kept {
                        span.sub { "evidence: " code { (kept.folder) } }
                        @if !kept.lost.is_empty() { span.sub { "without " (kept.lost.join(", ")) } }
                    }
                }
            }
            tr.more {
                td colspan="6" {
                    // The newest is what one came for.
                    details id={ "f-" (key) "-why" } open[n == 0] {
                        summary { "Evidence: " (finding.evidence.len()) " lines" }
                        div.details {
                            dl {
                                dt { "Image" } dd { (finding.exe) }
                                @if !finding.comm.is_empty() { dt { "Calls itself" } dd { (finding.comm) } }
                                @if !finding.home.is_empty() { dt { "Belongs to" } dd { (finding.home) } }
                                @if let Some(ban) = &finding.ban { dt { "Ban" } dd { (ban) } }
                                @if let Some(digest) = finding.kept.as_ref().and_then(|kept| kept.sha256.as_ref()) {
                                    dt { "SHA-256" } dd { (digest) }
                                }
                            }
                            (evidence(&finding.evidence, &finding.code, finding.score))
                        }
                    }
                }
            }
        }
    }
}

fn done(deed: &ActionTaken) -> Markup {
    let class = match deed.outcome.as_str() {
        "gone" | "held" => "badge good",
        "survived" => "badge bad",
        "refused" => "badge warn",
        _ => "badge calm",
    };
    html! {
        span.deed {
            @if deed.outcome == "dry-run" {
                span class=(class) { "only observed" }
            } @else {
                (deed.action) " " span class=(class) { (deed.outcome) }
                @if !deed.reason.is_empty() { " " (deed.reason) }
                " " span.quiet { "after " (format!("{:.1} s", deed.seconds)) }
                @if deed.others > 0 { " and " (deed.others) " others" }
                @if !deed.scope.is_empty() { " " span.quiet { "(" (deed.scope) ")" } }
            }
        }
    }
}
