//! Which mechanism each subject gets: the table of docs/ARCHITECTURE.md, tried from the left.

use std::{io, os::fd::AsFd as _, path::Path};

use aya::{
    Btf as Types, Ebpf as Object,
    maps::Array,
    programs::{
        BtfTracePoint, FExit, KProbe, ProgramError, RawTracePoint, TracePoint, links::FdLink,
    },
};
use detector_ebpf as wire;

use super::{
    EbpfError, attach_error,
    kretprobe::{self, At, Probe},
    map_error, missing, program, tracefs,
};
use crate::source::{AcceptVia, Attach, Attached, Options, btf::Btf};

/// As often as libbpf tries to load a program (PROG_LOAD_ATTEMPTS).
const LOADS: u32 = 5;

const STATE: &str = "inet_sock_set_state";
const CONNECT: [&str; 2] = ["tcp_v4_connect", "tcp_v6_connect"];
const ACCEPT: &str = "inet_csk_accept";
const BY_STATE: &str = "tp_btf/inet_sock_set_state";
pub(super) const BY_OWNER: &str = "tp_btf/inet_sock_set_state, by the listener's owner";
const BY_CONNECT: &str = "fexit/tcp_v4_connect, fexit/tcp_v6_connect";
const BY_ACCEPT: &str = "fexit/inet_csk_accept";
const CONNECT_EXIT: [&str; 2] = ["connect_exit_v4", "connect_exit_v6"];
const ACCEPT_EXIT: [&str; 2] = ["accept_exit_of_4", "accept_exit_of_2"];

/// Programs whose links can outlive this process.
pub(super) const PINNABLE: [&str; 5] = {
    let ([v4, v6], [of_4, of_2]) = (CONNECT_EXIT, ACCEPT_EXIT);
    [STATE, v4, v6, of_4, of_2]
};

/// The kernel's types, as aya and as this program reads them.
pub(super) struct Kernel<'a> {
    pub(super) types: &'a Types,
    pub(super) btf: &'a Btf,
    /// The probes load through the types that the verifier knows: what it refuses is tried without.
    pub(super) typed: bool,
}

