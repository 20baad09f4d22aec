//! Bytes of a ring-buffer record to an [`Event`]: total, whatever the bytes are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use detector_ebpf as wire;

use super::{
    creator::{self, Wanted},
    process::Processes,
    reader::{DecodeError, Reader},
};
use crate::event::{
    Ancestor, Attribution, Elapsed, Endpoint, Event, Executable, Family, Kind, Namespaces, Process,
    Socket, Texts, Thread, Truncated,
};

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
/// include/uapi/linux/magic.h
const OVERLAYFS_MAGIC: u32 = 0x794c_7630;

/// A record: its event, and what stays in `source`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    pub event: Event,
    /// The address of the sock.
    pub sock: u64,
    /// Of an attempt: the errno with which its system call ended it, else 0.
    pub refused: i32,
    /// The creator of the socket is to be looked for.
    pub wanted: Option<Wanted>,
}

impl Decoded {
    /// Of an accept: its cookie is of the state tracepoint, which sent the end of the handshake under
    /// it.
    pub fn is_announced(&self) -> bool {
        let slot = self.event.socket.cookie >> wire::COOKIE_SLOT_SHIFT;
        slot & wire::COOKIE_SLOT_MASK == u64::from(wire::SLOT_STATE)
    }
}

/// `boot_time_ns` turns the record's time since boot into Unix time.
pub fn decode(
    bytes: &[u8],
    boot_time_ns: u64,
    processes: &mut Processes,
) -> Result<Decoded, DecodeError> {
    let mut reader = Reader::new(bytes);
    let abi = reader.u16()?;
    if abi != wire::ABI_VERSION {
        return Err(DecodeError::Version { found: abi });
    }
    let kind = reader.u16()?;
    let is_brief = kind & wire::BRIEF != 0;
    let kind = match kind & !wire::BRIEF {
        wire::KIND_CONNECT => Kind::ConnectAttempt,
        wire::KIND_OUTCOME => Kind::ConnectOutcome,
        wire::KIND_ACCEPT => Kind::Accept,
        wire::KIND_LISTEN => Kind::Listen,
        other => {
            return Err(DecodeError::Unknown {
                what: "kind",
                value: other.into(),
            });
        }
    };
    let length = reader.u32()?;
    if usize::try_from(length) != Ok(bytes.len()) {
        return Err(DecodeError::Short {
            length: bytes.len(),
        });
    }
    let time_ns = boot_time_ns.saturating_add(reader.u64()?);
    let (cookie, sock) = (reader.u64()?, reader.u64()?);
    let cpu = reader.u32()?;
    reader.u32()?;
    let (socket, errno) = socket(&mut reader, kind, cookie)?;
    let (maker, thread, process) = if reader.rest().is_empty() {
        (None, Thread::default(), None)
    } else {
        let maker = creator::read(&mut reader)?;
        let thread = thread(&mut reader)?;
        let process = if is_brief {
            processes.told(reader.u64()?)
        } else {
            let parts = process_parts(reader.rest());
            let process = processes.intern(&parts, || process(&mut reader))?;
            processes.tell(cookie, &process);
            Some(process)
        };
        (Some(maker), thread, process)
    };
    let attribution = match process {
        Some(_) => Attribution::Caller,
        None => Attribution::Unknown,
    };
    let process = process.unwrap_or_default();
    let (creator, wanted) = maker.map_or((None, None), |maker| maker.of(&process));
    let (refused, errno) = match kind {
        Kind::ConnectAttempt => (errno, None),
        _ => (0, Some(errno)),
    };
    let event = Event {
        number: 0,
        time_ns,
        cpu,
        kind,
        socket,
        errno,
        attribution,
        thread,
        found: false,
        elapsed: Elapsed::default(),
        names: None,
        original: None,
        creator,
        process,
    };
    Ok(Decoded {
        event,
        sock,
        refused,
        wanted,
    })
}

