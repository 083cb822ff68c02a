//! The HTTP endpoint: metrics, health and a page that links to them.
//!
//! Requests flow in from the network, [`Metrics`] flow out as text; nothing a
//! client sends changes anything. The endpoint must not cost the daemon, so
//! whatever a client does is bounded:
//!
//! | bound | value | why |
//! |---|---|---|
//! | connections at once | 64 | a few scrapers and people; more wait in the kernel's backlog |
//! | life of a connection | 5 s | one request each, then it is closed: slow clients are gone before a scrape behind them times out |
//! | bytes read from one | 16 KiB | a request here is a line and some headers; bodies are not read |
//! | wait for clients at shutdown | 1 s | a scrape in flight ends, a slow one is cut |

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use crate::metrics::Metrics;

const MAX_CONNECTIONS: usize = 64;
const LIFETIME: Duration = Duration::from_secs(5);
const MAX_REQUEST_BYTES: usize = 16 * 1024;
const DRAIN: Duration = Duration::from_secs(1);
/// Pause after the kernel refused a connection, typically for want of file
/// descriptors: long enough not to spin, short enough for a scrape to succeed.
const ACCEPT_RETRY: Duration = Duration::from_secs(1);

const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
const CSP: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'";

const LANDING_PAGE: &str = "<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>unjack</title>
<style>body { font: 1rem/1.5 sans-serif; margin: 3rem auto; max-width: 36rem; padding: 0 1rem }</style>
</head>
<body>
<h1>unjack</h1>
<p>Finds cryptocurrency miners by the instructions they execute, and stops them.</p>
<ul>
<li><a href=\"/metrics\">Metrics</a> for Prometheus</li>
<li><a href=\"/-/healthy\">Healthy</a>: the daemon runs</li>
<li><a href=\"/-/ready\">Ready</a>: all probes are attached</li>
</ul>
</body>
</html>
";

/// The address could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr}: {cause}; {remedy}")]
pub struct BindError {
    addr: SocketAddr,
    remedy: String,
    cause: io::Error,
}

/// What the endpoint shows.
#[derive(Clone, Debug)]
pub struct Web {
    /// The metrics to serve.
    pub metrics: Arc<Metrics>,
    /// True once all probes are attached.
    pub ready: Arc<AtomicBool>,
}

/// Takes the address. Separate from [`serve`], so that a port in use is known
/// before probes are loaded.
///
/// # Errors
/// Names the address, the cause and what to do.
pub fn bind(addr: SocketAddr) -> Result<TcpListener, BindError> {
    let listen = || {
        let listener = TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    listen().map_err(|cause: io::Error| BindError {
        addr,
        remedy: remedy(addr, cause.kind()),
        cause,
    })
}

fn remedy(addr: SocketAddr, cause: io::ErrorKind) -> String {
    let port = addr.port();
    match cause {
        io::ErrorKind::AddrInUse => format!(
            "another program, perhaps another unjack, holds port {port} (`ss -ltnp 'sport = :{port}'` \
             shows it): stop it, or choose another port with --web.listen-address {}:PORT",
            host(addr)
        ),
        io::ErrorKind::AddrNotAvailable => {
            "this host has no such address (`ip addr` shows those it has): \
             choose one with --web.listen-address ADDR:PORT"
                .to_owned()
        }
        io::ErrorKind::PermissionDenied => format!(
            "ports below 1024 need CAP_NET_BIND_SERVICE: choose a higher one with --web.listen-address {}:PORT",
            host(addr)
        ),
        _ => "choose another address with --web.listen-address ADDR:PORT".to_owned(),
    }
}

fn host(addr: SocketAddr) -> String {
    match addr {
        SocketAddr::V4(addr) => addr.ip().to_string(),
        SocketAddr::V6(addr) => format!("[{}]", addr.ip()),
    }
}

/// Serves `web` on a listener from [`bind`] until `shutdown` completes, and
/// then at most a second longer.
///
/// # Errors
/// If the listener cannot be handed to the runtime.
pub async fn serve(
    listener: TcpListener,
    web: Web,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let listener = Bounded {
        inner: tokio::net::TcpListener::from_std(listener)?,
        places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        lifetime: LIFETIME,
    };
    serve_bounded(listener, web, shutdown).await
}

async fn serve_bounded(
    listener: Bounded,
    web: Web,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = axum::serve(listener, router(web)).with_graceful_shutdown(async move {
        shutdown.await;
        drop(stopping);
    });
    let mut server = pin!(server.into_future());
    tokio::select! {
        result = &mut server => return result,
        // The sender is dropped, never used: this is the shutdown.
        _ = stopped => {}
    }
    tokio::time::timeout(DRAIN, server).await.unwrap_or(Ok(()))
}

fn router(web: Web) -> Router {
    Router::new()
        .route("/", get(landing_page))
        .route("/metrics", get(metrics))
        .route(
            "/-/healthy",
            get(|| async { plain(StatusCode::OK, "healthy\n") }),
        )
        .route("/-/ready", get(ready))
        .fallback(|| async {
            plain(
                StatusCode::NOT_FOUND,
                "not found; see / for what there is\n",
            )
        })
        .with_state(web)
}

async fn landing_page() -> Response {
    respond(StatusCode::OK, "text/html; charset=utf-8", LANDING_PAGE)
}

async fn metrics(State(web): State<Web>) -> Response {
    match web.metrics.render() {
        Ok(text) => respond(StatusCode::OK, METRICS_TYPE, text),
        Err(error) => {
            tracing::error!(%error, "metrics could not be rendered");
            plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "metrics could not be rendered; see the log of unjack\n",
            )
        }
    }
}

async fn ready(State(web): State<Web>) -> Response {
    if web.ready.load(Ordering::Relaxed) {
        plain(StatusCode::OK, "ready\n")
    } else {
        plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: probes are not attached yet\n",
        )
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    respond(status, "text/plain; charset=utf-8", text)
}

fn respond(status: StatusCode, content_type: &'static str, body: impl IntoResponse) -> Response {
    const NO_SNIFF: (HeaderName, &str) = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::CONNECTION, "close"),
        NO_SNIFF,
    ];
    (status, headers, body).into_response()
}

/// Accepts no more connections than there are places, and bounds each.
struct Bounded {
    inner: tokio::net::TcpListener,
    places: Arc<Semaphore>,
    lifetime: Duration,
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            // The semaphore is never closed; if it were, retrying is harmless.
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
                sleep(ACCEPT_RETRY).await;
                continue;
            };
            match self.inner.accept().await {
                Ok((stream, peer)) => {
                    let connection = Connection {
                        stream,
                        end: Box::pin(sleep_until(Instant::now() + self.lifetime)),
                        readable: MAX_REQUEST_BYTES,
                        _place: place,
                    };
                    return (connection, peer);
                }
                // The client left before its turn.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "metrics endpoint: a connection was not accepted");
                    sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

/// A connection that ends itself when its time or its bytes are used up.
struct Connection {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    readable: usize,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn check_time(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.end.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_time(cx)?;
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf)?;
        let Some(left) = self.readable.checked_sub(buf.filled().len() - before) else {
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        };
        self.readable = left;
        polled.map(Ok)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_time(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
