//! The HTTP endpoint: metrics, health and a page for people.
//!
//! Requests flow in from the network, [`Metrics`] and a [`View`](crate::telemetry::view::View)
//! flow out as text; nothing a
//! client sends changes anything. It runs on a thread of its own, so that what
//! clients cost (handshakes, passwords, a thousand scrapes) is not taken from
//! the loop that judges. Whatever a client does is bounded, and counted:
//!
//! | bound | value | why |
//! |---|---|---|
//! | connections at once | 64 | a few scrapers and people; more wait in the kernel's backlog, of 1024 |
//! | life of a connection | 5 s | one request each, TLS and password included, then it is closed: slow clients are gone before a scrape behind them times out |
//! | bytes read from one | 16 KiB | a request here is a line and some headers; bodies are not read. TLS may take 128 KiB more |
//! | passwords checked at once | 1 | bcrypt is a core's work; `auth` says how it is spent |
//! | wait for clients at shutdown | 1 s | a scrape in flight ends, a slow one is cut |
//!
//! `listen` is where, `file` and `tls` what stands
//! before the pages, `connection` is one client, `pages` what it gets, `page` how
//! that at `/` looks.

mod auth;
mod connection;
pub mod file;
mod health;
pub mod listen;
mod page;
mod pages;
mod tls;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    thread::JoinHandle,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{Request, Response},
};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use tokio::{
    net::{TcpListener, UnixListener},
    sync::{Notify, Semaphore, oneshot},
    task::JoinSet,
    time::{sleep, timeout},
};

pub use self::health::Health;
use self::{
    auth::Logins,
    connection::Stream,
    file::Secured,
    listen::{Kind, Socket, SocketFile},
};
use crate::telemetry::{
    metrics::{Metrics, WebMetrics},
    view::SnapshotCell,
};

const MAX_CONNECTIONS: u16 = 64;
const LIFETIME: Duration = Duration::from_secs(5);
const DRAIN: Duration = Duration::from_secs(1);
/// Pause after the kernel refused a connection, typically for want of file
/// descriptors: long enough not to spin, short enough for a scrape to succeed.
const ACCEPT_RETRY: Duration = Duration::from_secs(1);

/// What the endpoint shows.
#[derive(Clone, Debug)]
pub struct Web {
    /// The metrics to serve.
    pub metrics: Arc<Metrics>,
    /// Whether the daemon sees what it is there to see.
    pub health: Arc<Health>,
    /// What the page shows.
    pub snapshot: Arc<SnapshotCell>,
    /// The path of the metrics, in the form [`crate::policy::config`] accepts.
    pub telemetry_path: String,
}

/// The endpoint while it runs.
#[derive(Debug)]
pub struct Server {
    stop: oneshot::Sender<()>,
    reload: Arc<Notify>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Starts to serve on sockets from [`listen::bind`] or [`listen::inherited`].
    /// `file` is where `secured` was read, and is read again by
    /// [`Self::reload`].
    ///
    /// # Errors
    /// No thread, or no runtime on it.
    pub fn start(
        sockets: Vec<Socket>,
        web: Web,
        secured: Secured,
        file: Option<PathBuf>,
    ) -> io::Result<Self> {
        Self::start_with(sockets, web, secured, file, (MAX_CONNECTIONS, LIFETIME))
    }

