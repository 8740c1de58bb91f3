//! Frames from a live interface through libpcap.

use std::fs;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pcap::{Active, Capture, Device, Precision, Stat};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::capture::bpf;
use crate::capture::clock::Clock;
use crate::capture::error::{CaptureError, libpcap_reason};
use crate::capture::source::{Drops, FrameSource, SourceEvent};
use crate::config::Tunnels;
use crate::decode::frame::{FrameBatch, FrameHeader, LinkType};
use crate::time::{PacketTime, Span};

/// The interface that stands for all of them.
pub const ANY: &str = "any";
/// The flag of an interface that is up, netdevice(7).
const IFF_UP: u32 = 1;
/// How long one call waits for a frame before it says that there is none, on a silent link.
const WAIT: Span = Span::from_millis(100);
/// The same after frames: later stages hold these back until they hear how time passes. It is at least [`MARGIN`] longer than the read
/// timeout, so that nobody is woken up between two batches of the kernel's, as far as [`WAIT`] allows.
const WAIT_AFTER_FRAMES: Span = Span::from_millis(50);
/// How late the kernel may be with a batch.
const MARGIN: Span = Span::from_millis(20);
/// How often it is waited that short: until all that was captured has been let through.
const SHORT_WAITS: u8 = 4;
/// Beyond the read timeout, how long the kernel may keep a frame before it can be seen here.
const SETTLE: Span = Span::from_millis(50);

/// How to capture on an interface.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// The name of the interface, or `any`.
    pub interface: String,
    /// Ports to capture.
    pub ports: Vec<RangeInclusive<u16>>,
    /// Tunnels in which SIP is captured, too.
    pub tunnels: Tunnels,
    /// A filter of the user that narrows down what is captured.
    pub filter: Option<String>,
    /// Bytes captured of each frame.
    pub snaplen: u32,
    /// Bytes of the kernel's buffer.
    pub kernel_buffer: u32,
    /// How long the kernel collects frames before it hands them over.
    pub read_timeout: Span,
    /// Whether to capture what is addressed to others, as on a mirror port.
    pub promiscuous: bool,
}

impl LiveOptions {
    /// SIP on `interface` with large frames, a buffer of 16 MiB and batches of 50 ms.
    pub fn new(interface: impl Into<String>) -> Self {
        Self {
            interface: interface.into(),
            ports: vec![5060..=5060],
            tunnels: Tunnels::NONE,
            filter: None,
            snaplen: 262_144,
            kernel_buffer: 16 << 20,
            read_timeout: Span::from_millis(50),
            promiscuous: true,
        }
    }

    /// How far behind the clock all frames are known to have arrived.
    pub fn lag(&self) -> Span {
        self.read_timeout + SETTLE
    }
}

/// Numbers frames across all live sources of a process, from 1.
#[derive(Clone, Debug, Default)]
pub struct FrameNumbers(Arc<AtomicU64>);

impl FrameNumbers {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// An open capture on one interface.
pub struct Live {
    capture: Capture<Active>,
    name: String,
    filter: String,
    link: LinkType,
    interface: u16,
    numbers: FrameNumbers,
    clock: Clock,
    /// What the kernel's counters said last.
    counted: Stat,
    /// How far behind the clock all frames are known to have arrived.
    lag: Span,
    failed: Option<CaptureError>,
    /// Whether the kernel had no further frame when it was last asked, so that it is waited for one first.
    drained: bool,
    /// Waits in vain since the last frame, as far as [`SHORT_WAITS`].
    quiet: u8,
    /// How long a call waits after frames, at most [`WAIT`].
    wait_after_frames: Span,
    /// Frames that wait until a step of the clock is told.
    held: Option<FrameBatch>,
}

impl Live {
    /// Opens an interface; its frames carry the number `interface`.
    ///
    /// # Errors
    ///
    /// When there is no such interface, it is down, the process may not capture, or the user's filter does not compile or lets nothing pass.
    pub fn open(options: &LiveOptions, interface: u16, numbers: FrameNumbers) -> Result<Self, CaptureError> {
        let name = options.interface.clone();
        if is_down(&name) {
            return Err(CaptureError::Down { name });
        }
        let refused = |error| refusal(&name, &error);
        let mut capture = Capture::from_device(name.as_str())
            .map_err(refused)?
            .snaplen(clamp(options.snaplen))
            .buffer_size(clamp(options.kernel_buffer))
            .timeout(clamp(options.read_timeout.as_nanos() / 1_000_000))
            .precision(Precision::Nano)
            // Refused with a warning by `any`, which the crate takes for a failure.
            .promisc(options.promiscuous && name != ANY)
            .open()
            .and_then(Capture::setnonblock)
            .map_err(refused)?;
        let link = bpf::link_type(capture.get_datalink());
        // To compile the filter is a good part of a start: it is compiled where it is put in force, and not before.
        let filter = bpf::accepted(&options.ports, options.tunnels, options.filter.as_deref(), link, |text| {
            capture.filter(text, true).map_err(|error| CaptureError::filter(text, &error))
        })?;
        Ok(Self {
            counted: capture.stats().map_err(refused)?,
            lag: options.lag(),
            wait_after_frames: (options.read_timeout + MARGIN).clamp(WAIT_AFTER_FRAMES, WAIT),
            clock: Clock::start(),
            failed: None,
            drained: false,
            quiet: SHORT_WAITS,
            held: None,
            capture,
            name,
            filter,
            link,
            interface,
            numbers,
        })
    }

