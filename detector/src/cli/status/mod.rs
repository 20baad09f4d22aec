//! `status`: what the running detector has done, and serving it in the first place.

mod text;

use std::{ffi::OsString, io::IsTerminal as _, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

use super::print;
use crate::{
    config::Webserver,
    metrics::{Board, Status},
    web::{self, DEFAULT_SOCKET, Http, Socket, Web, WebError},
};

const PERIOD: Duration = Duration::from_secs(1);
/// Cursor to the top left, and nothing below it.
const REDRAW: &str = "\x1b[H\x1b[J";

#[derive(Args)]
pub(super) struct Asked {
    /// The socket of the detector.
    #[arg(
        long,
        value_name = "PATH",
        env = "KUBELET_DETECTOR_STATUS",
        default_value = DEFAULT_SOCKET
    )]
    socket: OsString,
    /// Show it anew every second, until SIGINT; also of a detector that starts later, or again.
    #[arg(long)]
    watch: bool,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    /// As it is told, one line a status.
    Json,
}

pub(super) fn run(asked: &Asked) -> Result<()> {
    if asked.socket.is_empty() {
        bail!(
            "no socket is named: as KUBELET_DETECTOR_STATUS is empty, a run shows no status; name \
             another with --socket"
        );
    }
    let socket = Path::new(&asked.socket);
    if !asked.watch {
        return print(&read(socket, asked.format)?);
    }
    let redraws = matches!(asked.format, Format::Text) && std::io::stdout().is_terminal();
    // Why none is seen, as it was told.
    let mut told = None;
    loop {
        // A detector that is started, or started again, is seen.
        match read(socket, asked.format) {
            Ok(shown) => {
                told = None;
                let top = if redraws { REDRAW } else { "" };
                print(&format!("{top}{shown}"))?;
            }
            Err(error) if redraws => print(&format!("{REDRAW}{error:#}\n"))?,
            Err(error) => {
                let why = format!("{error:#}");
                if told.as_ref() != Some(&why) {
                    tracing::warn!("{why}");
                    told = Some(why);
                }
            }
        }
        std::thread::sleep(PERIOD);
    }
}

fn read(socket: &Path, format: Format) -> Result<String> {
    let told = web::read(socket).with_context(|| {
        format!(
            "no detector shows its status at {}: start it with `kubelet-detector run`, or name its \
             socket with --socket",
            socket.display()
        )
    })?;
    if told.is_empty() {
        bail!(
            "the detector is starting, its probes are not attached yet: ask again, or with --watch"
        );
    }
    let status: Status = serde_json::from_str(&told).context("what is told is no status")?;
    Ok(match format {
        Format::Text => text::render(&status),
        Format::Json => told,
    })
}

/// Where a run shows what it has done.
#[derive(Args)]
pub(super) struct Shown {
    /// The Unix socket that `status` reads; none if empty. By default, as far as it can be used,
    /// /run/kubelet-detector/status.sock.
    #[arg(long, value_name = "PATH", env = "KUBELET_DETECTOR_STATUS")]
    status_socket: Option<OsString>,
}

/// It is shown until this is dropped.
pub(super) struct Showing {
    _web: Option<Web>,
    /// Why it is not shown at the usual place.
    without: Option<WebError>,
}

impl Shown {
    pub(super) fn serve(&self, webserver: &Webserver, board: &Board) -> Result<Showing> {
        let http = webserver.enabled.then(|| {
            Http::bind(web::Settings {
                address: SocketAddr::new(webserver.listen_address, webserver.listen_port),
                healthz: webserver.k8s_healthz_endpoint.clone(),
                metrics: webserver.prometheus_metrics_enabled,
            })
        });
        let http = http.transpose()?;
        if let Some(http) = &http {
            tracing::info!("health and metrics at http://{}", http.address());
        }
        let mut without = None;
        let socket = match &self.status_socket {
            Some(path) if path.is_empty() => None,
            Some(path) => Some(Socket::bind(Path::new(path)).context("see --status-socket")?),
            None => Socket::bind(Path::new(DEFAULT_SOCKET))
                .map_err(|error| without = Some(error))
                .ok(),
        };
        let shown = http.is_some() || socket.is_some();
        let web = shown.then(|| Web::start(board, http, socket));
        Ok(Showing {
            _web: web.transpose()?,
            without,
        })
    }
}

impl Showing {
    /// For a node that is watched; if it cannot be, that is told alone.
    pub(super) fn warn(&self) {
        let Some(error) = &self.without else {
            return;
        };
        let cause = std::error::Error::source(error).map(|cause| format!(" ({cause})"));
        tracing::warn!(
            "{error}{}: `kubelet-detector status` will not see this run; name another place with \
             --status-socket, or none with --status-socket=",
            cause.unwrap_or_default()
        );
    }
}
