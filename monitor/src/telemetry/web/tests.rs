//! The endpoint over real connections.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream as Client};
use std::path::Path;
use std::time::Instant;

use super::*;
use crate::{host::clock::monotonic_ns, telemetry::view::View};

struct Running {
    addr: SocketAddr,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    snapshot: Arc<SnapshotCell>,
    server: Server,
}

fn start_with(secured: Secured, places: u16, lifetime: Duration) -> Running {
    let sockets = listen::bind(&["127.0.0.1:0".parse().unwrap()]).unwrap();
    let addr = sockets[0].address().parse().unwrap();
    let metrics = Arc::new(Metrics::new("test").unwrap());
    let health = Arc::new(Health::default());
    let snapshot = Arc::new(SnapshotCell::default());
    let web = Web {
        metrics: Arc::clone(&metrics),
        health: Arc::clone(&health),
        snapshot: Arc::clone(&snapshot),
        telemetry_path: "/metrics".to_owned(),
    };
    let server = Server::start_with(sockets, web, secured, None, (places, lifetime)).unwrap();
    Running {
        addr,
        metrics,
        health,
        snapshot,
        server,
    }
}

fn start() -> Running {
    start_with(Secured::default(), MAX_CONNECTIONS, LIFETIME)
}

impl Running {
    fn connect(&self) -> Client {
        let client = Client::connect(self.addr).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        client
    }

    fn get(&self, path: &str) -> String {
        self.get_with(path, "")
    }

    fn get_with(&self, path: &str, headers: &str) -> String {
        let mut client = self.connect();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        client.write_all(request.as_bytes()).unwrap();
        read_all(client)
    }