    /// The filter in force.
    pub fn filter(&self) -> &str {
        &self.filter
    }

    /// How the frames of this interface begin.
    pub fn link(&self) -> LinkType {
        self.link
    }

    /// Takes frames until the batch is full or the kernel has no further one at hand.
    fn take(&mut self, batch: &mut FrameBatch) {
        self.drained = false;
        while !batch.is_full() {
            match self.capture.next_packet() {
                Ok(packet) => {
                    let stamp = packet.header.ts;
                    let header = FrameHeader {
                        number: self.numbers.next(),
                        // With nanosecond precision this is what the field of microseconds holds.
                        time: PacketTime::from_nanos(stamp.tv_sec.saturating_mul(1_000_000_000).saturating_add(stamp.tv_usec)),
                        link: self.link,
                        interface: self.interface,
                        original_len: packet.header.len,
                        offset: 0,
                        len: 0,
                    };
                    batch.push(header, packet.data);
                }
                Err(pcap::Error::TimeoutExpired) => {
                    self.drained = true;
                    return;
                }
                Err(error) => {
                    let name = self.name.clone();
                    self.failed = Some(match is_down(&name) {
                        true => CaptureError::Down { name },
                        false => CaptureError::Interface { name, reason: libpcap_reason(&error) },
                    });
                    return;
                }
            }
        }
    }

    /// Waits until the kernel has frames, at most [`WAIT`].
    fn wait(&self) {
        let wait = if self.quiet < SHORT_WAITS { self.wait_after_frames } else { WAIT };
        let timeout = Timespec { tv_sec: 0, tv_nsec: wait.as_nanos() };
        // A failure shows when the capture is read next; a signal only ends the waiting early.
        let _ = poll(&mut [PollFd::from_borrowed_fd(self.capture.as_fd(), PollFlags::IN)], Some(&timeout));
    }

    /// What the kernel's counters have gained.
    fn drops(&mut self) -> Option<Drops> {
        // Counters that cannot be read now are read the next time.
        let now = self.capture.stats().ok()?;
        let before = std::mem::replace(&mut self.counted, now);
        let drops = Drops {
            kernel: u64::from(now.dropped.wrapping_sub(before.dropped)),
            interface: u64::from(now.if_dropped.wrapping_sub(before.if_dropped)),
        };
        (drops.total() > 0).then_some(drops)
    }

