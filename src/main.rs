//! Parses arguments, calls a command, maps the error to an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    siphound::commands::main(std::env::args_os())
}
