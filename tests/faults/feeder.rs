//! Makes alerts until it is killed, and prints the sequence of each one that is kept:
//! `feeder SPOOL URL FIRST`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "of a test, which sees it fail"
)]
#![expect(dead_code, reason = "the test uses the rest of it")]

#[path = "source.rs"]
mod source;

use std::{io::Write as _, path::Path, time::Duration};

use detector::alert::Priority;
use serde_json::json;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, spool, url, first] = &arguments[..] else {
        return println!("feeder SPOOL URL FIRST");
    };
    let sink = source::http(url, &json!({}));
    let mut source = source::Source::new(sink, source::spool(Path::new(spool), &json!({})));
    source.made = first.parse().unwrap();
    loop {
        source.make(Priority::Warning);
        source.flush();
        println!("{}", source.made);
        std::io::stdout().flush().unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
}
