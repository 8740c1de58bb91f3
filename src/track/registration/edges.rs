//! Proxies that pass registrations on: what comes from there is not all from one phone or site (DETECTION §0.2).

use std::net::SocketAddr;

use crate::decode::flow::{Flow, is_private};
use crate::sip::headers::Via;
use crate::sip::message::Message;
use crate::table::Handle;
use crate::track::registration::Registrations;

/// Proxies remembered.
const EDGES: usize = 64;
/// Users that must have been accepted through one: anybody may write a second Via for the own account.
const USERS: usize = 3;

impl Registrations {
    /// Takes note that a user was accepted along `flow`, by an answer that goes by several hops. All of them but the last are proxies.
    pub(super) fn note_edge(&mut self, answer: &Message<'_>, flow: Flow, aor: Handle) {
        if answer.via_count() < 2 {
            return;
        }
        let further = answer.vias().skip(1).take(usize::from(answer.via_count()).saturating_sub(2)).filter_map(|via| sender(&via));
        for place in further.chain([place(flow)]) {
            if let Some(users) = self.edges.get_mut(&place) {
                if users.len() < USERS && !users.contains(&aor) {
                    users.push(aor);
                }
            } else if self.edges.len() < EDGES {
                self.edges.insert(place, vec![aor]);
            }
        }
    }

    /// Whether what comes along `flow` comes from a proxy through which several users were accepted.
    pub fn is_edge(&self, flow: Flow) -> bool {
        self.is_edge_at(place(flow))
    }

    /// Whether several users were accepted through a proxy at `address`.
    pub fn is_edge_at(&self, address: SocketAddr) -> bool {
        let users = self.edges.get(&address).or_else(|| self.edges.get(&SocketAddr::new(address.ip(), 0)));
        users.is_some_and(|users| users.len() >= USERS)
    }

    /// The way of a request, or of that which `message` answers, as its sender sent it: a proxy through which users were accepted writes
    /// where a message came from into the Via below its own (RFC 3261 §18.2.1). Whatever others write there is not believed. `None` where
    /// the proxy does not tell.
    pub(in crate::track) fn as_sent(&self, message: &Message<'_>, way: Flow) -> Option<Flow> {
        if message.via_count() < 2 || !self.is_edge(way) {
            return Some(way);
        }
        let source = message.vias().skip(1).map(|via| sender(&via)).find(|sender| sender.is_none_or(|place| !self.is_edge_at(place)))??;
        // What a phone writes of itself says where it is in its own network alone.
        let is_told = !is_private(source.ip()) || is_private(way.source.ip());
        is_told.then_some(Flow { source, ..way })
    }
}

/// Where what comes along `flow` comes from; a connection has a port of its own.
fn place(flow: Flow) -> SocketAddr {
    if flow.transport.is_stream() { SocketAddr::new(flow.source.ip(), 0) } else { flow.source }
}

/// Who wrote a Via, as far as it tells.
fn sender(via: &Via<'_>) -> Option<SocketAddr> {
    Some(SocketAddr::new(via.received_ip().or_else(|| via.host_ip())?, via.port.unwrap_or(5060)))
}
