//! Fields that Falco has and an event here cannot give. A rule that uses one loads: where Falco has
//! no value either the check is decided without one, and else the rule is reported inactive.

use std::sync::LazyLock;

use super::{Field, Get, Takes, Type, parameters};

const DESCRIPTOR: &str = "the file descriptor is not recorded";
const TABLE: &str = "no table of descriptors is kept";
const TIMES: &str = "CPU time and page faults are not counted";
const COUNT: &str = "how often the field was asked for is not counted";
const NAMESPACE: &str = "the start of the pid namespace is not recorded";

/// Name, type, and what is missing; nothing where Falco has no value for these events either.
/// Behind a name: `[]`, it takes an argument; `[n]`, a number.
#[rustfmt::skip]
const ROWS: &[(Type, Option<&str>, &str)] = &[
    (Type::Text, None, "evt.io_dir evt.pluginname evt.plugininfo evt.asynctype evt.abspath evt.abspath.src evt.abspath.dst evt.infra.docker.name evt.infra.docker.container.id evt.infra.docker.container.name evt.infra.docker.container.image"),
    (Type::Text, None, "fdlist.nums fdlist.names fdlist.cips fdlist.sips fdlist.cports fdlist.sports"),
    (Type::Uint64, Some(COUNT), "util.cnt"),
    (Type::Bytes, None, "evt.buffer"),
    (Type::Uint64, None, "evt.buflen evt.buflen.in evt.buflen.out evt.buflen.file evt.buflen.file.in evt.buflen.file.out evt.buflen.net evt.buflen.net.in evt.buflen.net.out"),
    (Type::Uint32, None, "evt.count.error.file evt.count.error.memory evt.count.error.other"),
    (Type::Int64, Some(DESCRIPTOR), "fd.num"),
    (Type::Text, Some(DESCRIPTOR), "fd.uid"),
    (Type::List, Some(TABLE), "fd.types[n]"),
    (Type::Text, None, "fd.directory fd.filename fd.containerdirectory fs.path.name fs.path.nameraw fs.path.source fs.path.sourceraw fs.path.target fs.path.targetraw"),
    (Type::Time, Some(NAMESPACE), "proc.exe_ino.ctime_duration_pidns_start"),
    (Type::Uint64, Some(NAMESPACE), "proc.pidns_init_start_ts"),
    (Type::Uint64, Some(TIMES), "thread.pfmajor thread.pfminor"),
    (Type::Double, Some(TIMES), "thread.cpu thread.cpu.user thread.cpu.system"),
    (Type::Text, None, "container.info"),
    (Type::Time, Some(NAMESPACE), "container.start_ts"),
    (Type::Duration, Some(NAMESPACE), "container.duration"),
    (Type::Text, None, "container.healthcheck container.liveness_probe container.readiness_probe"),
    (Type::Bool, None, "proc.is_container_healthcheck proc.is_container_liveness_probe proc.is_container_readiness_probe"),
    (Type::Text, None, "k8s.ns.id k8s.ns.label[] k8s.ns.labels k8s.rc.name k8s.rc.id k8s.rc.label[] k8s.rc.labels k8s.svc.name k8s.svc.id k8s.svc.label[] k8s.svc.labels k8s.rs.name k8s.rs.id k8s.rs.label[] k8s.rs.labels k8s.deployment.name k8s.deployment.id k8s.deployment.label[] k8s.deployment.labels"),
];

pub(super) static FIELDS: LazyLock<Vec<Field>> = LazyLock::new(|| {
    let row = |(kind, missing, names): &(Type, Option<&'static str>, &'static str)| {
        let (kind, get) = (*kind, missing.map_or(Get::Absent, Get::Unavailable));
        names
            .split(' ')
            .map(move |name| {
                let (name, takes) = match name.split_once('[') {
                    Some((name, "n]")) => (name, Takes::Number),
                    Some((name, _)) => (name, Takes::Text),
                    None => (name, Takes::Nothing),
                };
                Field::new(name, kind, OF_FALCO, get).takes(takes)
            })
            .collect::<Vec<_>>()
    };
    let rows = ROWS.iter().flat_map(row);
    let around = Field::new("evt.around", Type::Uint64, OF_FALCO, Get::Absent);
    rows.chain(parameters::not_given())
        .chain([around.takes(Takes::Number).needs_argument()])
        .collect()
});

const OF_FALCO: &str = "of Falco";
