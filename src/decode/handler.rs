//! What becomes of one packet.

use crate::config::{Thresholds, Tunnels};
use crate::decode::chunks::Chunks;
use crate::decode::copies::{CopyRule, Marks};
use crate::decode::dissect::{self, Completeness, Content, Datagram, Fragment, Hop, Packet, Segment, Undelivered};
use crate::decode::flow::{Flow, Transport};
use crate::decode::fragments::{Fragments, Lost, Ports, Progress};
use crate::decode::frame::LinkType;
use crate::decode::framer::{Framer, Headers, Opening};
use crate::decode::outcome::Skip;
use crate::decode::outlet::{Current, Outlet};
use crate::decode::payload;
use crate::decode::ports::{Interest, PortFilter};
use crate::decode::signal::Signal;
use crate::decode::streams::{Scene, Streams};
use crate::table::Digester;
use crate::time::PacketTime;

/// Packets inside packets that may each come in fragments of their own.
const MAX_REASSEMBLIES: u8 = 4;

/// The state that packets change, and the rules by which they do.
#[derive(Debug)]
pub(super) struct Handler<F> {
    framer: F,
    ports: PortFilter,
    tunnels: Tunnels,
    pub(super) fragments: Fragments,
    pub(super) streams: Streams,
    pub(super) chunks: Chunks,
    pub(super) outlet: Outlet,
    /// Datagrams given up while the packet in hand was handled; empty in between.
    lost: Vec<Lost>,
}

impl<F: Framer> Handler<F> {
    pub(super) fn new(framer: F, (ports, tunnels): (PortFilter, Tunnels), digester: Digester, thresholds: &Thresholds) -> Self {
        Self {
            framer,
            ports,
            tunnels,
            fragments: Fragments::new(digester, thresholds.fragment_timeout),
            streams: Streams::new(digester),
            chunks: Chunks::new(digester),
            outlet: Outlet::new(digester, thresholds.dup_window),
            lost: Vec::new(),
        }
    }

    /// Handles a frame.
    pub(super) fn frame(&mut self, link: LinkType, bytes: &[u8], current: Current) {
        self.packet(dissect::dissect(link, bytes, self.tunnels), current, 0);
    }

    /// Handles a packet that is `nested` deep in reassembled ones.
    fn packet(&mut self, packet: Result<Packet<'_>, Skip>, current: Current, nested: u8) {
        let Packet { hop, content } = match packet {
            Ok(packet) => packet,
            Err(reason) => return self.outlet.skip(reason, current.frames),
        };
        match content {
            Content::Udp(datagram) => self.datagram(&hop, &datagram, current),
            Content::Tcp(segment) => self.segment(&hop, &segment, current),
            Content::Sctp { source_port, destination_port, chunks } => self.sctp(&hop, (source_port, destination_port), chunks, current),
            Content::Icmp(undelivered) => self.icmp(&hop, undelivered, current),
            Content::Fragment(fragment) => self.fragment(&hop, &fragment, current, nested),
        }
    }

    /// Gives up what has waited in vain until `now`, the earliest deadline first.
    pub(super) fn expire(&mut self, now: PacketTime) {
        loop {
            let next = self.fragments.next_deadline().min(self.streams.next_deadline());
            if next > now {
                break;
            }
            while let Some(lost) = self.fragments.expire(next) {
                self.lose(lost);
            }
            self.streams.expire(&self.framer, next, &mut self.outlet);
        }
        self.chunks.expire(now, &mut self.outlet);
    }

    /// Gives up everything that waits, at the end of the capture.
    pub(super) fn finish(&mut self, end: PacketTime) {
        while let Some(lost) = self.fragments.expire(PacketTime::MAX) {
            self.lose(Lost { time: end, ..lost });
        }
        self.streams.finish(&self.framer, end, &mut self.outlet);
        self.chunks.expire(PacketTime::MAX, &mut self.outlet);
    }