/// What tells one process from another: all but the slots of ancestors that are not there, which
/// hold leftovers of earlier records.
fn process_parts(bytes: &[u8]) -> [&[u8]; 2] {
    const SLOT: usize = size_of::<wire::Ancestor>();
    const FIXED: usize = size_of::<wire::Process>() - SLOT * wire::ANCESTORS;
    let slots = bytes.get(FIXED..).unwrap_or_default();
    let present = slots
        .chunks(SLOT)
        .take(wire::ANCESTORS)
        .take_while(|slot| slot.first_chunk::<4>() != Some(&[0; 4]))
        .count();
    [
        bytes.get(..FIXED + SLOT * present).unwrap_or(bytes),
        slots.get(SLOT * wire::ANCESTORS..).unwrap_or_default(),
    ]
}

fn socket(reader: &mut Reader<'_>, kind: Kind, cookie: u64) -> Result<(Socket, i32), DecodeError> {
    let family = reader.u16()?;
    let (local_port, remote_port) = (reader.u16()?, reader.u16()?);
    reader.u16()?;
    let errno = reader.take().map(i32::from_ne_bytes)?;
    let netns = reader.u32()?;
    let (local, local_mapped) = address(family, reader.take()?)?;
    let (remote, remote_mapped) = address(family, reader.take()?)?;
    let local = Endpoint {
        ip: local,
        port: local_port,
    };
    let remote = Endpoint {
        ip: remote,
        port: remote_port,
    };
    let (client, server) = match kind {
        Kind::ConnectAttempt | Kind::ConnectOutcome => (Some(local), remote),
        Kind::Accept => (Some(remote), local),
        Kind::Listen => (None, local),
    };
    let family = if server.ip.is_ipv4() {
        Family::Ipv4
    } else {
        Family::Ipv6
    };
    let mapped = if kind == Kind::Listen {
        local_mapped
    } else {
        remote_mapped
    };
    Ok((
        Socket {
            cookie,
            family,
            mapped,
            client,
            server,
            netns,
        },
        errno,
    ))
}

/// IPv4-mapped addresses become IPv4; the flag says that they were mapped.
fn address(family: u16, raw: [u8; 16]) -> Result<(IpAddr, bool), DecodeError> {
    match family {
        AF_INET => {
            let [a, b, c, d, ..] = raw;
            Ok((Ipv4Addr::new(a, b, c, d).into(), false))
        }
        AF_INET6 => {
            let ip = Ipv6Addr::from(raw);
            Ok(ip
                .to_ipv4_mapped()
                .map_or((ip.into(), false), |ip| (ip.into(), true)))
        }
        other => Err(DecodeError::Unknown {
            what: "address family",
            value: other.into(),
        }),
    }
}

fn thread(reader: &mut Reader<'_>) -> Result<Thread, DecodeError> {
    let tid = reader.u32()?;
    reader.u32()?;
    let comm: [u8; wire::COMM_LEN] = reader.take()?;
    Ok(Thread {
        tid,
        comm: c_string(&comm),
    })
}

