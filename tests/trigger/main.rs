//! Makes the traffic of one scenario: `trigger SCENARIO PORT [COUNT]`. The live tests and
//! `cargo xtask record` run it.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it says what it made, and why it could not"
)]

mod changes;
mod compat;
mod fastopen;
mod flood;
mod layered;
mod netlink;
mod netns;
mod nft;
mod passing;
mod raw;
mod spoof;
mod subflows;
mod traffic;
mod uring;
mod ways;

use std::{
    error::Error,
    fmt::{self, Display, Formatter},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, ExitCode, Stdio},
};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// A name that the kernel cuts to 15 bytes.
const LONG_NAME: &str = "kubelet-impersonator";

/// Exit code of a scenario that the kernel lacks something for (EX_UNAVAILABLE of sysexits.h).
const LACKING: u8 = 69;

/// What the kernel does not have: found by trying.
#[derive(Debug)]
struct Lacks(&'static str);

impl Display for Lacks {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        write!(to, "the kernel lacks {}", self.0)
    }
}

impl Error for Lacks {}

/// Tells a test what happened.
fn fact(name: &str, value: impl Display) {
    println!("{name}={value}");
}

fn main() -> ExitCode {
    ExitCode::from(report(run()))
}

/// The exit code of an outcome, after saying what it was.
fn report(outcome: Result) -> u8 {
    let Err(error) = outcome else {
        return 0;
    };
    if let Some(Lacks(what)) = error.downcast_ref() {
        fact("lacks", what);
        return LACKING;
    }
    eprintln!("trigger: {error}");
    1
}

fn run() -> Result {
    let mut arguments = std::env::args().skip(1);
    let scenario = arguments.next().ok_or("name a scenario")?;
    let port: u16 = arguments.next().ok_or("name a port")?.parse()?;
    let count: u32 = arguments.next().unwrap_or_default().parse().unwrap_or(0);
    match scenario.as_str() {
        "nested" => nested(count, &arguments.next().ok_or("name a scenario")?, port),
        "refused" => traffic::refused(([127, 0, 0, 1], port)),
        "connected" => traffic::connected(port),
        "ipv6" => traffic::refused(([0, 0, 0, 0, 0, 0, 0, 1], port)),
        "mapped" => traffic::refused(([0, 0, 0, 0, 0, 0xffff, 0x7f00, 1], port)),
        "other-port" => traffic::refused(([127, 0, 0, 1], port + 700)),
        "non-blocking" => traffic::non_blocking(port),
        "udp" => traffic::udp(port),
        "listener" => traffic::listener(port),
        "listen" => traffic::listen(port),
        "unanswered" => traffic::unanswered(port),
        "unreachable" => traffic::unreachable(port),
        "taken" => traffic::taken(port),
        "anywhere" => traffic::refused(([0, 0, 0, 0], port)),
        "thread" => in_a_thread(move || traffic::refused(([127, 0, 0, 1], port))),
        "thread-child" => in_a_thread(move || renamed("child", "refused", port)),
        "accept" => traffic::accept(port, || renamed("client", "connected", port)),
        "allowlisted" => renamed("kubelet", "refused", port),
        "served" => renamed("kubelet", "listener", port),
        "long-name" => renamed(LONG_NAME, "refused", port),
        "script" => script(port),
        "held" => traffic::held(port),
        "flood" | "flood-refused" => {
            let rate = arguments.next().ok_or("name a rate")?.parse()?;
            match scenario.as_str() {
                "flood" => flood::flood(port, count, rate),
                _refused => flood::refused(port, count, rate),
            }
        }
        "flood-renamed" => flood::renamed(port, count),
        "steady" => flood::steady(port, count),
        "apart" | "apart-down" => {
            let program = arguments.next().ok_or("name a program")?;
            netns::apart(&program, arguments, scenario == "apart")
        }
        "loopback-up" => netns::loopback_of(count, true),
        "loopback-down" => netns::loopback_of(count, false),
        "inherited" => spoof::inherited(port, count),
        other => way(other, port),
    }
}

