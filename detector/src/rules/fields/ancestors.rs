//! `proc.p*` and `proc.a*`, up to 8 ancestors, and the leaders of session and process group.

use super::{
    Context, Extracted, Field,
    Get::{Ancestors, Indexed, Keyed, One},
    Type::{Duration, Int64, Text},
    owned, process,
    process::{age, command_line, details, exe, id, name, on_host, path, started, variable, whole},
    signed, text, unsigned,
};
use crate::event::{Ancestor, Environment, Leader, Leaders, Part, Process, Relative, line};

fn parent(context: Context<'_>) -> Option<&Ancestor> {
    ancestor(context, 1)
}

fn ancestor(context: Context<'_>, index: usize) -> Option<&Ancestor> {
    context.event.process.ancestors.get(index.checked_sub(1)?)
}

/// What the host's files told of an ancestor.
fn relative(context: Context<'_>, index: usize) -> Option<&Relative> {
    let all = &details(context)?.ancestors;
    all.get(index.checked_sub(1)?)?.as_ref()
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

fn ancestor_exe<'a>(context: Context<'a>, index: usize) -> Extracted<'a> {
    match index {
        0 => text(exe(context)),
        _ => text(relative(context, index)?.args.first().map_or("", |one| one)),
    }
}

pub(super) fn ancestor_path<'a>(context: Context<'a>, index: usize) -> Extracted<'a> {
    match index {
        0 => path(context),
        _ => text(&relative(context, index)?.path),
    }
}

fn arguments_of(relative: &Relative) -> &str {
    let arguments = || relative.args.get(1..).unwrap_or_default().join(" ");
    relative.arguments.get_or_make(arguments)
}

/// Of all ancestors without an index, as one text.
fn ancestor_arguments<'a>(context: Context<'a>, index: Option<usize>) -> Extracted<'a> {
    match index {
        Some(0) => text(context.event.process.joined_arguments()),
        Some(index) => text(arguments_of(relative(context, index)?)),
        None => {
            let all = 1..=context.event.process.ancestors.len();
            let texts: Option<Vec<&str>> = all
                .map(|index| relative(context, index).map(arguments_of))
                .collect();
            let texts = texts?;
            (!texts.is_empty()).then(|| owned(texts.join(" ")))?
        }
    }
}

fn ancestor_line<'a>(context: Context<'a>, index: usize) -> Extracted<'a> {
    if index == 0 {
        return command_line(context);
    }
    let comm = &ancestor(context, index)?.comm;
    let relative = relative(context, index)?;
    let made = || line(comm, arguments_of(relative));
    text(relative.command_line.get_or_make(made))
}

fn environment_of(context: Context<'_>, index: usize) -> Option<&Environment> {
    match index {
        0 => details(context)?.environment.as_ref(),
        _ => relative(context, index)?.environment.as_ref(),
    }
}

fn ancestor_environment<'a>(context: Context<'a>, index: usize) -> Extracted<'a> {
    text(whole(environment_of(context, index)?))
}

/// Of the nearest ancestor that has the variable, and not empty; else empty.
fn inherited<'a>(context: Context<'a>, name: Option<&'a str>) -> Extracted<'a> {
    for index in 1..=context.event.process.ancestors.len() {
        let value = variable(environment_of(context, index)?, name?)?;
        if value != super::Value::Text("".into()) {
            return Some(value);
        }
    }
    text("")
}

/// `proc.aenv[NAME]`: one value, where `proc.aenv` and `proc.aenv[n]` look at whole environments.
pub(super) static INHERITED: Field = Field::new(
    "proc.aenv",
    Text,
    "the variable of the nearest ancestor that has it",
    Keyed(inherited),
)
.of(Part::AncestorEnvironments);

/// The parent of a process in the host's namespace is in it too.
fn parent_id(context: Context<'_>) -> Extracted<'_> {
    let process = process(context)?;
    let parent = parent(context)?;
    if on_host(process) {
        return signed(parent.pid);
    }
    signed(details(context)?.parent_vpid?)
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

/// A leader: who it is by its id, and what the host's files told of it.
struct Led {
    id: fn(&Process) -> u32,
    told: fn(&Leaders) -> Option<&Leader>,
}

const SESSION: Led = Led {
    id: |process| process.session,
    told: |leaders| leaders.session.as_ref(),
};
const GROUP: Led = Led {
    id: |process| process.process_group,
    told: |leaders| leaders.group.as_ref(),
};

/// Of the process itself, of a recorded ancestor, or of what was read; empty if there is no leader.
fn leader<'a>(
    context: Context<'a>,
    led: &Led,
    own: fn(Context<'a>) -> Extracted<'a>,
    of_ancestor: fn(Context<'a>, usize) -> Extracted<'a>,
    told: fn(&'a Leader) -> &'a str,
) -> Extracted<'a> {
    let process = process(context)?;
    let wanted = (led.id)(process);
    if process.pid == wanted {
        return own(context);
    }
    let place = process.ancestors.iter().position(|one| one.pid == wanted);
    if let Some(value) = place.and_then(|place| of_ancestor(context, place + 1)) {
        return Some(value);
    }
    let leaders = process.details.as_deref()?.leaders.as_ref()?;
    text((led.told)(leaders).map_or("", told))
}

fn leader_name<'a>(context: Context<'a>, led: &Led) -> Extracted<'a> {
    let own = |context: Context<'a>| text(&context.event.process.comm);
    leader(context, led, own, ancestor_name, |leader| &leader.comm)
}

fn leader_exe<'a>(context: Context<'a>, led: &Led) -> Extracted<'a> {
    let own = |context: Context<'a>| text(exe(context));
    leader(context, led, own, ancestor_exe, |leader| &leader.exe)
}

