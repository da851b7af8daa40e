//! [`serve`]: connections. It counts them, hurries slow ones, and at the end lets requests in flight finish.

use crate::front::Connections;
use axum::{Router, body::Body, extract::ConnectInfo, http::Request, routing::get};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

/// A request's head must be there within so much of the connection's or the last answer's beginning, or the connection
/// ends: a slow writer can't hold one for ever. Longer than the 60 s for which proxies commonly keep an idle one.
const HEAD_MAX: Duration = Duration::from_secs(75);
const HEADERS_MAX: usize = 128;
const HEAD_BYTES_MAX: usize = 256 * 1024;
/// Requests in flight at the end get so long to finish.
const DRAIN_MAX: Duration = Duration::from_secs(30);
/// After the system had no more files to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `shutdown` resolves, then takes no more connections and waits for what is in flight, up to 30 s.
pub async fn serve(
    router: Router,
    listener: TcpListener,
    connections: Connections,
    shutdown: impl Future<Output = ()>,
) {
    let builder = Arc::new(builder());
    let graceful = GracefulShutdown::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        // Answers are written whole; waiting to fill packets only makes them late.
        let _ = stream.set_nodelay(true);
        let connection = connection(&builder, &router, stream, peer);
        let counted = connections.count();
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = watched.await {
                tracing::debug!(peer.address = %peer.ip(), error = %error, "a connection ended with an error");
            }
            drop(counted);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_MAX, graceful.shutdown()).await.is_err() {
        tracing::warn!(connections.open = connections.open(), "requests were still in flight at the end");
    }
}

/// HTTP/1.1 alone: telling versions apart would wait for a silent caller without end, and browsers speak HTTP/2 only
/// over TLS, which ends before this process.
fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    builder
}

fn connection(
    builder: &Builder<TokioExecutor>,
    router: &Router,
    stream: TcpStream,
    peer: SocketAddr,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = Box<dyn std::error::Error + Send + Sync>> + Send + 'static
{
    let router = router.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request.map(Body::new))
    });
    builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned()
}

async fn pause_after(error: &io::Error) {
    let is_the_peers = matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    );
    if !is_the_peers {
        tracing::error!(error = %error, "no connection could be taken");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// Serves `/metrics` in Prometheus' text form, beside `more`, on a port of its own.
pub async fn serve_metrics(
    render: impl Fn() -> String + Clone + Send + Sync + 'static,
    more: Router,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) {
    let metrics = get(async move || ([("content-type", "text/plain; version=0.0.4; charset=utf-8")], render()));
    serve(more.route("/metrics", metrics), listener, Connections::default(), shutdown).await;
}
