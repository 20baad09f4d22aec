//! Rules files and folders to texts. What cannot be read is told as any other mistake of a file.

use std::{
    fs::{self, File, FileType},
    io::{self, Read as _},
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
};

use crate::rules::{SourceFile, Unread};

const SHIPPED: &str = include_str!("../../../rules/kubelet_rules.yaml");

/// Bytes of one file: sixteen times what a config map holds, and a hundred times Falco's own rules.
/// Loading takes a multiple of it in memory.
const MAX_SIZE: u64 = 16 << 20;

/// The files in the order in which they are loaded, also those that cannot be read.
#[derive(Default)]
pub(super) struct Files {
    pub(super) sources: Vec<SourceFile>,
    pub(super) unread: Vec<Unread>,
}

impl Files {
    /// The shipped rules when no path is named.
    pub(super) fn read(paths: &[PathBuf]) -> Self {
        let mut files = Self::default();
        for path in paths {
            if path.is_dir() {
                files.folder(path);
            } else {
                files.file(path);
            }
        }
        if paths.is_empty() {
            files.sources.push(SourceFile {
                name: "kubelet_rules.yaml".to_owned(),
                text: SHIPPED.to_owned(),
            });
        }
        files
    }

    /// Its .yaml and .yml files, by name.
    fn folder(&mut self, folder: &Path) {
        let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut paths: Vec<PathBuf> = match entries {
            Ok(entries) => entries.iter().map(fs::DirEntry::path).collect(),
            Err(error) => return self.refuse(folder, error.into()),
        };
        paths.retain(|path| is_yaml(path));
        paths.sort();
        let before = self.sources.len();
        for path in paths {
            // A link counts as what it leads to; one that leads nowhere was to be a file.
            match fs::metadata(&path) {
                Ok(metadata) if !metadata.is_file() => tracing::warn!(
                    "`{}` is {}, not a file: it is passed over",
                    path.display(),
                    kind(metadata.file_type())
                ),
                _ => self.file(&path),
            }
        }
        if self.sources.len() == before {
            let refusal = Refusal {
                message: "the folder has no .yaml or .yml file".to_owned(),
                help: "name another with -r, or leave it out for the shipped rules",
            };
            self.refuse(folder, refusal);
        }
    }

    fn file(&mut self, path: &Path) {
        let bytes = match read(path) {
            Ok(bytes) => bytes,
            Err(refusal) => return self.refuse(path, refusal),
        };
        let name = path.display().to_string();
        match String::from_utf8(bytes) {
            Ok(text) => self.sources.push(SourceFile { name, text }),
            Err(error) => {
                // The place is shown: each wrong byte as the character that stands for one.
                let at = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                self.unread.push(Unread {
                    file: self.sources.len(),
                    span: at..at + char::REPLACEMENT_CHARACTER.len_utf8(),
                    message: "this is no UTF-8".to_owned(),
                    help: "save the file as UTF-8".to_owned(),
                });
                self.sources.push(SourceFile { name, text });
            }
        }
    }

    fn refuse(&mut self, path: &Path, refusal: Refusal) {
        self.unread.push(Unread {
            file: self.sources.len(),
            span: 0..0,
            message: refusal.message,
            help: refusal.help.to_owned(),
        });
        self.sources.push(SourceFile {
            name: path.display().to_string(),
            text: String::new(),
        });
    }
}

/// Why a file or folder is not read, and what to do.
struct Refusal {
    message: String,
    help: &'static str,
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self {
            message: format!("cannot be read: {error}"),
            help: match error.kind() {
                io::ErrorKind::PermissionDenied => "let the detector's user read it",
                _ => "name a file or folder with -r; a link must lead to one",
            },
        }
    }
}

/// As Falco takes them: a name that is an ending alone has none.
fn is_yaml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|end| end == "yaml" || end == "yml")
}

fn kind(of: FileType) -> &'static str {
    if of.is_dir() {
        "a folder"
    } else if of.is_fifo() {
        "a pipe"
    } else if of.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

/// A pipe would be waited for, a device may have no end, and neither can be read anew.
fn read(path: &Path) -> Result<Vec<u8>, Refusal> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(Refusal {
            message: format!("this is {}, not a file", kind(metadata.file_type())),
            help: "write the rules to a file, and name that with -r",
        });
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    let mut file = File::open(path)?.take(MAX_SIZE + 1);
    file.read_to_end(&mut bytes)?;
    if file.limit() == 0 {
        return Err(Refusal {
            message: format!("the file has more than {} MiB", MAX_SIZE >> 20),
            help: "split it into several files of one folder, and name that with -r",
        });
    }
    Ok(bytes)
}
