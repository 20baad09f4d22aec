//! The tools that are measured: the detector, and what others would use instead. They do the same
//! job: tell of each connect to port 10250 that is not the kubelet's, with process and addresses.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{FOLDER, WATCHED};
use crate::vm::Apt;

/// Debian's stable release; what is unpacked brings its own C library.
const SUITE: &str = "trixie";
const PACKAGES: [&str; 2] = ["bpftrace", "libbpf-tools"];
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
const LOADER: &str = "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";
const BPFTRACE: &str = "usr/bin/bpftrace";
/// bcc's, as libbpf-tools builds it.
const TCPCONNECT: &str = "usr/sbin/tcpconnect-libbpf";

const RULES: &str = r#"- rule: Connect To The Kubelet
  desc: What the one-liners of the other tools say.
  condition: evt.type = connect and fd.sport = 10250 and proc.name != kubelet
  output: "%proc.name %proc.pid %user.uid %fd.name"
  priority: WARNING
"#;

pub(super) struct Tool {
    pub(super) name: &'static str,
    pub(super) command: Vec<String>,
    /// In its log when it is attached; empty if it does not say.
    pub(super) ready: &'static str,
}

/// Where the packages are unpacked.
fn root() -> Result<PathBuf> {
    Ok(std::env::current_dir()?.join("target/bench/peers"))
}

/// Downloads the packages if they are not there yet, and writes the rules. Returns the packages.
pub(super) fn prepare() -> Result<String> {
    let packages = root()?.join("packages");
    if !packages.exists() {
        let cache = Path::new(FOLDER).canonicalize()?;
        let apt = Apt::new(&cache, &[SUITE])?;
        apt.unpack(&apt.with_dependencies(&PACKAGES)?, &root()?)?;
    }
    fs::write(rules(), RULES)?;
    let names = fs::read_to_string(&packages)?;
    let chosen = names
        .lines()
        .filter(|name| PACKAGES.iter().any(|package| name.starts_with(package)));
    Ok(chosen.collect::<Vec<_>>().join(", "))
}

fn rules() -> PathBuf {
    Path::new(FOLDER).join("rules.yaml")
}

/// What the tools of others need in a guest: themselves, the loader and what that lists.
pub(super) fn files() -> Result<Vec<PathBuf>> {
    let root = root()?;
    let mut files = vec![root.join(LOADER), std::env::current_dir()?.join(rules())];
    for program in [BPFTRACE, TCPCONNECT] {
        files.push(root.join(program));
        let mut command = foreign(program, &[])?;
        command.insert(1, "--list".to_owned());
        let (loader, arguments) = command.split_first().context("no loader")?;
        let output = Command::new(loader).args(arguments).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let paths = text.split_whitespace().filter(|word| word.starts_with('/'));
        files.extend(paths.map(PathBuf::from));
    }
    Ok(files)
}

/// Those that a kernel with or without kprobes can run.
pub(super) fn tools(kprobes: bool) -> Result<Vec<Tool>> {
    let mut tools = vec![
        detector("detector", "auto"),
        bpftrace("bpftrace, state", &state_change())?,
        bpftrace("bpftrace, syscall", &syscall())?,
    ];
    if kprobes {
        tools.push(detector("detector, kprobe", "kprobe"));
        tools.push(bpftrace("bpftrace, kprobe", &kprobe())?);
        tools.push(Tool {
            name: "tcpconnect",
            command: foreign(TCPCONNECT, &["-P", &WATCHED.to_string()])?,
            ready: "",
        });
    }
    Ok(tools)
}

fn detector(name: &'static str, attach: &str) -> Tool {
    let rules = rules();
    let words = ["run", "--attach", attach, "-r", &rules.to_string_lossy()].map(str::to_owned);
    let binary = crate::detector::BINARY.to_owned();
    Tool {
        name,
        command: std::iter::once(binary).chain(words).collect(),
        ready: "watching",
    }
}

fn bpftrace(name: &'static str, program: &str) -> Result<Tool> {
    Ok(Tool {
        name,
        command: foreign(BPFTRACE, &["-e", program])?,
        ready: "",
    })
}

/// With the C library that it came with, whatever this machine's is.
fn foreign(program: &str, arguments: &[&str]) -> Result<Vec<String>> {
    let root = root()?;
    let path = |part: &str| {
        let path = root.join(part);
        path.to_str().map(str::to_owned).context("no UTF-8")
    };
    let mut command = vec![path(LOADER)?, "--library-path".to_owned(), path(LIBRARIES)?];
    command.push(path(program)?);
    command.extend(arguments.iter().map(|word| (*word).to_owned()));
    Ok(command)
}

/// State 2 is SYN_SENT.
fn state_change() -> String {
    format!(
        "tracepoint:sock:inet_sock_set_state \
         /args.newstate == 2 && args.dport == {WATCHED} && comm != \"kubelet\"/ \
         {{ printf(\"%s %d %d %s:%d->%s:%d\\n\", comm, pid, uid, \
         ntop(args.saddr), args.sport, ntop(args.daddr), args.dport); }}"
    )
}

/// The address is the caller's memory, and may change after it was looked at.
fn syscall() -> String {
    let port = WATCHED.to_be();
    format!(
        "tracepoint:syscalls:sys_enter_connect \
         /((struct sockaddr_in *)args.uservaddr)->sin_port == {port} && comm != \"kubelet\"/ \
         {{ printf(\"%s %d %d %s:%d\\n\", comm, pid, uid, \
         ntop(((struct sockaddr_in *)args.uservaddr)->sin_addr.s_addr), {WATCHED}); }}"
    )
}

fn kprobe() -> String {
    let port = WATCHED.to_be();
    format!(
        "kprobe:tcp_connect \
         /((struct sock *)arg0)->__sk_common.skc_dport == {port} && comm != \"kubelet\"/ \
         {{ $sk = (struct sock *)arg0; printf(\"%s %d %d %s:%d->%s:%d\\n\", comm, pid, uid, \
         ntop($sk->__sk_common.skc_rcv_saddr), $sk->__sk_common.skc_num, \
         ntop($sk->__sk_common.skc_daddr), {WATCHED}); }}"
    )
}
