//! What the kernel's record does not say: names of users and groups, the container.

mod container;
mod users;

use std::{collections::HashMap, path::Path, sync::Arc};

use crate::event::{Attribution, Event, Process};
use users::Users;

/// Distinct processes whose completed form is remembered; beyond, all are completed anew.
const MAX_PROCESSES: usize = 1024;

pub struct Enrich {
    users: Users,
    /// By the address of the process as it came, which is kept so that the address stays taken.
    completed: HashMap<usize, (Arc<Process>, Arc<Process>)>,
}

impl Enrich {
    /// `root` is where the host's root is mounted; absent files leave names unknown.
    pub fn new(root: &Path) -> Self {
        Self {
            users: Users::new(root),
            completed: HashMap::new(),
        }
    }

    /// Reads again what changed on disk; to be called now and then.
    pub fn refresh(&mut self) {
        if self.users.refresh() {
            self.completed.clear();
        }
    }

    pub fn complete(&mut self, event: &mut Event) {
        if event.attribution == Attribution::Unknown {
            return;
        }
        let address = Arc::as_ptr(&event.process).addr();
        if let Some((_, completed)) = self.completed.get(&address) {
            event.process = Arc::clone(completed);
            return;
        }
        let completed = Arc::new(self.completed(&event.process));
        if self.completed.len() >= MAX_PROCESSES {
            self.completed.clear();
        }
        let came = std::mem::replace(&mut event.process, Arc::clone(&completed));
        self.completed.insert(address, (came, completed));
    }

    fn completed(&self, process: &Process) -> Process {
        Process {
            user_name: self.users.user(process.uid),
            group_name: self.users.group(process.gid),
            login_name: process.login_uid.and_then(|uid| self.users.user(uid)),
            container_id: container::id(&process.cgroup).map(str::to_owned),
            ..process.clone()
        }
    }
}
