//! Parses arguments, calls a command, maps the error to an exit code.

fn main() {}
