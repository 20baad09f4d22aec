//! `proc.*` and `thread.*`: the acting thread and its process.

use super::{
    Context, Extracted, Field,
    Get::{Indexed, Keyed, One},
    NOT_AVAILABLE,
    Type::{Bool, Duration, Int64, Text, Time, Uint32, Uint64},
    Value, capabilities, flag, is_known, owned, process, signed, text, unsigned,
};
use crate::event::{Details, Environment, HOST_PIDS, Part, Process};

/// Falco's text where the thread is unknown.
fn known<'a>(context: Context<'a>, get: fn(&'a Process) -> &'a str) -> Extracted<'a> {
    text(process(context).map_or(NOT_AVAILABLE, get))
}

/// -1 where the thread is unknown.
pub(super) fn id(context: Context<'_>, get: fn(&Process) -> u32) -> Extracted<'static> {
    signed(process(context).map_or(-1, |process| i64::from(get(process))))
}

pub(super) fn name(context: Context<'_>) -> &str {
    match process(context) {
        Some(_) => &context.event.thread.comm,
        None => NOT_AVAILABLE,
    }
}

/// argv[0].
pub(super) fn exe(context: Context<'_>) -> &str {
    match process(context) {
        Some(process) => process.args.first().map_or("", String::as_str),
        None => NOT_AVAILABLE,
    }
}

pub(super) fn path(context: Context<'_>) -> Extracted<'_> {
    known(context, |process| &process.exe.path)
}

fn argument<'a>(context: Context<'a>, index: Option<usize>) -> Extracted<'a> {
    let process = &context.event.process;
    text(match index {
        None => process.joined_arguments(),
        Some(index) => process.arguments().get(index).map_or("", String::as_str),
    })
}

pub(super) fn command_line(context: Context<'_>) -> Extracted<'_> {
    match process(context) {
        Some(_) => Some(Value::Text(context.event.command_line())),
        None => text(NOT_AVAILABLE),
    }
}

/// The blank is there without arguments too, as in Falco.
fn executable_line(context: Context<'_>) -> Extracted<'_> {
    let process = &context.event.process;
    let line = || format!("{} {}", exe(context), process.joined_arguments());
    if !is_known(context) {
        return owned(line());
    }
    text(process.texts.executable_line.get_or_make(line))
}

fn cwd(context: Context<'_>) -> Extracted<'_> {
    let Some(process) = process(context) else {
        return text(NOT_AVAILABLE);
    };
    let cwd = process.cwd.as_str();
    if cwd.ends_with('/') {
        return text(cwd);
    }
    text(process.texts.cwd.get_or_make(|| format!("{cwd}/")))
}

pub(super) fn details(context: Context<'_>) -> Option<&Details> {
    process(context)?.details.as_deref()
}

/// All variables, or the value of one: empty if there is none of this name, as in Falco.
pub(super) fn variable<'a>(environment: &'a Environment, name: &str) -> Extracted<'a> {
    let value = |line: &'a String| line.strip_prefix(name)?.strip_prefix('=');
    match environment.variables.iter().find_map(value) {
        Some(value) => text(value.trim_matches(' ')),
        // It may be one of those that were not kept.
        None if environment.cut => None,
        None => text(""),
    }
}

pub(super) fn whole(environment: &Environment) -> &str {
    let variables = &environment.variables;
    environment.joined.get_or_make(|| variables.join(" "))
}

/// A name of digits is none, as in Falco.
fn environment<'a>(context: Context<'a>, name: Option<&'a str>) -> Extracted<'a> {
    let environment = details(context)?.environment.as_ref()?;
    match name.filter(|name| !is_number(name) && !name.is_empty()) {
        Some(name) => variable(environment, name),
        None => text(whole(environment)),
    }
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|digit| digit.is_ascii_digit())
}

/// Start times count from boot.
pub(super) fn started(context: Context<'_>, since_boot_ns: u64) -> Option<u64> {
    let boot = context.host.boot_time_ns;
    (boot > 0 && since_boot_ns > 0).then(|| boot.saturating_add(since_boot_ns))
}

pub(super) fn age<'a>(context: Context<'a>, since_boot_ns: u64) -> Extracted<'a> {
    let started = started(context, since_boot_ns)?;
    unsigned(context.event.time_ns.saturating_sub(started))
}

/// Falco takes 0 for a value that is not known.
fn nonzero<'a>(value: u64) -> Extracted<'a> {
    (value != 0).then(|| unsigned(value))?
}

fn changed(context: Context<'_>) -> Option<u64> {
    Some(details(context)?.image.as_ref()?.changed_ns)
}