    fn datagram(&mut self, hop: &Hop, datagram: &Datagram<'_>, current: Current) {
        let interest = self.ports.interest(datagram.source_port, datagram.destination_port);
        if interest == Interest::Ignored {
            return self.outlet.skip(Skip::OtherPort, current.frames);
        }
        let flow = hop.flow(Transport::Udp, datagram.source_port, datagram.destination_port);
        let opening = self.framer.opening(datagram.payload);
        match (datagram.completeness, opening) {
            (Completeness::Whole, Opening::Start) => self.outlet.payload(current, flow, hop.into(), datagram.payload),
            (Completeness::Cut { .. }, Opening::Start) => match self.framer.headers(datagram.payload) {
                Headers::Sufficient { lines } => {
                    self.outlet.payload(current, flow, hop.into(), datagram.payload.get(..lines).unwrap_or_default());
                }
                Headers::Missing => self.outlet.skip(Skip::Truncated, current.frames),
            },
            (Completeness::Cut { .. }, Opening::Undecided) => self.outlet.skip(Skip::Truncated, current.frames),
            _ => self.other_datagram(flow, hop.into(), datagram.payload, interest, current),
        }
    }

    fn other_datagram(&mut self, flow: Flow, marks: Marks, bytes: &[u8], interest: Interest, current: Current) {
        match payload::keepalive(bytes) {
            Some(kind) if interest == Interest::Watched || self.outlet.speakers.knows(&flow) => {
                self.outlet.keepalive_datagram(current, flow, marks, kind, bytes);
            }
            _ => self.outlet.skip(Skip::NotSip, current.frames),
        }
    }

    fn segment(&mut self, hop: &Hop, segment: &Segment<'_>, current: Current) {
        let interest = self.ports.interest(segment.source_port, segment.destination_port);
        if interest == Interest::Ignored {
            return self.outlet.skip(Skip::OtherPort, current.frames);
        }
        let flow = hop.flow(Transport::Tcp, segment.source_port, segment.destination_port);
        let scene = Scene { framer: &self.framer, flow, interest, current };
        self.streams.segment(segment, &scene, &mut self.outlet);
    }

    fn sctp(&mut self, hop: &Hop, (source_port, destination_port): (u16, u16), chunks: &[u8], current: Current) {
        if self.ports.interest(source_port, destination_port) == Interest::Ignored {
            return self.outlet.skip(Skip::OtherPort, current.frames);
        }
        let flow = hop.flow(Transport::Sctp, source_port, destination_port);
        self.chunks.packet(chunks, hop, flow, &self.framer, current, &mut self.outlet);
    }

    fn icmp(&mut self, hop: &Hop, undelivered: Option<Undelivered<'_>>, current: Current) {
        match undelivered.filter(|undelivered| self.is_ours(&undelivered.flow)) {
            Some(undelivered) => self.outlet.unreachable(current, undelivered, hop.into()),
            None => self.outlet.skip(Skip::Icmp, current.frames),
        }
    }

    fn is_ours(&self, flow: &Flow) -> bool {
        match self.ports.interest(flow.source.port(), flow.destination.port()) {
            Interest::Watched => true,
            Interest::Possible => self.outlet.speakers.knows(flow),
            Interest::Ignored => false,
        }
    }

    fn fragment(&mut self, hop: &Hop, fragment: &Fragment<'_>, current: Current, nested: u8) {
        let progress = self.fragments.add(hop, fragment, current.frames, current.time, &mut self.lost);
        match progress {
            Progress::Waiting => {}
            Progress::Copy => self.outlet.copy(CopyRule::Fragment, current.frames),
            Progress::Malformed => self.outlet.skip(Skip::Malformed, current.frames),
            Progress::Complete(whole) => {
                let current = Current { frames: whole.frames, ..current };
                if nested < MAX_REASSEMBLIES {
                    self.packet(dissect::reassembled(*hop, fragment.protocol, &whole.payload, self.tunnels), current, nested + 1);
                } else {
                    self.outlet.skip(Skip::Malformed, current.frames);
                }
                self.fragments.give_back(whole.payload);
            }
        }
        while let Some(lost) = self.lost.pop() {
            self.lose(lost);
        }
    }

    /// Settles the frames of a datagram that never became whole, and tells of it where it may have been SIP: on watched ports, or
    /// between hosts that speak it where the ports were lost.
    fn lose(&mut self, lost: Lost) {
        self.outlet.skip(Skip::IncompleteFragment, lost.frames);
        let ours = match lost.ports {
            Ports::Known => self.is_ours(&lost.flow),
            Ports::Unknown => self.outlet.speakers.knows_hosts(&lost.flow),
        };
        if ours {
            let current = Current { time: lost.time, frame: 0, frames: 0 };
            self.outlet.signal(current, Signal::FragmentsLost { flow: lost.flow, bytes: lost.bytes });
        }
    }
}
