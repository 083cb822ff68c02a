//! TLS and passwords, and their change while the daemon runs.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use tests::daemon::command;
use tests::host::{assert_clean, eventually, output, share_turn, unjack};
use tests::https::{Authority, Client};
use tests::{Daemon, Metrics};

use super::{NOTICE, RIGHT, WRONG, hang_up, home, secured, start, status, write_identity};

fn scrape(client: &Client, daemon: &Daemon) -> Metrics {
    let answer = client.get(daemon.address, "/metrics", RIGHT);
    let answer = answer.expect("the daemon answers");
    assert_eq!(status(&answer), "200", "{answer}");
    let body = answer.split_once("\r\n\r\n").expect("it has a head").1;
    Metrics::parse(body.to_owned()).expect("metrics")
}

#[test]
fn only_who_has_the_password_gets_an_answer_and_only_by_tls() {
    let _turn = share_turn();
    let home = home();
    let authority = Authority::new();
    let daemon = start(&secured(home.path(), &authority.sign(), ""), &[]);
    let client = authority.client(None);
    for (headers, expected) in [
        (RIGHT, "200"),
        (WRONG, "401"),
        ("", "401"),
        ("Authorization: Basic !\r\n", "401"),
        // nobody:secret
        ("Authorization: Basic bm9ib2R5OnNlY3JldA==\r\n", "401"),
    ] {
        for path in ["/metrics", "/", "/-/ready"] {
            let answer = client.get(daemon.address, path, headers);
            let answer = answer.expect("the daemon answers");
            assert_eq!(
                status(&answer),
                expected,
                "{path} with {headers:?}: {answer}"
            );
            assert_eq!(
                answer.contains("unjack_build_info"),
                expected == "200" && path == "/metrics"
            );
        }
    }
    // A client that trusts another authority refuses the daemon's certificate.
    let stranger = Authority::new().client(None);
    assert!(stranger.get(daemon.address, "/metrics", RIGHT).is_err());

    let mut plain = TcpStream::connect(daemon.address).expect("it listens");
    let request = format!("GET /metrics HTTP/1.0\r\n{RIGHT}\r\n");
    let _ = plain.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        !answer.contains("HTTP") && !answer.contains("unjack"),
        "{answer}"
    );

    let metrics = scrape(&client, &daemon);
    let count = |name, labels| metrics.sum(name, labels);
    assert!(count("unjack_web_logins_total", &[("outcome", "denied")]) >= 6.0);
    assert!(count("unjack_web_logins_total", &[("outcome", "absent")]) >= 6.0);
    let cut = count(
        "unjack_web_connections_cut_total",
        &[("reason", "handshake")],
    );
    assert!(cut >= 2.0, "{cut} handshakes were counted");
    // One for each login there was, however often it came.
    let checks = count("unjack_web_password_checks_total", &[]);
    assert!((checks - 3.0).abs() < 0.5, "{checks} passwords were hashed");
}

#[test]
fn a_client_without_a_certificate_is_no_client() {
    let _turn = share_turn();
    let home = home();
    let authority = Authority::new();
    let clients = Authority::new();
    fs::write(home.path().join("ca.crt"), clients.pem()).expect("it is ours");
    let lines = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  min_version: TLS13\n";
    let daemon = start(&secured(home.path(), &authority.sign(), lines), &[]);
    let known = clients.sign();
    scrape(&authority.client(Some(&known)), &daemon);
    let other = authority.sign();
    for client in [authority.client(None), authority.client(Some(&other))] {
        let answer = client.get(daemon.address, "/metrics", RIGHT);
        assert!(answer.is_err(), "{answer:?}");
    }
}

#[test]
fn certificates_and_passwords_change_on_sighup_and_a_bad_file_changes_nothing() {
    let _turn = share_turn();
    let home = home();
    let (before, after) = (Authority::new(), Authority::new());
    let file = secured(home.path(), &before.sign(), "");
    let daemon = start(&file, &[]);
    scrape(&before.client(None), &daemon);

    // A key that is not the certificate's: what is in force stays so.
    let identity = after.sign();
    fs::write(home.path().join("server.crt"), &identity.cert).expect("it is ours");
    hang_up(&daemon);
    let kept =
        |metrics: &Metrics| metrics.sum("unjack_web_reloads_total", &[("outcome", "kept-old")]);
    eventually("the bad file is counted", NOTICE, || {
        let kept = kept(&scrape(&before.client(None), &daemon));
        (kept > 0.5).then_some(()).ok_or_else(|| kept.to_string())
    });
    let told = daemon.stderr.wait(NOTICE, |line| {
        let text = String::from_utf8_lossy(&line.raw).into_owned();
        text.contains("web.yml") && text.contains("do not match")
    });
    assert!(told.is_some(), "the bad file is not told");

    write_identity(home.path(), &identity);
    hang_up(&daemon);
    eventually("the new certificate is shown", NOTICE, || {
        after.client(None).get(daemon.address, "/-/healthy", RIGHT)
    });
    assert!(before.client(None).get(daemon.address, "/", RIGHT).is_err());

    // Without TLS and users.
    fs::write(&file, "").expect("it is ours");
    hang_up(&daemon);
    daemon.stderr.wait(NOTICE, |line| {
        String::from_utf8_lossy(&line.raw).contains("read again: http")
    });
    eventually("plain HTTP is spoken", NOTICE, || {
        tests::metrics::get(daemon.address, "/metrics")
    });
    let loaded = daemon.metrics();
    let loaded = loaded.sum("unjack_web_reloads_total", &[("outcome", "loaded")]);
    assert!((loaded - 2.0).abs() < 0.5, "{loaded} reloads");
    assert_clean("stderr", &daemon.stderr.bytes());
}

#[test]
fn a_bad_file_at_the_start_is_a_bad_flag() {
    let _turn = share_turn();
    let home = home();
    for (text, part) in [
        ("tls_server_confg: {}\n", "tls_server_confg"),
        (
            "rate_limit: {interval: 1s}\n",
            "rate_limit is not supported",
        ),
        (
            "tls_server_config: {cert_file: gone, key_file: gone}\n",
            "cert_file: gone: cannot be read",
        ),
        ("basic_auth_users: {a: b}\n", "htpasswd"),
    ] {
        let file = home.path().join("web.yml");
        fs::write(&file, text).expect("it is ours");
        let mut run = command(&unjack());
        let answer = output(
            run.args([
                "run",
                "--web.listen-address",
                "127.0.0.1:0",
                "--web.config.file",
            ])
            .arg(&file),
        );
        let message = String::from_utf8_lossy(&answer.stderr);
        assert_eq!(answer.status.code(), Some(2), "{message}");
        assert!(
            message.contains("--web.config.file") && message.contains(part),
            "{message}"
        );
    }
}
