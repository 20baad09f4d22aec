//! Fields that Falco has and an event here cannot give. A rule that uses one loads: where Falco has
//! no value either the check is decided without one, and else the rule is reported inactive.

use std::sync::LazyLock;

use super::{Field, Get, Type};

/// `evt.arg.<name>` of an event type that is not produced here.
pub(super) static PARAMETER: Field = Field::new(
    "evt.arg",
    Type::Text,
    "a parameter of another event type",
    Get::Absent,
);

/// Parameters of Falco's event table (`driver/event_table.c`).
#[rustfmt::skip]
pub(super) const PARAMETERS: &[&str] = &[
    "ID", "addr", "addr2", "args", "argument", "backlog", "cap_effective", "cap_inheritable",
    "cap_permitted", "cgroups", "clockid", "cmd", "comm", "comm_len", "cpu", "cur", "cur_cpu",
    "data", "data1", "data2", "desc", "dev", "dir", "dirfd", "domain", "dpid", "dst", "egid",
    "egid", "env", "euid", "event_data", "event_data_type", "event_type", "exe", "exe_ino",
    "exe_ino_ctime", "exe_ino_mtime", "exe_upper_layer", "fd", "fd1", "fd2", "fdin", "fdlimit",
    "fdout", "fds", "file", "filename", "filepath", "flags", "gid", "how", "home", "id", "in_fd",
    "initval", "ino", "interval", "ip", "json", "key", "level", "linkdirfd", "linkpath", "max",
    "maxevents", "mode", "name", "nativeID", "new", "newcur", "newdir", "newdirfd", "newmax",
    "newpath", "next", "nstype", "numops", "nsems", "offset", "oldcur", "olddir", "olddirfd",
    "oldmax", "oldpath", "op", "opcode", "operation", "optname", "option", "optlen", "out_fd",
    "path", "pathname", "pgft_maj", "pgft_min", "pgid", "pid", "pidns_init_start_ts", "plugin_id",
    "pos", "proto", "prot", "ptid", "queuelen", "queuemax", "queuepct", "queuelen", "quota_fmt",
    "quotafilepath", "reaper_tid", "request", "res", "res_or_fd", "resource", "ret", "rgid",
    "ringsize", "ruid", "sem_flg_0", "sem_num_0", "sem_op_0", "service", "sgid", "shell", "sig",
    "sig_mask", "size", "source", "special", "spid", "status", "suid", "target", "tid", "timeout",
    "trusted_exepath", "tty", "tuple", "type", "uargs", "uid", "user_data", "val", "vm_rss",
    "vm_size", "vm_swap", "vpgid", "vpid", "vtid", "whence", "length", "addr_hint", "old_uid",
    "loginuid", "cwd", "brk", "description", "event_data_uint64", "advice", "fd_in", "fd_out",
    "mask", "sq_entries", "cq_entries", "sq_thread_cpu", "sq_thread_idle", "features",
    "to_submit", "min_complete", "arg", "nr_args", "pkey", "mem_sw", "euid", "rawtime", "scope",
];

const DESCRIPTOR: &str = "the file descriptor is not recorded";
const ENVIRONMENT: &str = "the environment is not recorded";
const ANCESTOR: &str = "of an ancestor, its name and its executable's file name are recorded";
const TABLE: &str = "no table of processes is kept";
const METADATA: &str = "no container runtime is asked";
const KUBERNETES: &str = "no Kubernetes metadata is kept";
const NAMES: &str = "names are not resolved: a detector must not cause traffic";
const COUNTER: &str = "no state is kept between events";
const EXECUTABLE: &str = "of the executable, path, device and inode are recorded";
const USERS: &str = "of the user table, the names are read";
const CAPABILITIES: &str = "the effective capabilities are recorded";

