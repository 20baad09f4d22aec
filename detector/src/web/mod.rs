//! Shows the status to those who ask: over HTTP, and over a Unix socket. On a thread of its own,
//! which takes nothing from the events but a look at the board.

mod connections;
mod http;
mod socket;

use std::{io, net::SocketAddr, path::PathBuf, thread::JoinHandle};

use tokio::{runtime::Runtime, sync::oneshot, task::JoinSet};

use crate::metrics::Board;

pub use http::{Http, Settings};
pub use socket::{DEFAULT_SOCKET, Socket, read};

#[derive(Debug, thiserror::Error)]
pub enum WebError {
    #[error(
        "cannot listen on {address}: set another `webserver.listen_port` or \
         `webserver.listen_address`"
    )]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("another detector shows its status at {}", path.display())]
    Alive { path: PathBuf },
    #[error("cannot show the status at {}", path.display())]
    Socket {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot start the thread that shows the status")]
    Thread(#[source] io::Error),
}

/// Shows the status until it is dropped.
#[derive(Debug)]
pub struct Web {
    /// Dropped, it ends the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Web {
    pub fn start(
        board: &Board,
        http: Option<Http>,
        socket: Option<Socket>,
    ) -> Result<Self, WebError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(WebError::Thread)?;
        let (stop, stopped) = oneshot::channel();
        let mut servers = JoinSet::new();
        if let Some(http) = http {
            servers.spawn_on(http.serve(board.clone()), runtime.handle());
        }
        if let Some(socket) = socket {
            servers.spawn_on(socket.serve(board.clone()), runtime.handle());
        }
        let thread = std::thread::Builder::new()
            .name("web".to_owned())
            .spawn(move || serve(&runtime, stopped, servers))
            .map_err(WebError::Thread)?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

/// Until the other end of `stopped` is dropped.
fn serve(runtime: &Runtime, stopped: oneshot::Receiver<()>, mut servers: JoinSet<()>) {
    runtime.block_on(async {
        // It is never sent: that it is gone is the news.
        let _gone = stopped.await.is_err();
        servers.shutdown().await;
    });
}

impl Drop for Web {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(Err(_panicked)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the thread that shows the status had ended");
        }
    }
}
