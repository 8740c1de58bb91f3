//! Capture files: pcap and pcapng, packed or not, one or many merged in time order.

mod discover;
mod input;
mod lanes;
mod merge;
mod pcap;
mod pcapng;
mod reader;
mod record;
mod window;

#[cfg(test)]
mod testing;

pub use merge::CaptureFiles;
