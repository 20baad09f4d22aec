//! What sinks name of this node and a run opens: looked at without opening it.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::FileTypeExt as _,
    path::Path,
};

use rustix::fs::{Access, access};

use super::{
    plan::Mistake,
    settings::{SinkSettings, Target},
};

/// Why a sink's file cannot be written.
pub fn unwritable(sink: &SinkSettings) -> Option<Mistake> {
    let Ok(Target::File(file)) = sink.target() else {
        return None;
    };
    let error = writable(&file.path).err()?;
    let text = format!("cannot write {}: {error}", file.path.display());
    Some(mistake(sink, text))
}

/// Why alerts would wait now: the Unix socket of a sink is not there.
pub fn unheard(sink: &SinkSettings) -> Option<Mistake> {
    let Ok(Target::Syslog(syslog)) = sink.target() else {
        return None;
    };
    let path = syslog.address.strip_prefix("unix:")?;
    let is_there = fs::metadata(path).is_ok_and(|it| it.file_type().is_socket());
    let text = format!("{path} is no socket now: alerts wait until it is one");
    (!is_there).then(|| mistake(sink, text))
}

fn mistake(sink: &SinkSettings, text: String) -> Mistake {
    let sink = sink.name.clone();
    Mistake { sink, text }
}

/// Nothing is made for it.
fn writable(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(io::Error::other("it is no regular file")),
        Ok(_) => Ok(access(path, Access::READ_OK | Access::WRITE_OK)?),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            if !fs::metadata(folder)?.is_dir() {
                return Err(ErrorKind::NotADirectory.into());
            }
            Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
        }
        Err(error) => Err(error),
    }
}
