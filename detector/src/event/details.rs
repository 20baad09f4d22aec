//! What the host's files tell of a process beyond the kernel's snapshot of it. Read by `enrich` only
//! where a rule asks for it, and written to a trace, so that a replay judges the same.

use std::{
    collections::BTreeSet,
    hash::{Hash, Hasher},
    sync::OnceLock,
};

use serde::{Deserialize, Serialize};

/// What is read together, and asked for by the fields that need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Home folder and shell of the user.
    Account,
    /// Executables and arguments of the ancestors.
    Ancestors,
    /// Environments of the ancestors.
    AncestorEnvironments,
    Cgroups,
    Environment,
    /// Times, permissions and file system of the executable.
    Executable,
    /// How many descriptors are open, and may be.
    Files,
    /// Leaders of the session and of the process group.
    Leaders,
    /// Where the client of an accept connected to, by the kernel's tracking of connections.
    Original,
    /// The parent's id in its own pid namespace.
    ParentId,
    /// Memory, number of threads, capabilities, ids in the pid namespace.
    Status,
    /// Standard input, output and error.
    Streams,
    /// Ids of the threads in the pid namespace.
    Threads,
}

/// What the rules ask for beyond the kernel's record. Written as JSON only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub parts: BTreeSet<Part>,
    /// Names of hosts that conditions compare addresses with.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub names: BTreeSet<String>,
}

impl Asked {
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.names.is_empty()
    }

    /// What `other` does not ask for.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self {
            parts: self.parts.difference(&other.parts).copied().collect(),
            names: self.names.difference(&other.names).cloned().collect(),
        }
    }
}

/// A part is `None` if nobody asked for it, or if the process was gone when it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Details {
    pub account: Option<Account>,
    /// As `Process::ancestors`, in the same order.
    pub ancestors: Vec<Option<Relative>>,
    /// Controllers, separated by commas (none: the unified hierarchy), and path.
    pub cgroups: Option<Vec<(String, String)>>,
    pub environment: Option<Environment>,
    pub image: Option<Image>,
    pub files: Option<Files>,
    pub leaders: Option<Leaders>,
    /// The parent's id in its own pid namespace.
    pub parent_vpid: Option<u32>,
    pub status: Option<Status>,
    pub streams: Option<[Option<Stream>; 3]>,
    /// Each thread's id, and the same inside the process's own pid namespace.
    pub threads: Option<Vec<(u32, u32)>>,
}

/// Of the host's table of users: `None` where the user has no entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Account {
    pub home: Option<String>,
    pub shell: Option<String>,
}

/// An ancestor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Relative {
    pub path: String,
    /// argv, argv[0] first.
    pub args: Vec<String>,
    pub environment: Option<Environment>,
    #[serde(skip)]
    pub arguments: Once,
    #[serde(skip)]
    pub command_line: Once,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Environment {
    /// `NAME=value`.
    pub variables: Vec<String>,
    /// There were more than are kept.
    pub cut: bool,
    #[serde(skip)]
    pub joined: Once,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Image {
    /// The process may write to its executable.
    pub writable: bool,
    /// The executable lies in an overlay file system.
    pub overlay: bool,
    /// Nanoseconds since the Unix epoch.
    pub changed_ns: u64,
    pub modified_ns: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Files {
    pub open: u64,
    /// The soft limit; `None` if there is none.
    pub limit: Option<u64>,
}

/// `None` where the leader has ended, and no parent is of the same session or group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Leaders {
    pub session: Option<Leader>,
    pub group: Option<Leader>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Leader {
    pub comm: String,
    /// argv[0].
    pub exe: String,
    pub path: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Status {
    pub threads: u64,
    pub vm_size_kib: u64,
    pub vm_rss_kib: u64,
    pub vm_swap_kib: u64,
    /// One bit each, as `Process::capabilities`.
    pub permitted: u64,
    pub inheritable: u64,
    /// The process group in the process's own pid namespace.
    pub process_group: u32,
    #[serde(skip)]
    pub permitted_names: Once,
    #[serde(skip)]
    pub inheritable_names: Once,
}

/// Falco's `proc.stdin.type` and `proc.stdin.name`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stream {
    pub kind: String,
    pub name: String,
}

/// A text that follows from its neighbours: put together when it is first asked for, and kept. It is
/// no part of a value's identity.
#[derive(Debug, Clone, Default)]
pub struct Once(OnceLock<String>);

impl Once {
    pub fn get_or_make(&self, make: impl FnOnce() -> String) -> &str {
        self.0.get_or_init(make)
    }
}

impl PartialEq for Once {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Once {}

impl Hash for Once {
    fn hash<H: Hasher>(&self, _state: &mut H) {}
}
