//! The sections of the page.

use maud::{Markup, html};

use super::{
    miners,
    parts::{UtcTime, ago, bar, duration, grouped, mix_bar, mix_text, percent, plot},
};
use crate::{
    profile::{cost, total},
    view::{Counts, Deed, Finding, Row, Stolen, View},
};

/// Digits of a container's id that are shown, as its runtime does.
const SHORT_ID: usize = 12;
/// Score from which mining is more likely than not.
const SUSPECT: f64 = 0.5;

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
                    p { "Nobody who burns CPU looks like one." }
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
                        "freeze" => "Miners are stopped, and can go on later.",
                        _ => "Miners are ended.",
                    }
                }
            }
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

/// Who burns, a row each with its details below.
pub(super) fn burning(view: &View) -> Markup {
    html! {
        section id="burning" aria-labelledby="burning-title" {
            h2 id="burning-title" { "What is burning now" }
            @if view.processes.is_empty() {
                p.none { "Nothing burns enough CPU to be sampled." }
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
                p.none { (view.processes_left_out) " more burn less, and are not shown." }
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

/// Where it belongs, as far as anybody but itself says so.
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
            (evidence(&row.evidence))
        }
    }
}

/// Verdicts of late, and what followed.
pub(super) fn findings(view: &View) -> Markup {
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
                            (evidence(&finding.evidence))
                        }
                    }
                }
            }
        }
    }
}

fn done(deed: &Deed) -> Markup {
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
            }
        }
    }
}

/// Sentences for and against, each told as what it is.
fn evidence(lines: &[String]) -> Markup {
    let kind = |line: &str| match line.split_once(": ") {
        Some(("for", _)) => "for",
        Some(("against", _)) => "against",
        Some(("code", _)) => "code",
        _ => "also",
    };
    html! {
        @if !lines.is_empty() {
            ul.evidence {
                @for line in lines {
                    @let kind = kind(line);
                    li class=(kind) {
                        @match line.strip_prefix(kind) {
                            Some(rest) => { b { (kind) } (rest) },
                            None => (line),
                        }
                    }
                }
            }
        }
    }
}

/// The probes: what is attached, and what was lost.
pub(super) fn probes(view: &View) -> Markup {
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
        ("Samples lost: the ring was full", samples_lost),
        ("Events lost: the ring was full", events_lost),
        ("Records that could not be decoded", malformed),
        ("Tasks not tracked: the tables were full", tasks_untracked),
        ("Profiles dropped: too many processes", profiles_dropped),
        ("Samples forgotten early: too many", samples_forgotten),
    ];
    let usual = [
        ("Samples taken", samples),
        ("Samples spared: a process had enough", samples_capped),
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
pub(super) fn policy(view: &View) -> Markup {
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
