//! The page at `/`, drawn from a [`View`] on the endpoint's own thread.
//!
//! It is whole without a script: the script only fetches it again and takes over
//! what changed, so that there is one place where anything is drawn. Texts are
//! escaped by `maud`, whatever they hold; there is no style attribute and nothing
//! from another host, as the policy in [`super::pages`] demands.

mod parts;
mod sections;

use maud::{DOCTYPE, Markup, html};

use self::parts::{UtcTime, duration};
use crate::telemetry::view::{Row, View};

/// How it looks.
pub(super) const STYLE: &str = include_str!("page/page.css");
/// What keeps it live.
pub(super) const SCRIPT: &str = include_str!("page/page.js");
/// Paths of the two, and of the view as JSON.
pub(super) const STYLE_PATH: &str = "/-/page.css";
pub(super) const SCRIPT_PATH: &str = "/-/page.js";
pub(super) const VIEW_PATH: &str = "/api/v1/view";

/// A pick, crossed out, in the colour of the mark.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect width='32' height='32' rx='7' fill='%230b5563'/%3E%3Cpath d='M7 12C12 6 20 6 25 12M16 8V26' fill='none' stroke='%23fff' stroke-width='3' stroke-linecap='round'/%3E%3Cpath d='M6 26 26 6' stroke='%23ff8a65' stroke-width='3' stroke-linecap='round'/%3E%3C/svg%3E";

/// The whole page.
pub(super) fn page(view: &View, telemetry_path: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(&title(view)))
            body {
                a.skip href="#burning" { "Skip to what burns now" }
                (masthead(view))
                main {
                    (sections::summary(view))
                    (sections::burning(view))
                    (sections::findings(view))
                    div.columns {
                        (sections::probes(view))
                        (sections::policy(view))
                    }
                }
                (links(telemetry_path))
            }
        }
    }
}

/// What is shown while there is no view: the loop does not come by.
pub(super) fn no_view(why: &str, telemetry_path: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head("Not ready – unjack"))
            body {
                header.mast { h1 { "unjack" } }
                main {
                    p.alarm role="alert" {
                        "Nothing can be shown yet: " (why) ". "
                        "The log of unjack says more; load this page again in a moment."
                    }
                }
                (links(telemetry_path))
            }
        }
    }
}

fn head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta name="robots" content="noindex";
            title { (title) }
            link rel="icon" href=(ICON);
            link rel="stylesheet" href=(STYLE_PATH);
            script src=(SCRIPT_PATH) defer {}
        }
    }
}

/// In a tab the number comes first: it is what one looks for.
fn title(view: &View) -> String {
    let miners = miners(view).count();
    let host = &view.host.name;
    match (&view.health.not_ready, miners) {
        (Some(_), _) => format!("Not ready – {host} – unjack"),
        (None, 0) => format!("{host} – unjack"),
        (None, 1) => format!("1 miner – {host} – unjack"),
        (None, n) => format!("{n} miners – {host} – unjack"),
    }
}

/// Who mines now and is not allowed to.
fn miners(view: &View) -> impl Iterator<Item = &Row> {
    let rows = view.processes.iter();
    rows.filter(|row| row.verdict == "miner" && !row.allowed)
}

fn masthead(view: &View) -> Markup {
    let host = &view.host;
    html! {
        header.mast id="mast" {
            h1 { span.mark { "unjack" } " on " (host.name) }
            p.sub {
                "Linux " (host.kernel) ", " (host.machine) ", " (host.processors)
                @if host.processors == 1 { " processor" } @else { " processors" }
                ", up " (duration(host.uptime_seconds))
                ". unjack " (view.version) ", running " (duration(host.running_seconds)) "."
            }
            p.state {
                @if view.health.not_ready.is_none() {
                    span.badge.good { "ready" }
                } @else {
                    span.badge.bad { "not ready" }
                }
                " as of " (UtcTime(view.time))
            }
            // The script has its button here.
            p.live id="live" {}
        }
    }
}

fn links(telemetry_path: &str) -> Markup {
    html! {
        footer id="links" {
            nav aria-label="Other pages" {
                ul {
                    li { a href=(telemetry_path) { "Metrics" } " for Prometheus" }
                    li { a href=(VIEW_PATH) { "This page as JSON" } }
                    li { a href="/-/healthy" { "Healthy" } ": the daemon runs" }
                    li { a href="/-/ready" { "Ready" } ": the probes are attached, and account" }
                }
            }
            p { "Read-only: nothing here changes anything. Actions and rules are set with the flags of "
                code { "unjack run" } "." }
        }
    }
}

#[cfg(test)]
mod tests;