/// A way in, by the name that the table of ways has.
fn way(name: &str, port: u16) -> Result {
    match name {
        "bound-source" => ways::bound_source(port),
        "watched-source" => ways::watched_source(port),
        "again" => ways::again(port),
        "unspecified" => ways::unspecified(port),
        "unspecified-ipv6" => ways::unspecified_ipv6(port),
        "dual-stack" => ways::dual_stack(port),
        "node-address" => ways::node_address(port),
        "own-namespace" => ways::own_namespace(port),
        "foreign-socket" => ways::foreign_socket(port),
        "no-route" => ways::no_route(port),
        "host-unreachable" => ways::host_unreachable(port),
        "reset-by-filter" => ways::reset_by_filter(port),
        "timed-out" => ways::timed_out(port),
        "given-up" => ways::given_up(port),
        "reset-before-accept" => ways::reset_before_accept(port),
        "to-itself" => ways::to_itself(port),
        "crossed" => ways::crossed(port),
        "repaired" => ways::repaired(port),
        "redirected" => ways::redirected(port),
        "blocked-accept" => ways::blocked_accept(port),
        "older-listener" => ways::older_listener(port),
        "client" => ways::client(port),
        "never-accepted" => ways::never_accepted(port),
        "late-accept" => ways::late_accept(port),
        "uring-connect" => uring::connect(port, uring::Issuer::Caller),
        "uring-connect-worker" => uring::connect(port, uring::Issuer::Worker),
        "uring-connect-poller" => uring::connect(port, uring::Issuer::Poller),
        "uring-accept" => uring::accept(port, uring::Issuer::Caller),
        "uring-accept-worker" => uring::accept(port, uring::Issuer::Worker),
        "uring-accept-poller" => uring::accept(port, uring::Issuer::Poller),
        "uring-listen" => uring::listen(port),
        "fastopen-refused" => fastopen::refused(port),
        "fastopen-sendto" => fastopen::sendto(port),
        "fastopen-deferred" => fastopen::deferred(port),
        "fastopen-early" => fastopen::early(port),
        "fastopen-never-sent" => fastopen::never_sent(port),
        "mptcp-refused" => layered::mptcp_refused(port),
        "mptcp-both" => layered::mptcp_both(port),
        "mptcp-server" => layered::mptcp_server(port),
        "mptcp-client" => layered::mptcp_client(port),
        "mptcp-older" => layered::mptcp_older(port),
        "mptcp-subflow" => subflows::second(port),
        "smc-refused" => layered::smc_refused(port),
        "smc-both" => layered::smc_both(port),
        "smc-upgraded" => layered::smc_upgraded(port),
        "other-thread" => passing::other_thread(port),
        "forked" => passing::forked(port),
        "forked-accept" => passing::forked_accept(port),
        "late-forked-accept" => passing::late_forked_accept(port),
        "sent" => passing::sent(port),
        "sent-by-another" => passing::sent_by_another(port),
        "sent-by-another-and-closed" => passing::sent_by_another_and_closed(port),
        "sent-by-one-that-ended" => passing::sent_by_one_that_ended(port),
        "taken-socket" => passing::taken(port),
        "compat-connect" => compat::refused(port, compat::Calls::Direct),
        "compat-socketcall" => compat::refused(port, compat::Calls::Multiplexed),
        other => spoofed(other, port),
    }
}

/// A process that seems to be the kubelet, by the name that the table of identities has.
fn spoofed(name: &str, port: u16) -> Result {
    match name {
        "named" => spoof::named(port),
        "argv0" => spoof::argv0(port),
        "copied" => spoof::copied(port),
        "linked" => spoof::linked(port),
        "hard-linked" => spoof::hard_linked(port),
        "memfd" => spoof::memfd(port, "refused"),
        "older-memfd" => spoof::memfd(port, "older-listener"),
        "older-named-deleted" => spoof::older_named_deleted(port),
        "replaced" => spoof::replaced(port),
        "replaced-inner" => spoof::replaced_inner(port),
        "unlinked" => spoof::unlinked(port),
        "unlinked-inner" => spoof::unlinked_inner(port),
        "older-unlinked" => spoof::older_unlinked(port),
        "overlay-upper" => spoof::overlay(port, spoof::Layer::Upper),
        "overlay-lower" => spoof::overlay(port, spoof::Layer::Lower),
        "overlay-copied-up" => spoof::overlay(port, spoof::Layer::CopiedUp),
        "bind-mounted" => spoof::bind_mounted(port),
        "unmounted" => spoof::unmounted(port),
        "unmounted-inner" => spoof::unmounted_inner(port),
        "never-mounted" => spoof::never_mounted(port),
        "deep" => spoof::deep(port),
        "pid-namespace" => spoof::pid_namespace(port),
        "chrooted" => spoof::chrooted(port),
        "user-namespace" => spoof::user_namespace(port),
        "exec-between" => spoof::exec_between(port),
        "without-leader" => spoof::without_leader(port),
        "parent-without-leader" => spoof::parent_without_leader(port),
        other => changed(other, port),
    }
}

