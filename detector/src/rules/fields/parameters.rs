//! `evt.arg.*`, `evt.rawarg.*` and `evt.args`: the parameters of Falco's event table, as far as an
//! event knows them. The probes sit below the syscalls and see no descriptor.

use super::{
    Argument, Context, Extracted, Field,
    Get::{self, Indexed, One},
    Short, State,
    Type::{self, Int64, Ip, Port, Socket, Text, Uint32, Uint64},
    event::errno_text,
    owned, signed,
    socket::connection,
    text,
};
use crate::event::{Event, Kind};

const fn other_of(name: &'static str, kind: Type) -> Field {
    Field::new(name, kind, "a parameter of another event type", Get::Absent)
}

static OTHER: Field = other_of("evt.arg", Text);
static RAW_TEXT: Field = other_of("evt.rawarg", Text);
static RAW_IP: Field = other_of("evt.rawarg", Ip);
static RAW_PORT: Field = other_of("evt.rawarg", Port);
static RAW_NUMBER: Field = other_of("evt.rawarg", Int64);
/// Nothing is compared with these: addresses, buffers, sets of ids.
static RAW_OTHER: Field = other_of("evt.rawarg", Socket);

/// `evt.arg.<name>` of an event type that is not produced here.
pub(super) fn other(name: &str) -> Option<&'static Field> {
    NAMES.contains(&name).then_some(&OTHER)
}

/// `evt.rawarg.<name>` likewise, of the type that Falco's first parameter of this name has.
#[rustfmt::skip]
pub(super) fn raw(name: &str) -> Option<&'static Field> {
    let field = match name {
        "arg2_str" | "comm" | "container_id" | "cwd" | "desc" | "description" | "dir" | "exe"
        | "exepath" | "filename" | "home" | "image" | "json" | "linkpath" | "name" | "newpath"
        | "oldpath" | "path" | "pathname" | "quotafilepath" | "root" | "scope" | "shell"
        | "special" | "sun_path" | "target" | "trusted_exepath" | "uargs" | "value_charbuf" => &RAW_TEXT,
        "local_ip" | "remote_ip" => &RAW_IP,
        "local_port" | "remote_port" => &RAW_PORT,
        "ID" | "addr" | "arg2" | "arg3" | "arg4" | "arg5" | "args" | "argv" | "cgroups" | "data"
        | "egid" | "env" | "euid" | "fds" | "img" | "loginuid" | "msgcontrol" | "ppid"
        | "res_or_fd" | "rgid" | "ruid" | "sgid" | "sid" | "sig" | "sigmask" | "suid" | "tags"
        | "tuple" | "val" | "value_bytebuf" | "vtgid" => &RAW_OTHER,
        _ => &RAW_NUMBER,
    };
    NAMES.contains(&name).then_some(field)
}

