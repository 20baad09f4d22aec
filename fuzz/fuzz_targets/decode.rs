//! Records of the ring buffer: whatever the bytes are, an event or a named error.
#![no_main]

use detector::source::{decode::decode, process::Processes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    drop(decode(bytes, 0, &mut Processes::default()));
});