/// A link, with the name of its program.
pub(super) type Link = (&'static str, FdLink);

/// The links; those of the accept syscalls are in the object.
pub(super) struct Probes {
    pub(super) attached: Vec<Attached>,
    pub(super) links: Vec<Link>,
    /// With their subjects.
    pub(super) kprobes: Vec<(&'static str, Probe)>,
}

/// Attaches a probe for each subject, or none. The state tracepoint comes last: it must know what
/// others tell of.
pub(super) fn attach(
    object: &mut Object,
    kernel: &Kernel<'_>,
    options: &Options,
) -> Result<Probes, EbpfError> {
    let (mut kprobes, mut links) = (Vec::new(), Vec::new());
    let connect = choose(
        "connect",
        options,
        kernel.typed,
        |mechanism| match mechanism {
            Attach::Fentry => connect_exit(object, kernel.types, &mut links),
            Attach::Kprobe => with_kprobes(&mut kprobes, "connect", || connect_return(object)),
            Attach::Auto | Attach::Tracepoint => Ok(BY_STATE),
        },
    )?;
    let accept = match options.accept_via {
        AcceptVia::Syscall => {
            accept_syscalls(object)?;
            Attached {
                subject: "accept",
                mechanism: Attach::Tracepoint,
                place: "tracepoint/syscalls/sys_exit_accept{,4}",
                refused: Vec::new(),
            }
        }
        AcceptVia::Listener => by_state("accept", BY_OWNER),
        AcceptVia::Auto => choose(
            "accept",
            options,
            kernel.typed,
            |mechanism| match mechanism {
                Attach::Fentry => accept_exit(object, kernel, &mut links),
                Attach::Kprobe => with_kprobes(&mut kprobes, "accept", || accept_return(object)),
                Attach::Auto | Attach::Tracepoint => Ok(BY_OWNER),
            },
        )?,
    };
    let attached = all(connect, accept);
    tell_elsewhere(object, &attached)?;
    links.push(state(object, kernel.types)?);
    Ok(Probes {
        attached,
        links,
        kprobes,
    })
}

/// Takes over what the daemon before attached.
pub(super) fn adopt(object: &mut Object, links: Vec<Link>) -> Result<Probes, EbpfError> {
    source_port(object)?;
    let (connect, accept) = subjects(&links);
    Ok(Probes {
        attached: all(connect, accept),
        links,
        kprobes: Vec::new(),
    })
}

/// Whether these links are whole and what the options ask for, else why not.
pub(super) fn wanted(links: &[Link], options: &Options) -> Result<(), &'static str> {
    let connects = CONNECT_EXIT.map(|probe| has(links, probe));
    if !has(links, STATE) || connects == [true, false] || connects == [false, true] {
        return Err("they are damaged: a link is missing");
    }
    let accepts = match options.accept_via {
        AcceptVia::Listener => Attach::Tracepoint,
        AcceptVia::Auto | AcceptVia::Syscall => options.attach,
    };
    let (connect, accept) = subjects(links);
    let wanted = |attached: Attached, wanted| [Attach::Auto, attached.mechanism].contains(&wanted);
    if wanted(connect, options.attach) && wanted(accept, accepts) {
        Ok(())
    } else {
        Err("they are attached by another mechanism than is asked for")
    }
}

fn has(links: &[Link], probe: &str) -> bool {
    links.iter().any(|(name, _)| *name == probe)
}

/// How the links see connects and accepts.
fn subjects(links: &[Link]) -> (Attached, Attached) {
    let exit = |subject, place| Attached {
        subject,
        mechanism: Attach::Fentry,
        place,
        refused: Vec::new(),
    };
    let any = |probes: [&str; 2]| probes.iter().any(|probe| has(links, probe));
    let connect = match any(CONNECT_EXIT) {
        true => exit("connect", BY_CONNECT),
        false => by_state("connect", BY_STATE),
    };
    let accept = match any(ACCEPT_EXIT) {
        true => exit("accept", BY_ACCEPT),
        false => by_state("accept", BY_OWNER),
    };
    (connect, accept)
}

fn by_state(subject: &'static str, place: &'static str) -> Attached {
    Attached {
        subject,
        mechanism: Attach::Tracepoint,
        place,
        refused: Vec::new(),
    }
}

fn all(connect: Attached, accept: Attached) -> Vec<Attached> {
    let (outcome, listen) = (by_state("outcome", BY_STATE), by_state("listen", BY_STATE));
    vec![connect, outcome, accept, listen]
}

/// The first mechanism that can be attached, of all or of the one that is wanted.
fn choose(
    subject: &'static str,
    options: &Options,
    typed: bool,
    mut attach: impl FnMut(Attach) -> Result<&'static str, EbpfError>,
) -> Result<Attached, EbpfError> {
    let all = [
        (Attach::Fentry, "fentry"),
        (Attach::Kprobe, "kprobe"),
        (Attach::Tracepoint, "tracepoint"),
    ];
    let mut refused = Vec::new();
    for (mechanism, name) in all {
        if options.attach != Attach::Auto && options.attach != mechanism {
            continue;
        }
        if options.pin.is_some() && mechanism == Attach::Kprobe {
            tracing::warn!("no kprobe is used for {subject}: it would not outlive this process");
            refused.push(format!("no {name}: it cannot be pinned"));
            continue;
        }
        match attach(mechanism) {
            Ok(place) => {
                return Ok(Attached {
                    subject,
                    mechanism,
                    place,
                    refused,
                });
            }
            Err(error) if typed && is_verdict(&error) => return Err(error),
            Err(error) => {
                tracing::debug!("{name} is refused for {subject}: {error:?}");
                refused.push(format!("no {name}: {}", reason(&error)));
            }
        }
    }
    Err(EbpfError::Subject {
        subject,
        refused: refused.join("; "),
    })
}

/// Whether it is the verifier that refused.
fn is_verdict(error: &EbpfError) -> bool {
    let EbpfError::Attach { source, .. } = error else {
        return false;
    };
    let Some(ProgramError::LoadError { verifier_log, .. }) = source.downcast_ref() else {
        return false;
    };
    verifier_log.to_string().contains("processed ")
}

/// The innermost cause, in a line.
pub(super) fn reason(error: &EbpfError) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = cause.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

fn connect_exit(
    object: &mut Object,
    types: &Types,
    links: &mut Vec<Link>,
) -> Result<&'static str, EbpfError> {
    let [v4, v6] = CONNECT;
    let [exit_v4, exit_v6] = CONNECT_EXIT;
    let first = fexit(object, exit_v4, v4, types)?;
    match fexit(object, exit_v6, v6, types) {
        Ok(second) => links.extend([first, second]),
        Err(error) => {
            drop(first);
            let first: &mut FExit = program(object, exit_v4)?;
            first.unload().map_err(attach_error(exit_v4))?;
            return Err(error);
        }
    }
    Ok(BY_CONNECT)
}

