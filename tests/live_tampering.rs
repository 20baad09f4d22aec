//! Root meddles with the probes from outside: what the kernel lets it do is told by a Critical alert
//! within ten seconds, and what it refuses or takes without effect harms nothing.
#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it skips"
)]

use std::{
    collections::BTreeSet,
    fs,
    io::{self, BufRead as _, BufReader},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use aya::maps::{Array, Map, MapData, loaded_maps};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::Value;

const PORT: u16 = 23_900;
/// An alert is to come this soon.
const SOON: Duration = Duration::from_secs(10);
/// Whoever waits for something else waits at most so long.
const LONG: Duration = Duration::from_secs(60);
const TRACEFS: &str = "/sys/kernel/tracing";

fn mechanism() -> String {
    std::env::var("KUBELET_DETECTOR_ATTACH").unwrap_or("auto".to_owned())
}

/// What concerns the whole machine is done only where nobody else uses it.
fn is_guest() -> bool {
    std::env::var_os("KUBELET_DETECTOR_GUEST").is_some()
}

/// The real binary at work, in a folder with a BPF file system of its own.
struct Detector {
    child: Child,
    alerts: Receiver<Value>,
    folder: tempfile::TempDir,
    mounted: bool,
}

impl Detector {
    /// `None`, and why, where the probes cannot run.
    fn start(pinned: bool) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let bpf = folder.path().join("bpf");
        fs::create_dir(&bpf).unwrap();
        let mounted = pinned && mount("bpf", &bpf, "bpf", MountFlags::empty(), None).is_ok();
        let rules = folder.path().join("rules.yaml");
        let rule = format!(
            "- rule: seen\n  desc: d\n  priority: INFO\n  condition: evt.type = connect and \
             fd.sport = {PORT}\n  output: o\n"
        );
        fs::write(&rules, rule).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubelet-detector"));
        command
            .args(["run", "--format", "json", "--attach", &mechanism(), "-r"])
            .arg(&rules)
            .arg("--state")
            .arg(folder.path().join("state"));
        if pinned {
            command.arg("--pin").arg(bpf.join("pins"));
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, alerts) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines() {
                let _ = sender.send(serde_json::from_str(&line.unwrap()).unwrap());
            }
        });
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let detector = Self {
            child,
            alerts,
            folder,
            mounted,
        };
        while !said.contains("are proven") {
            if log.read_line(&mut said).unwrap() == 0 {
                assert!(
                    said.contains("without the probes") || said.contains("need capabilities"),
                    "{said}"
                );
                println!("skipped: {}", said.trim());
                return None;
            }
        }
        std::thread::spawn(move || log.lines().for_each(drop));
        println!("live: attached by {}", mechanism());
        Some(detector)
    }

    fn pins(&self) -> PathBuf {
        self.folder.path().join("bpf/pins")
    }

    /// The descriptors of which the kernel says this, as `link_id:`, with what it says.
    fn descriptors(&self, what: &str) -> Vec<(i32, String)> {
        let folder = format!("/proc/{}/fdinfo", self.child.id());
        let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
        let about = entries.filter_map(|entry| {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let number = entry.file_name().to_str()?.parse().ok()?;
            text.contains(what).then_some((number, text))
        });
        about.collect()
    }

    /// One of its maps.
    fn map(&self, name: &str) -> Map {
        let own = self.descriptors("map_id:");
        let own: BTreeSet<u32> = own
            .iter()
            .filter_map(|(_, text)| number(text, "map_id:"))
            .collect();
        let mut found = loaded_maps()
            .flatten()
            .filter(|map| map.name_as_str() == Some(name) && own.contains(&map.id()));
        Map::Array(MapData::from_id(found.next().unwrap().id()).unwrap())
    }

    /// Whether the alert comes in time, and how long it takes.
    fn tells(&self, harm: &str, change: &str) {
        let begin = Instant::now();
        loop {
            let rest = SOON.saturating_sub(begin.elapsed());
            let Ok(alert) = self.alerts.recv_timeout(rest) else {
                panic!("{harm}: nothing is told of it");
            };
            let said = alert.get("output").unwrap().as_str().unwrap();
            if alert.get("rule").unwrap() == "Probes changed" {
                assert_eq!(alert.get("priority").unwrap(), "Critical");
                assert!(said.contains(change), "{harm}: {said}");
                println!("tampering: {harm}: told after {:.1?}", begin.elapsed());
                return;
            }
        }
    }

    /// A connect is alerted on, and nothing of the probes.
    fn sees(&self, though: &str) {
        while self.alerts.try_recv().is_ok() {}
        assert!(TcpStream::connect(("127.0.0.1", PORT)).is_err());
        let Ok(alert) = self.alerts.recv_timeout(LONG) else {
            panic!("{though}: a connect is not seen");
        };
        assert_eq!(alert.get("rule").unwrap(), "seen", "{though}: {alert}");
        println!("tampering: {though}: no harm");
    }
}

