//! Accepts connections and serves them: bounded in number, cut where a client is slow, let end in peace when it is time to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Bytes of a request's head at most: tokens, tags and trace headers take one kilobyte.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Headers of a request at most.
const HEADERS_MAX: usize = 64;
/// How long to wait after the system had no socket left.
const NO_SOCKET_PAUSE: Duration = Duration::from_millis(100);

/// What bounds a listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; one more waits in the system's queue.
    pub connections: u32,
    /// Time for a request's head, and between two pieces of what is read or written.
    pub patience: Duration,
    /// How long connections may go on when it is time to stop.
    pub grace: Duration,
}

/// A port that is listened on.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
}

impl Listener {
    /// Opens the port.
    ///
    /// # Errors
    /// Somebody else has it, or this process may not.
    pub async fn open(at: SocketAddr, tls: Option<Arc<rustls::ServerConfig>>) -> io::Result<Self> {
        let listener = TcpListener::bind(at).await?;
        Ok(Self { listener, tls })
    }

    /// Returns where it listens: the port where 0 was asked for.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until it is told to stop; then lets requests end within the grace.
    pub async fn serve(self, router: Router, limits: Limits, stop: CancellationToken) {
        let room = Arc::new(Semaphore::new(limits.connections as usize));
        let graceful = GracefulShutdown::new();
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(limits.patience)
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX);
        let tls = self.tls.map(TlsAcceptor::from);
        let cut = CancellationToken::new();
        loop {
            // Both may be dropped at their await: a connection that was not accepted stays in the system's queue.
            let accepted = tokio::select! {
                accepted = accept(&self.listener, &room) => accepted,
                () = stop.cancelled() => break,
            };
            let (tcp, permit) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // No file handle left, most likely: those who are served give theirs back.
                    tracing::warn!(error = %error, "connection not accepted");
                    tokio::time::sleep(NO_SOCKET_PAUSE).await;
                    continue;
                }
            };
            // Answers are written whole.
            tcp.set_nodelay(true).ok();
            let (http, router, watcher, tls) = (http.clone(), router.clone(), graceful.watcher(), tls.clone());
            let cut = cut.clone();
            tokio::spawn(async move {
                let _permit = permit;
                let conversation = async {
                    match tls {
                        None => converse(tcp, http, router, watcher, limits).await,
                        Some(tls) => {
                            // A handshake that fails is the client's affair; scanners do it all day.
                            if let Ok(Ok(stream)) = timeout(limits.patience, tls.accept(tcp)).await {
                                converse(stream, http, router, watcher, limits).await;
                            }
                        }
                    }
                };
                // A handler that is dropped was answering somebody who gets no answer now; what it has committed stays.
                tokio::select! {
                    () = conversation => (),
                    () = cut.cancelled() => (),
                }
            });
        }
        drop(self.listener);
        if timeout(limits.grace, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests were still under way when the grace was over, and were cut");
        }
        cut.cancel();
    }
}

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.expect("the semaphore is never closed");
    let (tcp, _) = listener.accept().await?;
    Ok((tcp, permit))
}

async fn converse<S: AsyncRead + AsyncWrite + Send + 'static>(
    stream: S,
    http: http1::Builder,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
    limits: Limits,
) {
    let mut stream = TimeoutStream::new(stream);
    // Between two requests a connection may rest longer than within one: the head has a time of its own.
    stream.set_read_timeout(Some(limits.patience.saturating_mul(4)));
    stream.set_write_timeout(Some(limits.patience));
    let service = TowerToHyperService::new(router);
    let connection = http.serve_connection(TokioIo::new(Box::pin(stream)), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(error = %error, "connection ended early");
    }
}
