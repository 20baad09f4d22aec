//! The program `kubelet-detector`.

fn main() -> std::process::ExitCode {
    detector::cli::main()
}
