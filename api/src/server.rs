//! [`serve`]: connections. It counts them, hurries slow ones, and at the end lets requests in flight finish.

use axum::{Router, body::Body, extract::ConnectInfo, http::Request, routing::get};
use hyper::{body::Incoming, server::conn::http1::Builder, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use runtime::{
    connections::{Connections, CountedConnection},
    wire::Wire,
};
use std::{future::Future, io, net::SocketAddr, pin::pin, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
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
    let (ending, talks) = (CancellationToken::new(), TaskTracker::new());
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                talks.spawn(talk(stream, peer, router.clone(), ending.clone(), connections.count()));
            }
            Err(error) => pause_after(&error).await,
        }
    }
    drop(listener);
    ending.cancel();
    talks.close();
    if tokio::time::timeout(DRAIN_MAX, talks.wait()).await.is_err() {
        tracing::warn!(connections.open = connections.open(), "requests were still in flight at the end");
    }
}

/// Answers one connection's requests until it ends, or until the request in flight at the end is answered.
///
/// HTTP/1.1 alone: to tell versions apart, hyper-util waits for a silent caller without end, and browsers speak HTTP/2
/// only over TLS, which ends before this process.
async fn talk(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    ending: CancellationToken,
    _counted: CountedConnection,
) {
    // Answers are written whole; waiting to fill packets only makes them late.
    let _ = stream.set_nodelay(true);
    let stream = Wire::new(stream);
    let cutter = stream.cutter();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(cutter.clone());
        router.clone().oneshot(request.map(Body::new))
    });
    let mut builder = Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = ending.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(peer.address = %peer.ip(), error = %error, "a connection ended with an error");
    }
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
