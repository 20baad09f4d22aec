//! Rules files and folders to texts. What cannot be read is told as any other mistake of a file.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    files::{Unreadable, kind, of_folder, read},
    rules::{SourceFile, Unread},
};

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
        let paths = match of_folder(folder) {
            Ok(paths) => paths,
            Err(error) => return self.refuse(folder, Unreadable::Io(error).into()),
        };
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
        let bytes = match read(path, MAX_SIZE) {
            Ok(bytes) => bytes,
            Err(why) => return self.refuse(path, why.into()),
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

impl From<Unreadable> for Refusal {
    fn from(why: Unreadable) -> Self {
        let help = match &why {
            Unreadable::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                "let the detector's user read it"
            }
            Unreadable::Io(_) => "name a file or folder with -r; a link must lead to one",
            Unreadable::NoFile(_) => "write the rules to a file, and name that with -r",
            Unreadable::TooLarge(_) => {
                "split it into several files of one folder, and name that with -r"
            }
        };
        let message = why.to_string();
        Self { message, help }
    }
}
