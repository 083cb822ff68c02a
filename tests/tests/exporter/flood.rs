//! Clients that mean no good, or are too many: each is refused or bounded, and
//! the miner that is started meanwhile is found as soon as ever.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tests::host::take_turn;
use tests::https::{Authority, Client};
use tests::{Daemon, Metrics, Workload};

use super::{RIGHT, home, secured, start, status};

/// From a miner's first hash to its verdict, at most.
const VERDICT: Duration = Duration::from_secs(15);
/// What the daemon may have in memory after all: its own, and 64 connections.
const RESIDENT: f64 = 96.0 * 1024.0 * 1024.0;

/// A miner is started while the daemon is busy, and must be found in time.
fn check_verdict(daemon: &Daemon) {
    // What only mines is a miner from the first verdict on.
    let miner = Workload::start(&["mine", "cryptonight"]);
    let first = miner.first_hash();
    let left = VERDICT.saturating_sub(first.elapsed());
    let verdict = daemon.event_about("verdict", miner.pid(), left);
    assert_eq!(verdict["verdict"], "miner", "{verdict}");
}

fn scrape(client: &Client, address: SocketAddr) -> Metrics {
    tests::host::eventually("the endpoint serves again", Duration::from_secs(30), || {
        let answer = client.get(address, "/metrics", RIGHT)?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if status(head) == "200" => Metrics::parse(body.to_owned()),
            _ => Err(answer),
        }
    })
}

fn check_bounds(metrics: &Metrics) {
    let resident = metrics.sum("process_resident_memory_bytes", &[]);
    assert!(resident < RESIDENT, "{resident} bytes are resident");
}

/// Sends what never ends, until it is cut off: a byte now and then, or as much
/// as it can.
fn send_forever(address: SocketAddr, chunk: &[u8], pause: Duration, bytes: usize) -> usize {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return 0;
    };
    let limit = Some(Duration::from_secs(30));
    let _ = stream.set_write_timeout(limit);
    let _ = stream.set_read_timeout(limit);
    if stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: ")
        .is_err()
    {
        return 0;
    }
    let mut sent = 0;
    while sent < bytes && stream.write_all(chunk).is_ok() {
        sent += chunk.len();
        thread::sleep(pause);
    }
    sent
}

#[test]
fn hung_slow_endless_and_wrong_clients_do_not_hide_a_miner() {
    let _turn = take_turn();
    let home = home();
    let authority = Authority::new();
    let plain = Daemon::start(&["--action", "observe"]);
    let daemon = start(&secured(home.path(), &authority.sign(), ""), &[]);
    let client = authority.client(None);
    let over = AtomicBool::new(false);
    let rounds = |work: &(dyn Fn() + Sync)| {
        while !over.load(Ordering::Relaxed) {
            work();
        }
    };
    thread::scope(|scope| {
        for address in [plain.address, daemon.address] {
            // They say nothing, forty at a time.
            scope.spawn(move || {
                rounds(&|| {
                    let all: Vec<_> = (0..40).map(|_| TcpStream::connect(address)).collect();
                    for mut stream in all.into_iter().flatten() {
                        let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
                        let _ = stream.read(&mut [0]);
                    }
                });
            });
            // A byte every 100 ms.
            scope.spawn(move || {
                rounds(&|| {
                    send_forever(address, b"x", Duration::from_millis(100), usize::MAX);
                });
            });
            // A hundred megabytes of header, of which some fit the socket.
            scope.spawn(move || {
                rounds(&|| {
                    let megabyte = vec![b'x'; 1 << 20];
                    let sent = send_forever(address, &megabyte, Duration::ZERO, 100 << 20);
                    assert!(sent < 32 << 20, "{sent} bytes of a header were taken");
                });
            });
        }
        // Another wrong password every time.
        scope.spawn(|| {
            let next = AtomicUsize::new(0);
            rounds(&|| {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let login = format!(
                    "Authorization: Basic {}\r\n",
                    base64(&format!("prometheus:{n}"))
                );
                if let Ok(answer) = client.get(daemon.address, "/metrics", &login) {
                    assert_eq!(status(&answer), "401", "{answer}");
                }
            });
        });
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            check_verdict(&daemon);
        }));
        over.store(true, Ordering::Relaxed);
        if let Err(panic) = found {
            std::panic::resume_unwind(panic);
        }
    });
    let metrics = scrape(&client, daemon.address);
    check_bounds(&metrics);
    for reason in ["late", "handshake"] {
        let cut = metrics.sum("unjack_web_connections_cut_total", &[("reason", reason)]);
        assert!(cut > 0.0, "none was cut as {reason}");
    }
    let metrics = plain.metrics();
    check_bounds(&metrics);
    for reason in ["late", "too-large"] {
        let cut = metrics.sum("unjack_web_connections_cut_total", &[("reason", reason)]);
        assert!(cut > 0.0, "none was cut as {reason}");
    }
}

#[test]
fn a_thousand_scrapes_at_once_are_served_and_hide_no_miner() {
    const SCRAPES: usize = 1000;
    let _turn = take_turn();
    let home = home();
    let authority = Authority::new();
    let daemon = start(&secured(home.path(), &authority.sign(), ""), &[]);
    let client = authority.client(None);
    let served = AtomicUsize::new(0);
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..SCRAPES {
            scope.spawn(|| {
                let answer = client.get(daemon.address, "/metrics", RIGHT);
                let whole = answer.is_ok_and(|answer| {
                    status(&answer) == "200" && answer.contains("process_start_time_seconds ")
                });
                served.fetch_add(usize::from(whole), Ordering::Relaxed);
            });
        }
        check_verdict(&daemon);
    });
    let served = served.into_inner();
    eprintln!("{served} scrapes in {:?}", begun.elapsed());
    assert!(
        served > SCRAPES / 2,
        "only {served} of {SCRAPES} were served"
    );
    let metrics = scrape(&client, daemon.address);
    check_bounds(&metrics);
    let checks = metrics.sum("unjack_web_password_checks_total", &[]);
    assert!(checks < 2.5, "one password was hashed {checks} times");
}

/// Base64 of ASCII.
fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |bytes: &[u8]| {
        let all = (0..3).fold(0_u32, |all, at| {
            all << 8 | u32::from(*bytes.get(at).unwrap_or(&0))
        });
        let digit = move |at: usize| {
            let digit = DIGITS[(all >> (18 - 6 * at) & 63) as usize];
            if at > bytes.len() {
                '='
            } else {
                char::from(digit)
            }
        };
        (0..4).map(digit).collect::<String>()
    };
    text.as_bytes().chunks(3).map(group).collect()
}
