//! Writing a capture.

use std::error::Error;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::traffic::{Plan, Traffic, Truth, pcap};

/// What to write.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to; - is standard output
    file: PathBuf,
    /// SIP messages, about
    #[arg(long, default_value_t = 1_000_000)]
    messages: u64,
    /// Phones
    #[arg(long, default_value_t = 20_000)]
    phones: u32,
    /// Hours of packet time
    #[arg(long, default_value_t = 1.0)]
    hours: f64,
    /// A third of the phones on TCP, a third of the calls in fragments, a tenth of all messages torture
    #[arg(long)]
    mixed: bool,
    /// Go on at the same pace until nobody reads
    #[arg(long)]
    endless: bool,
    /// What all that is random depends on
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Args {
    pub(crate) fn run(&self) -> Result<(), Box<dyn Error>> {
        let plan = Plan { seed: self.seed, ..Plan::ordinary(self.messages, self.phones, self.hours * 3600.0) };
        let plan = if self.mixed { plan.mixed() } else { plan };
        let plan = if self.endless { Plan { span: f64::INFINITY, ..plan } } else { plan };
        let mut traffic = Traffic::new(plan);
        if self.file == Path::new("-") {
            match pcap::write(&mut traffic, io::stdout().lock()) {
                Err(error) if error.kind() == ErrorKind::BrokenPipe && self.endless => {}
                written => written?,
            }
            eprintln!("{}", told(traffic.truth()));
        } else {
            pcap::write(&mut traffic, File::create(&self.file)?)?;
            println!("{}", told(traffic.truth()));
        }
        Ok(())
    }
}

fn told(truth: Truth) -> serde_json::Value {
    let Truth { frames, messages, torture, keepalives, legs } = truth;
    serde_json::json!({ "frames": frames, "messages": messages, "torture": torture, "keepalives": keepalives, "legs": legs })
}
