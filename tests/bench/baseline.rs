//! An empty program on `inet_sock_set_state`: what the tracepoint costs without the detector.
//! `cargo xtask bench` measures beside it; the argument is the path of the kernel object.
#![expect(clippy::print_stderr, reason = "it says when it is attached")]

use aya::{Btf, EbpfLoader, programs::BtfTracePoint};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("name the kernel object")?;
    let types = Btf::from_sys_fs()?;
    let mut object = EbpfLoader::new().load_file(path)?;
    let program: &mut BtfTracePoint = object
        .program_mut("baseline")
        .ok_or("the object has no baseline")?
        .try_into()?;
    program.load("inet_sock_set_state", &types)?;
    program.attach()?;
    eprintln!("attached");
    loop {
        std::thread::park();
    }
}
