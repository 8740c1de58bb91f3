//! What is captured, whose PBX it is, where the metrics are served and how the log is written.

use std::net::{Ipv4Addr, SocketAddr};

use super::labels::{Label, LabelChoice};
use super::section::section;
use super::tunnels::Tunnel;
use super::types::{Bytes, Interfaces, LogFormat, LogLevel, PbxAddress, Ports};
use crate::time::Span;

section! {
    /// Live capture.
    Capture in "capture" {
        /// Interfaces to capture on; "any" is all of them.
        interfaces: Interfaces = Interfaces::default();
        /// Ports that carry SIP: numbers and ranges such as "5060-5080".
        ports: Ports = Ports::default();
        /// Bytes kept of each frame; fewer than a whole datagram cuts SIP messages.
        snaplen: u32 = 262_144, within 1_600..=262_144;
        /// Kernel buffer of each interface.
        buffer: Bytes = Bytes::from_mib(16), within Bytes::from_mib(1)..=Bytes::from_mib(1_024);
        /// Longest time the kernel holds frames back to hand over several at once.
        timeout: Span = Span::from_millis(50), within Span::from_millis(1)..=Span::from_secs(1);
        /// A filter in the language of pcap-filter(7) that narrows what is captured on the ports; it never widens that.
        /// One that names ports loses later IP fragments, which carry none.
        filter: String = String::new();
        /// Tunnels in which the SIP comes, as from a mirror: "vxlan", "gre", "erspan", "gtp", "ipip". Whoever can send such packets to this
        /// host can write any addresses into them: name only what a firewall lets in from the mirror alone. All that comes in them is captured.
        tunnels: Vec<Tunnel> = Vec::new();
    }
}

section! {
    /// The PBX. Without addresses, siphound learns them: on a live capture the host's own, otherwise whoever answers REGISTER.
    Pbx in "pbx" {
        /// How it is called: the label `pbx` of the metrics.
        name: Label = Label::default();
        /// Addresses of the PBX, each with or without a port.
        addresses: Vec<PbxAddress> = Vec::new();
    }
}

section! {
    /// The HTTP server for Prometheus.
    Metrics in "metrics" {
        /// Where /metrics, /healthz and /readyz are served.
        listen: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, 15_060));
        /// Whether `listen` may be an address that other hosts reach. There is no password; the metrics name no user and no address.
        allow_remote: bool = false;
        /// Which sites, the public addresses behind which phones sit, have series of their own: "off", "top", or a list such as
        /// ["198.51.100.7", "2001:db8:1:2::/64"]. With any, whoever reads the metrics from another host needs the token of the API.
        site_labels: LabelChoice = LabelChoice::Off;
        /// Which users have series of their own: "off", "top", or a list such as `["1001@pbx.example.com"]`. The same holds.
        aor_labels: LabelChoice = LabelChoice::Off;
        /// How many sites, users and named peers have series of their own at a time; further ones share one. Sites and users give their
        /// place up after an hour without traffic.
        label_limit: u32 = 100, within 1..=1_000;
    }
}

section! {
    /// The history: calls, users, findings and NATs in SQLite, for `siphound calls`, `peers` and `findings`.
    History in "history" {
        /// Where it is; made for siphound alone. Empty turns the history off.
        directory: String = "/var/lib/siphound".to_owned();
        /// How many days it reaches back.
        days: u32 = 7, within 1..=3_650;
        /// How large it may become; the oldest goes first.
        bytes: Bytes = Bytes::from_mib(256), within Bytes::from_mib(1)..=Bytes::from_mib(1_048_576);
    }
}

section! {
    /// The traces: all that was understood, as pcap files for `siphound trace`, `siphound replay` and Wireshark. The secrets of digests are
    /// blanked. A daemon that is started again takes registrations and calls up from them.
    Traces in "traces" {
        /// Where they are; made for siphound alone. Empty turns the traces off.
        directory: String = "/var/lib/siphound/traces".to_owned();
        /// How many days they reach back.
        days: u32 = 7, within 1..=3_650;
        /// How large they may become together; the oldest goes first.
        bytes: Bytes = Bytes::from_mib(1_024), within Bytes::from_mib(1)..=Bytes::from_mib(1_048_576);
    }
}

section! {
    /// The log, on standard error.
    Log in "log" {
        /// What is logged: error, warn, info, debug or trace.
        level: LogLevel = LogLevel::Info;
        /// How it is logged: text or json.
        format: LogFormat = LogFormat::Text;
    }
}