/// Parameters of every event type (Falco, `driver/event_table.c`).
#[rustfmt::skip]
const NAMES: &[&str] = &[
    "ID", "action", "addr", "arg", "arg2", "arg2_int", "arg2_str", "arg3", "arg4", "arg5", "args",
    "argument", "argv", "aux", "backlog", "cap_effective", "cap_inheritable", "cap_permitted",
    "cgroups", "clockid", "cmd", "comm", "container_id", "core", "cpu", "cpu_sys", "cpu_usr",
    "cq_entries", "creat_flags", "cur", "cwd", "data", "desc", "description", "dev", "dir", "dirfd",
    "domain", "dpid", "dqb_bhardlimit", "dqb_bsoftlimit", "dqb_btime", "dqb_curspace",
    "dqb_ihardlimit", "dqb_isoftlimit", "dqb_itime", "dqi_bgrace", "dqi_flags", "dqi_igrace",
    "egid", "entries", "env", "error", "euid", "event_data", "event_type", "exe", "exe_ino",
    "exe_ino_ctime", "exe_ino_mtime", "exe_ino_num", "exepath", "fd", "fd1", "fd2", "fd_in",
    "fd_out", "fd_type", "fdin", "fdlimit", "fdout", "fds", "features", "filename", "first",
    "flags", "gid", "home", "how", "id", "image", "img", "in_fd", "initval", "ino", "ino_num",
    "interval", "ip", "json", "key", "last", "len", "length", "level", "linkdirfd", "linkpath",
    "local_ip", "local_port", "loginuid", "mask", "max", "maxevents", "min_complete", "mnt_id",
    "mode", "mountfd", "msgcontrol", "name", "nativeID", "newcur", "newdir", "newdirfd", "newfd",
    "newmax", "newpath", "next", "nr_args", "nsems", "nsops", "nstype", "offin", "offout", "offset",
    "oldcur", "olddir", "olddirfd", "oldfd", "oldmax", "oldpath", "op", "opcode", "operation",
    "option", "optlen", "optname", "out_fd", "path", "pathname", "peer", "pgft_maj", "pgft_min",
    "pgid", "pgoffset", "pid", "pid_fd", "pidns_init_start_ts", "plugin_id", "pos", "ppid", "prot",
    "proto", "ptid", "queuelen", "queuemax", "queuepct", "quota_fmt", "quota_fmt_out",
    "quotafilepath", "ratio", "reaper_tid", "remote_ip", "remote_port", "request", "res",
    "res_or_fd", "resolve", "resource", "ret", "rgid", "root", "ruid", "scope", "sem_flg_0",
    "sem_flg_1", "sem_num_0", "sem_num_1", "sem_op_0", "sem_op_1", "semflg", "semid", "semnum",
    "sgid", "shell", "sid", "sig", "sigmask", "size", "sk_pointer", "sk_proto", "sk_type", "source",
    "special", "spid", "sq_entries", "sq_thread_cpu", "sq_thread_idle", "start_time", "status",
    "suid", "sun_path", "tags", "target", "target_fd", "tid", "timeout", "to_submit",
    "trusted_exepath", "tty", "tuple", "type", "uargs", "uid", "val", "value_bytebuf",
    "value_charbuf", "vm_rss", "vm_size", "vm_swap", "vpgid", "vpid", "vtgid", "vtid", "whence",
];

const DESCRIPTOR: &str = "the file descriptor is not recorded";
const QUEUE: &str = "the length of the queue is not recorded";

/// In the order of the event table.
fn names(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::ConnectAttempt | Kind::ConnectOutcome => &["res", "tuple", "fd", "addr"],
        Kind::Accept => &["fd", "tuple", "queuepct", "queuelen", "queuemax"],
        Kind::Listen => &["res", "fd", "backlog"],
    }
}

fn state(kind: Kind, name: &str) -> State {
    match name {
        _ if !names(kind).contains(&name) => State::Absent,
        "fd" => State::Unavailable(DESCRIPTOR),
        "queuepct" | "queuelen" | "queuemax" | "backlog" => State::Unavailable(QUEUE),
        _ => State::Given,
    }
}

fn state_by_number(kind: Kind, argument: &Argument) -> State {
    match argument {
        Argument::Index(index) => names(kind)
            .get(*index)
            .map_or(State::Absent, |name| state(kind, name)),
        _ => State::Absent,
    }
}

/// As text: a result is 0 or the errno's name.
fn value<'a>(event: &'a Event, name: &str) -> Extracted<'a> {
    match name {
        "res" => match event.errno? {
            0 => text("0"),
            errno => errno_text(errno),
        },
        "tuple" => {
            event.socket.client?;
            let mut text = Short::default();
            connection(event, &mut text).ok()?;
            owned(text.as_str().to_owned())
        }
        "addr" => {
            let server = event.socket.server;
            owned(format!("{}:{}", server.ip, server.port))
        }
        _ => None,
    }
}

fn named<'a>(event: &'a Event, name: &str) -> Extracted<'a> {
    names(event.kind)
        .contains(&name)
        .then(|| value(event, name))?
}

fn numbered<'a>(context: Context<'a>, index: Option<usize>) -> Extracted<'a> {
    value(context.event, names(context.event.kind).get(index?)?)
}

