//! Standard input, output and error of a process: a shell whose streams are a socket is what a
//! reverse shell looks like.

use std::{io::BufReader, io::Read as _, net::SocketAddr};

use procfs::{
    FromBufRead as _, FromBufReadSI, current_system_info,
    net::{TcpNetEntries, UdpNetEntries, UnixNetEntries},
    process::{FDTarget, Process as Entry},
};
use rustix::fs::{FileType, OFlags};

use super::image;
use crate::event::Stream;

/// Bytes of a table of sockets: some twenty thousand. A socket of a longer table has no type.
const MAX_TABLE: u64 = 4 << 20;

/// Under Falco's names of types. `None` if the descriptor is closed.
pub(super) fn stream(entry: &Entry, number: i32) -> Option<Stream> {
    let (kind, name) = match entry.fd_from_fd(number).ok()?.target {
        FDTarget::Path(path) => {
            let name = path.to_string_lossy().into_owned();
            let kind = if is_folder(entry, number) {
                "directory"
            } else {
                "file"
            };
            (kind, name)
        }
        FDTarget::Socket(inode) => socket(entry, inode)?,
        FDTarget::Pipe(_) => ("pipe", String::new()),
        FDTarget::MemFD(name) => ("memfd", name),
        FDTarget::AnonInode(kind) => (anonymous(&kind), String::new()),
        FDTarget::Net(_) | FDTarget::Other(..) | FDTarget::Unknown(..) => return None,
    };
    Some(Stream {
        kind: kind.to_owned(),
        name,
    })
}

fn is_folder(entry: &Entry, number: i32) -> bool {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let file = entry
        .open_relative_flags(format!("fd/{number}"), flags)
        .ok();
    let about = file.and_then(image::at_hand);
    about.is_some_and(|about| FileType::from_raw_mode(about.stx_mode.into()).is_dir())
}

/// Falco's text where it has no name for the type.
fn anonymous(kind: &str) -> &'static str {
    match kind.trim_matches(['[', ']']) {
        "eventfd" => "event",
        "signalfd" => "signalfd",
        "eventpoll" => "eventpoll",
        "inotify" => "inotify",
        "timerfd" => "timerfd",
        "bpf-map" | "bpf-prog" | "bpf_link" => "bpf",
        "userfaultfd" => "userfaultfd",
        "io_uring" => "io_uring",
        "pidfd" => "pidfd",
        _ => "<NA>",
    }
}

/// In the tables of the process's own network namespace.
fn socket(entry: &Entry, inode: u64) -> Option<(&'static str, String)> {
    for (table, kind) in [("net/tcp", "ipv4"), ("net/tcp6", "ipv6")] {
        let rows: Option<TcpNetEntries> = read(entry, table);
        if let Some(row) = rows?.0.into_iter().find(|row| row.inode == inode) {
            return Some((kind, ends(row.local_address, row.remote_address)));
        }
    }
    let rows = UnixNetEntries::from_buf_read(reader(entry, "net/unix")?).ok()?;
    if let Some(row) = rows.0.into_iter().find(|row| row.inode == inode) {
        let path = row.path.unwrap_or_default();
        return Some(("unix", path.to_string_lossy().into_owned()));
    }
    for (table, kind) in [("net/udp", "ipv4"), ("net/udp6", "ipv6")] {
        let rows: Option<UdpNetEntries> = read(entry, table);
        if let Some(row) = rows?.0.into_iter().find(|row| row.inode == inode) {
            return Some((kind, ends(row.local_address, row.remote_address)));
        }
    }
    None
}

fn reader(entry: &Entry, table: &str) -> Option<BufReader<std::io::Take<std::fs::File>>> {
    let file = entry.open_relative(table).ok()?;
    Some(BufReader::new(file.take(MAX_TABLE)))
}

fn read<T: FromBufReadSI>(entry: &Entry, table: &str) -> Option<T> {
    T::from_buf_read(reader(entry, table)?, current_system_info()).ok()
}

/// Local and remote end in Falco's notation, without brackets; of a listener the local one.
fn ends(local: SocketAddr, remote: SocketAddr) -> String {
    let shown = |end: SocketAddr| format!("{}:{}", end.ip(), end.port());
    if remote.port() == 0 {
        return shown(local);
    }
    format!("{}->{}", shown(local), shown(remote))
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream},
        os::fd::OwnedFd,
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn each_stream_has_its_type_and_name() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let local = connection.local_addr().unwrap();
        let remote = connection.peer_addr().unwrap();
        let mut child = Command::new("sleep")
            .arg("60")
            .stdin(OwnedFd::from(connection))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let entry = Entry::new(i32::try_from(child.id()).unwrap()).unwrap();
        let found = [0, 1, 2].map(|number| stream(&entry, number).unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
        let expected = [
            ("ipv4", format!("{local}->{remote}")),
            ("pipe", String::new()),
            ("file", "/dev/null".to_owned()),
        ];
        assert_eq!(
            found.map(|one| (one.kind, one.name)),
            expected.map(|(kind, name)| (kind.to_owned(), name))
        );
    }

    #[test]
    fn closed_streams_and_folders() {
        let folder = std::fs::File::open("/").unwrap();
        let entry = Entry::myself().unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&folder);
        assert_eq!(stream(&entry, number).unwrap().kind, "directory");
        assert_eq!(stream(&entry, i32::MAX), None);
    }
}