    /// What is due about once a second.
    fn look_around(&mut self) -> Result<Option<SourceEvent>, CaptureError> {
        if !self.clock.lap() {
            return Ok(None);
        }
        if is_down(&self.name) {
            // libpcap would wait for it to come up again and say nothing.
            return Err(CaptureError::Down { name: self.name.clone() });
        }
        Ok(self.drops().map(SourceEvent::Dropped))
    }
}

impl FrameSource for Live {
    fn fill(&mut self, batch: &mut FrameBatch) -> Result<SourceEvent, CaptureError> {
        if let Some(held) = self.held.take() {
            *batch = held;
            return Ok(SourceEvent::Frames);
        }
        if let Some(event) = self.look_around()? {
            return Ok(event);
        }
        // Read before the frames are looked for: all that arrived until then, less the lag, are found.
        let now = self.clock.now() - self.lag;
        if !self.drained {
            self.take(batch);
        }
        if batch.is_empty() && self.failed.is_none() {
            self.wait();
            self.take(batch);
        }
        self.quiet = if batch.is_empty() { (self.quiet + 1).min(SHORT_WAITS) } else { 0 };
        // Told before any frame or time that follows it: what falls due across the step is no failure.
        if let Some(by) = self.clock.step() {
            self.held = (!batch.is_empty()).then(|| std::mem::take(batch));
            return Ok(SourceEvent::ClockStep { by });
        }
        if !batch.is_empty() {
            return Ok(SourceEvent::Frames);
        }
        self.failed.take().map_or(Ok(SourceEvent::Idle { now }), Err)
    }
}

/// The addresses of this host, on all its interfaces.
///
/// # Errors
///
/// When libpcap cannot list the interfaces.
pub fn host_addresses() -> Result<Vec<IpAddr>, CaptureError> {
    let devices = Device::list().map_err(|error| refusal(ANY, &error))?;
    Ok(devices.into_iter().flat_map(|device| device.addresses).map(|address| address.addr).collect())
}

/// Whether the kernel says that an interface is down; it says nothing of `any`.
fn is_down(name: &str) -> bool {
    let flags = fs::read_to_string(format!("/sys/class/net/{name}/flags")).ok();
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).ok());
    flags.is_some_and(|flags| flags & IFF_UP == 0)
}

/// Why an interface could not be opened.
fn refusal(name: &str, error: &pcap::Error) -> CaptureError {
    let (name, reason) = (name.to_owned(), libpcap_reason(error));
    let mut present: Vec<String> = Device::list().unwrap_or_default().into_iter().map(|device| device.name).collect();
    if !present.is_empty() && !present.contains(&name) {
        // libpcap also lists buses and log sockets, which never carry SIP.
        present.retain(|name| name == ANY || Path::new("/sys/class/net").join(name).exists());
        return CaptureError::NoInterface { name, present };
    }
    // libpcap tells the reason in words alone.
    let forbidden = ["CAP_NET_RAW", "CAP_NET_ADMIN", "permission", "Permission", "not permitted"];
    if forbidden.iter().any(|word| reason.contains(word)) {
        return CaptureError::NoPermission { name, program: program() };
    }
    CaptureError::Interface { name, reason }
}

/// The path of this program, as a shell takes it.
fn program() -> String {
    let path = std::env::current_exe().map_or_else(|_| "siphound".to_owned(), |path| path.display().to_string());
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

/// The nearest number that libpcap takes.
fn clamp(number: impl TryInto<i32>) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_is_not_there_names_those_that_are() {
        let opened = Live::open(&LiveOptions::new("no-such-if0"), 0, FrameNumbers::default());
        let Err(CaptureError::NoInterface { name, present }) = opened.map(|_| ()) else { panic!("an interface that is not there") };
        assert_eq!(name, "no-such-if0");
        assert!(present.contains(&"lo".to_owned()), "{present:?}");
    }

    #[test]
    fn a_lack_of_permission_says_how_to_grant_it() {
        for reason in ["socket: Operation not permitted", "Attempt to create packet socket failed - CAP_NET_RAW may be required"] {
            let error = refusal("lo", &pcap::Error::PcapError(reason.to_owned()));
            let told = error.to_string();
            let program = std::env::current_exe().expect("this program has a path");
            assert!(told.contains(&format!("\n  sudo setcap cap_net_raw=ep {}\n", program.display())), "{told}");
            assert!(told.contains("AmbientCapabilities=CAP_NET_RAW"), "{told}");
        }
    }

    #[test]
    fn any_other_failure_is_told_in_libpcaps_words() {
        let error = refusal("lo", &pcap::Error::PcapError("That device is not up".to_owned()));
        assert_eq!(error.to_string(), "cannot capture on lo: That device is not up");
    }

    #[test]
    fn what_the_kernel_says_nothing_of_is_not_down() {
        assert!(!is_down(ANY) && !is_down("no-such-if0"));
    }

    #[test]
    fn frames_are_numbered_across_sources() {
        let numbers = FrameNumbers::default();
        let other = numbers.clone();
        assert_eq!([numbers.next(), other.next(), numbers.next()], [1, 2, 3]);
    }
}
