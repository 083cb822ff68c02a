//! The endpoint over real loopback connections.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream as Client};

use tokio::sync::oneshot;

use super::*;

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

struct Server {
    addr: SocketAddr,
    ready: Arc<AtomicBool>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<io::Result<()>>>,
}

impl Server {
    fn start(places: usize, lifetime: Duration) -> Self {
        let listener = bind(LOOPBACK).unwrap();
        let addr = listener.local_addr().unwrap();
        let ready = Arc::new(AtomicBool::new(false));
        let web = Web {
            metrics: Arc::new(Metrics::new("test").unwrap()),
            ready: Arc::clone(&ready),
        };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let listener = Bounded {
                    inner: tokio::net::TcpListener::from_std(listener)?,
                    places: Arc::new(Semaphore::new(places)),
                    lifetime,
                };
                let shutdown = async {
                    let _ = stopped.await;
                };
                serve_bounded(listener, web, shutdown).await
            })
        });
        Self {
            addr,
            ready,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn connect(&self) -> Client {
        let client = Client::connect(self.addr).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        client
    }

    fn get(&self, path: &str) -> String {
        let mut client = self.connect();
        write!(client, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        read_all(client)
    }

    fn stop(mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

/// Everything until the server closes the connection, one way or another.
fn read_all(mut client: Client) -> String {
    let mut bytes = Vec::new();
    match client.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "still open"),
    }
    String::from_utf8(bytes).unwrap()
}

fn server() -> Server {
    Server::start(MAX_CONNECTIONS, LIFETIME)
}

#[test]
fn metrics_are_served_as_text_and_the_connection_closed() {
    let server = server();
    let answer = server.get("/metrics");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.contains("content-type: text/plain; version=0.0.4"),
        "{answer}"
    );
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(
        answer.contains("\nunjack_build_info{version=\"test\"} 1\n"),
        "{answer}"
    );
    server.stop();
}

#[test]
fn ready_only_once_the_probes_are_attached() {
    let server = server();
    assert!(server.get("/-/ready").starts_with("HTTP/1.1 503 "));
    server.ready.store(true, Ordering::Relaxed);
    assert!(server.get("/-/ready").starts_with("HTTP/1.1 200 "));
    assert!(server.get("/-/healthy").starts_with("HTTP/1.1 200 "));
    server.stop();
}

#[test]
fn landing_page_links_and_runs_no_script() {
    let server = server();
    let answer = server.get("/");
    assert!(
        answer.contains("content-security-policy: default-src 'none'"),
        "{answer}"
    );
    assert!(
        answer.contains("href=\"/metrics\"") && !answer.contains("<script"),
        "{answer}"
    );
    server.stop();
}

#[test]
fn unknown_paths_and_methods_are_refused() {
    let server = server();
    assert!(server.get("/etc/passwd").starts_with("HTTP/1.1 404 "));
    let mut client = server.connect();
    client
        .write_all(
            b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        )
        .unwrap();
    assert!(read_all(client).starts_with("HTTP/1.1 405 "));
    server.stop();
}

#[test]
fn a_client_that_never_finishes_its_request_is_cut_off() {
    let server = Server::start(1, Duration::from_millis(50));
    let mut slow = server.connect();
    slow.write_all(b"GET /metr").unwrap();
    // It holds the only place; this one is served once it has lost it.
    assert!(server.get("/-/healthy").starts_with("HTTP/1.1 200 "));
    assert!(!read_all(slow).contains("200"));
    server.stop();
}

#[test]
fn a_request_that_never_ends_is_cut_off() {
    let server = server();
    let mut client = server.connect();
    let start = std::time::Instant::now();
    let _ = client.write_all(b"GET / HTTP/1.1\r\nX: ");
    let _ = client.write_all(&vec![b'a'; MAX_REQUEST_BYTES]);
    assert!(!read_all(client).contains("200"));
    assert!(start.elapsed() < LIFETIME / 2, "cut off by time only");
    server.stop();
}

#[test]
fn shutdown_does_not_wait_for_a_slow_client() {
    let server = server();
    let mut slow = server.connect();
    slow.write_all(b"GET /metr").unwrap();
    assert!(server.get("/-/healthy").starts_with("HTTP/1.1 200 "));
    let start = std::time::Instant::now();
    server.stop();
    assert!(start.elapsed() < LIFETIME / 2);
}

#[test]
fn a_port_in_use_names_the_address_and_what_to_do() {
    let holder = bind(LOOPBACK).unwrap();
    let addr = holder.local_addr().unwrap();
    let message = bind(addr).unwrap_err().to_string();
    assert!(message.contains(&addr.to_string()), "{message}");
    assert!(
        message.contains("holds port") && message.contains("--web.listen-address"),
        "{message}"
    );
}

#[test]
fn an_address_of_another_host_is_told_so() {
    let message = bind("192.0.2.1:1".parse().unwrap())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("192.0.2.1:1") && message.contains("ip addr"),
        "{message}"
    );
}