fn process(reader: &mut Reader<'_>) -> Result<Process, DecodeError> {
    let (pid, vpid) = (reader.u32()?, reader.u32()?);
    let start_time_ns = reader.u64()?;
    let comm: [u8; wire::COMM_LEN] = reader.take()?;
    let (uid, gid, euid) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let login_uid = reader.u32()?;
    let (session, process_group) = (reader.u32()?, reader.u32()?);
    let (tty_major, tty_minor) = (reader.u32()?, reader.u32()?);
    let capabilities = reader.u64()?;
    let namespaces = Namespaces {
        pid: reader.u32()?,
        mnt: reader.u32()?,
        net: reader.u32()?,
        user: reader.u32()?,
    };
    let inode = reader.u64()?;
    let upper = reader.u64()?;
    let (device, links, magic) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let flags = reader.u32()?;
    let lengths = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
    let ancestors = ancestors(reader)?;
    let [exe_len, args_len, cwd_len, cgroup_len] = lengths;
    let truncated = Truncated {
        exe: flags & wire::TRUNCATED_EXE != 0,
        args: flags & wire::TRUNCATED_ARGS != 0,
        cwd: flags & wire::TRUNCATED_CWD != 0,
        cgroup: flags & wire::TRUNCATED_CGROUP != 0,
        ancestors: flags & wire::TRUNCATED_ANCESTORS != 0,
    };
    let path = join_path(reader.text(exe_len)?, truncated.exe);
    let args = reader.text(args_len)?;
    let cwd = join_path(reader.text(cwd_len)?, truncated.cwd);
    let cgroup = join_path(reader.text(cgroup_len)?, truncated.cgroup);
    let memfd = path.starts_with("/memfd:");
    Ok(Process {
        pid,
        vpid,
        start_time_ns,
        comm: c_string(&comm),
        exe: Executable {
            memfd,
            path,
            device,
            inode,
            deleted: links == 0 && inode != 0,
            upper_layer: magic == OVERLAYFS_MAGIC && upper != 0,
        },
        args: split_args(args),
        cwd,
        cgroup,
        uid,
        gid,
        euid,
        login_uid: (login_uid != u32::MAX).then_some(login_uid),
        user_name: None,
        group_name: None,
        login_name: None,
        session,
        process_group,
        tty: encode_device(tty_major, tty_minor),
        capabilities,
        namespaces,
        container_id: None,
        ancestors,
        truncated,
        details: None,
        texts: Texts::default(),
    })
}

fn ancestors(reader: &mut Reader<'_>) -> Result<Vec<Ancestor>, DecodeError> {
    let mut ancestors = Vec::new();
    let mut ended = false;
    for _ in 0..wire::ANCESTORS {
        let pid = reader.u32()?;
        reader.u32()?;
        let start_time_ns = reader.u64()?;
        let comm: [u8; wire::COMM_LEN] = reader.take()?;
        let exe_name: [u8; wire::EXE_NAME_LEN] = reader.take()?;
        // What follows the end is left over from an earlier record.
        ended |= pid == 0;
        if !ended {
            let (comm, exe_name) = (c_string(&comm), c_string(&exe_name));
            ancestors.push(Ancestor {
                pid,
                start_time_ns,
                comm,
                exe_name,
            });
        }
    }
    Ok(ancestors)
}

/// `new_encode_dev` (include/linux/kdev_t.h), as Falco's `proc.tty`.
fn encode_device(major: u32, minor: u32) -> u32 {
    (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
}

fn c_string(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or(bytes)).into_owned()
}

/// Before the components of a path whose beginning is not known, so that it is not taken for one
/// that begins at the root.
const CUT: &str = "...";

/// Components, leaf first, to a path; nothing at all is the root.
fn join_path(text: &[u8], is_cut: bool) -> String {
    let text = text.strip_suffix(&[0]).unwrap_or(text);
    let mut path = String::with_capacity(CUT.len() + text.len() + 1);
    if is_cut {
        path.push_str(CUT);
    }
    for component in text
        .rsplit(|byte| *byte == 0)
        .filter(|component| !component.is_empty())
    {
        path.push('/');
        path.push_str(&String::from_utf8_lossy(component));
    }
    if path.is_empty() {
        "/".to_owned()
    } else {
        path
    }
}

