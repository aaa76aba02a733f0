//! A small HTTP server for a few pages: `/metrics`, `/health/live` and `/health/ready`.
//!
//! Live is whoever answers. Ready is who can do what users and servers ask of it; who isn't says why, in a word that means
//! the same to everybody.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};
use tracing::debug;

use super::{Obstacle, Watched, process};

/// Most connections; more wait to be accepted. A scraper and a supervisor need one each.
const CONNECTIONS_MAX: usize = 16;

/// How long the head of a request may take.
const HEAD_DEADLINE: Duration = Duration::from_secs(5);

/// How long a connection may last: whoever comes again connects again.
const CONNECTION_DEADLINE: Duration = Duration::from_secs(60);

/// Most bytes of a request's head; no smaller bound is possible.
const HEAD_BYTES_MAX: usize = 8_192;

/// How long to wait when the system has no more sockets to give.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

type Page = Response<Full<Bytes>>;

/// Answers for ever.
pub(super) async fn serve(listener: TcpListener, handle: PrometheusHandle, watched: Arc<dyn Watched>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // Nobody closes the semaphore.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                debug!(%error, "a connection for monitoring cannot be accepted");
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
                continue;
            }
        };
        let (handle, watched) = (handle.clone(), Arc::clone(&watched));
        tokio::spawn(async move {
            let answer = service_fn(|request| {
                let (handle, watched) = (handle.clone(), Arc::clone(&watched));
                async move { Ok::<_, Infallible>(answer(&request, &handle, &*watched).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_DEADLINE)
                .max_buf_size(HEAD_BYTES_MAX)
                .serve_connection(TokioIo::new(stream), answer);
            match timeout(CONNECTION_DEADLINE, connection).await {
                Ok(Ok(())) | Err(_) => {}
                Ok(Err(error)) => debug!(%error, "a connection for monitoring failed"),
            }
            drop(place);
        });
    }
}

async fn answer(request: &Request<Incoming>, handle: &PrometheusHandle, watched: &dyn Watched) -> Page {
    const PAGES: [&str; 3] = ["/metrics", "/health/live", "/health/ready"];
    let path = request.uri().path();
    if !PAGES.contains(&path) {
        let pages = PAGES.join(", ");
        return page(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", format!("there are {pages}\n"));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = page(StatusCode::METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", "GET or HEAD\n");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match path {
        "/metrics" => {
            watched.sample();
            process::sample();
            page(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", handle.render())
        }
        "/health/ready" => health(&watched.obstacles().await),
        _ => health(&[]),
    }
}

fn health(obstacles: &[Obstacle]) -> Page {
    let status = if obstacles.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let names: Vec<&str> = obstacles.iter().map(|obstacle| obstacle.as_str()).collect();
    page(status, "application/json", format!("{}\n", json!({"ok": names.is_empty(), "obstacles": names})))
}

fn page(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Page {
    let mut page = Response::new(Full::new(body.into()));
    *page.status_mut() = status;
    let headers: &mut HeaderMap = page.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    page
}