/// Name, type, and what is missing; nothing where Falco has no value for these events either.
#[rustfmt::skip]
const ROWS: &[(Type, Option<&str>, &str)] = &[
    (Type::Duration, Some(COUNTER), "evt.reltime evt.reltime.s evt.reltime.ns evt.deltatime evt.deltatime.s evt.deltatime.ns"),
    (Type::Text, Some(DESCRIPTOR), "evt.args evt.info evt.arg.fd evt.rawarg.fd evt.rawarg.res evt.rawarg.tuple evt.rawarg.addr"),
    (Type::Text, Some("the length of the queue is not recorded"), "evt.arg.queuepct evt.arg.queuelen evt.arg.queuemax evt.arg.backlog"),
    (Type::Text, None, "evt.io_dir evt.pluginname evt.plugininfo evt.asynctype evt.around evt.abspath evt.abspath.src evt.abspath.dst evt.rawarg"),
    (Type::Bytes, None, "evt.buffer"),
    (Type::Uint64, None, "evt.buflen evt.buflen.in evt.buflen.out evt.buflen.file evt.buflen.file.in evt.buflen.file.out evt.buflen.net evt.buflen.net.in evt.buflen.net.out"),
    (Type::Uint32, None, "evt.count.error.file evt.count.error.memory evt.count.error.other evt.count.procinfo evt.count.threadinfo"),
    (Type::Int64, Some(DESCRIPTOR), "fd.num"),
    (Type::Text, Some(DESCRIPTOR), "fd.uid"),
    (Type::List, Some(DESCRIPTOR), "fd.types"),
    (Type::Text, Some(METADATA), "fd.containername"),
    (Type::Text, Some(NAMES), "fd.cip.name fd.sip.name fd.lip.name fd.rip.name"),
    (Type::Text, None, "fd.directory fd.filename fd.containerdirectory fs.path.name fs.path.nameraw fs.path.source fs.path.sourceraw fs.path.target fs.path.targetraw"),
    (Type::Uint32, None, "fd.dev fd.dev.major fd.dev.minor"),
    (Type::Int64, None, "fd.ino"),
    (Type::Bool, None, "fd.is_upper_layer fd.is_lower_layer"),
    (Type::Text, Some(ENVIRONMENT), "proc.env proc.aenv"),
    (Type::Text, Some(ANCESTOR), "proc.pexe proc.pexepath proc.pcmdline proc.aexe proc.aexepath proc.acmdline proc.sid.exe proc.sid.exepath proc.vpgid.name proc.vpgid.exe proc.vpgid.exepath proc.pgid.exe proc.pgid.exepath"),
    (Type::Int64, Some("the group in the process's namespace is not recorded"), "proc.vpgid proc.pvpid thread.vtid"),
    (Type::Bool, Some("the group in the process's namespace is not recorded"), "proc.is_vpgid_leader"),
    (Type::Bool, Some(EXECUTABLE), "proc.is_exe_writable proc.is_exe_lower_layer proc.exe_writable"),
    (Type::Time, Some(EXECUTABLE), "proc.exe_ino.ctime proc.exe_ino.mtime proc.exe_ino.ctime_duration_proc_start proc.exe_ino.ctime_duration_pidns_start"),
    (Type::Uint64, Some(TABLE), "proc.nthreads proc.nchilds proc.fdopencount proc.vmsize proc.vmrss proc.vmswap proc.thread.count thread.pfmajor thread.pfminor thread.vmsize thread.vmrss thread.cpu thread.cpu.user thread.cpu.system proc.cpu proc.pidns_init_start_ts thread.exectime thread.totexectime"),
    (Type::Int64, Some(TABLE), "proc.fdlimit thread.nametid"),
    (Type::Text, Some(TABLE), "proc.fdusage"),
    (Type::Text, Some(DESCRIPTOR), "proc.stdin.type proc.stdout.type proc.stderr.type proc.stdin.name proc.stdout.name proc.stderr.name"),
    (Type::Text, Some(CAPABILITIES), "thread.cap_permitted thread.cap_inheritable"),
    (Type::Text, Some("the cgroups of all controllers are not recorded"), "thread.cgroup"),
    (Type::Text, Some(USERS), "user.homedir user.shell"),
    (Type::Text, Some(METADATA), "container.name container.image container.image.id container.type container.mounts container.mount container.mount.source container.mount.dest container.mount.mode container.mount.rdwr container.mount.propagation container.image.repository container.image.tag container.image.digest container.ip container.cni.json container.label container.labels container.info"),
    (Type::Bool, Some(METADATA), "container.privileged container.host_pid container.host_network container.host_ipc"),
    (Type::Time, Some(METADATA), "container.start_ts"),
    (Type::Duration, Some(METADATA), "container.duration"),
    (Type::Text, None, "container.healthcheck container.liveness_probe container.readiness_probe"),
    (Type::Bool, None, "proc.is_container_healthcheck proc.is_container_liveness_probe proc.is_container_readiness_probe"),
    (Type::Text, Some(KUBERNETES), "k8s.pod.name k8s.pod.id k8s.pod.uid k8s.pod.sandbox_id k8s.pod.full_sandbox_id k8s.pod.label k8s.pod.labels k8s.pod.ip k8s.pod.cni.json k8s.ns.name"),
    (Type::Text, None, "k8s.ns.id k8s.ns.label k8s.ns.labels k8s.rc.name k8s.rc.id k8s.rc.label k8s.rc.labels k8s.svc.name k8s.svc.id k8s.svc.label k8s.svc.labels k8s.rs.name k8s.rs.id k8s.rs.label k8s.rs.labels k8s.deployment.name k8s.deployment.id k8s.deployment.label k8s.deployment.labels"),
];

pub(super) static FIELDS: LazyLock<Vec<Field>> = LazyLock::new(|| {
    let row = |(kind, missing, names): &(Type, Option<&'static str>, &'static str)| {
        let (kind, get) = (*kind, missing.map_or(Get::Absent, Get::Unavailable));
        names
            .split(' ')
            .map(move |name| Field::new(name, kind, "of Falco", get))
            .collect::<Vec<_>>()
    };
    ROWS.iter().flat_map(row).collect()
});
