//! The agent itself: its probes and its policy.

use maud::{Markup, html};

use super::super::parts::{duration, grouped};
use crate::telemetry::view::{Counts, View};

/// The probes: what is attached, and what was lost.
pub(in crate::telemetry::web::page) fn probes(view: &View) -> Markup {
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
    } = view.probes.counts;
    let losses = [
        ("Samples lost: the ring buffer was full", samples_lost),
        ("Events lost: the ring buffer was full", events_lost),
        ("Records that could not be decoded", malformed),
        ("Tasks not tracked: the tables were full", tasks_untracked),
        ("Profiles dropped: too many processes", profiles_dropped),
        ("Samples forgotten early: too many", samples_forgotten),
    ];
    let usual = [
        ("Samples taken", samples),
        ("Samples skipped: the process had enough", samples_capped),
        ("Samples without readable code", code_faults),
    ];
    html! {
        section id="probes" aria-labelledby="probes-title" {
            h2 id="probes-title" { "Probes" }
            p {
                @if view.health.not_ready.is_none() {
                    span.badge.good { "ready" } " for " (duration(view.health.for_seconds))
                } @else {
                    span.badge.bad { "not ready" } " for " (duration(view.health.for_seconds))
                }
                ", sampling by " (view.probes.sampler)
            }
            table.plain {
                thead { tr { th scope="col" { "Program in the kernel" } th.number scope="col" { "Cost of a run" } } }
                tbody {
                    @for program in &view.probes.programs {
                        tr {
                            th scope="row" { code { (program.name) } }
                            td.number {
                                @match program.ns_per_run {
                                    Some(ns) => (format!("{ns:.0} ns")),
                                    None => span.sub { "not accounted" },
                                }
                            }
                        }
                    }
                }
            }
            table.plain {
                thead { tr { th scope="col" { "Since the start" } th.number scope="col" { "Count" } } }
                tbody {
                    @for (name, count) in usual {
                        tr { th scope="row" { (name) } td.number { (grouped(count)) } }
                    }
                    @for (name, count) in losses {
                        tr .loss[count > 0] { th scope="row" { (name) } td.number { (grouped(count)) } }
                    }
                }
            }
        }
    }
}

/// Every flag and its value in force.
pub(in crate::telemetry::web::page) fn policy(view: &View) -> Markup {
    html! {
        section id="policy" aria-labelledby="policy-title" {
            h2 id="policy-title" { "Policy in force" }
            table.plain {
                thead { tr { th scope="col" { "Flag" } th scope="col" { "Value" } } }
                tbody {
                    @for setting in &view.policy {
                        tr {
                            th scope="row" { code { (setting.name) } }
                            td { @if setting.value.is_empty() { span.sub { "none" } } @else { (setting.value) } }
                        }
                    }
                }
            }
        }
    }
}
