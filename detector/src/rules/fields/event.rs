//! `evt.*` and `syscall.type`.

use super::{
    Extracted, Field,
    Get::{Keyed, Kind as OfKind, One},
    Type::{Bool, Duration, Int16, Int64, Text, Time, Uint32, Uint64},
    flag, owned, signed, text, time, unsigned,
};
use crate::event::{Event, errno_name};

pub(super) fn errno_text<'a>(errno: i32) -> Extracted<'a> {
    match errno_name(errno) {
        Some(name) => text(name),
        None => owned(errno.to_string()),
    }
}

fn result<'a>(event: &'a Event) -> Extracted<'a> {
    match event.errno? {
        0 => text("SUCCESS"),
        errno => errno_text(errno),
    }
}

fn failed(event: &Event) -> Option<bool> {
    event.errno.map(|errno| errno != 0)
}

const SECOND: u64 = 1_000_000_000;

#[rustfmt::skip]
pub(super) fn fields() -> Vec<Field> {
    vec![
        Field::new("evt.num", Uint64, "number of the event, from 1", One(|c| unsigned(c.event.number))),
        Field::new("evt.time", Text, "local time, HH:MM:SS.nnnnnnnnn", One(|c| owned(time::local_time(c.event.time_ns, c.host)))),
        Field::new("evt.time.s", Text, "local time, HH:MM:SS", One(|c| owned(time::local_seconds(c.event.time_ns, c.host)))),
        Field::new("evt.time.iso8601", Text, "UTC, YYYY-MM-DDTHH:MM:SS.nnnnnnnnn+0000", One(|c| owned(time::iso8601(c.event.time_ns)))),
        Field::new("evt.outputtime", Text, "as evt.time", One(|c| owned(time::local_time(c.event.time_ns, c.host)))),
        Field::new("evt.datetime", Text, "local date and time, with nanoseconds", One(|c| owned(time::local_datetime(c.event.time_ns, c.host)))),
        Field::new("evt.datetime.s", Text, "local date and time", One(|c| owned(time::local_datetime_seconds(c.event.time_ns, c.host)))),
        Field::new("evt.rawtime", Time, "Unix time, nanoseconds", One(|c| unsigned(c.event.time_ns))),
        Field::new("evt.rawtime.s", Time, "Unix time, seconds", One(|c| unsigned(c.event.time_ns / SECOND))),
        Field::new("evt.rawtime.ns", Time, "nanoseconds within the second", One(|c| unsigned(c.event.time_ns % SECOND))).padded(),
        Field::new("evt.reltime", Duration, "nanoseconds since the first event", One(|c| unsigned(c.event.elapsed.since_first_ns))).padded(),
        Field::new("evt.reltime.s", Duration, "seconds since the first event", One(|c| unsigned(c.event.elapsed.since_first_ns / SECOND))),
        Field::new("evt.reltime.ns", Duration, "nanoseconds within the second of evt.reltime", One(|c| unsigned(c.event.elapsed.since_first_ns % SECOND))).padded(),
        Field::new("evt.deltatime", Duration, "nanoseconds since the event before", One(|c| unsigned(c.event.elapsed.since_previous_ns))),
        Field::new("evt.deltatime.s", Duration, "seconds since the event before", One(|c| unsigned(c.event.elapsed.since_previous_ns / SECOND))),
        Field::new("evt.deltatime.ns", Duration, "nanoseconds within the second of evt.deltatime", One(|c| unsigned(c.event.elapsed.since_previous_ns % SECOND))).padded(),
        Field::new("evt.type", Text, "connect, accept or listen", OfKind(|kind| Some(kind.name()))),
        Field::new("evt.type.is", Uint32, "1 if the event is of the type that follows: evt.type.is.connect", Keyed(|c, name| {
            unsigned(u32::from(name == Some(c.event.kind.name())))
        })).needs_argument(),
        Field::new("syscall.type", Text, "as evt.type", OfKind(|kind| Some(kind.name()))),
        Field::new("evt.dir", Text, "always <", OfKind(|_| Some("<"))).deprecated(),
        Field::new("evt.category", Text, "net", OfKind(|_| Some("net"))),
        Field::new("evt.source", Text, "syscall", OfKind(|_| Some("syscall"))),
        Field::new("evt.cpu", Int16, "CPU", One(|c| signed(c.event.cpu))),
        Field::new("evt.hostname", Text, "name of the host", One(|c| text(&c.host.hostname))),
        Field::new("evt.is_async", Bool, "false", One(|_| flag(false))),
        Field::new("evt.is_io", Bool, "false", One(|_| flag(false))),
        Field::new("evt.is_io_read", Bool, "false", One(|_| flag(false))),
        Field::new("evt.is_io_write", Bool, "false", One(|_| flag(false))),
        Field::new("evt.is_wait", Bool, "false", One(|_| flag(false))),
        Field::new("evt.is_syslog", Bool, "false", One(|_| flag(false))),
        Field::new("evt.is_open_read", Bool, "false", One(|_| flag(false))),
        Field::new("evt.is_open_write", Bool, "false", One(|_| flag(false))),
        Field::new("evt.is_open_exec", Bool, "false", One(|_| flag(false))),
        Field::new("evt.is_open_create", Bool, "false", One(|_| flag(false))),
        Field::new("evt.count", Uint32, "1", One(|_| unsigned(1u32))),
        Field::new("evt.count.error", Uint32, "1 if it failed, else 0", One(|c| unsigned(u32::from(failed(c.event)?)))).of_result(),
        Field::new("evt.count.error.net", Uint32, "1 if it failed, else 0", One(|c| unsigned(u32::from(failed(c.event)?)))).of_result(),
        Field::new("evt.count.exit", Uint32, "1", One(|_| unsigned(1u32))),
        Field::new("evt.count.procinfo", Uint32, "0", One(|_| unsigned(0u32))),
        Field::new("evt.count.threadinfo", Uint32, "0", One(|_| unsigned(0u32))),
        Field::new("evt.res", Text, "SUCCESS or the errno's name", One(|c| result(c.event))).of_result(),
        Field::new("evt.rawres", Int64, "0 or the negative errno", One(|c| signed(-c.event.errno?))).of_result(),
        Field::new("evt.failed", Bool, "ended with an errno", One(|c| flag(failed(c.event)?))).of_result(),
        Field::new("evt.latency", Duration, "0", One(|_| unsigned(0u32))).deprecated(),
        Field::new("evt.latency.s", Duration, "0", One(|_| unsigned(0u32))).deprecated(),
        Field::new("evt.latency.ns", Duration, "0", One(|_| unsigned(0u32))).padded().deprecated(),
        Field::new("evt.latency.human", Text, "0ns", One(|_| text("0ns"))).deprecated(),
        Field::new("evt.latency.quantized", Uint64, "0", One(|_| unsigned(0u32))),
        Field::new("evt.wait_latency", Duration, "0", One(|_| unsigned(0u32))).deprecated(),
    ]
}