/// How long after the executable's last change the process was started with it.
fn changed_before_start(context: Context<'_>) -> Extracted<'_> {
    let started = started(context, process(context)?.start_time_ns)?;
    nonzero(started.saturating_sub(changed(context)?))
}

fn effective(context: Context<'_>) -> Extracted<'_> {
    let process = &context.event.process;
    let texts = &process.texts;
    let names = || capabilities::names(process.capabilities);
    text(texts.capabilities.get_or_make(names))
}

/// On the host the namespace's ids are the host's.
pub(super) fn on_host(process: &Process) -> bool {
    process.namespaces.pid == HOST_PIDS
}

fn virtual_group(context: Context<'_>) -> Extracted<'_> {
    let process = process(context)?;
    signed(if process.process_group == process.pid {
        process.vpid
    } else if on_host(process) {
        process.process_group
    } else {
        details(context)?.status.as_ref()?.process_group
    })
}

fn virtual_thread(context: Context<'_>) -> Extracted<'_> {
    let process = process(context)?;
    let thread = context.event.thread.tid;
    if thread == process.pid {
        return signed(process.vpid);
    }
    if on_host(process) {
        return signed(thread);
    }
    let threads = details(context)?.threads.as_ref()?;
    let (_, inside) = threads.iter().find(|(outside, _)| *outside == thread)?;
    signed(*inside)
}

fn leads(context: Context<'_>, what: fn(&Process) -> u32) -> Extracted<'_> {
    let process = process(context)?;
    flag(what(process) == process.pid)
}

#[rustfmt::skip]
pub(super) fn fields() -> Vec<Field> {
    vec![
        Field::new("proc.name", Text, "name of the acting thread", One(|c| text(name(c)))),
        Field::new("proc.exe", Text, "argv[0]", One(|c| text(exe(c)))),
        Field::new("proc.exepath", Text, "path of the executable", One(path)),
        Field::new("proc.args", Text, "arguments after argv[0]; one with [n]", Indexed(argument)),
        Field::new("proc.cmdline", Text, "name and arguments", One(command_line)),
        Field::new("proc.exeline", Text, "argv[0] and arguments", One(executable_line)),
        Field::new("proc.cmdnargs", Uint64, "number of arguments", One(|c| unsigned(u64::try_from(c.event.process.arguments().len()).ok()?))),
        Field::new("proc.cmdlenargs", Uint64, "length of the arguments", One(|c| {
            unsigned(u64::try_from(c.event.process.arguments().iter().map(String::len).sum::<usize>()).ok()?)
        })),
        Field::new("proc.env", Text, "environment; the value of one variable with [NAME]", Keyed(environment)).of(Part::Environment),
        Field::new("proc.cwd", Text, "working directory, with a final /", One(cwd)),
        Field::new("proc.pid", Int64, "process id", One(|c| id(c, |p| p.pid))),
        Field::new("proc.vpid", Int64, "process id in its namespace", One(|c| signed(process(c)?.vpid))),
        Field::new("proc.sid", Int64, "session id", One(|c| id(c, |p| p.session))),
        Field::new("proc.is_sid_leader", Bool, "leads its session", One(|c| leads(c, |p| p.session))),
        Field::new("proc.pgid", Int64, "process group id", One(|c| id(c, |p| p.process_group))),
        Field::new("proc.is_pgid_leader", Bool, "leads its process group", One(|c| leads(c, |p| p.process_group))),
        Field::new("proc.vpgid", Int64, "process group id in the process's namespace", One(virtual_group)).of(Part::Status),
        Field::new("proc.is_vpgid_leader", Bool, "as proc.is_pgid_leader", One(|c| leads(c, |p| p.process_group))),
        Field::new("proc.tty", Uint32, "terminal's device number, or 0", One(|c| unsigned(c.event.process.tty))),
        Field::new("proc.pid.ts", Duration, "start of the process, Unix time", One(|c| unsigned(started(c, process(c)?.start_time_ns)?))),
        Field::new("proc.duration", Duration, "age of the process", One(|c| age(c, process(c)?.start_time_ns))),
        Field::new("proc.exe_ino", Int64, "inode of the executable", One(|c| {
            let inode = i64::try_from(process(c)?.exe.inode).ok()?;
            (inode != 0).then(|| signed(inode))?
        })),
        Field::new("proc.exe_ino.ctime", Time, "last change of the executable's inode", One(|c| nonzero(changed(c)?))).of(Part::Executable),
        Field::new("proc.exe_ino.mtime", Time, "last change of the executable's contents", One(|c| nonzero(details(c)?.image.as_ref()?.modified_ns))).of(Part::Executable),
        Field::new("proc.exe_ino.ctime_duration_proc_start", Time, "from that change of the inode to the start of the process", One(changed_before_start)).of(Part::Executable),
        Field::new("proc.exe_dev", Uint64, "device of the executable", One(|c| nonzero(process(c)?.exe.device.into()))),
        Field::new("proc.exe_deleted", Bool, "the executable was deleted", One(|c| flag(process(c)?.exe.deleted))),
        Field::new("proc.is_exe_from_memfd", Bool, "the executable is a memfd", One(|c| flag(process(c)?.exe.memfd))),
        Field::new("proc.is_exe_upper_layer", Bool, "the executable is in the upper layer", One(|c| flag(process(c)?.exe.upper_layer))),
        Field::new("proc.is_exe_lower_layer", Bool, "the executable is in a lower layer", One(|c| {
            flag(details(c)?.image.as_ref()?.overlay && !process(c)?.exe.upper_layer)
        })).of(Part::Executable),
        Field::new("proc.is_exe_writable", Bool, "the process may write to its executable", One(|c| flag(details(c)?.image.as_ref()?.writable))).of(Part::Executable),
        Field::new("thread.tid", Int64, "thread id", One(|c| signed(if is_known(c) { i64::from(c.event.thread.tid) } else { -1 }))),
        Field::new("thread.vtid", Int64, "thread id in its namespace", One(virtual_thread)).of(Part::Threads),
        Field::new("thread.nametid", Text, "name and id of the thread", One(|c| owned(format!("{}{}", name(c), process(c).map_or(-1, |_| i64::from(c.event.thread.tid)))))),
        Field::new("thread.exectime", Duration, "0", One(|_| unsigned(0u32))),
        Field::new("thread.totexectime", Duration, "0", One(|_| unsigned(0u32))),
        Field::new("thread.ismain", Bool, "the process's first thread", One(|c| flag(process(c)?.pid == c.event.thread.tid))),
        Field::new("thread.cap_effective", Text, "effective capabilities", One(effective)),
        Field::new("thread.cgroups", Text, "cgroup path", One(|c| text(&c.event.process.cgroup))),
    ]
}