    /// Waits until this many connections were cut for the reason.
    #[track_caller]
    fn check_cut(&self, reason: &str, expected: u32) {
        let line = format!("unjack_web_connections_cut_total{{reason=\"{reason}\"}} {expected}\n");
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.metrics.render().unwrap().contains(&line) {
            assert!(Instant::now() < deadline, "no {line}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Everything until the server closes the connection, one way or another.
fn read_all(mut client: impl Read) -> String {
    let mut bytes = Vec::new();
    match client.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "still open"),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[track_caller]
fn check_has(answer: &str, parts: &[&str]) {
    for part in parts {
        assert!(answer.contains(part), "no {part:?} in {answer}");
    }
}

#[test]
fn metrics_are_served_as_text_and_the_connection_closed() {
    let running = start();
    let answer = running.get("/metrics");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    check_has(
        &answer,
        &[
            "content-type: text/plain; version=0.0.4",
            "connection: close",
            "\nunjack_build_info{version=\"test\"} 1\n",
        ],
    );
    running.server.stop();
}

#[test]
fn metrics_are_text_for_a_client_that_prefers_another_format() {
    let running = start();
    // What Prometheus 3 sends.
    let accept = "Accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                  text/plain;version=0.0.4;q=0.3,*/*;q=0.2\r\n";
    let answer = running.get_with("/metrics", accept);
    check_has(
        &answer,
        &[
            "content-type: text/plain; version=0.0.4; charset=utf-8",
            "\n# TYPE unjack_samples_total counter\n",
            "\nunjack_samples_total 0\n",
        ],
    );
    running.server.stop();
}

#[test]
fn ready_while_the_probes_account() {
    let running = start();
    assert!(running.get("/-/ready").starts_with("HTTP/1.1 503 "));
    running.health.attach(true);
    check_has(
        &running.get("/-/ready"),
        &["HTTP/1.1 503 ", "loop has not run"],
    );
    running
        .health
        .tick(crate::host::clock::monotonic_ns(), true);
    assert!(running.get("/-/ready").starts_with("HTTP/1.1 200 "));
    assert!(running.get("/-/healthy").starts_with("HTTP/1.1 200 "));
    running.server.stop();
}

#[test]
fn without_a_view_the_page_says_why() {
    let running = start();
    let answer = running.get("/");
    // No loop comes by in this test.
    check_has(
        &answer,
        &[
            "HTTP/1.1 503 ",
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; ",
            "cache-control: no-store",
            "referrer-policy: no-referrer",
            "x-content-type-options: nosniff",
            "Nothing can be shown yet: the probes are not attached.",
            "href=\"/metrics\"",
        ],
    );
    let answer = running.get("/api/v1/view");
    check_has(
        &answer,
        &[
            "HTTP/1.1 503 ",
            "content-type: application/json",
            "{\"error\":\"the probes are not attached\"}",
        ],
    );
    running.server.stop();
}

#[test]
fn a_view_is_served_as_a_page_and_as_json_and_is_ready_or_not_as_of_now() {
    let running = start();
    running.health.attach(true);
    running.health.tick(monotonic_ns(), true);
    let mut view = View::default();
    view.host.name = "box <7>".to_owned();
    view.health.not_ready = Some("as of then".to_owned());
    running
        .snapshot
        .publish(view, monotonic_ns() + 60_000_000_000);
    let page = running.get("/");
    check_has(
        &page,
        &["HTTP/1.1 200 ", "box &lt;7&gt;", "\"badge good\">ready"],
    );
    assert!(!page.contains("as of then"), "{page}");
    let json = running.get("/api/v1/view");
    let (_, body) = json.split_once("\r\n\r\n").unwrap();
    let view: View = serde_json::from_str(body).unwrap();
    assert_eq!((&*view.host.name, view.health.not_ready), ("box <7>", None));

    // What the page links to is there, and of the kind it is used as.
    for (path, kind) in [
        ("/-/page.css", "text/css"),
        ("/-/page.js", "text/javascript"),
    ] {
        assert!(page.contains(&format!("\"{path}\"")), "{page}");
        let kind = format!("content-type: {kind}; charset=utf-8\r\n");
        check_has(&running.get(path), &["HTTP/1.1 200 ", &kind]);
    }
    running.server.stop();
}

#[test]
fn unknown_paths_and_methods_are_refused() {
    let running = start();
    assert!(running.get("/etc/passwd").starts_with("HTTP/1.1 404 "));
    let mut client = running.connect();
    client
        .write_all(
            b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        )
        .unwrap();
    assert!(read_all(client).starts_with("HTTP/1.1 405 "));
    running.server.stop();
}

#[test]
fn a_client_that_never_finishes_its_request_is_cut_off() {
    let running = start_with(Secured::default(), 1, Duration::from_millis(50));
    let mut slow = running.connect();
    slow.write_all(b"GET /metr").unwrap();
    // It holds the only place; this one is served once it has lost it.
    assert!(running.get("/-/healthy").starts_with("HTTP/1.1 200 "));
    assert!(!read_all(slow).contains("200"));
    running.check_cut("late", 1);
    running.server.stop();
}

#[test]
fn a_request_that_never_ends_is_cut_off() {
    let running = start();
    let mut client = running.connect();
    let start = Instant::now();
    let _ = client.write_all(b"GET / HTTP/1.1\r\nX: ");
    let _ = client.write_all(&vec![b'a'; connection::MAX_REQUEST_BYTES]);
    assert!(!read_all(client).contains("200"));
    assert!(start.elapsed() < LIFETIME / 2, "cut off by time only");
    running.check_cut("too-large", 1);
    running.server.stop();
}

#[test]
fn shutdown_does_not_wait_for_a_slow_client() {
    let running = start();
    let mut slow = running.connect();
    slow.write_all(b"GET /metr").unwrap();
    assert!(running.get("/-/healthy").starts_with("HTTP/1.1 200 "));
    let start = Instant::now();
    running.server.stop();
    assert!(start.elapsed() < LIFETIME / 2);
}

#[test]
fn plain_http_gets_nothing_where_tls_is_spoken() {
    let home = tempfile::tempdir().unwrap();
    let running = start_with(secured(home.path()), MAX_CONNECTIONS, LIFETIME);
    let answer = running.get("/metrics");
    assert!(!answer.contains("HTTP/"), "{answer}");
    running.check_cut("handshake", 1);
    running.server.stop();
}

#[test]
fn a_handshake_that_never_ends_is_cut_off() {
    let home = tempfile::tempdir().unwrap();
    let lifetime = Duration::from_millis(50);
    let running = start_with(secured(home.path()), 1, lifetime);
    let silent = running.connect();
    assert_eq!(read_all(silent), "");
    running.check_cut("late", 1);
    running.server.stop();
}

#[test]
fn tls_where_there_is_none_is_no_http() {
    let running = start();
    let mut client = running.connect();
    client
        .write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n")
        .unwrap();
    assert!(!read_all(client).contains("200 OK"));
    running.check_cut("malformed", 1);
    running.server.stop();
}

#[test]
fn without_a_password_no_page_is_served() {
    let home = tempfile::tempdir().unwrap();
    let hash = file::tests::hash("right");
    let file = home.path().join("web.yml");
    let headers =
        "http_server_config: {headers: {X-Frame-Options: deny, X-Content-Type-Options: ''}}";
    std::fs::write(
        &file,
        format!("basic_auth_users: {{alice: {hash}}}\n{headers}\n"),
    )
    .unwrap();
    let secured = Secured::read(Some(&file)).unwrap();
    let running = start_with(secured, MAX_CONNECTIONS, LIFETIME);
    for path in [
        "/",
        "/api/v1/view",
        "/-/page.js",
        "/metrics",
        "/-/healthy",
        "/-/ready",
        "/nothing",
    ] {
        let answer = running.get(path);
        check_has(
            &answer,
            &[
                "HTTP/1.1 401 ",
                "www-authenticate: Basic",
                "x-frame-options: deny",
            ],
        );
        assert!(!answer.contains("nosniff"), "{answer}");
    }
    // alice:right
    let answer = running.get_with("/metrics", "Authorization: Basic YWxpY2U6cmlnaHQ=\r\n");
    check_has(
        &answer,
        &[
            "HTTP/1.1 200 ",
            "x-frame-options: deny",
            "unjack_build_info",
        ],
    );
    running.server.stop();
}

/// TLS with a certificate of its own, and these lines of the section.
fn secured(home: &Path) -> Secured {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(home.join("cert"), made.cert.pem()).unwrap();
    std::fs::write(home.join("key"), made.signing_key.serialize_pem()).unwrap();
    let file = home.join("web.yml");
    let text = "tls_server_config:\n  cert_file: cert\n  key_file: key\n";
    std::fs::write(&file, text).unwrap();
    Secured::read(Some(&file)).unwrap()
}
