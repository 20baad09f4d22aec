//! Fields: what each gives for an event, and what is not known.

use std::sync::Arc;

use detector::{
    event::{Creator, Elapsed, Endpoint, Event, Kind, Maker, Names, Part, Process, Who},
    host::Host,
    rules::{Options, SourceFile, load_with},
};

use crate::{
    events::{event, process},
    rule, ruleset,
};

const SECOND: u64 = 1_000_000_000;
pub(crate) const BOOT: u64 = 1_699_999_990 * SECOND;

pub(crate) fn host() -> Host {
    Host {
        hostname: "node-1".to_owned(),
        boot_time_ns: BOOT,
        ..Host::default()
    }
}

fn matches(condition: &str, event: &Event) -> bool {
    let files = [SourceFile {
        name: "0.yaml".to_owned(),
        text: rule("r", condition),
    }];
    let loaded = load_with(
        &files,
        Options {
            resolve_names: true,
        },
    );
    let rules = loaded.ruleset.unwrap_or_else(|| panic!("{condition}"));
    rules.on_host(host()).evaluate(event).next().is_some()
}

pub(crate) fn check(event: &Event, rows: &[(&str, bool)]) {
    for (condition, expected) in rows {
        assert_eq!(matches(condition, event), *expected, "{condition}");
    }
}

pub(crate) fn with(change: impl FnOnce(&mut Process)) -> Event {
    let mut process = process();
    change(&mut process);
    Event {
        process: Arc::new(process),
        ..event(Kind::ConnectAttempt)
    }
}

/// The host's processes have the host's ids in their namespace; nothing needs to be read.
#[test]
fn ids_of_the_host_are_those_of_its_namespace() {
    let on_host = with(|process| {
        process.namespaces.pid = 4_026_531_836;
        process.vpid = 42;
        process.process_group = 20;
    });
    check(
        &on_host,
        &[
            (
                "thread.vtid = 43 and proc.vpgid = 20 and proc.pvpid = 20",
                true,
            ),
            ("proc.is_vpgid_leader = false", true),
        ],
    );
}

#[test]
fn times_count_from_the_events_before() {
    let mut event = event(Kind::ConnectAttempt);
    event.elapsed = Elapsed {
        since_first_ns: 3 * SECOND + 5,
        since_previous_ns: 2 * SECOND + 1,
    };
    check(
        &event,
        &[
            ("evt.reltime = 3000000005", true),
            ("evt.reltime.s = 3 and evt.reltime.ns = 5", true),
            ("evt.deltatime > 2000000000", true),
            ("evt.deltatime.s = 2 and evt.deltatime.ns = 1", true),
            ("evt.reltime > val(evt.deltatime)", true),
            ("proc.pid.ts > val(proc.ppid.ts)", true),
        ],
    );
}

#[test]
fn parameters_are_those_of_the_event_type() {
    let accept = event(Kind::Accept);
    let refused = event(Kind::ConnectOutcome);
    let attempt = event(Kind::ConnectAttempt);
    check(
        &attempt,
        &[
            ("evt.rawarg.addr exists and evt.rawarg.tuple exists", true),
            ("evt.arg.addr = 10.0.0.5:10250", true),
            ("evt.type.is.connect = 1", true),
            ("not evt.arg.queuelen = 3", true),
        ],
    );
    let listen = event(Kind::Listen);
    check(
        &accept,
        &[
            ("evt.arg.tuple = 10.0.0.9:5002->10.0.0.5:10250", true),
            ("evt.arg[1] = 10.0.0.9:5002->10.0.0.5:10250", true),
            ("evt.arg.res exists", false),
            ("evt.arg.addr exists", false),
            ("evt.arg.flags exists", false),
            ("not evt.arg.flags contains O_NONBLOCK", true),
            ("evt.arg.backlog exists", false),
            ("evt.arg[5] exists", false),
            ("evt.rawarg.tuple exists", true),
            ("evt.rawarg.addr exists", false),
            ("evt.rawarg.res exists", false),
            ("evt.args = \"tuple=10.0.0.9:5002->10.0.0.5:10250\"", true),
            // Of another type, so that nothing is lacking.
            ("not evt.arg.backlog = 1", true),
            // Its first parameter is the descriptor.
            ("not evt.arg[0] = 3", false),
            ("not evt.arg.fd = 3", false),
            ("not evt.arg.queuelen = 3", false),
            ("evt.type.is.accept = 1 and evt.type.is.connect = 0", true),
            ("evt.is_io_read = false and evt.is_io_write = false", true),
        ],
    );
    check(
        &refused,
        &[
            (
                "evt.arg.res = ECONNREFUSED and evt.arg[0] = ECONNREFUSED",
                true,
            ),
            ("evt.rawarg.res = -111", true),
            ("evt.rawarg.res < 0", true),
            (
                "evt.arg[3] = 10.0.0.5:10250 and evt.arg.addr = 10.0.0.5:10250",
                true,
            ),
            ("evt.arg.queuelen exists", false),
            (
                "evt.args = \"res=-111(ECONNREFUSED) tuple=10.0.0.9:5002->10.0.0.5:10250 addr=10.0.0.5:10250\"",
                true,
            ),
            ("evt.info = val(evt.args)", true),
        ],
    );
    check(
        &listen,
        &[
            (
                "evt.arg.res = 0 and evt.arg[0] = 0 and evt.rawarg.res = 0",
                true,
            ),
            ("evt.args = \"res=0\"", true),
            ("evt.arg.tuple exists", false),
            ("not evt.arg.backlog = 1", false),
            ("not evt.arg[2] = 1", false),
        ],
    );
    for condition in [
        "evt.rawarg.tuple = a",
        "evt.rawarg.addr in (a)",
        "evt.rawarg = a",
    ] {
        assert!(
            crate::load(&[&rule("r", condition)]).ruleset.is_none(),
            "{condition}"
        );
    }
}

