//! The status on a Unix socket, for whoever may open it: whoever connects is told it once, as a line
//! of JSON.

use std::{
    fs,
    io::{self, Read as _},
    os::{
        fd::OwnedFd,
        unix::{
            fs::{FileTypeExt as _, MetadataExt as _},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::{Mode, fchmod},
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with},
};
use tokio::io::AsyncWriteExt as _;

use super::{
    WebError,
    connections::{Connections, refused},
};
use crate::metrics::Board;

/// Where it is, unless another place is named.
pub const DEFAULT_SOCKET: &str = "/run/kubelet-detector/status.sock";

/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;
/// How long the detector may take to tell.
const PATIENCE: Duration = Duration::from_secs(5);
/// A status is a small part of it.
const MAX_BYTES: u64 = 16 << 20;

/// Bound, and not serving yet; its file is removed in the end.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    _file: Bound,
}

/// The file of a socket.
#[derive(Debug)]
struct Bound {
    path: PathBuf,
    inode: u64,
}

impl Socket {
    /// What a detector that was killed left there is replaced, and nothing else is.
    pub fn bind(path: &Path) -> Result<Self, WebError> {
        if UnixStream::connect(path).is_ok() {
            return Err(WebError::Alive {
                path: path.to_owned(),
            });
        }
        bound(path).map_err(|source| WebError::Socket {
            path: path.to_owned(),
            source,
        })
    }

    pub(super) async fn serve(self, board: Board) {
        let listener = match tokio::net::UnixListener::from_std(self.listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "the status is not shown"),
        };
        let mut connections = Connections::default();
        loop {
            let mut stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    refused(&error).await;
                    continue;
                }
            };
            let posted = board.read();
            connections.add(async move {
                let told = match &posted {
                    Some(posted) => line(posted.status.as_ref()),
                    None => Ok(Vec::new()),
                };
                let told = match told {
                    Ok(line) => stream.write_all(&line).await,
                    Err(error) => Err(error.into()),
                };
                if let Err(error) = told {
                    tracing::debug!(%error, "the status is not told");
                }
            });
        }
    }
}

fn line(status: &impl serde::Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(status)?;
    line.push(b'\n');
    Ok(line)
}

/// For the owner alone, from the first moment on.
fn bound(path: &Path) -> io::Result<Socket> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let is_socket = |file: &fs::Metadata| file.file_type().is_socket();
    if fs::symlink_metadata(path).is_ok_and(|file| is_socket(&file)) {
        fs::remove_file(path)?;
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket: OwnedFd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // The file gets the mode of the socket (net/unix/af_unix.c, unix_bind_bsd).
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    let file = Bound {
        path: path.to_owned(),
        inode: fs::symlink_metadata(path)?.ino(),
    };
    listen(&socket, BACKLOG)?;
    Ok(Socket {
        listener: socket.into(),
        _file: file,
    })
}

impl Drop for Bound {
    fn drop(&mut self) {
        // Another detector may have put its own in its place.
        let own = fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode);
        if own && let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "the socket of the status is left behind");
        }
    }
}

/// What the detector tells there, as JSON; nothing before its probes are attached.
pub fn read(path: &Path) -> io::Result<String> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut text = String::new();
    stream.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}
