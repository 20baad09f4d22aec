//! Alerts that a peer refuses for good: kept beside the spool, with the reason, for somebody to look.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    files::{open_own, own_folder},
    host::Host,
    sink::{Format, LAST_RESORT, Style, format::Encoder, kept::Kept},
};

/// A file that would become larger is renamed, and the one before goes.
const MAX_BYTES: u64 = 16 << 20;

pub(crate) struct DeadLetters {
    sink: String,
    /// `None` without a folder: they go to the log.
    path: Option<PathBuf>,
    encoder: Encoder,
}

impl DeadLetters {
    pub(crate) fn new(sink: &str, spool: Option<&Path>, host: &Host) -> Self {
        let style = Style {
            format: Format::Json,
            ..Style::default()
        };
        Self {
            sink: sink.to_owned(),
            path: spool.map(|spool| spool.join("dead").join(format!("{sink}.jsonl"))),
            encoder: Encoder::new(style, host),
        }
    }

    pub(super) fn bury(&mut self, kept: &Kept, reason: &str) {
        let uuid = kept.uuid();
        tracing::error!(sink = self.sink, %uuid, "the sink refuses an alert: {reason}");
        let (time, sink) = (Timestamp::now(), Value::from(self.sink.as_str()));
        let reason = Value::from(reason);
        let head = format!(r#"{{"time":"{time}","sink":{sink},"reason":{reason},"alert":"#);
        let mut line = head.into_bytes();
        self.encoder.encode(&kept.alert(&kept.fields()), &mut line);
        line.extend_from_slice(b"}\n");
        let written = match &self.path {
            Some(path) => append(path, &line),
            None => Err(io::Error::other("there is no `spool.path`")),
        };
        if let Err(error) = written {
            let line = String::from_utf8_lossy(line.trim_ascii_end());
            tracing::error!(target: LAST_RESORT, %error, "the dead letter cannot be written: {line}");
        }
    }
}

fn append(path: &Path, line: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        own_folder(folder)?;
        // Versions before made it 0755.
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    }
    let open = || {
        open_own(
            path,
            OpenOptions::new().append(true).create(true).mode(0o600),
        )
    };
    let mut file = open()?;
    if file.metadata()?.len() + line.len() as u64 > MAX_BYTES {
        fs::rename(path, path.with_extension("jsonl.1"))?;
        file = open()?;
    }
    file.write_all(line)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    #[test]
    fn a_file_is_written_by_its_own_name_and_for_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let (dead, other) = (folder.path().join("dead"), folder.path().join("other"));
        fs::create_dir(&dead).unwrap();
        fs::set_permissions(&dead, Permissions::from_mode(0o755)).unwrap();
        fs::write(&other, "").unwrap();
        let path = dead.join("siem.jsonl");
        append(&path, b"one\n").unwrap();
        append(&path, b"two\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\n");
        assert_eq!(fs::metadata(&dead).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::remove_file(&path).unwrap();
        symlink(&other, &path).unwrap();
        let error = append(&path, b"three\n").unwrap_err();
        assert_eq!(error.to_string(), "this is a link, not a file");
        assert_eq!(fs::read(&other).unwrap(), b"");
        fs::remove_file(&path).unwrap();
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        let error = append(&path, b"four\n").unwrap_err();
        assert_eq!(error.to_string(), "this is a pipe, not a file");
    }
}