#[test]
fn names_are_those_that_the_event_has() {
    let mut named = event(Kind::ConnectAttempt);
    named.names = Some(Box::new(Names {
        client: Vec::new(),
        server: vec!["api".to_owned(), "kubelet".to_owned()],
    }));
    check(
        &named,
        &[
            ("fd.sip.name = kubelet", true),
            ("fd.rip.name = api and fd.sip.name = api", true),
            ("fd.sip.name != kubelet", false),
            ("fd.sip.name != other", true),
            ("fd.sip.name in (other, api)", true),
            ("fd.sip.name in (other)", false),
            ("fd.cip.name = kubelet", false),
            ("fd.cip.name != kubelet", true),
            ("fd.cip.name exists and fd.lip.name exists", true),
        ],
    );
    // A listener has no client.
    check(
        &event(Kind::Listen),
        &[
            ("fd.cip.name exists", true),
            ("fd.cip.name = a", false),
            ("fd.cip.name != a", false),
            ("fd.cip.name in (a)", false),
            ("fd.sip.name != a", true),
        ],
    );
    let rules = ruleset(&[&rule("r", "evt.type = connect and fd.sip.name = a")]);
    let reason = rules.rules()[0].inactive().unwrap();
    assert!(reason.contains("resolve_names"), "{reason}");
}

const POD: &str = "/kubepods.slice/kubepods-burstable.slice/\
    kubepods-burstable-pod1a2b3c4d_0000_1111_2222_333344445555.slice/";

fn in_container(cgroup: &str) -> Event {
    let id = "0123456789abcdef".repeat(4);
    with(|process| {
        process.cgroup = format!("{cgroup}{id}.scope");
        process.container_id = Some(id);
    })
}

#[test]
fn a_socket_has_no_inode_and_a_thread_no_time() {
    check(
        &event(Kind::Accept),
        &[
            ("fd.dev = 0 and fd.dev.major = 0 and fd.dev.minor = 0", true),
            ("fd.ino = 0", true),
            (
                "fd.is_upper_layer = false and fd.is_lower_layer = false",
                true,
            ),
            ("fd.filename exists or fd.directory exists", false),
            (
                "fd.containername = 0123456789ab:10.0.0.9:5002->10.0.0.5:10250",
                true,
            ),
            ("thread.exectime = 0 and thread.totexectime = 0", true),
            ("thread.nametid = curl43", true),
        ],
    );
    let host = with(|process| process.container_id = None);
    check(&host, &[("fd.containername startswith :10.0.0.9", true)]);
}

#[test]
fn the_cgroup_tells_runtime_and_pod() {
    check(
        &in_container(&format!("{POD}cri-containerd-")),
        &[
            ("container.id = 0123456789ab", true),
            ("container.type = containerd", true),
            ("not container.type = docker", true),
            ("k8s.pod.uid = 1a2b3c4d-0000-1111-2222-333344445555", true),
            ("k8s.pod.id = val(k8s.pod.uid)", true),
        ],
    );
    check(
        &in_container("/kubepods/pod1a2b/"),
        &[
            ("k8s.pod.uid = 1a2b", true),
            // Which of two runtimes it is the path does not tell.
            ("container.type = containerd", false),
            ("not container.type = containerd", false),
            ("container.type exists", false),
        ],
    );
    check(
        &in_container("/system.slice/docker-"),
        &[
            ("k8s.pod.uid exists", false),
            ("container.type = docker", true),
        ],
    );
}

/// The id of a container may stand behind the cut.
#[test]
fn a_path_that_was_cut_tells_no_host() {
    let cut = with(|process| {
        process.container_id = None;
        process.truncated.cgroup = true;
    });
    check(
        &cut,
        &[
            ("container.name = host", false),
            ("not container.name = nginx", false),
            ("not container.privileged = true", false),
        ],
    );
}

