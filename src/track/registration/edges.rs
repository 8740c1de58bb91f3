//! Proxies that pass registrations on: what comes from there is not all from one phone or site (DETECTION §0.2).

use std::net::{IpAddr, SocketAddr};

use crate::decode::flow::Flow;
use crate::sip::message::Message;
use crate::track::registration::Registrations;

/// Proxies remembered.
const EDGES: usize = 64;

impl Registrations {
    /// Takes note that a user was accepted along `flow`, by an answer that goes by several hops.
    pub(super) fn note_edge(&mut self, answer: &Message<'_>, flow: Flow) {
        if answer.via_count() > 1 && self.edges.len() < EDGES {
            self.edges.insert(flow.source.ip());
        }
    }

    /// Whether users were accepted through a proxy at `address`.
    pub fn is_edge(&self, address: IpAddr) -> bool {
        self.edges.contains(&address)
    }

    /// The way of a request, or of that which `message` answers, as its sender sent it: a proxy through which users were accepted writes
    /// where a message came from into the Via below its own (RFC 3261 §18.2.1). Whatever others write there is not believed.
    pub(in crate::track) fn as_sent(&self, message: &Message<'_>, way: Flow) -> Flow {
        if message.via_count() < 2 || !self.is_edge(way.source.ip()) {
            return way;
        }
        let sender = message
            .vias()
            .nth(1)
            .and_then(|via| Some(SocketAddr::new(via.received_ip().or_else(|| via.host_ip())?, via.port.unwrap_or(5060))));
        sender.map_or(way, |source| Flow { source, ..way })
    }
}