/// `name=value`, and `(resolved)` behind an errno; what is not known is left out.
fn all<'a>(context: Context<'a>) -> Extracted<'a> {
    let event = context.event;
    let shown = |name: &&str| {
        let value = super::super::operand::print(&value(event, name)?);
        Some(match event.errno {
            Some(errno) if *name == "res" && errno != 0 => format!("res={}({value})", -errno),
            _ => format!("{name}={value}"),
        })
    };
    let shown: Vec<String> = names(event.kind).iter().filter_map(shown).collect();
    owned(shown.join(" "))
}

fn raw_result<'a>(context: Context<'a>) -> Extracted<'a> {
    (context.event.kind != Kind::Accept).then(|| signed(-context.event.errno?))?
}

#[rustfmt::skip]
pub(super) fn fields() -> Vec<Field> {
    vec![
        Field::new("evt.args", Text, "the parameters that are known: name=value, joined by blanks", One(all)).of_result(),
        Field::new("evt.info", Text, "as evt.args", One(all)).of_result(),
        Field::new("evt.arg", Text, "a parameter by number: [0], [1], ...", Indexed(numbered)).needs_argument().of_result().by_kind(state_by_number),
        Field::new("evt.arg.res", Text, "0 or the errno's name", One(|c| named(c.event, "res"))).of_result().by_kind(|kind, _| state(kind, "res")),
        Field::new("evt.arg.tuple", Text, "client->server", One(|c| named(c.event, "tuple"))).by_kind(|kind, _| state(kind, "tuple")),
        Field::new("evt.arg.addr", Text, "address that a connect names", One(|c| named(c.event, "addr"))).by_kind(|kind, _| state(kind, "addr")),
        Field::new("evt.rawarg.res", Int64, "0 or the negative errno", One(raw_result)).of_result().by_kind(|kind, _| state(kind, "res")),
        Field::new("evt.rawarg.tuple", Socket, "there is a tuple", One(|c| named(c.event, "tuple"))).by_kind(|kind, _| state(kind, "tuple")),
        Field::new("evt.rawarg.addr", Socket, "there is an address", One(|c| named(c.event, "addr"))).by_kind(|kind, _| state(kind, "addr")),
    ]
}

/// Falco's, of these events, without a value here.
#[rustfmt::skip]
pub(super) fn not_given() -> Vec<Field> {
    vec![
        Field::new("evt.arg.fd", Text, "of Falco", Get::Unavailable(DESCRIPTOR)),
        Field::new("evt.arg.queuepct", Text, "of Falco", Get::Unavailable(QUEUE)).by_kind(|kind, _| state(kind, "queuepct")),
        Field::new("evt.arg.queuelen", Text, "of Falco", Get::Unavailable(QUEUE)).by_kind(|kind, _| state(kind, "queuelen")),
        Field::new("evt.arg.queuemax", Text, "of Falco", Get::Unavailable(QUEUE)).by_kind(|kind, _| state(kind, "queuemax")),
        Field::new("evt.arg.backlog", Text, "of Falco", Get::Unavailable(QUEUE)).by_kind(|kind, _| state(kind, "backlog")),
        Field::new("evt.rawarg.fd", Int64, "of Falco", Get::Unavailable(DESCRIPTOR)),
        Field::new("evt.rawarg.queuepct", Uint32, "of Falco", Get::Unavailable(QUEUE)).by_kind(|kind, _| state(kind, "queuepct")),
        Field::new("evt.rawarg.queuelen", Uint64, "of Falco", Get::Unavailable(QUEUE)).by_kind(|kind, _| state(kind, "queuelen")),
        Field::new("evt.rawarg.queuemax", Uint64, "of Falco", Get::Unavailable(QUEUE)).by_kind(|kind, _| state(kind, "queuemax")),
        Field::new("evt.rawarg.backlog", Int64, "of Falco", Get::Unavailable(QUEUE)).by_kind(|kind, _| state(kind, "backlog")),
    ]
}