/// A container's metadata is not known: neither a check of it nor its negation holds.
#[test]
fn what_only_a_runtime_knows_is_never_guessed() {
    let inside = in_container(&format!("{POD}cri-containerd-"));
    let host = with(|process| process.container_id = None);
    for (condition, of_host, of_container) in [
        ("container.name = host", true, false),
        ("container.name != host", false, false),
        ("not container.name = host", false, false),
        ("not container.name = nginx", true, false),
        ("not container.name in (nginx)", true, false),
        (
            "container.image = \"\" and container.image exists",
            true,
            false,
        ),
        ("not container.image.repository contains nginx", true, false),
        ("container.privileged = false", true, false),
        ("not container.privileged = true", true, false),
        ("k8s.ns.name exists", false, false),
        ("not k8s.ns.name = kube-system", true, false),
        ("not k8s.pod.label[app] exists", true, false),
        ("not container.mount[/etc] exists", true, false),
        (
            "container.full_id = host and container.type = host",
            true,
            false,
        ),
        // What is known decides alone.
        ("proc.name = curl or not container.name = a", true, true),
        ("not (proc.name = wget and container.name = a)", true, true),
        ("not (proc.name = curl and container.name = a)", true, false),
        ("not not container.name = host", true, false),
        ("not toupper(container.name) = A", true, false),
    ] {
        assert_eq!(matches(condition, &host), of_host, "host: {condition}");
        assert_eq!(
            matches(condition, &inside),
            of_container,
            "container: {condition}"
        );
    }
    let inactive = |condition: &str| {
        let rules = ruleset(&[&rule("r", condition)]);
        rules.rules()[0].inactive().map(str::to_owned)
    };
    assert_eq!(inactive("not container.name = nginx"), None);
    assert_eq!(inactive("container.type = docker"), None);
    assert_eq!(inactive("not container.type = docker"), None);
    for condition in [
        "container.name = nginx",
        "container.id != host and not container.image.repository in (a)",
        "k8s.ns.name = a",
    ] {
        assert!(
            inactive(condition).unwrap().contains("runtime"),
            "{condition}"
        );
    }
}

#[test]
fn the_creator_of_a_socket_is_who_the_kernel_says() {
    let made_by = |who| Event {
        creator: Some(Creator { uid: 7, who }),
        ..event(Kind::ConnectAttempt)
    };
    let own = made_by(Who::Own);
    check(
        &own,
        &[
            (
                "flow.creator.relation = self and flow.creator.uid = 7",
                true,
            ),
            ("flow.creator.pid = val(proc.pid)", true),
            ("flow.creator.exepath = val(proc.exepath)", true),
        ],
    );
    check(
        &made_by(Who::Ancestor(0)),
        &[
            ("flow.creator.relation = ancestor", true),
            ("flow.creator.pid = val(proc.ppid)", true),
            ("flow.creator.name = val(proc.pname)", true),
        ],
    );
    let maker = Maker {
        pid: 99,
        comm: "broker".to_owned(),
        path: "/usr/bin/broker".to_owned(),
        ..Maker::default()
    };
    check(
        &made_by(Who::Other(Box::new(maker))),
        &[
            (
                "flow.creator.relation = other and flow.creator.pid = 99",
                true,
            ),
            ("flow.creator.name = broker", true),
            ("flow.creator.exepath = /usr/bin/broker", true),
        ],
    );
    check(
        &made_by(Who::Gone),
        &[
            (
                "flow.creator.relation = gone and flow.creator.uid = 7",
                true,
            ),
            ("flow.creator.pid exists or flow.creator.name exists", false),
        ],
    );
    check(
        &event(Kind::ConnectAttempt),
        &[("flow.creator.relation exists", false)],
    );
}

#[test]
fn the_original_destination_is_of_an_accept_and_asked_for() {
    let redirected = Event {
        original: Some(Endpoint {
            ip: [10, 0, 0, 5].into(),
            port: 443,
        }),
        ..event(Kind::Accept)
    };
    check(
        &redirected,
        &[
            ("flow.original.port = 443 and fd.sport = 10250", true),
            ("flow.original.port != val(fd.sport)", true),
            ("flow.original.ip = 10.0.0.5", true),
        ],
    );
    check(
        &event(Kind::Accept),
        &[
            ("flow.original.port exists", false),
            ("flow.original.port != 443", false),
        ],
    );
    let asked = |condition| ruleset(&[&rule("r", condition)]).asked().parts;
    let parts = asked("evt.type = accept and flow.original.port = 443");
    assert_eq!(parts, [Part::Original].into());
    assert!(asked("evt.type = accept and fd.sport = 443").is_empty());
}