/// A process that changes, by the name that the table of identities has.
fn changed(name: &str, port: u16) -> Result {
    match name {
        "changed-name" => changes::name(port),
        "changed-user" => changes::user(port),
        "changed-group" => changes::group(port),
        "changed-capabilities" => changes::capabilities(port),
        "changed-folder" => changes::working_folder(port),
        "changed-folder-name" => changes::working_folder_name(port),
        "changed-session" => changes::session(port),
        "changed-mounts" => changes::mounts(port),
        "changed-cgroup" => changes::cgroup(port),
        "changed-thread" => changes::thread(port),
        "changed-by-fork" => changes::forked(port),
        "changed-parent" => changes::orphaned(port),
        "changed-program" => changes::program(port),
        "changed-layer" => spoof::overlay(port, spoof::Layer::Changing),
        "changed-layer-inner" => changes::layer_inner(port),
        "changed-removed" => changes::removed(port),
        "changed-removed-inner" => changes::removed_inner(port),
        "changed-moved" => changes::moved(port),
        "changed-moved-inner" => changes::moved_inner(port),
        "changed-arguments" => changes::arguments(port),
        other => Err(format!("the scenario {other} is not known").into()),
    }
}

/// Runs the scenario under `depth` ancestors that are this program too.
fn nested(depth: u32, scenario: &str, port: u16) -> Result {
    let mut command = Command::new(std::env::current_exe()?);
    if depth == 0 {
        command.args([scenario, &port.to_string()]);
    } else {
        command.args([
            "nested",
            &port.to_string(),
            &(depth - 1).to_string(),
            scenario,
        ]);
    }
    succeed(&mut command)
}

/// Work of a thread with a name of its own.
fn in_a_thread(work: impl FnOnce() -> Result + Send + 'static) -> Result {
    let thread = std::thread::Builder::new().name("worker".to_owned());
    let work = move || work().map_err(|error| error.to_string());
    match thread.spawn(work)?.join() {
        Ok(outcome) => Ok(outcome?),
        Err(_panic) => Err("the thread panicked".into()),
    }
}

/// A scenario by a copy of this program under another name.
fn renamed(name: &str, scenario: &str, port: u16) -> Result {
    in_folder(|folder| {
        let copy = folder.join(name);
        fs::copy(std::env::current_exe()?, &copy)?;
        succeed(Command::new(&copy).args([scenario, &port.to_string()]))
    })
}

/// A refused connect by an interpreter that runs a script.
fn script(port: u16) -> Result {
    in_folder(|folder| {
        let path = folder.join("check.sh");
        let text = format!("#!/bin/bash\n! exec 3<>/dev/tcp/127.0.0.1/{port}\n");
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        succeed(Command::new(&path).stderr(Stdio::null()))
    })
}

/// A folder of this process's own, so that several can run at the same time.
fn in_folder(work: impl FnOnce(&Path) -> Result) -> Result {
    let exe = std::env::current_exe()?;
    let beside = exe.parent().ok_or("the program is in no folder")?;
    let folder = beside.join(std::process::id().to_string());
    fs::create_dir_all(&folder)?;
    let outcome = work(&folder);
    fs::remove_dir_all(&folder)?;
    outcome
}

fn succeed(command: &mut Command) -> Result {
    let mut child = command.spawn()?;
    fact("client", child.id());
    let status = child.wait()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{command:?} ended with {status}").into())
    }
}
