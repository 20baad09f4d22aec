//! What is put together of an event for whoever prints it, so that fields and encodings agree.

use std::borrow::Cow;

use super::{Attribution, Event, Kind, Process};

impl Kind {
    /// Of the syscall.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConnectAttempt | Self::ConnectOutcome => "connect",
            Self::Accept => "accept",
            Self::Listen => "listen",
        }
    }
}

impl Event {
    /// The process, if one is known.
    pub fn actor(&self) -> Option<&Process> {
        (self.attribution != Attribution::Unknown).then_some(&*self.process)
    }

    /// The acting thread's name, and the arguments of its process.
    pub fn command_line(&self) -> Cow<'_, str> {
        let (name, process) = (self.thread.comm.as_str(), &*self.process);
        let line = || line(name, process.joined_arguments());
        // Other threads of the process may have names of their own.
        if name == process.comm {
            Cow::Borrowed(process.texts.command_line.get_or_make(line))
        } else {
            Cow::Owned(line())
        }
    }
}

impl Process {
    /// After argv[0].
    pub fn arguments(&self) -> &[String] {
        self.args.get(1..).unwrap_or_default()
    }

    /// The arguments, joined by blanks.
    pub fn joined_arguments(&self) -> &str {
        let texts = &self.texts;
        texts.arguments.get_or_make(|| self.arguments().join(" "))
    }

    /// From the cgroup path of a container.
    pub fn pod_uid(&self) -> Option<&str> {
        self.container_id.as_ref()?;
        let (uid, escaped) = pod(&self.cgroup)?;
        if !escaped || !uid.contains('_') {
            return Some(uid);
        }
        Some(self.texts.pod_uid.get_or_make(|| uid.replace('_', "-")))
    }
}

/// A name and its arguments.
pub fn line(name: &str, arguments: &str) -> String {
    if name.is_empty() || arguments.is_empty() {
        return name.to_owned();
    }
    format!("{name} {arguments}")
}

/// `pod<uid>` below `kubepods` (driver cgroupfs), or `kubepods-<class>-pod<uid>.slice`, where `_`
/// stands for `-` (driver systemd).
fn pod(cgroup: &str) -> Option<(&str, bool)> {
    if !cgroup.contains("kubepods") {
        return None;
    }
    cgroup.rsplit('/').find_map(|component| {
        let component = component.split(':').next().unwrap_or(component);
        let found = match component.strip_suffix(".slice") {
            Some(slice) => (slice.rsplit_once("-pod")?.1, true),
            None => (component.strip_prefix("pod")?, false),
        };
        let is_uid = |next: u8| next.is_ascii_hexdigit() || matches!(next, b'-' | b'_');
        (!found.0.is_empty() && found.0.bytes().all(is_uid)).then_some(found)
    })
}

/// errno names of include/uapi/asm-generic/errno.h that a connect can end with.
pub fn errno_name(errno: i32) -> Option<&'static str> {
    Some(match errno {
        1 => "EPERM",
        4 => "EINTR",
        11 => "EAGAIN",
        12 => "ENOMEM",
        13 => "EACCES",
        22 => "EINVAL",
        24 => "EMFILE",
        98 => "EADDRINUSE",
        99 => "EADDRNOTAVAIL",
        100 => "ENETDOWN",
        101 => "ENETUNREACH",
        103 => "ECONNABORTED",
        104 => "ECONNRESET",
        105 => "ENOBUFS",
        106 => "EISCONN",
        110 => "ETIMEDOUT",
        111 => "ECONNREFUSED",
        112 => "EHOSTDOWN",
        113 => "EHOSTUNREACH",
        114 => "EALREADY",
        115 => "EINPROGRESS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_tells_the_pod() {
        let hex = "0123456789abcdef".repeat(4);
        let uid = "1a2b3c4d-0000-1111-2222-333344445555";
        let slice = uid.replace('-', "_");
        for (cgroup, expected) in [
            (
                format!(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{slice}.slice/cri-containerd-{hex}.scope"
                ),
                Some(uid),
            ),
            (
                format!(
                    "/system.slice/containerd.service/kubepods-pod{slice}.slice:cri-containerd:{hex}"
                ),
                Some(uid),
            ),
            (format!("/kubepods/besteffort/pod{uid}/{hex}"), Some(uid)),
            (format!("/docker/{hex}"), None),
            ("/user.slice/pod7".to_owned(), None),
            ("/kubepods.slice/kubepods-besteffort.slice".to_owned(), None),
        ] {
            let process = Process {
                container_id: Some(hex.clone()),
                cgroup: cgroup.clone(),
                ..Process::default()
            };
            assert_eq!(process.pod_uid(), expected, "{cgroup}");
        }
    }
}
