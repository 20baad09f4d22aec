//! `proc.*` and `thread.*`: the acting thread, its process and up to 8 ancestors.

use std::borrow::Cow;

use super::{
    Context, Extracted, Field,
    Get::{Ancestors, Indexed, One},
    NOT_AVAILABLE,
    Type::{Bool, Duration, Int64, Text, Time, Uint32, Uint64},
    Value, flag, is_known, owned, signed, text, unsigned,
};
use crate::event::{Ancestor, Process};

/// include/uapi/linux/capability.h, by bit.
const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

fn capabilities<'a>(context: Context<'a>) -> Extracted<'a> {
    let bits = context.event.process.capabilities;
    let held: Vec<&str> = CAPABILITIES
        .iter()
        .enumerate()
        .filter(|(bit, _)| bits >> bit & 1 == 1)
        .map(|(_, name)| *name)
        .collect();
    owned(held.join(" "))
}

fn process(context: Context<'_>) -> Option<&Process> {
    is_known(context).then_some(&*context.event.process)
}

/// Falco's text where the thread is unknown.
fn known<'a>(context: Context<'a>, get: fn(&'a Process) -> &'a str) -> Extracted<'a> {
    text(process(context).map_or(NOT_AVAILABLE, get))
}

/// -1 where the thread is unknown.
fn id(context: Context<'_>, get: fn(&Process) -> u32) -> Extracted<'static> {
    signed(process(context).map_or(-1, |process| i64::from(get(process))))
}

fn name(context: Context<'_>) -> &str {
    match process(context) {
        Some(_) => &context.event.thread.comm,
        None => NOT_AVAILABLE,
    }
}

/// argv[0].
fn exe(context: Context<'_>) -> &str {
    match process(context) {
        Some(process) => process.args.first().map_or("", String::as_str),
        None => NOT_AVAILABLE,
    }
}

fn arguments(context: Context<'_>) -> &[String] {
    context.event.process.args.get(1..).unwrap_or_default()
}

fn argument<'a>(context: Context<'a>, index: Option<usize>) -> Extracted<'a> {
    let all = arguments(context);
    match index {
        None => owned(all.join(" ")),
        Some(index) => text(all.get(index).map_or("", String::as_str)),
    }
}

fn line<'a>(first: &'a str, context: Context<'a>) -> Extracted<'a> {
    let rest = arguments(context);
    if first.is_empty() || rest.is_empty() {
        return text(first);
    }
    owned(format!("{first} {}", rest.join(" ")))
}

fn ancestor(context: Context<'_>, index: usize) -> Option<&Ancestor> {
    context.event.process.ancestors.get(index.checked_sub(1)?)
}

fn ancestor_name<'a>(context: Context<'a>, index: usize) -> Extracted<'a> {
    match index {
        0 => text(name(context)),
        _ => text(&ancestor(context, index)?.comm),
    }
}

fn ancestor_exe_name<'a>(context: Context<'a>, index: usize) -> Extracted<'a> {
    match index {
        0 => text(process(context)?.exe.path.rsplit('/').next()?),
        _ => text(&ancestor(context, index)?.exe_name),
    }
}

fn ancestor_pid<'a>(context: Context<'a>, index: usize) -> Extracted<'a> {
    match index {
        0 => id(context, |process| process.pid),
        _ => signed(ancestor(context, index)?.pid),
    }
}

/// The name of the process with this id, if it is the process or an ancestor; else empty.
fn name_of(context: Context<'_>, wanted: fn(&Process) -> u32) -> Extracted<'_> {
    let process = process(context)?;
    let wanted = wanted(process);
    if process.pid == wanted {
        return text(&process.comm);
    }
    let found = process.ancestors.iter().find(|one| one.pid == wanted);
    text(found.map_or("", |one| &one.comm))
}

/// The oldest ancestor that is a shell by its name.
fn login_shell(context: Context<'_>) -> Extracted<'_> {
    let process = process(context)?;
    let own = (process.pid, process.comm.as_str());
    let all = process
        .ancestors
        .iter()
        .map(|one| (one.pid, one.comm.as_str()));
    let mut shells = std::iter::once(own)
        .chain(all)
        .filter(|(_, name)| name.ends_with("sh"));
    signed(shells.next_back()?.0)
}

/// Start times count from boot.
fn started(context: Context<'_>, since_boot_ns: u64) -> Option<u64> {
    let boot = context.host.boot_time_ns;
    (boot > 0 && since_boot_ns > 0).then(|| boot.saturating_add(since_boot_ns))
}

fn age<'a>(context: Context<'a>, since_boot_ns: u64) -> Extracted<'a> {
    unsigned(
        context
            .event
            .time_ns
            .saturating_sub(started(context, since_boot_ns)?),
    )
}

fn parent(context: Context<'_>) -> Option<&Ancestor> {
    ancestor(context, 1)
}

