//! Listening: HTTP/1.1 and HTTP/2 without TLS on one port, until told to stop.

use crate::door::Door;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// A head that has not come by then never will; an idle HTTP/1.1 connection is let go of then too.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);
/// How often an HTTP/2 connection on which nothing happens is asked whether anybody is there, and how long it may take
/// to answer: whoever waits for work on a machine that is gone waits no longer.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long requests in progress may take once the server stops.
const GRACE: Duration = Duration::from_secs(10);
/// Rests after an accept that failed for want of something, such as open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Requests that one HTTP/2 connection may have in progress.
const STREAMS_MAX: u32 = 4_096;
/// Connections at once; one more waits to be accepted.
const CONNECTIONS_MAX: usize = 16_384;

/// Serves until `shutdown`: then takes no more connections, lets requests in progress end, and cuts off what has not
/// ended after ten seconds.
///
/// Long polls and streams end by the same token; see [`crate::ServerInfo::closing`].
pub async fn serve(listener: TcpListener, door: impl Into<Door>, shutdown: CancellationToken) -> io::Result<()> {
    let door = door.into();
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = tokio::select! {
            () = shutdown.cancelled() => break,
            place = Arc::clone(&places).acquire_owned() => place.expect("the semaphore is never closed"),
        };
        let stream = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) if is_of_one_connection(&error) => continue,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let (door, shutdown, cut) = (door.clone(), shutdown.clone(), cut.clone());
        connections.spawn(async move {
            tokio::select! {
                () = converse(stream, door, shutdown) => {}
                () = cut.cancelled() => {}
            }
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(GRACE, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests still in progress are cut off");
        cut.cancel();
        connections.wait().await;
    }
    Ok(())
}

/// One connection, from its first request to its last.
async fn converse(stream: TcpStream, door: Door, shutdown: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection was gone before it was served");
        return;
    }
    let service =
        hyper::service::service_fn(move |request: Request<Incoming>| door.routes().oneshot(request.map(Body::new)));
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).pipeline_flush(true);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .adaptive_window(true)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let connection = server.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(error = &*error, "a connection ended early");
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
