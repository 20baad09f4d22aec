//! Everything that a configuration is made of, put on one another: files, the environment, settings
//! of the command line.

use std::{
    fs::DirEntry,
    io,
    path::{Path, PathBuf},
};

use super::{
    codes,
    merge::{self, Step, Strategy, merge},
    node::{Node, Place, Value},
    settings::{ConfigFile, Merged},
    texts::{Texts, addresses, has_query, queries, secrets},
    yaml,
};
use crate::{
    files::{self, MAX_SIZE, Unreadable},
    rules::{Diagnostic, spelling},
};

/// Read if it is there and no other is named.
pub const DEFAULT_FILE: &str = "/etc/kubelet-detector/kubelet-detector.yaml";
/// Its drop-ins, if it names no others.
pub const DEFAULT_FOLDER: &str = "/etc/kubelet-detector/config.d";

/// The drop-ins of falco.yaml as it is shipped.
const FALCOS_FOLDER: &str = "/etc/falco/config.d";
/// Names that are looked through for one that was meant.
const MAX_BESIDE: usize = 256;

/// `KUBELET_DETECTOR__HTTP_OUTPUT__URL` is `http_output.url`.
const PREFIX: &str = "KUBELET_DETECTOR__";
/// What Falco's and other node agents' variables are the defaults of; the later counts.
const DEFAULTS: [(&str, &str); 3] = [
    ("NODE_NAME", "hostname"),
    ("FALCO_HOSTNAME", "hostname"),
    ("HOST_ROOT", "host_root"),
];

const RULES_FILES: &str = "rules_files";
const CONFIG_FILES: &str = "config_files";

/// What a configuration is read from. It may have secrets in it, so that it is not printed.
#[derive(Clone, Default)]
pub struct Origins {
    /// The one that is named; an empty name is that of no file.
    pub file: Option<PathBuf>,
    /// Read if no file is named, and its drop-ins.
    pub default: Option<(PathBuf, PathBuf)>,
    /// Names and values of the environment's variables; others than ours are passed over.
    pub environment: Vec<(String, String)>,
    /// `key.path=value`, the later over the earlier.
    pub settings: Vec<String>,
    /// The files that said something when they were last read, at a reload: one that is empty or gone
    /// now may be being written, so that this is a mistake.
    pub spoken: Vec<PathBuf>,
}

impl Origins {
    /// Those of this process.
    pub fn of_process(file: Option<PathBuf>, settings: Vec<String>) -> Self {
        // What is no UTF-8 is set all the same, for what is wrong with it to be told.
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let variables = std::env::vars_os();
        Self {
            file,
            default: Some((DEFAULT_FILE.into(), DEFAULT_FOLDER.into())),
            environment: variables
                .map(|(name, value)| (text(name), text(value)))
                .filter(|(name, _)| is_ours(name))
                .collect(),
            settings,
            spoken: Vec::new(),
        }
    }
}

fn is_ours(variable: &str) -> bool {
    variable.starts_with(PREFIX) || DEFAULTS.iter().any(|(name, _)| *name == variable)
}

/// The tree, and what was found out while it was put together.
pub(super) struct Gathered {
    /// Those of the origins.
    before: Vec<PathBuf>,
    pub(super) texts: Texts,
    pub(super) tree: Node,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Files and folders that were read, in order.
    pub(super) files: Vec<PathBuf>,
    /// Those of them that say something.
    pub(super) spoken: Vec<PathBuf>,
}

pub(super) fn gather(origins: &Origins) -> Gathered {
    let mut texts = Texts::default();
    let root = texts.add(String::new(), String::new());
    let mut gathered = Gathered {
        before: origins.spoken.clone(),
        texts,
        tree: Node::empty(root),
        diagnostics: Vec::new(),
        files: Vec::new(),
        spoken: Vec::new(),
    };
    let mut variables = origins.environment.clone();
    variables.sort();
    for (variable, key) in DEFAULTS {
        let value = variables.iter().find(|(name, _)| name == variable);
        if let Some((name, value)) = value.filter(|(_, value)| !value.is_empty()) {
            let place = gathered.texts.add(name.clone(), value.clone());
            let step = Step::Key(key.to_owned(), place.clone());
            gathered.put(vec![step], Node::text(place, value.clone()));
        }
    }
    gathered.files(origins);
    for (name, value) in &variables {
        if let Some(key) = name.strip_prefix(PREFIX) {
            gathered.variable(name, key, value);
        }
    }
    let mut first = true;
    for setting in &origins.settings {
        gathered.setting(setting, &mut first);
    }
    gathered
}