impl Drop for Detector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if self.mounted {
            unmount(self.folder.path().join("bpf"), UnmountFlags::DETACH).unwrap();
        }
    }
}

fn number(text: &str, name: &str) -> Option<u32> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().parse().ok()
}

/// `bpf(2)` with one number as its attributes.
#[expect(unsafe_code, reason = "the C library has no binding for it")]
fn bpf(command: libc::c_long, attribute: u32) -> io::Result<i32> {
    let attributes = [attribute, 0, 0, 0];
    // SAFETY: the kernel reads as many bytes as it is told.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            attributes.as_ptr(),
            size_of_val(&attributes),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(i32::try_from(result).unwrap())
}

#[expect(
    unsafe_code,
    reason = "the requests of perf events have no safe binding"
)]
fn disable(event: i32) -> io::Result<()> {
    /// `PERF_EVENT_IOC_DISABLE`.
    const DISABLE: libc::c_ulong = 0x2401;
    // SAFETY: the request takes no memory.
    match unsafe { libc::ioctl(event, DISABLE, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Another process's descriptor, as pidfd_getfd(2) gives it.
#[expect(
    unsafe_code,
    reason = "the descriptor is looked at and closed in one place"
)]
fn with_descriptor<T>(of: &Child, number: i32, look: impl FnOnce(i32) -> T) -> T {
    let pid = rustix::process::Pid::from_child(of);
    let process = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
    // SAFETY: the system call takes numbers only.
    let taken = unsafe {
        use std::os::fd::AsRawFd as _;
        libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0)
    };
    assert!(taken >= 0, "{}", io::Error::last_os_error());
    let taken = i32::try_from(taken).unwrap();
    let seen = look(taken);
    // SAFETY: it was made above, for this call alone.
    unsafe { libc::close(taken) };
    seen
}

/// What `bpftool link detach` does. No link of these kinds has that operation.
#[test]
fn links_cannot_be_detached() {
    const DETACH: libc::c_long = 34;
    const LINK_BY_ID: libc::c_long = 30;
    let Some(detector) = Detector::start(false) else {
        return;
    };
    let mut detached = 0;
    for (_, about) in detector.descriptors("link_id:") {
        let kind = about
            .lines()
            .find_map(|line| line.strip_prefix("link_type:"));
        let kind = kind.unwrap_or("unknown").trim();
        let id = number(&about, "link_id:").unwrap();
        let link = bpf(LINK_BY_ID, id).unwrap();
        let answer = bpf(DETACH, u32::try_from(link).unwrap());
        let errno = answer.as_ref().err().and_then(io::Error::raw_os_error);
        let said = errno.map_or("it is detached".to_owned(), |errno| {
            format!("errno {errno}")
        });
        println!("tampering: detach of a link of type {kind}: {said}");
        match errno {
            None => detached += 1,
            Some(errno) => assert_eq!(errno, libc::EOPNOTSUPP, "{kind}"),
        }
    }
    if detached > 0 {
        detector.tells("a link is detached", "is detached");
    } else {
        detector.sees("a detach is refused");
    }
}

#[test]
fn a_map_that_is_written_to_is_told() {
    let Some(detector) = Detector::start(false) else {
        return;
    };
    let mut words: Array<_, u64> = Array::try_from(detector.map("PORTS")).unwrap();
    for index in 0..words.len() {
        words.set(index, 0, 0).unwrap();
    }
    detector.tells("the ports are cleared", "the map PORTS is not");
    drop(detector);

    let detector = Detector::start(false).unwrap();
    let mut words: Array<_, u32> = Array::try_from(detector.map("ELSEWHERE")).unwrap();
    let word = words.get(&0, 0).unwrap();
    words.set(0, 1 - word, 0).unwrap();
    detector.tells("the subjects are turned", "the map ELSEWHERE is not");
}

