//! The page at `/`, in a real browser.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tests::devtools::Tab;
use tests::evade::browser::Browser;
use tests::host::observe_turn;
use tests::https::Authority;
use tests::{Daemon, Workload};

use super::{home, secured, start, status};

/// From a miner's start to its row on the page, at most.
const SHOWN: Duration = Duration::from_mins(1);
/// For what the script does every other second.
const SOON: Duration = Duration::from_secs(15);

/// Pictures are kept for a person to look at.
fn picture(tab: &mut Tab, name: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    tab.picture(&folder.join(format!("page-{name}.png")));
}

/// Nothing went wrong in the tab, and it contacted no server but this origin.
#[track_caller]
fn check_quiet(tab: &Tab, origin: &str) {
    assert!(tab.errors().is_empty(), "{:#?}", tab.errors());
    let requests = tab.requests();
    assert!(!requests.is_empty(), "nothing was asked for");
    for url in requests {
        let own = url.starts_with(&format!("{origin}/"));
        assert!(own || url.starts_with("data:"), "it asked for {url}");
    }
}

/// A script that finds the text of one part of a process's row.
fn part_of(pid: u32, part: &str) -> String {
    format!("(document.querySelector(`tbody[id^=\"p-{pid}-\"] {part}`)?.textContent ?? '')")
}

#[test]
fn a_browser_shows_a_miner_as_it_is_found() {
    let _turn = observe_turn();
    let home = home();
    let evidence = home.path().join("evidence");
    let evidence = evidence.to_str().expect("is UTF-8");
    let daemon = Daemon::start(&["--action", "observe", "--evidence-dir", evidence]);
    let origin = format!("http://{}", daemon.address);
    let browser = Browser::start();
    let mut tab = Tab::open(&browser);
    tab.screen(1280, false);
    tab.go(&format!("{origin}/"));
    tab.wait(
        "the page is there",
        SOON,
        "!!document.querySelector('#policy td')",
    );

    // It is not loaded again from here on.
    tab.ask("window.stays = true");
    let honest = Workload::start(&["burn"]);
    let path: PathBuf = home.path().join("nginx");
    let miner = Workload::start_as(&path, &["--title", "<b>nginx</b>: worker", "randomx"]);
    let _first = miner.first_hash();
    let (row, is) = (part_of(miner.pid(), "th.who"), "includes");
    tab.wait(
        "the miner has a row",
        SHOWN,
        &format!("{row}.{is}('nginx')"),
    );
    let why = format!(
        "document.querySelector('[id^=\"p-{}-\"] details')",
        miner.pid()
    );
    tab.ask(&format!("{why}.open = true"));

    let badge = part_of(miner.pid(), ".badge");
    tab.wait("it is a miner", SHOWN, &format!("{badge} === 'miner'"));
    let family = part_of(miner.pid(), ".family");
    tab.wait("of RandomX", SOON, &format!("{family} === 'randomx'"));
    assert_eq!(tab.ask(&format!("{why}.open")), true, "it stays unfolded");
    let facts = tab.ask(&part_of(miner.pid(), "dl"));
    let facts = facts.as_str().unwrap_or_default();
    assert!(facts.contains("<b>nginx</b>"), "{facts}");
    let reasons = tab.ask(&part_of(miner.pid(), ".evidence"));
    let reasons = reasons.as_str().unwrap_or_default();
    assert!(reasons.contains('+'), "{reasons}");
    let other = part_of(honest.pid(), ".badge");
    tab.wait(
        "honest work is not",
        SHOWN,
        &format!("{other} === 'ordinary'"),
    );

    let found = format!(
        "document.querySelector('#findings tbody[id^=\"f-{}-\"]')",
        miner.pid()
    );
    let kept = format!("{found}?.textContent.includes('evidence: ')");
    tab.wait("its evidence is told", SHOWN, &kept);
    let text = tab.ask(&format!("{found}.textContent"));
    let text = text.as_str().unwrap_or_default();
    assert!(text.contains("only observed"), "{text}");
    let title = tab.ask("document.title");
    assert!(
        title.as_str().unwrap_or_default().contains("1 miner"),
        "{title}"
    );
    assert_eq!(tab.ask("window.stays"), true, "the page was loaded again");

    for (name, width, dark) in [
        ("desk", 1280, false),
        ("desk-dark", 1280, true),
        ("phone", 390, false),
        ("phone-dark", 390, true),
    ] {
        tab.screen(width, dark);
        picture(&mut tab, name);
        let beyond = tab.ask("document.documentElement.scrollWidth - innerWidth");
        assert!(
            beyond.as_i64() <= Some(0),
            "{name}: {beyond} pixels too wide"
        );
    }
    check_quiet(&tab, &origin);
}

#[test]
fn without_scripts_the_tables_are_there() {
    let _turn = observe_turn();
    let daemon = Daemon::start(&["--action", "observe"]);
    let burner = Workload::start(&["burn"]);
    let _first = burner.first_hash();
    let browser = Browser::start();
    let mut tab = Tab::open(&browser);
    let off = json!({ "value": true });
    tab.call("Emulation.setScriptExecutionDisabled", &off);
    let url = format!("http://{}/", daemon.address);
    // A browser without scripts loads the page again.
    let row = part_of(burner.pid(), "td.cpu");
    tests::host::eventually("the burner has a row", SHOWN, || {
        tab.go(&url);
        std::thread::sleep(Duration::from_secs(1));
        let text = tab.ask(&row);
        let text = text.as_str().unwrap_or_default().to_owned();
        text.contains('%').then_some(()).ok_or(text)
    });
    for (table, least) in [("processes", 1), ("plain", 3)] {
        let rows = tab.ask(&format!(
            "document.querySelectorAll('table.{table}').length"
        ));
        assert!(rows.as_i64() >= Some(least), "{rows} of {table}");
    }
    assert_eq!(tab.ask("!document.querySelector('button')"), true);
    check_quiet(&tab, &format!("http://{}", daemon.address));
}

#[test]
fn passwords_and_tls_are_before_the_page_too() {
    let _turn = observe_turn();
    let home = home();
    let authority = Authority::new();
    let daemon = start(&secured(home.path(), &authority.sign(), ""), &[]);
    let client = authority.client(None);
    for path in ["/", "/api/v1/view", "/-/page.js"] {
        let answer = client.get(daemon.address, path, "").expect("an answer");
        assert_eq!(status(&answer), "401", "{answer}");
    }

    let origin = format!("https://{}", daemon.address);
    let browser = Browser::start();
    let mut tab = Tab::open(&browser);
    // The authority is the test's own.
    let ignore = json!({ "ignore": true });
    tab.call("Security.setIgnoreCertificateErrors", &ignore);
    tab.log_in("prometheus", "secret");
    tab.go(&format!("{origin}/"));
    tab.wait(
        "it is ready",
        SOON,
        "document.querySelector('.state .badge')?.textContent === 'ready'",
    );
    let time = tab.ask("document.querySelector('time').dateTime");
    let later = format!("document.querySelector('time').dateTime !== {time}");
    tab.wait("it is live", SOON, &later);
    check_quiet(&tab, &origin);
}