impl Gathered {
    fn tell(&mut self, code: &'static str, place: &Place, message: String, help: Option<&str>) {
        self.told(code, place, message, help.map(str::to_owned));
    }

    fn files(&mut self, origins: &Origins) {
        let mut folder = None;
        match (&origins.file, &origins.default) {
            (Some(file), _) if file.as_os_str().is_empty() => {}
            (Some(file), _) => self.main(file),
            (None, Some((file, drop_ins))) => {
                if file.symlink_metadata().is_ok() || self.before.contains(file) {
                    self.main(file);
                }
                let before = !self.gone(drop_ins).is_empty();
                folder = Some(drop_ins).filter(|folder| folder.is_dir() || before);
            }
            (None, None) => {}
        }
        let named = self.tree.find(&[CONFIG_FILES]).cloned();
        match (named, folder) {
            (Some(named), _) => self.included(&named, origins.file.as_deref()),
            (None, Some(folder)) => self.folder(folder, Strategy::Append),
            (None, None) => {}
        }
    }

    fn main(&mut self, file: &Path) {
        if let Some(node) = self.file(file) {
            merge(&mut self.tree, node, Strategy::Override);
        }
    }

    /// What is wrong with the list itself is told when the whole tree is read.
    fn included(&mut self, named: &Node, main: Option<&Path>) {
        let Value::List(items) = &named.value else {
            return;
        };
        for item in items {
            let Ok(file) = <ConfigFile as serde::Deserialize>::deserialize(item) else {
                continue;
            };
            let (path, strategy) = match file {
                ConfigFile::Path(path) => (path, Strategy::default()),
                ConfigFile::Merged(Merged { path, strategy }) => (path, strategy),
            };
            if main == Some(path.as_path()) {
                let message = "the file includes itself".to_owned();
                self.tell(codes::VALUE, &item.place, message, None);
            } else if path.is_dir() {
                self.folder(&path, strategy);
            } else if path.symlink_metadata().is_err() {
                self.absent(item, &path);
            } else {
                self.drop_in(&path, strategy);
            }
        }
    }

    /// Falco passes over what is absent, so that a slip goes unnoticed: here its own folder alone is.
    fn absent(&mut self, item: &Node, path: &Path) {
        let written = item.find(&["path"]).unwrap_or(item);
        if path == Path::new(FALCOS_FOLDER) {
            let message = "there is no such folder: it is passed over".to_owned();
            return self.tell(codes::NOT_USED, &written.place, message, None);
        }
        let near = similar(path);
        let help = near.as_deref().unwrap_or("make it, or leave it out");
        let message = "there is no such file or folder".to_owned();
        self.tell(codes::VALUE, &written.place, message, Some(help));
    }

    /// What of a folder said something, and is not there.
    fn gone(&self, folder: &Path) -> Vec<PathBuf> {
        let mut gone = self.before.clone();
        gone.retain(|path| path.parent() == Some(folder) && path.symlink_metadata().is_err());
        gone
    }

    fn folder(&mut self, folder: &Path, strategy: Strategy) {
        self.files.push(folder.to_owned());
        match files::of_folder(folder) {
            Ok(mut paths) => {
                paths.extend(self.gone(folder));
                for path in paths {
                    self.drop_in(&path, strategy);
                }
            }
            Err(error) => self.unread(folder, &Unreadable::Io(error)),
        }
    }

    fn drop_in(&mut self, file: &Path, strategy: Strategy) {
        let Some(mut node) = self.file(file) else {
            return;
        };
        if let Some(entry) = node.take(&[CONFIG_FILES]) {
            let message = "a file that is included includes no others".to_owned();
            let help = "name them in the main file";
            self.tell(codes::VALUE, &entry.key_place, message, Some(help));
        }
        merge(&mut self.tree, node, strategy);
    }

