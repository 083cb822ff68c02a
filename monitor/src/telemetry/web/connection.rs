//! One connection: its bounds, its TLS, its one request.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    http::{HeaderValue, Request, Response, StatusCode, header},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{Shared, file::Secured, pages};
use crate::telemetry::metrics::Cut;

/// Bytes of a request: a line and some headers. Bodies are not read.
pub(super) const MAX_REQUEST_BYTES: usize = 16 * 1024;
/// Bytes of a connection with TLS, what encrypts the request included: two
/// handshakes' worth of the longest chain of certificates rustls takes.
pub(super) const MAX_TLS_BYTES: usize = MAX_REQUEST_BYTES + 128 * 1024;

/// Serves one request, or cuts the client off and counts why.
pub(super) async fn serve(stream: Stream, shared: Arc<Shared>) {
    let served = timeout(shared.lifetime, exchange(stream, &shared)).await;
    if let Some(cut) = served.unwrap_or(Some(Cut::Late)) {
        shared.metrics.count_cut(cut);
    }
}

async fn exchange(stream: Stream, shared: &Arc<Shared>) -> Option<Cut> {
    // What is in force when the client comes is in force for it to the end.
    let secured = shared.secured();
    match secured.tls.clone() {
        None => http(Limited::new(stream, MAX_REQUEST_BYTES), shared, secured).await,
        Some(config) => {
            let limited = Limited::new(stream, MAX_TLS_BYTES);
            match TlsAcceptor::from(config).accept(limited).await {
                Ok(stream) => http(Limited::new(stream, MAX_REQUEST_BYTES), shared, secured).await,
                Err(error) => {
                    tracing::debug!(%error, "metrics endpoint: no TLS with a client");
                    Some(Cut::Handshake)
                }
            }
        }
    }
}

async fn http(
    stream: Limited<impl AsyncRead + AsyncWrite + Unpin>,
    shared: &Arc<Shared>,
    secured: Arc<Secured>,
) -> Option<Cut> {
    let service = service_fn(|request| {
        let (shared, secured) = (Arc::clone(shared), Arc::clone(&secured));
        async move { Ok::<_, Infallible>(answer(request, &shared, &secured).await) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(MAX_REQUEST_BYTES)
        // The life of the connection bounds this too.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    let error = connection.await.err()?;
    tracing::debug!(%error, "metrics endpoint: a client was not served");
    let source = std::error::Error::source(&error).and_then(|error| error.downcast_ref());
    let too_much = |error: &io::Error| error.kind() == io::ErrorKind::FileTooLarge;
    if error.is_parse_too_large() || source.is_some_and(too_much) {
        Some(Cut::TooLarge)
    } else if error.is_parse() {
        Some(Cut::Malformed)
    } else {
        // The client left, which is no error.
        None
    }
}

async fn answer(request: Request<Incoming>, shared: &Shared, secured: &Secured) -> Response<Body> {
    let login = request.headers().get(header::AUTHORIZATION);
    let mut response =
        if secured.users.is_empty() || shared.logins.accept(&secured.users, login).await {
            shared.answer(request).await
        } else {
            let mut refusal = pages::plain(
                StatusCode::UNAUTHORIZED,
                "a user's name and password are needed; see --web.config.file\n",
            );
            let ask = HeaderValue::from_static("Basic realm=\"unjack\", charset=\"UTF-8\"");
            refusal.headers_mut().insert(header::WWW_AUTHENTICATE, ask);
            refusal
        };
    for (name, value) in &secured.headers {
        match value {
            Some(value) => drop(response.headers_mut().insert(name, value.clone())),
            None => drop(response.headers_mut().remove(name)),
        }
    }
    response
}

/// A client's stream, by either kind of socket.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// A stream of which no more than so many bytes are read.
struct Limited<S> {
    stream: S,
    readable: usize,
}

impl<S> Limited<S> {
    fn new(stream: S, readable: usize) -> Self {
        Self { stream, readable }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Limited<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf)?;
        let Some(left) = self.readable.checked_sub(buf.filled().len() - before) else {
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        };
        self.readable = left;
        polled.map(Ok)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Limited<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
