//! `container.*` and `k8s.*`: what the cgroup path tells. On the host all of it is known; of a
//! container the rest is the runtime's to tell, and no runtime is asked.

use super::{
    Context, Extracted, Field,
    Get::{Keyed, One},
    Type::{Bool, Text},
    flag, text,
};

/// Falco's name and id of what is in no container.
const HOST: &str = "host";
/// A container's id in a cgroup path.
const ID_LENGTH: usize = 64;

fn id(context: Context<'_>) -> Option<&str> {
    context.event.process.container_id.as_deref()
}

/// Falco's 12 characters.
pub(super) fn short_id(context: Context<'_>) -> Option<&str> {
    id(context).map(|id| id.get(..12).unwrap_or(id))
}

/// A path that was cut may have the id of a container behind the cut.
fn is_of_host(context: Context<'_>) -> bool {
    id(context).is_none() && !context.event.process.truncated.cgroup
}

/// On the host a value, in a container none.
fn on_host<'a>(context: Context<'a>, value: &'static str) -> Extracted<'a> {
    is_of_host(context).then(|| text(value))?
}

/// The component with the id says which runtime made it, under most drivers.
fn runtime(cgroup: &str) -> Option<&'static str> {
    let mut components = cgroup.rsplit('/').skip_while(|component| {
        let bare = component.strip_suffix(".scope").unwrap_or(component);
        let id = bare.rsplit(['-', ':']).next().unwrap_or_default();
        id.len() != ID_LENGTH || !id.bytes().all(|digit| digit.is_ascii_hexdigit())
    });
    let component = components.next()?;
    let name = component.rsplit_once(['-', ':']).map(|(name, _)| name);
    let name = name.map(|name| name.rsplit(':').next().unwrap_or(name));
    match name.or_else(|| components.next())? {
        "docker" => Some("docker"),
        "cri-containerd" | "nerdctl" => Some("containerd"),
        "crio" => Some("cri-o"),
        "libpod" => Some("podman"),
        _ => None,
    }
}

fn kind(context: Context<'_>) -> Extracted<'_> {
    match id(context) {
        None => text(HOST),
        Some(_) => text(runtime(&context.event.process.cgroup)?),
    }
}

fn pod_uid(context: Context<'_>) -> Extracted<'_> {
    text(context.event.process.pod_uid()?)
}

/// Not in the catalogue: what a rule on the fields below is guarded by.
pub(in crate::rules) static METADATA: Field = Field::new(
    "container.metadata",
    Bool,
    "the process is of the host",
    One(|c| flag(is_of_host(c))),
);
static RUNTIME: Field = Field::new(
    "container.runtime_known",
    Bool,
    "the cgroup path tells the runtime",
    One(|c| flag(kind(c).is_some())),
);

const fn of_runtime(field: Field) -> Field {
    field.told_by(&METADATA)
}

#[rustfmt::skip]
pub(super) fn fields() -> Vec<Field> {
    let mut fields = vec![
        Field::new("container.id", Text, "first 12 characters, or host", One(|c| text(short_id(c).unwrap_or(HOST)))),
        Field::new("container.full_id", Text, "the whole id, or host", One(|c| text(id(c).unwrap_or(HOST)))),
        Field::new("container.type", Text, "docker, containerd, cri-o or podman, or host", One(kind)).told_by(&RUNTIME),
        of_runtime(Field::new("container.name", Text, "host", One(|c| on_host(c, HOST)))),
    ];
    let empty = [
        "container.image", "container.image.id", "container.image.repository", "container.image.tag", "container.image.digest",
        "container.mounts", "container.ip", "container.cni.json", "container.labels",
    ];
    fields.extend(empty.map(|name| of_runtime(Field::new(name, Text, "empty", One(|c| on_host(c, ""))))));
    let no = ["container.privileged", "container.host_pid", "container.host_network", "container.host_ipc"];
    fields.extend(no.map(|name| of_runtime(Field::new(name, Bool, "false", One(|c| is_of_host(c).then(|| flag(false))?)))));
    let none = [
        "container.label", "container.mount", "container.mount.source", "container.mount.dest",
        "container.mount.mode", "container.mount.rdwr", "container.mount.propagation",
    ];
    fields.extend(none.map(|name| of_runtime(Field::new(name, Text, "no value", Keyed(|_, _| None)).needs_argument())));
    fields
}

#[rustfmt::skip]
pub(super) fn kubernetes() -> Vec<Field> {
    let mut fields = vec![
        Field::new("k8s.pod.uid", Text, "uid of the pod, from the cgroup path", One(pod_uid)),
        Field::new("k8s.pod.id", Text, "as k8s.pod.uid", One(pod_uid)),
    ];
    let none = ["k8s.pod.name", "k8s.ns.name"];
    fields.extend(none.map(|name| of_runtime(Field::new(name, Text, "no value", One(|_| None)))));
    let empty = ["k8s.pod.sandbox_id", "k8s.pod.full_sandbox_id", "k8s.pod.labels", "k8s.pod.ip", "k8s.pod.cni.json"];
    fields.extend(empty.map(|name| of_runtime(Field::new(name, Text, "empty", One(|c| on_host(c, ""))))));
    fields.push(of_runtime(Field::new("k8s.pod.label", Text, "no value", Keyed(|_, _| None)).needs_argument()));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_tells_the_runtime() {
        let hex = "0123456789abcdef".repeat(4);
        let slice = "1a2b3c4d_0000_1111_2222_333344445555";
        for (cgroup, made_by) in [
            (format!("/docker/{hex}"), Some("docker")),
            (format!("/system.slice/docker-{hex}.scope"), Some("docker")),
            (
                format!("/machine.slice/libpod-{hex}.scope/container"),
                Some("podman"),
            ),
            (
                format!("/kubepods.slice/kubepods-pod{slice}.slice/cri-containerd-{hex}.scope"),
                Some("containerd"),
            ),
            (
                format!(
                    "/system.slice/containerd.service/kubepods-pod{slice}.slice:cri-containerd:{hex}"
                ),
                Some("containerd"),
            ),
            (
                format!("/kubepods.slice/kubepods-pod{slice}.slice/crio-{hex}.scope"),
                Some("cri-o"),
            ),
            (format!("/kubepods/pod{slice}/crio-{hex}"), Some("cri-o")),
            (format!("/kubepods/besteffort/pod{slice}/{hex}"), None),
            ("/user.slice/pod7".to_owned(), None),
        ] {
            assert_eq!(runtime(&cgroup), made_by, "{cgroup}");
        }
    }
}
