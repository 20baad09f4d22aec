//! What a process has and uses: threads, memory, descriptors, cgroups, capabilities.

use super::{
    Context, Extracted, Field,
    Get::{Keyed, One},
    Type::{Double, Int64, Text, Uint64},
    Value, capabilities, process,
    process::details,
    signed, text, unsigned,
};
use crate::event::{Files, Part, Status, Stream};

/// Controllers that a hierarchy may have (include/linux/cgroup_subsys.h).
const CONTROLLERS: [&str; 15] = [
    "cpu",
    "cpuacct",
    "cpuset",
    "io",
    "blkio",
    "memory",
    "devices",
    "freezer",
    "net_cls",
    "net_prio",
    "perf_event",
    "hugetlb",
    "pids",
    "rdma",
    "misc",
];
/// Falco's for a process without a limit.
const NO_LIMIT: i64 = -1;

fn status(context: Context<'_>) -> Option<&Status> {
    details(context)?.status.as_ref()
}

/// 0 for all threads but the first.
fn of_main(context: Context<'_>, value: fn(&Status) -> u64) -> Extracted<'_> {
    let is_main = process(context)?.pid == context.event.thread.tid;
    let value = value(status(context)?);
    unsigned(if is_main { value } else { 0 })
}

fn files(context: Context<'_>) -> Option<&Files> {
    details(context)?.files.as_ref()
}

/// Per cent of the limit.
fn usage(context: Context<'_>) -> Extracted<'_> {
    let files = files(context)?;
    Some(Value::Double(match files.limit {
        Some(limit) if limit > 0 => (files.open as f64 * 100.0 / limit as f64).min(100.0),
        _ => 0.0,
    }))
}

fn limit(context: Context<'_>) -> Extracted<'_> {
    let limit = files(context)?.limit;
    signed(limit.map_or(NO_LIMIT, |limit| i64::try_from(limit).unwrap_or(i64::MAX)))
}

fn stream(context: Context<'_>, number: usize) -> Option<&Stream> {
    details(context)?.streams.as_ref()?.get(number)?.as_ref()
}

/// The path of the hierarchy that has the controller; the unified one has all that no other has.
fn cgroup<'a>(context: Context<'a>, controller: Option<&'a str>) -> Extracted<'a> {
    let (cgroups, controller) = (details(context)?.cgroups.as_ref()?, controller?);
    let of = |names: &String| names.split(',').any(|name| name == controller);
    let own = cgroups.iter().find(|(names, _)| of(names));
    let unified = || {
        let known = CONTROLLERS.contains(&controller);
        cgroups.iter().find(|(names, _)| known && names.is_empty())
    };
    let (_, path) = own.or_else(unified)?;
    text(path)
}

fn permitted(context: Context<'_>) -> Extracted<'_> {
    let status = status(context)?;
    let names = || capabilities::names(status.permitted);
    text(status.permitted_names.get_or_make(names))
}

fn inheritable(context: Context<'_>) -> Extracted<'_> {
    let status = status(context)?;
    let names = || capabilities::names(status.inheritable);
    text(status.inheritable_names.get_or_make(names))
}

#[rustfmt::skip]
pub(super) fn fields() -> Vec<Field> {
    vec![
        Field::new("proc.nthreads", Uint64, "number of threads", One(|c| unsigned(status(c)?.threads))).of(Part::Status),
        Field::new("proc.nchilds", Uint64, "number of threads without the first", One(|c| unsigned(status(c)?.threads.saturating_sub(1)))).of(Part::Status),
        Field::new("proc.vmsize", Uint64, "virtual memory, KiB", One(|c| unsigned(status(c)?.vm_size_kib))).of(Part::Status),
        Field::new("proc.vmrss", Uint64, "resident memory, KiB", One(|c| unsigned(status(c)?.vm_rss_kib))).of(Part::Status),
        Field::new("proc.vmswap", Uint64, "swapped memory, KiB", One(|c| unsigned(status(c)?.vm_swap_kib))).of(Part::Status),
        Field::new("proc.fdopencount", Uint64, "number of open descriptors", One(|c| unsigned(files(c)?.open))).of(Part::Files),
        Field::new("proc.fdlimit", Int64, "limit of open descriptors, -1 if there is none", One(limit)).of(Part::Files),
        Field::new("proc.fdusage", Double, "open descriptors in per cent of the limit", One(usage)).of(Part::Files),
        Field::new("proc.stdin.type", Text, "type of standard input: file, pipe, ipv4, ...", One(|c| text(&stream(c, 0)?.kind))).of(Part::Streams),
        Field::new("proc.stdout.type", Text, "type of standard output", One(|c| text(&stream(c, 1)?.kind))).of(Part::Streams),
        Field::new("proc.stderr.type", Text, "type of standard error", One(|c| text(&stream(c, 2)?.kind))).of(Part::Streams),
        Field::new("proc.stdin.name", Text, "path of standard input; local->remote of a socket", One(|c| text(&stream(c, 0)?.name))).of(Part::Streams),
        Field::new("proc.stdout.name", Text, "as proc.stdin.name", One(|c| text(&stream(c, 1)?.name))).of(Part::Streams),
        Field::new("proc.stderr.name", Text, "as proc.stdin.name", One(|c| text(&stream(c, 2)?.name))).of(Part::Streams),
        Field::new("thread.vmsize", Uint64, "as proc.vmsize; 0 for other threads than the first", One(|c| of_main(c, |s| s.vm_size_kib))).of(Part::Status),
        Field::new("thread.vmrss", Uint64, "as proc.vmrss; 0 for other threads than the first", One(|c| of_main(c, |s| s.vm_rss_kib))).of(Part::Status),
        Field::new("thread.vmsize.b", Uint64, "thread.vmsize in bytes", One(|c| of_main(c, |s| s.vm_size_kib * 1024))).of(Part::Status),
        Field::new("thread.vmrss.b", Uint64, "thread.vmrss in bytes", One(|c| of_main(c, |s| s.vm_rss_kib * 1024))).of(Part::Status),
        Field::new("thread.cap_permitted", Text, "permitted capabilities", One(permitted)).of(Part::Status),
        Field::new("thread.cap_inheritable", Text, "inheritable capabilities", One(inheritable)).of(Part::Status),
        Field::new("thread.cgroup", Text, "cgroup path of a controller: thread.cgroup.cpu", Keyed(cgroup)).needs_argument().of(Part::Cgroups),
    ]
}