fn split_args(text: &[u8]) -> Vec<String> {
    let text = text.strip_suffix(&[0]).unwrap_or(text);
    if text.is_empty() {
        return Vec::new();
    }
    text.split(|byte| *byte == 0)
        .map(|arg| String::from_utf8_lossy(arg).into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8], boot_time_ns: u64) -> Result<Decoded, DecodeError> {
        decode(bytes, boot_time_ns, &mut Processes::default())
    }

    /// An outcome from 10.0.0.9:5002 to 10.0.0.5:10250.
    fn outcome() -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(wire::ABI_VERSION.to_ne_bytes());
        bytes.extend(wire::KIND_OUTCOME.to_ne_bytes());
        bytes.extend(88_u32.to_ne_bytes());
        bytes.extend(5_u64.to_ne_bytes());
        bytes.extend(7_u64.to_ne_bytes());
        bytes.extend(9_u64.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(AF_INET.to_ne_bytes());
        bytes.extend(5002_u16.to_ne_bytes());
        bytes.extend(10250_u16.to_ne_bytes());
        bytes.extend([0; 2]);
        bytes.extend(111_i32.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend([10, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend([10, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    #[test]
    fn an_outcome_is_read() {
        let Decoded {
            event,
            sock,
            refused,
            wanted,
        } = read(&outcome(), 100).unwrap();
        assert_eq!((sock, refused, wanted), (9, 0, None));
        assert_eq!(event.kind, Kind::ConnectOutcome);
        assert_eq!(event.time_ns, 105);
        assert_eq!(event.errno, Some(111));
        assert_eq!(
            event.socket.server,
            Endpoint {
                ip: [10, 0, 0, 5].into(),
                port: 10250
            }
        );
        assert_eq!(event.socket.client.unwrap().port, 5002);
        assert_eq!(event.attribution, Attribution::Unknown);
    }

    /// An attempt by the process of the record with this cookie.
    fn brief(told: u64) -> Vec<u8> {
        let mut bytes = outcome();
        bytes[2..4].copy_from_slice(&(wire::KIND_CONNECT | wire::BRIEF).to_ne_bytes());
        bytes.extend([0; size_of::<wire::Creator>()]);
        bytes.extend(8_u32.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(b"worker\0\0\0\0\0\0\0\0\0\0");
        bytes.extend(told.to_ne_bytes());
        let length = u32::try_from(bytes.len()).unwrap();
        bytes[4..8].copy_from_slice(&length.to_ne_bytes());
        bytes
    }

    #[test]
    fn a_brief_record_has_the_process_of_the_one_that_it_names() {
        let mut processes = Processes::default();
        let process = Arc::new(Process {
            pid: 5,
            ..Process::default()
        });
        processes.tell(3, &process);
        let mut read = |told| decode(&brief(told), 0, &mut processes).unwrap().event;
        let event = read(3);
        assert!(Arc::ptr_eq(&event.process, &process));
        assert_eq!(event.attribution, Attribution::Caller);
        assert_eq!(
            (event.thread.tid, event.thread.comm.as_str()),
            (8, "worker")
        );
        let event = read(4);
        assert_eq!(event.attribution, Attribution::Unknown);
        assert_eq!((event.thread.tid, event.process.pid), (8, 0));
    }

    #[test]
    fn wrong_versions_kinds_and_lengths_are_named() {
        let mut bytes = outcome();
        bytes[0] = 99;
        assert_eq!(read(&bytes, 0), Err(DecodeError::Version { found: 99 }));
        let mut bytes = outcome();
        bytes[2] = 9;
        assert_eq!(
            read(&bytes, 0),
            Err(DecodeError::Unknown {
                what: "kind",
                value: 9
            })
        );
        let bytes = outcome();
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length], 0).is_err(), "{length}");
        }
    }

    #[test]
    fn mapped_addresses_become_ipv4() {
        let raw = "::ffff:10.1.2.3".parse::<Ipv6Addr>().unwrap().octets();
        assert_eq!(address(AF_INET6, raw), Ok(([10, 1, 2, 3].into(), true)));
    }

    #[test]
    fn paths_are_joined_from_the_leaf() {
        assert_eq!(join_path(b"curl\0bin\0usr\0", false), "/usr/bin/curl");
        assert_eq!(join_path(b"curl\0bin\0usr\0", true), ".../usr/bin/curl");
        assert_eq!(join_path(b"", false), "/");
    }

    proptest! {
        #[test]
        fn never_panics(
            body in proptest::collection::vec(any::<u8>(), 0..2000),
            kind in 0_u16..6,
            is_brief in any::<bool>(),
        ) {
            let kind = kind | if is_brief { wire::BRIEF } else { 0 };
            let mut bytes = wire::ABI_VERSION.to_ne_bytes().to_vec();
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(u32::try_from(body.len() + 8).unwrap().to_ne_bytes());
            bytes.extend(body);
            let _ = read(&bytes, 0).is_ok();
        }
    }
}
