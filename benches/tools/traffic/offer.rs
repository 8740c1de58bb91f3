//! Sending frames to an interface at a steady pace.

#![expect(clippy::disallowed_types, reason = "a sender keeps pace with the wall clock")]

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use pcap::Capture;

use crate::traffic::{Frame, Plan, Traffic};

/// Frames held in memory at most: some two gigabytes.
const MOST: f64 = 3e6;
/// How long the sender sleeps while nothing is due.
const NAP: Duration = Duration::from_micros(200);

/// What to send.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The interface
    interface: String,
    /// Frames a second; 0 is as fast as possible
    #[arg(long, default_value_t = 200_000.0)]
    rate: f64,
    /// How long the traffic lasts
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Phones that register in that time; otherwise enough for a fifth of the traffic, 20,000 at most
    #[arg(long)]
    phones: Option<u32>,
}

impl Args {
    /// Makes all frames, sends them, and tells how that went.
    pub(crate) fn run(&self) -> Result<(), Box<dyn Error>> {
        let paced = self.rate > 0.0;
        let messages = if paced { self.rate * self.seconds } else { MOST / 2.0 };
        if messages > MOST {
            return Err(format!("{messages:.0} messages do not fit into memory: lower --rate or --seconds").into());
        }
        let phones = self.phones.unwrap_or_else(|| (messages / 30.0).clamp(2.0, 20_000.0) as u32);
        // Beyond the end, so that the calls of the beginning end within it.
        let mut traffic = Traffic::new(Plan { span: self.seconds * 2.0, ..Plan::ordinary(messages as u64, phones, self.seconds) });
        let frames: Vec<Frame> = traffic.by_ref().take(messages as usize).collect();
        let mut interface = Capture::from_device(self.interface.as_str())?.snaplen(64).open()?;
        // What this socket itself captures would only cost time.
        interface.filter("less 1", true)?;
        let begun = Instant::now();
        let (mut latest, mut refused) = (Duration::ZERO, 0_u64);
        for (index, frame) in frames.iter().enumerate() {
            if paced {
                latest = latest.max(wait(begun, Duration::from_secs_f64(index as f64 / self.rate)));
            }
            // A full queue of the interface refuses frames: these were never on the wire.
            refused += u64::from(interface.sendpacket(frame.bytes.as_slice()).is_err());
        }
        let seconds = begun.elapsed().as_secs_f64();
        let offered = frames.len() as u64 - refused;
        let told = serde_json::json!({
            "offered": offered,
            "messages": traffic.truth().messages,
            "refused": refused,
            "seconds": seconds,
            "per_second": offered as f64 / seconds,
            "late_ms": latest.as_secs_f64() * 1e3,
        });
        println!("{told}");
        Ok(())
    }
}

/// Waits until a frame is due and returns how late it is.
fn wait(begun: Instant, due: Duration) -> Duration {
    loop {
        let now = begun.elapsed();
        if now >= due {
            return now - due;
        }
        thread::sleep((due - now).min(NAP));
    }
}
