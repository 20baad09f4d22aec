//! Servers that the tests start: on loopback, in a folder of their own, for as long as the test.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Of anything that is waited for.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Ends with the test.
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// What it says is in `folder`, in a file by this name.
    pub(crate) fn start(command: &mut Command, folder: &Path, name: &str) -> Self {
        let log = folder.join(format!("{name}.log"));
        let (out, error) = (
            File::create(&log).unwrap(),
            File::options().append(true).open(&log),
        );
        command
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(error.unwrap());
        let child = command.spawn().unwrap();
        Self { child, log }
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }

    /// Waits until what it says has an answer; fails if it ends before.
    pub(crate) fn wait_until<T>(&mut self, what: &str, mut is: impl FnMut(&str) -> Option<T>) -> T {
        wait_until(what, || {
            let said = self.said();
            let found = is(&said);
            let ended = self.child.try_wait().unwrap();
            assert!(
                found.is_some() || ended.is_none(),
                "ended before {what}: {said}"
            );
            found
        })
    }

    /// Asked to, as an administrator does.
    pub(crate) fn stop(mut self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        wait_until("the end of a server", || self.child.try_wait().unwrap());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Looks until there is an answer.
pub(crate) fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < SOON, "in vain waited for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Nobody listens there at the moment.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The port of one that is far away: what it answers takes this long.
pub(crate) fn distant(port: u16, delay: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (mut asked, mut asks) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            // Either end may close before it has read everything.
            thread::spawn(move || drop(std::io::copy(&mut asked, &mut asks)));
            thread::spawn(move || {
                let mut answer = [0; 1 << 14];
                while let Ok(length @ 1..) = server.read(&mut answer) {
                    thread::sleep(delay);
                    if client.write_all(&answer[..length]).is_err() {
                        break;
                    }
                }
                drop(client.shutdown(Shutdown::Both));
            });
        }
    });
    near
}

/// Waits until somebody listens there.
pub(crate) fn wait_for_port(server: &mut Server, port: u16) {
    server.wait_until("a server that listens", |_| {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
}

/// What `cargo xtask setup` fetched; `None`, and said so, if it is not there.
pub(crate) fn fetched(path: &str) -> Option<PathBuf> {
    let path = Path::new(ROOT).join("target").join(path);
    if path.exists() {
        return Some(path.canonicalize().unwrap());
    }
    println!(
        "skipped: there is no {}: run `cargo xtask setup`",
        path.display()
    );
    None
}

/// A program of a package of PyPI.
pub(crate) fn packaged(path: &str) -> Option<PathBuf> {
    let library = fetched("tools/python/lib")?;
    let version = std::fs::read_dir(library).unwrap().next().unwrap().unwrap();
    let path = version.path().join("site-packages").join(path);
    if !path.exists() {
        println!(
            "skipped: there is no {}: run `cargo xtask setup`",
            path.display()
        );
        return None;
    }
    Some(path)
}

/// A server of ours, in Python with what `cargo xtask setup` installed for it.
pub(crate) fn python(script: &str) -> Option<Command> {
    // Not resolved: it finds its packages by its own path.
    fetched("tools/python/bin/python")?;
    let mut command = Command::new(Path::new(ROOT).join("target/tools/python/bin/python"));
    command.arg(Path::new(ROOT).join("tests/peers").join(script));
    Some(command)
}

/// A server of `tests/peers`, and its port. What it takes is in the file `out` of the folder.
pub(crate) fn served(folder: &Path, script: &str, arguments: &[&str]) -> Option<(Server, u16)> {
    let out = folder.join("out");
    served_with(
        folder,
        script,
        [&[out.to_str().unwrap()], arguments].concat(),
    )
}

/// The same of one that keeps no such file.
pub(crate) fn served_with(
    folder: &Path,
    script: &str,
    arguments: Vec<&str>,
) -> Option<(Server, u16)> {
    let mut command = python(script)?;
    command.args(arguments);
    let mut server = Server::start(&mut command, folder, script);
    let port = server.wait_until("a server's port", |said| {
        said.strip_prefix("port ")?.trim_end().parse().ok()
    });
    Some((server, port))
}

/// Lines of a file that is written meanwhile.
pub(crate) struct Lines {
    path: PathBuf,
    read: Vec<u8>,
    offset: u64,
    count: usize,
}

impl Lines {
    pub(crate) fn of(path: PathBuf) -> Self {
        Self {
            path,
            read: Vec::new(),
            offset: 0,
            count: 0,
        }
    }

    /// How many there are so far.
    pub(crate) fn count(&mut self) -> usize {
        let Ok(mut file) = File::open(&self.path) else {
            return 0;
        };
        file.seek(SeekFrom::Start(self.offset)).unwrap();
        self.read.clear();
        self.offset += file.read_to_end(&mut self.read).unwrap() as u64;
        self.count += self.read.iter().filter(|byte| **byte == b'\n').count();
        self.count
    }

    /// Waits until there are as many.
    pub(crate) fn wait(&mut self, count: usize) {
        wait_until(&format!("{count} alerts at the peer"), || {
            (self.count() >= count).then_some(())
        });
    }

    /// All that there are.
    pub(crate) fn all(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.path).unwrap();
        // Alerts have line feeds of Unicode's own.
        text.split_terminator('\n').map(str::to_owned).collect()
    }
}

pub(crate) fn document(name: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join("docs").join(name)).unwrap()
}
