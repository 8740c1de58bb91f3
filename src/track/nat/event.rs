//! What is told of phones behind NAT.

use std::net::{IpAddr, SocketAddr};

use crate::decode::flow::Flow;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::event::Sighting;
use crate::track::nat::{Era, Rewriting, Stage};
use crate::track::site::Site;
use crate::track::vocabulary::Confidence;

/// Something that happened to a phone behind a NAT, or to its site.
#[derive(Clone, Copy, Debug)]
pub enum NatEvent {
    /// A request to a phone behind a NAT told something.
    Probe(NatProbe),
    /// It became surer, or less sure, that the NAT of a site forgets bindings too early.
    Verdict {
        /// The site.
        site: Site,
        /// How sure; none where nothing failed any more.
        confidence: Option<Confidence>,
        /// When.
        at: Sighting,
    },
    /// The bounds of the lifetime moved, or other phones suffer from it: what was said of the NAT of a site is to be said anew.
    Exposure {
        /// The site.
        site: Site,
        /// When.
        at: Sighting,
    },
    /// Requests arrive at a site after silences that they did not survive before.
    Mended {
        /// The site.
        site: Site,
        /// After how long one still arrived.
        lived: Span,
        /// The last of them.
        at: Sighting,
    },
    /// A call reached a phone late.
    DeliveredLate(DeliveredLate),
    /// The PBX sent a request to where a phone is not any more.
    StaleTarget(StaleTarget),
    /// A probe went in vain to the address that a device writes into its Contact, where nothing was ever heard from.
    WrittenTarget {
        /// The device.
        device: Handle,
        /// That address.
        target: SocketAddr,
        /// First transmission of the probe.
        sent: Sighting,
        /// Until when it was waited for the answer.
        end: PacketTime,
    },
    /// The router of a site forgot all its bindings at once.
    PortFlush {
        /// The site.
        site: Site,
        /// Phones that changed their port.
        phones: u32,
        /// The first change.
        since: PacketTime,
        /// When it was concluded.
        at: Sighting,
    },
    /// A phone behind a NAT is regularly silent for long and sends no keep-alives.
    LongSilence {
        /// The device.
        device: Handle,
        /// How long, but for the longest twentieth.
        silence: Span,
        /// The last packet before this silence.
        since: PacketTime,
        /// The packet that ended it.
        at: Sighting,
    },
    /// A phone sends regular keep-alives.
    KeepalivesBegan {
        /// The device.
        device: Handle,
        /// The keep-alive that makes them regular.
        at: Sighting,
    },
    /// The keep-alive interval of a phone was changed, and enough was seen since to compare.
    KeepaliveChanged {
        /// The device.
        device: Handle,
        /// With the interval before.
        before: Era,
        /// With the interval now.
        after: Era,
        /// When.
        at: Sighting,
    },
    /// OPTIONS reach a phone, but it answers none.
    ProbesIgnored {
        /// The device.
        device: Handle,
        /// Its site.
        site: Site,
        /// The longest silence after which another request was answered; none where there was no other.
        silence: Option<Span>,
        /// What shows it.
        at: Sighting,
    },
    /// Somebody writes public addresses into the messages of a phone.
    Rewritten {
        /// The device.
        device: Handle,
        /// What shows it.
        rewriting: Rewriting,
        /// The message.
        at: Sighting,
    },
    /// The PBX names a private address to a public peer.
    PrivateName {
        /// The PBX.
        pbx: SocketAddr,
        /// The address.
        address: IpAddr,
        /// To whom.
        peer: SocketAddr,
        /// The message.
        at: Sighting,
    },
}

/// What became of a request to a phone behind a NAT (DETECTION §2.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NatOutcome {
    /// Its first transmission was answered.
    Delivered,
    /// It was lost while the phone was alive.
    Undelivered,
    /// A repeat was answered after the phone had sent something.
    Late,
    /// No request: the phone came back on another port, so its binding had died.
    NewPort,
}

/// A request to a phone behind a NAT whose fate tells something, or a change of its port that does.
#[derive(Clone, Copy, Debug)]
pub struct NatProbe {
    /// The device.
    pub device: Handle,
    /// What became of it.
    pub outcome: NatOutcome,
    /// What the NAT had seen of the flow.
    pub stage: Stage,
    /// How long the flow had been idle.
    pub age: Span,
    /// Where the request went; for a change of port the new one.
    pub place: SocketAddr,
    /// First transmission; for a change of port the last packet from the old one.
    pub sent: Sighting,
    /// The next sign of life of the phone.
    pub back: Sighting,
    /// When it was concluded.
    pub at: Sighting,
}

/// A call that reached a phone only when the phone had sent something.
#[derive(Clone, Copy, Debug)]
pub struct DeliveredLate {
    /// The device.
    pub device: Handle,
    /// The way of the INVITE.
    pub flow: Flow,
    /// First transmission.
    pub sent: Sighting,
    /// Transmissions until it was answered.
    pub transmissions: u16,
    /// How long the phone had been silent at the first.
    pub silence: Span,
    /// The packet of the phone.
    pub back: PacketTime,
    /// The answer.
    pub at: Sighting,
}

/// A request that went to where a phone is not any more.
#[derive(Clone, Copy, Debug)]
pub struct StaleTarget {
    /// The device.
    pub device: Handle,
    /// Where the PBX sends.
    pub target: SocketAddr,
    /// Where the device is.
    pub place: SocketAddr,
    /// The first packet from there.
    pub since: Sighting,
    /// The request.
    pub at: Sighting,
}
