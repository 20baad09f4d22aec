//! Makes the traffic of one scenario: `trigger SCENARIO PORT [COUNT]`. The live tests and
//! `cargo xtask record` run it.
#![expect(clippy::print_stdout, reason = "it says what it made")]

mod flood;
mod traffic;

use std::{
    error::Error,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// A name that the kernel cuts to 15 bytes.
const LONG_NAME: &str = "kubelet-impersonator";

fn main() -> Result {
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
        "flood" => flood::flood(port, count),
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
    let status = command.status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{command:?} ended with {status}").into())
    }
}
