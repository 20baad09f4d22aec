//! The server of health and metrics: few resources, `GET` and `HEAD`, one request a connection.

use std::{
    convert::Infallible,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};

use super::{
    WebError,
    connections::{Connections, refused},
};
use crate::metrics::{Board, Build, health, prometheus};

/// How long a request may take to come.
const REQUEST: Duration = Duration::from_secs(5);
/// Bytes of a request's head.
const HEAD: usize = 16 << 10;
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

#[derive(Debug, Clone)]
pub struct Settings {
    /// Port 0 for one that is free.
    pub address: SocketAddr,
    /// Answers beside `/healthz`.
    pub healthz: String,
    /// Whether there is `/metrics`.
    pub metrics: bool,
}

/// Bound, and not serving yet.
#[derive(Debug)]
pub struct Http {
    listener: TcpListener,
    settings: Settings,
}

impl Http {
    pub fn bind(settings: Settings) -> Result<Self, WebError> {
        let address = settings.address;
        let bound = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        match bound {
            Ok(listener) => Ok(Self { listener, settings }),
            Err(source) => Err(WebError::Listen { address, source }),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        let own = self.listener.local_addr();
        own.unwrap_or(self.settings.address)
    }

    pub(super) async fn serve(self, board: Board) {
        let listener = match tokio::net::TcpListener::from_std(self.listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "health and metrics are not served"),
        };
        let shared = Arc::new((board, self.settings));
        let mut connections = Connections::default();
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    refused(&error).await;
                    continue;
                }
            };
            let shared = Arc::clone(&shared);
            connections.add(async move {
                let answer = service_fn(|request: Request<Incoming>| {
                    let (board, settings) = &*shared;
                    let answer = answer(request.method(), request.uri().path(), board, settings);
                    std::future::ready(Ok::<_, Infallible>(answer))
                });
                let served = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(REQUEST)
                    .max_buf_size(HEAD)
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), answer)
                    .await;
                if let Err(error) = served {
                    tracing::debug!(%error, "a request for health or metrics is not answered");
                }
            });
        }
    }
}

fn answer(
    method: &Method,
    path: &str,
    board: &Board,
    settings: &Settings,
) -> Response<Full<Bytes>> {
    let resource: fn(&Board) -> Response<Full<Bytes>> = match path {
        "/metrics" if settings.metrics => metrics,
        "/healthz" => healthz,
        _ if path == settings.healthz => healthz,
        "/readyz" => readyz,
        "/version" => version,
        _ => return text(StatusCode::NOT_FOUND, "there is no such resource"),
    };
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "use GET or HEAD");
        let allowed = HeaderValue::from_static("GET, HEAD");
        refusal.headers_mut().insert(ALLOW, allowed);
        return refusal;
    }
    resource(board)
}

fn metrics(board: &Board) -> Response<Full<Bytes>> {
    let Some(posted) = board.read() else {
        return verdict(Err("nothing is counted yet".to_owned()));
    };
    match prometheus::render(&posted.status) {
        Ok(body) => response(StatusCode::OK, prometheus::CONTENT_TYPE, body),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn healthz(board: &Board) -> Response<Full<Bytes>> {
    let posted = board.read();
    verdict(health::alive(posted.as_ref()).map(drop))
}

fn readyz(board: &Board) -> Response<Full<Bytes>> {
    let posted = board.read();
    verdict(health::ready(posted.as_ref()))
}

fn version(_board: &Board) -> Response<Full<Bytes>> {
    match serde_json::to_vec(&Build::this()) {
        Ok(body) => response(StatusCode::OK, JSON, body),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn verdict(verdict: Result<(), String>) -> Response<Full<Bytes>> {
    match verdict {
        Ok(()) => text(StatusCode::OK, "ok"),
        Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}

fn text(status: StatusCode, line: &str) -> Response<Full<Bytes>> {
    response(status, TEXT, format!("{line}\n").into_bytes())
}

fn response(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
