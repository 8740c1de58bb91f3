//! Connections that a server does not grant, by who asks for them.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use crate::decode::flow::Flow;
use crate::detect::latest::Latest;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::event::Sighting;

/// Sources remembered.
const REMEMBERED: usize = 4096;
/// Tries remembered of a source.
const KEPT: usize = 8;
/// A source that did not ask for as long begins anew.
const FORGOTTEN: Span = Span::from_secs(600);
/// For how long connections are asked for in vain until that is no accident: 64·T1, as with any request.
const IN_VAIN: Span = Span::from_secs(32);
/// A source that asked as lately still wants a connection: phones try at least each minute at first (RFC 5626 §4.5).
const LATELY: Span = Span::from_secs(120);
/// How often that is told of a source at most.
const TOLD_AGAIN: Span = Span::from_secs(10);

/// What to do where connections are refused.
pub(super) const TCP_REFUSED: &str =
    "Second level: check that {pbx} listens for TCP; if it does, check fail2ban/iptables/ACL there for {ip}.";

/// What to do where they are refused to everybody.
pub(super) const TCP_IS_OFF: &str = "Second level: start what serves SIP over TCP on the PBX again, so that {pbx} listens.";

/// What to do where all of them are asked for in vain.
pub(super) const TCP_IS_FILTERED: &str = "Second level: open {pbx} for TCP in the firewall of the PBX, and see that it listens there.";

/// A connection that was not to be had.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unopened {
    /// From who asked for it.
    pub(super) flow: Flow,
    /// The SYN, or its refusal.
    pub(super) at: Sighting,
    /// Whether it was refused; it was not answered at all otherwise.
    pub(super) refused: bool,
}

/// What a source asked of a server in vain.
#[derive(Debug, Default)]
pub(super) struct Tries {
    /// How often, without a break.
    pub(super) times: u32,
    /// The first and the last of these times.
    pub(super) span: Option<[PacketTime; 2]>,
    /// The latest.
    pub(super) latest: VecDeque<Unopened>,
    told: Option<PacketTime>,
}

/// The tries of all.
#[derive(Debug, Default)]
pub(super) struct UnopenedConnections {
    tries: Latest<(IpAddr, SocketAddr), Tries, REMEMBERED>,
}

impl UnopenedConnections {
    /// Takes note of a try. Returns since when its source tries, if that goes on for too long and was not told just now.
    pub(super) fn note(&mut self, unopened: Unopened) -> Option<PacketTime> {
        let (flow, now) = (unopened.flow, unopened.at.time);
        let tries = self.tries.entry((flow.source.ip(), flow.destination));
        if tries.span.is_some_and(|[_, last]| now.since(last) > FORGOTTEN) {
            *tries = Tries::default();
        }
        let first = tries.span.map_or(now, |[first, _]| first);
        tries.span = Some([first, now]);
        tries.times = tries.times.saturating_add(1);
        if tries.latest.len() >= KEPT {
            tries.latest.pop_front();
        }
        tries.latest.push_back(unopened);
        if now.since(first) < IN_VAIN || tries.told.is_some_and(|told| now.since(told) < TOLD_AGAIN) {
            return None;
        }
        tries.told = Some(now);
        Some(first)
    }

    /// The tries of the source of `flow` at its destination.
    pub(super) fn of(&self, flow: Flow) -> Option<&Tries> {
        self.tries.get((flow.source.ip(), flow.destination))
    }

    /// The other sources that asked `server` for connections lately, more than once, and got none.
    pub(super) fn others(&self, source: IpAddr, server: SocketAddr, now: PacketTime) -> impl Iterator<Item = IpAddr> {
        let wants = move |tries: &Tries| tries.times > 1 && tries.span.is_some_and(|[_, last]| now.since(last) <= LATELY);
        let beside = self.tries.iter().filter(move |((other, asked), _)| *other != source && *asked == server);
        beside.filter(move |(_, tries)| wants(tries)).map(|((other, _), _)| other)
    }

    /// Sources held, and how many were dropped for lack of room.
    pub(super) fn size(&self) -> (usize, u64) {
        self.tries.size()
    }

    /// A source was served.
    pub(super) fn forget(&mut self, source: IpAddr, server: SocketAddr) {
        self.tries.remove((source, server));
    }
}

/// Whether anything came since `since` over a connection over which somebody is registered at `pbx`.
pub(super) fn takes_connections(tracker: &Tracker, pbx: SocketAddr, since: PacketTime) -> bool {
    let mut ways = tracker.registrations.devices().map(|(_, device)| device.flow);
    ways.any(|flow| flow.transport.is_stream() && flow.destination == pbx && tracker.world.flows.last_seen(flow) > since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::flow::Transport;

    fn told_at(seconds: &[i64]) -> Vec<i64> {
        let mut connections = UnopenedConnections::default();
        let flow = Flow {
            transport: Transport::Tcp,
            source: "198.51.100.7:40001".parse().unwrap(),
            destination: "203.0.113.10:5060".parse().unwrap(),
        };
        let mut told = |second: &i64| {
            let at = Sighting { time: PacketTime::from_parts(*second, 0), frame: 1 };
            connections.note(Unopened { flow, at, refused: false }).is_some()
        };
        seconds.iter().copied().filter(|second| told(second)).collect()
    }

    #[test]
    fn who_asks_for_too_long_is_told_of_now_and_then() {
        assert_eq!(told_at(&[0, 20, 31, 32, 33, 41, 42, 700]), [32, 42]);
    }

    #[test]
    fn who_asks_rarely_is_not() {
        assert_eq!(told_at(&[0, 601, 1202]), [] as [i64; 0]);
    }
}
