//! What the kernel's record does not say: names of users, groups and hosts, the container; and what
//! rules ask for beyond that.

mod conntrack;
mod container;
mod hosts;
mod image;
mod process;
mod streams;
mod users;

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    sync::Arc,
};

use crate::event::{Account, Asked, Attribution, Details, Event, Part, Process};
use conntrack::Conntrack;
use hosts::Hosts;
use process::Proc;
use users::Users;

/// Distinct processes whose completed form is remembered; beyond, all are completed anew.
const MAX_PROCESSES: usize = 1024;
/// How long what was read of a process counts as its state: then it is read again at its next event.
const FRESH_NS: u64 = 1_000_000_000;

pub struct Enrich {
    users: Users,
    hosts: Hosts,
    conntrack: Conntrack,
    proc: Proc,
    parts: BTreeSet<Part>,
    /// By the address of the process as it came.
    completed: HashMap<usize, Completed>,
}

struct Completed {
    /// Kept so that its address stays taken.
    _came: Arc<Process>,
    process: Arc<Process>,
    /// When the process was looked at, by the time of its event.
    read_ns: u64,
}

impl Enrich {
    /// `root` is where the host's root is mounted; absent files leave names unknown. Nothing is read
    /// that is not `asked`.
    pub fn new(root: &Path, asked: Asked) -> Self {
        let mut enrich = Self {
            users: Users::new(root),
            hosts: Hosts::new(root),
            conntrack: Conntrack::new(root),
            proc: Proc::new(root),
            parts: BTreeSet::new(),
            completed: HashMap::new(),
        };
        enrich.ask(asked);
        enrich
    }

    /// From now on for other rules.
    pub fn ask(&mut self, asked: Asked) {
        self.hosts.ask(asked.names);
        self.parts = asked.parts;
        self.completed.clear();
    }

    /// Reads again what changed on disk; to be called now and then.
    pub fn refresh(&mut self) {
        self.hosts.refresh();
        if self.users.refresh() {
            self.completed.clear();
        }
    }

    pub fn complete(&mut self, event: &mut Event) {
        event.names = self.hosts.of(event);
        if self.parts.contains(&Part::Original) {
            event.original = self.conntrack.original(event);
        }
        if event.attribution == Attribution::Unknown {
            return;
        }
        let address = Arc::as_ptr(&event.process).addr();
        let stale = |known: &Completed| event.time_ns.saturating_sub(known.read_ns) >= FRESH_NS;
        if let Some(known) = self.completed.get_mut(&address) {
            if reads_proc(&self.parts) && stale(known) {
                known.read_ns = event.time_ns;
                look_again(&self.proc, &self.parts, &mut known.process);
            }
            event.process = Arc::clone(&known.process);
            return;
        }
        let process = Arc::new(self.completed(&event.process));
        if self.completed.len() >= MAX_PROCESSES {
            self.completed.clear();
        }
        let came = std::mem::replace(&mut event.process, Arc::clone(&process));
        let completed = Completed {
            _came: came,
            process,
            read_ns: event.time_ns,
        };
        self.completed.insert(address, completed);
    }

    fn completed(&self, process: &Process) -> Process {
        Process {
            user_name: self.users.user(process.uid),
            group_name: self.users.group(process.gid),
            login_name: process.login_uid.and_then(|uid| self.users.user(uid)),
            container_id: container::id(&process.cgroup).map(str::to_owned),
            details: self.details(process).map(Box::new),
            ..process.clone()
        }
    }

    fn details(&self, process: &Process) -> Option<Details> {
        let account = self.parts.contains(&Part::Account).then(|| Account {
            home: self.users.home(process.uid),
            shell: self.users.shell(process.uid),
        });
        let details = reads_proc(&self.parts)
            .then(|| self.proc.details(process, &self.parts))
            .flatten();
        if account.is_none() {
            return details;
        }
        Some(Details {
            account,
            ..details.unwrap_or_default()
        })
    }
}

/// The table of users is at hand anyway, and connections are no processes.
fn reads_proc(parts: &BTreeSet<Part>) -> bool {
    let others = [Part::Account, Part::Original];
    parts.iter().any(|part| !others.contains(part))
}

/// A process that has ended keeps what was read of it; one that is as it was stays the same.
fn look_again(proc: &Proc, parts: &BTreeSet<Part>, process: &mut Arc<Process>) {
    let Some(mut details) = proc.details(process, parts) else {
        return;
    };
    let before = process.details.as_deref();
    details.account = before.and_then(|before| before.account.clone());
    if before != Some(&details) {
        *process = Arc::new(Process {
            details: Some(Box::new(details)),
            ..Process::clone(process)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Endpoint, Kind, Names};

    fn event(process: &Arc<Process>, time_ns: u64) -> Event {
        let end = |last| Endpoint {
            ip: [10, 0, 0, last].into(),
            port: 10250,
        };
        let mut event = Event {
            time_ns,
            process: Arc::clone(process),
            ..Event::example(Kind::ConnectAttempt, end(5))
        };
        event.socket.client = Some(end(9));
        event
    }

    #[test]
    fn a_process_is_read_again_after_a_second_and_keeps_what_it_was_when_it_has_ended() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let entry = procfs::process::Process::new(i32::try_from(child.id()).unwrap()).unwrap();
        // Until then it opens and closes the files of its start.
        while entry.stat().unwrap().state != 'S' {
            std::thread::yield_now();
        }
        let per_tick = 1_000_000_000 / procfs::ticks_per_second();
        let process = Arc::new(Process {
            pid: child.id(),
            start_time_ns: entry.stat().unwrap().starttime * per_tick,
            ..Process::default()
        });
        let parts = [Part::Files, Part::Account].into();
        let asked = Asked {
            parts,
            ..Asked::default()
        };
        let mut enrich = Enrich::new(Path::new("/"), asked);
        let mut complete = |time_ns| {
            let mut event = event(&process, time_ns);
            enrich.complete(&mut event);
            event.process
        };
        let first = complete(0);
        let details = first.details.as_ref().unwrap();
        assert!(details.files.as_ref().unwrap().open >= 3);
        assert!(details.account.is_some() && details.environment.is_none());
        // As it was, whether it is looked at or not.
        assert!(Arc::ptr_eq(&first, &complete(FRESH_NS - 1)));
        assert!(Arc::ptr_eq(&first, &complete(2 * FRESH_NS)));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(Arc::ptr_eq(&first, &complete(4 * FRESH_NS)));
        enrich.ask(Asked::default());
        let mut event = event(&process, 5 * FRESH_NS);
        enrich.complete(&mut event);
        assert_eq!(event.process.details, None);
    }

    #[test]
    fn ends_have_the_names_that_are_asked_for() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        let file = root.path().join("etc/hosts");
        std::fs::write(&file, "10.0.0.5 api other\n10.0.0.9 client\n").unwrap();
        let asked = Asked {
            names: ["api".to_owned()].into(),
            ..Asked::default()
        };
        let mut enrich = Enrich::new(root.path(), asked);
        let mut complete = || {
            let mut event = event(&Arc::default(), 0);
            enrich.complete(&mut event);
            event.names.map(|names| *names)
        };
        let server = vec!["api".to_owned()];
        let names = Names {
            server,
            ..Names::default()
        };
        assert_eq!(complete(), Some(names));
        enrich.ask(Asked::default());
        let mut event = event(&Arc::default(), 0);
        enrich.complete(&mut event);
        assert_eq!(event.names, None);
    }
}