    fn start_with(
        sockets: Vec<Socket>,
        web: Web,
        secured: Secured,
        file: Option<PathBuf>,
        (places, lifetime): (u16, Duration),
    ) -> io::Result<Self> {
        let metrics = web.metrics.web.clone();
        let shared = Arc::new(Shared {
            logins: Logins::new(metrics.clone()),
            metrics,
            router: TowerToHyperService::new(pages::router(web)),
            secured: RwLock::new(Arc::new(secured)),
            file,
            places: Arc::new(Semaphore::new(places.into())),
            lifetime,
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // It checks passwords.
            .max_blocking_threads(1)
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let reload = Arc::new(Notify::new());
        let reloads = Arc::clone(&reload);
        let thread = std::thread::Builder::new()
            .name("web".to_owned())
            .spawn(move || {
                let served = runtime.block_on(serve(sockets, &shared, &reloads, stopped, places));
                if let Err(error) = served {
                    tracing::error!("metrics are not served: {error}");
                }
                // A password that is being checked is not waited for.
                runtime.shutdown_background();
            })?;
        Ok(Self {
            stop,
            reload,
            thread,
        })
    }

    /// Has the file of `--web.config.file` read again, by the endpoint's own
    /// thread. A bad one changes nothing; that is logged, and counted.
    pub fn reload(&self) {
        self.reload.notify_one();
    }

    /// Ends it, within about a second.
    pub fn stop(self) {
        // The receiver is gone only if the thread has already ended.
        let _sent = self.stop.send(());
        if self.thread.join().is_err() {
            tracing::error!("the metrics endpoint had panicked");
        }
    }
}

/// What all connections share.
struct Shared {
    logins: Logins,
    metrics: WebMetrics,
    router: TowerToHyperService<Router>,
    secured: RwLock<Arc<Secured>>,
    file: Option<PathBuf>,
    places: Arc<Semaphore>,
    lifetime: Duration,
}

impl Shared {
    fn secured(&self) -> Arc<Secured> {
        Arc::clone(&self.secured.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn answer(&self, request: Request<hyper::body::Incoming>) -> Response<Body> {
        let Ok(response) = self.router.call(request).await;
        response
    }

    fn reload(&self) {
        if self.file.is_none() {
            return;
        }
        let read = Secured::read(self.file.as_deref());
        self.metrics.count_reload(read.is_ok());
        match read {
            Ok(secured) => {
                tracing::info!("--web.config.file was read again: {}", secured.scheme());
                let mut place = self.secured.write().unwrap_or_else(PoisonError::into_inner);
                *place = Arc::new(secured);
            }
            Err(error) => tracing::error!(
                "{error}; the old configuration stays in force: correct the file and send SIGHUP \
                 again"
            ),
        }
    }
}

async fn serve(
    sockets: Vec<Socket>,
    shared: &Arc<Shared>,
    reload: &Notify,
    mut stopped: oneshot::Receiver<()>,
    places: u16,
) -> io::Result<()> {
    let mut listeners = JoinSet::new();
    for socket in sockets {
        listeners.spawn(accept(Listener::new(socket)?, Arc::clone(shared)));
    }
    loop {
        tokio::select! {
            // An error means the sender is gone: stop as well.
            _ = &mut stopped => break,
            () = reload.notified() => shared.reload(),
        }
    }
    listeners.shutdown().await;
    // A client that holds a place is being served.
    let _ = timeout(DRAIN, shared.places.acquire_many(places.into())).await;
    Ok(())
}

/// A socket of the runtime's.
enum Listener {
    Tcp(TcpListener),
    Unix(
        UnixListener,
        #[expect(dead_code, reason = "removed when dropped")] Option<SocketFile>,
    ),
}

impl Listener {
    fn new(Socket(kind): Socket) -> io::Result<Self> {
        Ok(match kind {
            Kind::Tcp(listener) => Self::Tcp(TcpListener::from_std(listener)?),
            Kind::Unix(listener, file) => Self::Unix(UnixListener::from_std(listener)?, file),
        })
    }

    async fn accept(&self) -> io::Result<Stream> {
        Ok(match self {
            Self::Tcp(listener) => Stream::Tcp(listener.accept().await?.0),
            Self::Unix(listener, _) => Stream::Unix(listener.accept().await?.0),
        })
    }
}

/// Accepts no more connections than there are places. A listener that waits
/// holds one: so a flood on another cannot take them all.
async fn accept(listener: Listener, shared: Arc<Shared>) {
    loop {
        let places = &shared.places;
        if places.available_permits() == 0 {
            shared.metrics.count_full();
        }
        // Never closed.
        let Ok(place) = Arc::clone(places).acquire_owned().await else {
            return;
        };
        let stream = loop {
            match listener.accept().await {
                Ok(stream) => break stream,
                // The client left before its turn.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "metrics endpoint: a connection was not accepted");
                    sleep(ACCEPT_RETRY).await;
                }
            }
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            connection::serve(stream, shared).await;
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests;
