//! The container of a cgroup path.

/// 64 hexadecimal digits in a component, bare or as `<runtime>-<id>.scope`; the innermost counts.
pub(super) fn id(cgroup: &str) -> Option<&str> {
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
        let hex = "0123456789abcdef".repeat(4);
        for cgroup in [
            format!("/docker/{hex}"),
            format!("/system.slice/docker-{hex}.scope"),
            format!("/kubepods.slice/kubepods-burstable.slice/cri-containerd-{hex}.scope"),
            format!("/kubepods/besteffort/pod1-2/{hex}"),
            format!("/kubepods.slice/crio-{hex}.scope/container"),
            format!("/machine.slice/libpod-{hex}.scope"),
            format!("/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:{hex}"),
        ] {
            assert_eq!(id(&cgroup), Some(hex.as_str()), "{cgroup}");
        }
        for cgroup in [
            "/",
            "/user.slice/session-1.scope",
            "/system.slice/kubelet.service",
        ] {
            assert_eq!(id(cgroup), None, "{cgroup}");
        }
    }
}