fn leader_path<'a>(context: Context<'a>, led: &Led) -> Extracted<'a> {
    leader(context, led, path, ancestor_path, |leader| &leader.path)
}

#[rustfmt::skip]
pub(super) fn fields() -> Vec<Field> {
    vec![
        Field::new("proc.ppid", Int64, "parent's process id", One(|c| signed(parent(c)?.pid))),
        Field::new("proc.pvpid", Int64, "parent's process id in its namespace", One(parent_id)).of(Part::ParentId),
        Field::new("proc.pname", Text, "parent's name", One(|c| text(&parent(c)?.comm))),
        Field::new("proc.pexe", Text, "parent's argv[0]", One(|c| ancestor_exe(c, 1))).of(Part::Ancestors),
        Field::new("proc.pexepath", Text, "path of the parent's executable", One(|c| ancestor_path(c, 1))).of(Part::Ancestors),
        Field::new("proc.pcmdline", Text, "parent's name and arguments", One(|c| ancestor_line(c, 1))).of(Part::Ancestors),
        Field::new("proc.pexe_name", Text, "file name of the parent's executable", One(|c| text(&parent(c)?.exe_name))),
        Field::new("proc.aname", Text, "name of an ancestor", Ancestors(ancestor_name)),
        Field::new("proc.aexe", Text, "argv[0] of an ancestor", Ancestors(ancestor_exe)).of(Part::Ancestors),
        Field::new("proc.aexepath", Text, "path of an ancestor's executable", Ancestors(ancestor_path)).of(Part::Ancestors),
        Field::new("proc.aexe_name", Text, "file name of an ancestor's executable", Ancestors(ancestor_exe_name)),
        Field::new("proc.aargs", Text, "arguments of all ancestors; of one with [n]", Indexed(ancestor_arguments)).of(Part::Ancestors),
        Field::new("proc.acmdline", Text, "name and arguments of an ancestor", Ancestors(ancestor_line)).of(Part::Ancestors),
        Field::new("proc.aenv", Text, "environment of an ancestor; with [NAME] the variable of the nearest that has it", Ancestors(ancestor_environment)).of(Part::AncestorEnvironments),
        Field::new("proc.apid", Int64, "process id of an ancestor", Ancestors(ancestor_pid)),
        Field::new("proc.ppid.ts", Duration, "start of the parent, Unix time", One(|c| unsigned(started(c, parent(c)?.start_time_ns)?))),
        Field::new("proc.ppid.duration", Duration, "age of the parent", One(|c| age(c, parent(c)?.start_time_ns))),
        Field::new("proc.loginshellid", Int64, "process id of the oldest shell", One(login_shell)),
        Field::new("proc.sname", Text, "name of the session leader", One(|c| leader_name(c, &SESSION))).of(Part::Leaders),
        Field::new("proc.sid.exe", Text, "argv[0] of the session leader", One(|c| leader_exe(c, &SESSION))).of(Part::Leaders),
        Field::new("proc.sid.exepath", Text, "path of the session leader's executable", One(|c| leader_path(c, &SESSION))).of(Part::Leaders),
        Field::new("proc.pgid.name", Text, "name of the group leader", One(|c| leader_name(c, &GROUP))).of(Part::Leaders),
        Field::new("proc.pgid.exe", Text, "argv[0] of the group leader", One(|c| leader_exe(c, &GROUP))).of(Part::Leaders),
        Field::new("proc.pgid.exepath", Text, "path of the group leader's executable", One(|c| leader_path(c, &GROUP))).of(Part::Leaders),
        Field::new("proc.vpgid.name", Text, "as proc.pgid.name", One(|c| leader_name(c, &GROUP))).of(Part::Leaders),
        Field::new("proc.vpgid.exe", Text, "as proc.pgid.exe", One(|c| leader_exe(c, &GROUP))).of(Part::Leaders),
        Field::new("proc.vpgid.exepath", Text, "as proc.pgid.exepath", One(|c| leader_path(c, &GROUP))).of(Part::Leaders),
    ]
}