    fn unread(&mut self, path: &Path, why: &Unreadable) {
        let name = path.display().to_string();
        let place = self.texts.add(name, String::new());
        let help = match why {
            Unreadable::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                "let the detector's user read it"
            }
            Unreadable::Io(error) if is_gone(error) && self.before.iter().any(|it| it == path) => {
                "it may be being replaced; to take out what it said, write `{}` to it before"
            }
            Unreadable::Io(_) => "name a file with --config; a link must lead to one",
            Unreadable::NoFile(_) => "write the configuration to a file",
            Unreadable::TooLarge(_) => "a configuration has at most 1 MiB",
        };
        self.tell(codes::FILE_READ, &place, why.to_string(), Some(help));
    }

    fn file(&mut self, path: &Path) -> Option<Node> {
        self.files.push(path.to_owned());
        let bytes = match files::read(path, MAX_SIZE) {
            Ok(bytes) => bytes,
            Err(why) => {
                self.unread(path, &why);
                return None;
            }
        };
        let name = path.display().to_string();
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let before = error.as_bytes().get(..valid).unwrap_or_default();
                let text = String::from_utf8_lossy(before).into_owned();
                let mut place = self.texts.add(name, text);
                place.span = valid..valid;
                self.texts.hide(&place, true);
                let help = "save the file as UTF-8";
                let message = "this is no UTF-8".to_owned();
                self.tell(codes::FILE_READ, &place, message, Some(help));
                return None;
            }
        };
        let place = self.texts.add(name, text.clone());
        let node = self.parsed(&text, &place, 0, true)?;
        if !matches!(node.value, Value::Null) {
            self.spoken.push(path.to_owned());
        } else if self.before.iter().any(|before| before == path) {
            let message = "the file is empty, and was not before".to_owned();
            let help = "it may be being written; to take out what it said, write `{}`";
            self.tell(codes::FILE_READ, &node.place, message, Some(help));
            return None;
        }
        if matches!(node.value, Value::Map(_) | Value::Null) {
            return Some(node);
        }
        let message = format!("expected keys with values, found {}", node.what());
        self.tell(codes::VALUE, &node.place, message, None);
        None
    }

    fn parsed(&mut self, text: &str, place: &Place, start: usize, is_file: bool) -> Option<Node> {
        match yaml::parse(text, place.text, start) {
            Ok(node) => {
                self.texts.hide_places(&secrets(&node));
                self.texts.hide_places(&queries(&node));
                Some(node)
            }
            Err(mistake) => {
                self.texts.hide(place, is_file);
                self.tell(codes::SYNTAX, &mistake.place, mistake.message, None);
                None
            }
        }
    }

    fn variable(&mut self, name: &str, key: &str, value: &str) {
        let place = self.texts.add(name.to_owned(), value.to_owned());
        let keys = key.split("__");
        let path: Vec<Step> = keys
            .map(|key| Step::Key(key.to_ascii_lowercase(), place.clone()))
            .collect();
        if let Some(node) = self.value(value, &place, 0) {
            self.hide(&path, &node);
            self.put(path, node);
        }
    }

    /// Nothing is an empty text here.
    fn value(&mut self, value: &str, place: &Place, start: usize) -> Option<Node> {
        if value.is_empty() {
            return Some(Node::text(place.clone(), String::new()));
        }
        self.parsed(value, place, start, false)
    }

    /// Hides what is a secret because of the path before it.
    fn hide(&mut self, path: &[Step], node: &Node) -> bool {
        let secrets = secrets(&within(path, node.clone()));
        self.texts.hide_places(&secrets);
        !secrets.is_empty()
    }

    fn setting(&mut self, setting: &str, first: &mut bool) {
        const NAME: &str = "--set";
        let whole = self.texts.add(NAME.to_owned(), setting.to_owned());
        let Some((key, value)) = setting.split_once('=') else {
            let help = Some("write --set key=value");
            self.texts.hide(&whole, false);
            self.tell(codes::SYNTAX, &whole, "there is no value".to_owned(), help);
            return;
        };
        let start = key.len() + 1;
        let place = Place {
            text: whole.text,
            span: start..setting.len(),
        };
        let path = match steps(key, &whole) {
            Ok(path) => path,
            Err(wrong) => {
                self.texts.hide_places(&[place]);
                let help = "write key.key=value, key[0]=value or key[]=value";
                self.tell(
                    codes::SYNTAX,
                    &wrong,
                    "this is no key".to_owned(),
                    Some(help),
                );
                return;
            }
        };
        let Some(node) = self.value(value, &place, start) else {
            return;
        };
        if self.hide(&path, &node) {
            let message = "a secret of the command line is read by every process".to_owned();
            let help = "write it to a file and set `.file` to its path, or set `.env` to the name \
                        of a variable of the environment";
            self.tell(codes::SECRET, &place, message, Some(help));
            return;
        }
        let mut queries = Vec::new();
        addresses(&within(&path, node.clone()), has_query, &mut queries);
        if !queries.is_empty() {
            let message = "the query of an address may be a secret, and the command line is read by \
                           every process";
            let help = "write it to a file of the configuration, or set it by a variable of the environment";
            self.tell(codes::SECRET, &place, message.to_owned(), Some(help));
            return;
        }
        match path.as_slice() {
            [Step::Key(key, _)] if key == RULES_FILES && !matches!(node.value, Value::List(_)) => {
                self.rules_file(path, node, first);
            }
            _ => self.put(path, node),
        }
    }

    /// Each adds one; together they take the place of those of the files.
    fn rules_file(&mut self, mut path: Vec<Step>, node: Node, first: &mut bool) {
        let place = node.place.clone();
        if *first {
            *first = false;
            let value = Value::List(vec![node]);
            return self.put(path, Node { place, value });
        }
        path.push(Step::More);
        self.put(path, node);
    }

    fn put(&mut self, path: Vec<Step>, node: Node) {
        if let Some(Step::Key(key, place)) = path.first()
            && key == CONFIG_FILES
        {
            let message = format!("`{CONFIG_FILES}` is a key of the main file alone");
            let place = place.clone();
            return self.tell(codes::VALUE, &place, message, None);
        }
        if let Err(no) = merge::put(&mut self.tree, path, node) {
            self.tell(codes::VALUE, &no.place, no.message, None);
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// What is beside a path and has a similar name.
fn similar(path: &Path) -> Option<String> {
    let entries = path.parent()?.read_dir().ok()?;
    let name = |entry: io::Result<DirEntry>| entry.ok()?.file_name().into_string().ok();
    let mut names: Vec<String> = entries.take(MAX_BESIDE).filter_map(name).collect();
    names.sort();
    let names = names.iter().map(String::as_str);
    spelling::did_you_mean(path.file_name()?.to_str()?, names)
}

/// As a file would have it.
fn within(path: &[Step], node: Node) -> Node {
    path.iter().rev().fold(node, |node, step| {
        let place = node.place.clone();
        let value = match step {
            Step::Key(key, key_place) => {
                let mut map = super::node::Map::default();
                map.entries.push(super::node::Entry {
                    key: key.clone(),
                    key_place: key_place.clone(),
                    value: node,
                });
                Value::Map(map)
            }
            Step::Item(..) | Step::More => Value::List(vec![node]),
        };
        Node { place, value }
    })
}

/// `sinks[0].http.url`; else the place that is wrong.
fn steps(key: &str, whole: &Place) -> Result<Vec<Step>, Place> {
    let mut steps = Vec::new();
    let mut at = 0;
    for part in key.split('.') {
        let place = |from: usize, to: usize| Place {
            text: whole.text,
            span: at + from..at + to,
        };
        let name = part.split('[').next().unwrap_or_default();
        if name.is_empty() {
            return Err(place(0, part.len()));
        }
        steps.push(Step::Key(name.to_owned(), place(0, name.len())));
        let mut rest = part.get(name.len()..).unwrap_or_default();
        while !rest.is_empty() {
            let from = part.len() - rest.len();
            let brackets = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
            let (number, after) = brackets.ok_or_else(|| place(from, part.len()))?;
            let step = match number.parse() {
                _ if number.is_empty() => Step::More,
                Ok(number) => Step::Item(number, place(from, part.len() - after.len())),
                Err(_) => return Err(place(from, part.len())),
            };
            steps.push(step);
            rest = after;
        }
        at += part.len() + 1;
    }
    Ok(steps)
}
