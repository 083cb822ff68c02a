//! Miners that hide how they get work and bring results: behind TLS, behind another
//! process. And honest work that is connected and hashes, too.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use tests::host::take_turn;
use tests::news::News;
use tests::spawn::{POOL, pool};
use tests::{Daemon, Workload};

use super::{DEATH, Innocent, SLOW_DEATH, assert_killed, assert_unjudged, image};

/// A miner that mines at the pool with this address in a way of its own: dead in time.
fn check_killed(limit: Duration, miner: impl FnOnce(&Path) -> Workload) {
    let _turn = take_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(&["--action", "kill"]);
    let innocent = Innocent::start(home.path());
    let mut miner = miner(home.path());
    let first = miner.first_hash();
    assert_killed(&daemon, &mut miner, "sha256d", first, limit);
    innocent.assert_spared(&daemon);
}

#[test]
fn a_miner_whose_pool_is_behind_tls_is_killed() {
    check_killed(DEATH, |home| {
        let mut command = Command::new(image(home, "tls"));
        Workload::spawn(command.arg("sha256d").env(POOL, pool().tls_url()))
    });
}

/// The process that hashes has no connection, and the one that is connected does not
/// hash: they share a socket pair.
#[test]
fn a_miner_whose_helper_has_the_connection_is_killed() {
    check_killed(SLOW_DEATH, |home| {
        let helper = image(home, "helper");
        let mut command = Command::new(image(home, "hashes"));
        Workload::spawn(command.arg("--helper").arg(helper).arg("sha256d"))
    });
}

/// A proxy as xmrig-proxy, Tor or a tunnel are: what hashes is connected to this host
/// alone.
#[test]
fn a_miner_behind_a_proxy_on_this_host_is_killed() {
    let proxy = Workload::start(&["relay", &pool().tls_url(), "--listen", "127.0.0.1:0"]);
    let address = proxy.address();
    check_killed(DEATH, |home| {
        let mut command = Command::new(image(home, "miner"));
        Workload::spawn(command.arg("sha256d").env(POOL, address.to_string()))
    });
}

/// Hashes for no pool and asks a web server every three seconds: messages as small
/// and as frequent as a miner's, none of which comes unasked.
#[test]
fn a_chain_of_hashes_beside_an_https_connection_is_no_miner() {
    let _turn = take_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let news = News::start();
    let daemon = Daemon::start(&["--action", "kill"]);
    let program = image(home.path(), "history");
    let poll = format!("tls://{}", news.address());
    let mut command = Command::new(program);
    let mut history = Workload::spawn(command.args(["--poll", &poll, "poh"]));
    let _ = history.first_hash();
    thread::sleep(tests::spawn::benign_time());
    assert!(history.ended().is_none(), "it lives");
    assert_unjudged(&daemon, history.pid());
    assert!(news.asked() >= 3, "{} times", news.asked());
}