#[test]
fn a_pin_that_is_taken_away_is_told() {
    if mechanism() == "kprobe" {
        println!("skipped: kernel lacks pins of kprobes");
        return;
    }
    let link = "link_inet_sock_set_state";
    let Some(detector) = Detector::start(true) else {
        return;
    };
    fs::remove_file(detector.pins().join(link)).unwrap();
    detector.tells(
        "the pin of a link is taken away",
        &format!("the pin {link} is gone"),
    );
    drop(detector);

    let detector = Detector::start(true).unwrap();
    let bpf = detector.folder.path().join("bpf");
    unmount(&bpf, UnmountFlags::DETACH).unwrap();
    mount("bpf", &bpf, "bpf", MountFlags::empty(), None).unwrap();
    detector.tells("the pins are mounted over", "the pin EVENTS is gone");
}

/// The events of the detector's kprobes, as tracefs names them.
fn events(detector: &Detector) -> Vec<String> {
    let own = format!("_{}_", detector.child.id());
    let text = fs::read_to_string(Path::new(TRACEFS).join("kprobe_events")).unwrap();
    let names = text.lines().filter_map(|line| {
        let (_, event) = line.split_whitespace().next()?.split_once(':')?;
        (event.starts_with("kubelet_detector/") && event.contains(&own)).then(|| event.to_owned())
    });
    names.collect()
}

/// Through tracefs, and through the events' descriptors: what a program runs at is not changed.
#[test]
fn kprobes_cannot_be_taken_away_one_by_one() {
    if mechanism() != "kprobe" {
        println!("skipped: kernel lacks nothing: no kprobe is used");
        return;
    }
    let Some(detector) = Detector::start(false) else {
        return;
    };
    let names = events(&detector);
    assert!(names.len() >= 3, "{names:?}");
    for name in &names {
        let enable = Path::new(TRACEFS).join("events").join(name).join("enable");
        fs::write(enable, "0").unwrap();
        let mut events = fs::OpenOptions::new();
        let events = events
            .append(true)
            .open(Path::new(TRACEFS).join("kprobe_events"));
        let refused = io::Write::write_all(&mut events.unwrap(), format!("-:{name}").as_bytes());
        let errno = refused.err().and_then(|error| error.raw_os_error());
        assert_eq!(errno, Some(libc::EBUSY), "{name}");
    }
    assert_eq!(events(&detector), names);
    detector.sees("the events are disabled through tracefs");

    let folder = format!("/proc/{}/fd", detector.child.id());
    let mut disabled = 0;
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        if target.to_string_lossy().contains("perf_event") {
            let number = entry.file_name().to_str().unwrap().parse().unwrap();
            with_descriptor(&detector.child, number, disable).unwrap();
            disabled += 1;
        }
    }
    assert_eq!(disabled, names.len());
    detector.sees("the events are disabled through their descriptors");
}

/// Turns a switch off as long as it lives.
struct Off<'a>(&'a Path);

impl<'a> Off<'a> {
    fn turn(switch: &'a Path) -> io::Result<Self> {
        fs::write(switch, "0")?;
        Ok(Self(switch))
    }
}

impl Drop for Off<'_> {
    fn drop(&mut self) {
        fs::write(self.0, "1").unwrap();
    }
}

#[test]
fn kprobes_that_are_turned_off_are_told() {
    if !is_guest() || mechanism() != "kprobe" {
        println!("skipped: kernel lacks nothing: the switch is everybody's, or no kprobe is used");
        return;
    }
    let Some(detector) = Detector::start(false) else {
        return;
    };
    let debugfs = detector.folder.path().join("debug");
    fs::create_dir(&debugfs).unwrap();
    mount("debugfs", &debugfs, "debugfs", MountFlags::empty(), None).unwrap();
    let off = Off::turn(&debugfs.join("kprobes/enabled")).map(|_off| {
        detector.tells("kprobes are turned off", "kprobes is turned off");
    });
    unmount(&debugfs, UnmountFlags::DETACH).unwrap();
    off.unwrap();
}

#[test]
fn ftrace_that_is_turned_off_is_told() {
    if !is_guest() || mechanism() == "tracepoint" {
        println!("skipped: kernel lacks nothing: the switch is everybody's, or not used");
        return;
    }
    let Some(detector) = Detector::start(false) else {
        return;
    };
    match Off::turn(Path::new("/proc/sys/kernel/ftrace_enabled")) {
        Ok(_off) => detector.tells("ftrace is turned off", "ftrace is turned off"),
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(libc::EBUSY));
            detector.sees("ftrace cannot be turned off");
        }
    }
}
