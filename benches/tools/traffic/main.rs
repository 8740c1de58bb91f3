//! `traffic`: writes captures of made-up traffic, or offers it to an interface at its own pace.
//!
//! ```text
//! cargo run --release --example traffic -- write big.pcap --messages 1000000
//! cargo run --release --example traffic -- write - --endless | siphound replay -
//! cargo run --release --example traffic -- offer veth0 --rate 200000 --seconds 10
//! ```
//!
//! The same arguments give the same bytes. What was made is told as one line of JSON, on standard error where the capture goes to standard
//! output.

#[path = "../../traffic/mod.rs"]
mod traffic;

mod offer;
mod write;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Makes SIP traffic for benches")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a capture file
    Write(write::Args),
    /// Send frames to an interface
    Offer(offer::Args),
}

fn main() -> std::process::ExitCode {
    let done = match Cli::parse().command {
        Command::Write(args) => args.run(),
        Command::Offer(args) => args.run(),
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("traffic: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