fn cwd(context: Context<'_>) -> Extracted<'_> {
    let Some(process) = process(context) else {
        return text(NOT_AVAILABLE);
    };
    let cwd = process.cwd.as_str();
    if cwd.ends_with('/') {
        return text(cwd);
    }
    Some(Value::Text(Cow::Owned(format!("{cwd}/"))))
}

fn nonzero<'a>(value: u64) -> Extracted<'a> {
    (value != 0).then_some(Value::Unsigned(value))
}

#[rustfmt::skip]
pub(super) fn fields() -> Vec<Field> {
    vec![
        Field::new("proc.name", Text, "name of the acting thread", One(|c| text(name(c)))),
        Field::new("proc.exe", Text, "argv[0]", One(|c| text(exe(c)))),
        Field::new("proc.exepath", Text, "path of the executable", One(|c| known(c, |p| &p.exe.path))),
        Field::new("proc.args", Text, "arguments after argv[0]; one with [n]", Indexed(argument)),
        Field::new("proc.cmdline", Text, "name and arguments", One(|c| line(name(c), c))),
        Field::new("proc.exeline", Text, "argv[0] and arguments", One(|c| line(exe(c), c))),
        Field::new("proc.cmdnargs", Uint64, "number of arguments", One(|c| unsigned(u64::try_from(arguments(c).len()).ok()?))),
        Field::new("proc.cmdlenargs", Uint64, "length of the arguments", One(|c| {
            unsigned(u64::try_from(arguments(c).iter().map(String::len).sum::<usize>()).ok()?)
        })),
        Field::new("proc.cwd", Text, "working directory, with a final /", One(cwd)),
        Field::new("proc.pid", Int64, "process id", One(|c| id(c, |p| p.pid))),
        Field::new("proc.vpid", Int64, "process id in its namespace", One(|c| signed(process(c)?.vpid))),
        Field::new("proc.ppid", Int64, "parent's process id", One(|c| signed(parent(c)?.pid))),
        Field::new("proc.pname", Text, "parent's name", One(|c| text(&parent(c)?.comm))),
        Field::new("proc.pexe_name", Text, "file name of the parent's executable", One(|c| text(&parent(c)?.exe_name))),
        Field::new("proc.aname", Text, "name of an ancestor", Ancestors(ancestor_name)),
        Field::new("proc.aexe_name", Text, "file name of an ancestor's executable", Ancestors(ancestor_exe_name)),
        Field::new("proc.apid", Int64, "process id of an ancestor", Ancestors(ancestor_pid)),
        Field::new("proc.sid", Int64, "session id", One(|c| id(c, |p| p.session))),
        Field::new("proc.sname", Text, "name of the session leader", One(|c| name_of(c, |p| p.session))),
        Field::new("proc.is_sid_leader", Bool, "leads its session", One(|c| process(c).and_then(|p| flag(p.session == p.pid)))),
        Field::new("proc.pgid", Int64, "process group id", One(|c| id(c, |p| p.process_group))),
        Field::new("proc.pgid.name", Text, "name of the group leader", One(|c| name_of(c, |p| p.process_group))),
        Field::new("proc.is_pgid_leader", Bool, "leads its process group", One(|c| process(c).and_then(|p| flag(p.process_group == p.pid)))),
        Field::new("proc.tty", Uint32, "terminal's device number, or 0", One(|c| unsigned(c.event.process.tty))),
        Field::new("proc.loginshellid", Int64, "process id of the oldest shell", One(login_shell)),
        Field::new("proc.pid.ts", Time, "start of the process", One(|c| unsigned(started(c, process(c)?.start_time_ns)?))),
        Field::new("proc.ppid.ts", Time, "start of the parent", One(|c| unsigned(started(c, parent(c)?.start_time_ns)?))),
        Field::new("proc.duration", Duration, "age of the process", One(|c| age(c, process(c)?.start_time_ns))),
        Field::new("proc.ppid.duration", Duration, "age of the parent", One(|c| age(c, parent(c)?.start_time_ns))),
        Field::new("proc.exe_ino", Uint64, "inode of the executable", One(|c| nonzero(process(c)?.exe.inode))),
        Field::new("proc.exe_dev", Uint64, "device of the executable", One(|c| nonzero(process(c)?.exe.device.into()))),
        Field::new("proc.exe_deleted", Bool, "the executable was deleted", One(|c| flag(process(c)?.exe.deleted))),
        Field::new("proc.is_exe_from_memfd", Bool, "the executable is a memfd", One(|c| flag(process(c)?.exe.memfd))),
        Field::new("proc.is_exe_upper_layer", Bool, "the executable is in the upper layer", One(|c| flag(process(c)?.exe.upper_layer))),
        Field::new("thread.tid", Int64, "thread id", One(|c| signed(if is_known(c) { i64::from(c.event.thread.tid) } else { -1 }))),
        Field::new("thread.ismain", Bool, "the process's first thread", One(|c| flag(process(c)?.pid == c.event.thread.tid))),
        Field::new("thread.cap_effective", Text, "effective capabilities", One(capabilities)),
        Field::new("thread.cgroups", Text, "cgroup path", One(|c| text(&c.event.process.cgroup))),
    ]
}
