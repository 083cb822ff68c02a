//! Miners in WebAssembly, in node and in a browser's tab: the hash is code that
//! an honest program has made, in its memory, for someone else.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tests::evade::browser::Browser;
use tests::evade::wasm::{Wasm, worker_page};
use tests::host::{eventually, take_turn};
use tests::{Daemon, Workload};

/// From the first hash to the end, at most.
const DEATH: Duration = Duration::from_mins(1);
/// The same in a tab. Its connection is another process's, the browser's, where every
/// other page has connections as well: more than a minute of hashing must add to that.
const TAB: Duration = Duration::from_mins(3);
/// For an event that belongs to something that has already happened.
const NOTICE: Duration = Duration::from_secs(5);

/// Honest scripts.
const HONEST: &str = include_str!("../assets/page/honest.js");

fn wasm() -> Wasm {
    Wasm::install(Path::new(env!("CARGO_TARGET_TMPDIR")))
}

/// Another process of the same image, node, does honest work beside it.
fn check_node(algorithm: &str) {
    let _turn = take_turn();
    let wasm = wasm();
    let daemon = Daemon::start(&["--action", "kill"]);
    let mut honest = Workload::spawn(Command::new("node").args(["-e", HONEST]));
    let mut miner = Workload::spawn(&mut wasm.node(algorithm));
    let first = miner.first_hash();
    miner.wait_killed("the miner in node is dead", first + DEATH);
    let verdict = found(&daemon, miner.pid());
    // Which algorithm it was before an engine compiled it is less sure than that
    // it mines: ARX hashes are alike in WebAssembly.
    let family = verdict["family"].as_str().unwrap_or_default();
    assert!(family.starts_with("wasm-"), "{verdict}");
    assert!(honest.ended().is_none(), "honest work in node lives");
    assert_eq!(accused(&daemon), [u64::from(miner.pid())]);
}

/// The verdict that it is a miner: that it hashes may have been told before.
fn found(daemon: &Daemon, pid: u32) -> serde_json::Value {
    daemon.wait_event("the verdict on the miner", NOTICE, |event| {
        event["event"] == "verdict" && event["pid"] == pid && event["verdict"] == "miner"
    })
}

/// Every process that was taken for a miner.
fn accused(daemon: &Daemon) -> Vec<u64> {
    let verdicts = daemon.events_of("verdict");
    let miners = verdicts
        .iter()
        .filter(|verdict| verdict["verdict"] == "miner");
    miners
        .filter_map(|verdict| verdict["pid"].as_u64())
        .collect()
}

#[test]
fn an_argon2_miner_in_node_is_killed() {
    check_node("argon2");
}

#[test]
fn a_scrypt_miner_in_node_is_killed() {
    check_node("scrypt");
}

/// The tab ends; the tab beside it, as busy, and the browser do not.
#[test]
fn a_tab_that_mines_is_killed_and_the_browser_lives() {
    let _turn = take_turn();
    let page = wasm().page("argon2", &tests::spawn::pool().wss_url());
    let mut browser = Browser::start();
    browser.open(
        "honest.html",
        &worker_page("honest", HONEST),
        "honest-round",
    );
    // A tab may get a renderer that was made for the next one before: the
    // miner's is the one that begins to burn and is not the honest page's.
    // The browser's own pages have renderers too, which burn for a moment when
    // it starts: the honest one is that which goes on.
    let (honest, before) = eventually("the honest page's renderer burns", DEATH, || {
        let before = browser.renderers();
        let busiest = before
            .iter()
            .copied()
            .max_by(|one, other| one.1.total_cmp(&other.1));
        match busiest {
            Some((pid, seconds)) if seconds > 3.0 => Ok((pid, before)),
            _ => Err(format!("{before:?}")),
        }
    });
    let seconds_before = |pid| {
        let then = before.iter().find(|&&(old, _)| old == pid);
        then.map_or(0.0, |&(_, seconds)| seconds)
    };
    let daemon = Daemon::start(&["--action", "kill"]);
    browser.open("miner.html", &page, "first-hash");
    let first = Instant::now();
    let miner = eventually("the page's renderer burns", DEATH, || {
        let renderers = browser.renderers();
        let burns =
            |&&(pid, seconds): &&(u32, f64)| pid != honest && seconds > seconds_before(pid) + 1.0;
        let found = renderers.iter().find(burns);
        found
            .map(|&(pid, _)| pid)
            .ok_or_else(|| format!("{renderers:?}"))
    });
    let left = TAB.saturating_sub(first.elapsed());
    eventually("the miner's renderer has ended", left, || {
        let renderers = browser.renderers();
        let lives = renderers.iter().find(|&&(pid, _)| pid == miner);
        lives.map_or(Ok(()), |lives| Err(format!("{lives:?} lives")))
    });
    let verdict = found(&daemon, miner);
    let family = verdict["family"].as_str().unwrap_or_default();
    assert!(family.starts_with("wasm-"), "{verdict}");
    assert_eq!(accused(&daemon), [u64::from(miner)]);
    assert!(browser.process.ended().is_none(), "the browser lives");
    browser.wait_word("honest-round", Instant::now(), NOTICE);
}
