//! Writing a capture.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::traffic::{Frame, Plan, Traffic, Truth};

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
            match write(&mut traffic, io::stdout().lock()) {
                Err(error) if error.kind() == ErrorKind::BrokenPipe && self.endless => {}
                written => written?,
            }
            eprintln!("{}", told(traffic.truth()));
        } else {
            write(&mut traffic, File::create(&self.file)?)?;
            println!("{}", told(traffic.truth()));
        }
        Ok(())
    }
}

fn write(traffic: &mut Traffic, out: impl Write) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, out);
    // Classic pcap: microseconds, version 2.4, whole frames of Ethernet.
    for word in [0xa1b2_c3d4_u32, 2 | 4 << 16, 0, 0, 262_144, 1] {
        out.write_all(&word.to_le_bytes())?;
    }
    for Frame { micros, bytes } in traffic {
        let len = bytes.len() as u32;
        for word in [(micros / 1_000_000) as u32, (micros % 1_000_000) as u32, len, len] {
            out.write_all(&word.to_le_bytes())?;
        }
        out.write_all(&bytes)?;
    }
    out.flush()
}

fn told(truth: Truth) -> serde_json::Value {
    let Truth { frames, messages, torture, keepalives, legs } = truth;
    serde_json::json!({ "frames": frames, "messages": messages, "torture": torture, "keepalives": keepalives, "legs": legs })
}
