//! What the kernel's record does not say: names of users, groups and hosts, the container; and what
//! rules ask for beyond that.

mod container;
mod hosts;
mod process;
mod streams;
mod users;

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    sync::Arc,
};

use crate::event::{Account, Asked, Attribution, Details, Event, Part, Process};
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
        Self {
            users: Users::new(root),
            hosts: Hosts::new(root, asked.names),
            proc: Proc::new(root),
            parts: asked.parts,
            completed: HashMap::new(),
        }
    }

    /// From the next event on, this is asked.
    pub fn ask(&mut self, asked: Asked) {
        self.hosts.want(asked.names);
        if asked.parts != self.parts {
            self.parts = asked.parts;
            self.completed.clear();
        }
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
        if event.attribution == Attribution::Unknown {
            return;
        }
        let address = Arc::as_ptr(&event.process).addr();
        let stale = |known: &Completed| event.time_ns.saturating_sub(known.read_ns) >= FRESH_NS;
        if let Some(known) = self.completed.get_mut(&address) {
            if !self.parts.is_empty() && stale(known) {
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
        let of_proc = self.parts.iter().any(|part| *part != Part::Account);
        let details = of_proc
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