fn accept_exit(
    object: &mut Object,
    kernel: &Kernel<'_>,
    links: &mut Vec<Link>,
) -> Result<&'static str, EbpfError> {
    let [of_4, of_2] = ACCEPT_EXIT;
    let probe = match kernel.btf.arguments(ACCEPT) {
        Some(4) => of_4,
        Some(2) => of_2,
        other => {
            let error = match other {
                Some(count) => format!("{ACCEPT} takes {count} arguments: neither 4 nor 2"),
                None => format!("the kernel's types have no {ACCEPT}"),
            };
            return Err(attach_error(ACCEPT)(io::Error::other(error)));
        }
    };
    links.push(fexit(object, probe, ACCEPT, kernel.types)?);
    Ok(BY_ACCEPT)
}

fn fexit(
    object: &mut Object,
    probe: &'static str,
    function: &str,
    types: &Types,
) -> Result<Link, EbpfError> {
    let program: &mut FExit = program(object, probe)?;
    verified(probe, || program.load(function, types))?;
    let link = program.attach().map_err(attach_error(probe))?;
    let link = program.take_link(link).map_err(attach_error(probe))?;
    Ok((probe, link.into()))
}

/// Keeps the kprobes of a subject that got all of them.
fn with_kprobes(
    kept: &mut Vec<(&'static str, Probe)>,
    subject: &'static str,
    attach: impl FnOnce() -> Result<(&'static str, Vec<Probe>), EbpfError>,
) -> Result<&'static str, EbpfError> {
    let (place, probes) = attach()?;
    kept.extend(probes.into_iter().map(|probe| (subject, probe)));
    Ok(place)
}

fn connect_return(object: &mut Object) -> Result<(&'static str, Vec<Probe>), EbpfError> {
    // Returns first: an entry without its return is remembered in vain.
    let mut probes = kprobe(object, "connect_return", At::Return, &CONNECT)?;
    probes.extend(kprobe(object, "connect_enter", At::Entry, &CONNECT)?);
    Ok(("kretprobe/tcp_v4_connect, kretprobe/tcp_v6_connect", probes))
}

fn accept_return(object: &mut Object) -> Result<(&'static str, Vec<Probe>), EbpfError> {
    let probes = kprobe(object, "accept_return", At::Return, &[ACCEPT])?;
    Ok(("kretprobe/inet_csk_accept", probes))
}

fn kprobe(
    object: &mut Object,
    probe: &'static str,
    at: At,
    functions: &[&str],
) -> Result<Vec<Probe>, EbpfError> {
    let tracefs: &'static Path = tracefs().ok_or(EbpfError::Tracefs)?;
    kretprobe::clean(tracefs);
    let program: &mut KProbe = program(object, probe)?;
    verified(probe, || program.load())?;
    let program = program.fd().map_err(attach_error(probe))?;
    let one = |function: &&str| Probe::attach(tracefs, function, at, program.as_fd());
    let probes: io::Result<Vec<Probe>> = functions.iter().map(one).collect();
    probes.map_err(attach_error(probe))
}

fn accept_syscalls(object: &mut Object) -> Result<(), EbpfError> {
    if tracefs().is_none() {
        return Err(EbpfError::Tracefs);
    }
    for probe in ["sys_exit_accept", "sys_exit_accept4"] {
        let program: &mut TracePoint = program(object, probe)?;
        verified(probe, || program.load())?;
        program
            .attach("syscalls", probe)
            .map_err(attach_error(probe))?;
    }
    Ok(())
}

/// What `ELSEWHERE` says of these subjects.
pub(super) fn elsewhere(attached: &[Attached]) -> impl Iterator<Item = (u32, u32)> {
    attached.iter().filter_map(|one| match one.subject {
        "connect" => {
            let elsewhere = one.mechanism != Attach::Tracepoint;
            Some((wire::ELSEWHERE_CONNECT, u32::from(elsewhere)))
        }
        "accept" => Some((wire::ELSEWHERE_ACCEPT, u32::from(one.place != BY_OWNER))),
        _ => None,
    })
}

fn tell_elsewhere(object: &mut Object, attached: &[Attached]) -> Result<(), EbpfError> {
    let name = "ELSEWHERE";
    let data = object.map_mut(name).ok_or_else(|| missing(name))?;
    let mut elsewhere: Array<_, u32> = Array::try_from(data).map_err(map_error(name))?;
    for (subject, word) in self::elsewhere(attached) {
        elsewhere.set(subject, word, 0).map_err(map_error(name))?;
    }
    Ok(())
}

/// The state tracepoint, and what it needs.
fn state(object: &mut Object, types: &Types) -> Result<Link, EbpfError> {
    source_port(object)?;
    let state: &mut BtfTracePoint = program(object, STATE)?;
    verified(STATE, || state.load(STATE, types))?;
    let link = state.attach().map_err(attach_error(STATE))?;
    let link = state.take_link(link).map_err(attach_error(STATE))?;
    Ok((STATE, link.into()))
}

fn source_port(object: &mut Object) -> Result<(), EbpfError> {
    let probe = "source_port";
    let port: &mut RawTracePoint = program(object, probe)?;
    verified(probe, || port.load())
}

/// Loads a program. A signal interrupts the verifier, and is no reason to go without a mechanism that
/// the kernel has.
fn verified(
    probe: &'static str,
    load: impl FnMut() -> Result<(), ProgramError>,
) -> Result<(), EbpfError> {
    let interrupted = |error: &ProgramError| match error {
        ProgramError::LoadError { io_error, .. } => io_error.kind() == io::ErrorKind::WouldBlock,
        _ => false,
    };
    again_if(interrupted, load).map_err(attach_error(probe))
}

fn again_if<E>(
    is_passing: impl Fn(&E) -> bool,
    mut load: impl FnMut() -> Result<(), E>,
) -> Result<(), E> {
    for _ in 1..LOADS {
        match load() {
            Err(error) if is_passing(&error) => {}
            other => return other,
        }
    }
    load()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_tried_again_a_few_times() {
        for (failures, passes, outcome, tries) in [
            (0, true, Ok(()), 1),
            (4, true, Ok(()), 5),
            (9, true, Err(5), 5),
            (1, false, Err(1), 1),
        ] {
            let mut tried = 0;
            let load = || {
                tried += 1;
                if tried > failures { Ok(()) } else { Err(tried) }
            };
            assert_eq!(again_if(|_| passes, load), outcome);
            assert_eq!(tried, tries);
        }
    }
}
