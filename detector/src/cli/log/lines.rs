//! Lines to stderr of what watches, which may be a pipe that nobody reads: it is waited for once, and
//! then lines are counted instead, until it takes some again.

use std::{
    io::{self, Write},
    os::fd::AsFd,
    time::Duration,
};

use jiff::Timestamp;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::retry_on_intr,
};
use serde_json::json;

use super::LogFormat;

/// How long whoever reads may take, once.
const PATIENCE: Duration = Duration::from_secs(1);
/// A pipe that takes anything takes as much as this at once (`PIPE_BUF`).
const PIECE: usize = 4096;

pub(super) struct Lines<O> {
    out: O,
    format: LogFormat,
    /// Since the last that was written.
    missing: u64,
}

impl<O: Write + AsFd> Lines<O> {
    pub(super) fn new(out: O, format: LogFormat) -> Self {
        Self {
            out,
            format,
            missing: 0,
        }
    }

    /// Begins anew: the line before may be cut off.
    fn told(&self) -> String {
        let (time, count) = (Timestamp::now(), self.missing);
        let text = "lines are missing here: nobody read the log";
        match self.format {
            LogFormat::Text => format!("\n{time}  WARN {count} {text} left_out={count}\n"),
            LogFormat::Json => format!(
                "\n{{\"timestamp\":\"{time}\",\"level\":\"WARN\",\"fields\":{{\"message\":\"{count} \
                 {text}\",\"left_out\":{count}}}}}\n"
            ),
        }
    }

    fn put(&mut self, line: &[u8]) -> io::Result<bool> {
        if self.missing == 0 {
            return put(&mut self.out, line, PATIENCE);
        }
        let told = self.told();
        if !put(&mut self.out, told.as_bytes(), Duration::ZERO)? {
            return Ok(false);
        }
        self.missing = 0;
        put(&mut self.out, line, Duration::ZERO)
    }
}

impl<O: Write + AsFd> Write for Lines<O> {
    /// Takes a whole line, which is written or counted.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let written = self.put(line)?;
        self.missing += u64::from(!written);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// False if it was not taken, or not all of it.
fn put(out: &mut (impl Write + AsFd), bytes: &[u8], patience: Duration) -> io::Result<bool> {
    let patience = Timespec::try_from(patience).unwrap_or_default();
    for piece in bytes.chunks(PIECE) {
        let takes = |out: &mut _| {
            let mut polled = [PollFd::new(out, PollFlags::OUT)];
            retry_on_intr(|| poll(&mut polled, Some(&patience)))
        };
        if takes(out)? == 0 {
            return Ok(false);
        }
        out.write_all(piece)?;
    }
    Ok(true)
}

/// What a program ends for: one paragraph. Of one that watches, whoever reads is waited for only once.
pub(in crate::cli) fn last_word(text: &str, format: LogFormat, watches: bool) -> io::Result<()> {
    let text = match format {
        LogFormat::Text => format!("error: {text}\n"),
        LogFormat::Json => {
            let (time, fields) = (
                Timestamp::now().to_string(),
                json!({"message": text.trim_end()}),
            );
            format!(
                "{}\n",
                json!({"timestamp": time, "level": "ERROR", "fields": fields})
            )
        }
    };
    match watches {
        true => put(&mut io::stderr(), text.as_bytes(), PATIENCE).map(|_taken| ()),
        false => io::stderr().write_all(text.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read as _};

    use rustix::{
        fs::{OFlags, fcntl_setfl},
        pipe::pipe,
    };

    use super::*;

    #[test]
    fn lines_that_nobody_reads_are_counted_and_the_count_is_told_when_somebody_does() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let (read, write) = pipe().unwrap();
            let mut read = File::from(read);
            let mut log = Lines::new(File::from(write), format);
            // Nothing else ends this: without a reader the pipe is full at some time.
            let mut taken = 0;
            while log.missing == 0 {
                log.write_all(b"a line that is taken\n").unwrap();
                taken += 1;
            }
            let long = vec![b'x'; 3 * PIECE];
            log.write_all(&long).unwrap();
            assert_eq!(log.missing, 2);
            taken -= 1;
            let flags = rustix::fs::fcntl_getfl(&read).unwrap();
            fcntl_setfl(&read, flags | OFlags::NONBLOCK).unwrap();
            let (mut before, mut after) = (Vec::new(), String::new());
            // It is empty, which is no end.
            read.read_to_end(&mut before).unwrap_err();
            log.write_all(b"the next\n").unwrap();
            drop(log);
            read.read_to_string(&mut after).unwrap();
            let taken_in_full = String::from_utf8(before).unwrap();
            assert_eq!(taken_in_full, "a line that is taken\n".repeat(taken));
            let lines: Vec<&str> = after.trim().lines().collect();
            let [told, "the next"] = lines[..] else {
                panic!("{after}");
            };
            assert!(told.contains("2 lines are missing here"), "{told}");
            if matches!(format, LogFormat::Json) {
                let told: serde_json::Value = serde_json::from_str(told).unwrap();
                assert_eq!(told["fields"]["left_out"], 2);
            }
        }
    }
}
