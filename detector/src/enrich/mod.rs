//! What the kernel's record does not say: names of users and groups, the container.

use std::{collections::HashMap, path::Path, sync::Arc};

use crate::event::{Attribution, Event};

/// The host's users and groups, by its own files: a container's NSS would give other names.
#[derive(Debug, Default)]
pub struct Enrich {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Enrich {
    /// `root` is where the host's root is mounted; absent files leave names unknown.
    pub fn new(root: &Path) -> Self {
        let table = |file: &str| {
            std::fs::read(root.join(file))
                .map(|bytes| names(&String::from_utf8_lossy(&bytes)))
                .unwrap_or_default()
        };
        Self {
            users: table("etc/passwd"),
            groups: table("etc/group"),
        }
    }

    pub fn complete(&self, event: &mut Event) {
        if event.attribution == Attribution::Unknown {
            return;
        }
        let process = Arc::make_mut(&mut event.process);
        process.user_name = self.users.get(&process.uid).cloned();
        process.group_name = self.groups.get(&process.gid).cloned();
        process.login_name = process
            .login_uid
            .and_then(|login_uid| self.users.get(&login_uid).cloned());
        process.container_id = container_id(&process.cgroup).map(str::to_owned);
    }
}

/// Third column to first, as in passwd(5) and group(5); the first line of an id counts.
fn names(text: &str) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for line in text.lines() {
        let mut columns = line.split(':');
        if let (Some(name), Some(Ok(id))) = (columns.next(), columns.nth(1).map(str::parse)) {
            names.entry(id).or_insert_with(|| name.to_owned());
        }
    }
    names
}

/// 64 hexadecimal digits in a component, bare or as `<runtime>-<id>.scope`; the innermost counts.
pub fn container_id(cgroup: &str) -> Option<&str> {
    cgroup.rsplit('/').find_map(|component| {
        let bare = component.strip_suffix(".scope").unwrap_or(component);
        let id = bare.rsplit(['-', ':']).next()?;
        (id.len() == 64 && id.bytes().all(|digit| digit.is_ascii_hexdigit())).then_some(id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_ids_of_the_runtimes() {
        let id = "0123456789abcdef".repeat(4);
        for cgroup in [
            format!("/docker/{id}"),
            format!("/system.slice/docker-{id}.scope"),
            format!("/kubepods.slice/kubepods-burstable.slice/cri-containerd-{id}.scope"),
            format!("/kubepods/besteffort/pod1-2/{id}"),
            format!("/kubepods.slice/crio-{id}.scope/container"),
            format!("/machine.slice/libpod-{id}.scope"),
        ] {
            assert_eq!(container_id(&cgroup), Some(id.as_str()), "{cgroup}");
        }
        for cgroup in [
            "/",
            "/user.slice/session-1.scope",
            "/system.slice/kubelet.service",
        ] {
            assert_eq!(container_id(cgroup), None, "{cgroup}");
        }
    }

    #[test]
    fn names_are_read_by_id() {
        let table = names("root:x:0:0:root:/root:/bin/sh\nbroken\nops:x:1000:1000::/:\n");
        assert_eq!(table.get(&0).map(String::as_str), Some("root"));
        assert_eq!(table.get(&1000).map(String::as_str), Some("ops"));
        assert_eq!(table.len(), 2);
    }
}
