//! The program `tandem`, for the tests that run it as a process.

use std::process::ExitCode;

fn main() -> ExitCode {
    tandem::cli::main()
}
