//! Who knocks at the wrong door: another protocol, a closed port, a domain that is not served (DETECTION §7.8).

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use crate::decode::flow::{Flow, Transport};
use crate::decode::signal::Signal;
use crate::detect::catalog::{FindingId, Slot};
use crate::detect::finding::{Raise, Standing, Subject};
use crate::detect::latest::Latest;
use crate::detect::parties::standing;
use crate::detect::registration::{aor_subject, is_heard_from, status_text};
use crate::detect::store::FindingStore;
use crate::time::PacketTime;
use crate::track::Tracker;
use crate::track::absence::is_heard;
use crate::track::event::{AttemptEnd, AttemptReport, Event, Sighting};
use crate::track::site::Site;
use crate::track::vocabulary::{Direction, Severity};

/// Tries remembered of a source.
const KEPT: usize = 8;
/// Sources remembered.
const REMEMBERED: usize = 4096;
/// Served domains remembered; with more, no domain is called wrong.
const DOMAINS: usize = 1024;
/// Addresses that register anybody, remembered; with more, no port is called wrong.
const DOORS: usize = 64;

/// Refusals, which say nothing of the one who knocks where the PBX speaks to nobody: then it is down.
const TCP_REFUSED: &str = "TCP connection refused";
const TCP_SILENT: &str = "TCP connection that nothing answers";
const UDP_REFUSED: &str = "UDP refused by ICMP";
/// A server that is gone, or was never there.
const SILENT_ADDRESS: &str = "SIP to an address that is no PBX and answers nobody";
/// A host that says so itself, or a router on the way there.
const REFUSED_ADDRESS: &str = "SIP to an address that is no PBX (refused by ICMP)";
/// A port at which the PBX does not listen, while it serves others at another one.
const SILENT_PORT: &str = "SIP that nothing answers";

/// A try that cannot succeed.
#[derive(Clone, Copy, Debug)]
struct Knock {
    at: Sighting,
    what: &'static str,
    door: SocketAddr,
}

/// Watches tries that cannot succeed.
#[derive(Debug, Default)]
pub(super) struct StrangerDetector {
    knocks: Latest<IpAddr, VecDeque<Knock>, REMEMBERED>,
    strays: Latest<IpAddr, VecDeque<Sighting>, REMEMBERED>,
    domains: BTreeSet<Box<str>>,
    /// Where somebody was registered.
    doors: BTreeSet<SocketAddr>,
}

impl StrangerDetector {
    /// Sources held, and how many were dropped for lack of room.
    pub(super) fn size(&self) -> (usize, u64) {
        let [knocks, strays] = [self.knocks.size(), self.strays.size()];
        (knocks.0 + strays.0, knocks.1 + strays.1)
    }

    pub(super) fn event(&mut self, tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
        match event {
            // Where others are registered over TCP it is no wrong door.
            Event::Noticed { signal: signal @ (Signal::Refused(flow) | Signal::Unopened(flow)), at }
                if tracker.world.peers.direction(*flow) == Direction::In && !tracker.registrations.serves_streams(flow.destination) =>
            {
                let what = if matches!(signal, Signal::Refused(_)) { TCP_REFUSED } else { TCP_SILENT };
                self.knocked(tracker, *flow, what, *at, None, findings);
            }
            Event::Noticed { signal: Signal::Unreachable(flow), at } if is_sip(tracker, *flow) => {
                self.knocked(tracker, *flow, UDP_REFUSED, *at, None, findings);
            }
            Event::TlsWanted { flow, at } if tracker.world.peers.direction(*flow) == Direction::In => {
                self.knocked(tracker, *flow, "TLS asked for without TLS", *at, None, findings);
            }
            Event::Noticed { signal: Signal::Tls(flow) | Signal::Http(flow), .. }
                if tracker.world.peers.direction(*flow) == Direction::Through => {}
            Event::Noticed { signal: Signal::Tls(flow), at } => self.knocked(tracker, *flow, "TLS", *at, None, findings),
            Event::Noticed { signal: Signal::Http(flow), at } => self.knocked(tracker, *flow, "HTTP", *at, None, findings),
            Event::RegistrationEnded(report) => match report.end {
                AttemptEnd::Accepted => self.served(tracker, report, findings),
                AttemptEnd::Rejected => self.rejected(tracker, report, findings),
                AttemptEnd::NoAnswer | AttemptEnd::Unknown
                    if self.is_nobodys(report.flow.destination.ip()) && is_refused_elsewhere(tracker, report.flow, report.first.time) =>
                {
                    let aor = aor_subject(tracker, report.aor);
                    self.knocked(tracker, report.flow, REFUSED_ADDRESS, report.first, aor, findings);
                }
                AttemptEnd::NoAnswer | AttemptEnd::Unknown if self.is_elsewhere(tracker, report) => {
                    let aor = aor_subject(tracker, report.aor);
                    self.knocked(tracker, report.flow, SILENT_ADDRESS, report.first, aor, findings);
                }
                AttemptEnd::NoAnswer if self.is_closed(tracker, report) => {
                    let aor = aor_subject(tracker, report.aor);
                    self.knocked(tracker, report.flow, SILENT_PORT, report.first, aor, findings);
                }
                _ => {}
            },
            _ => {}
        }
    }

    /// Somebody, whose registration it is where that is known, tried in vain.
    fn knocked(
        &mut self,
        tracker: &Tracker,
        flow: Flow,
        what: &'static str,
        at: Sighting,
        aor: Option<Subject>,
        findings: &mut FindingStore,
    ) {
        let (source, door) = match tracker.world.peers.direction(flow) {
            Direction::In => (flow.source.ip(), flow.destination),
            Direction::Out => (flow.destination.ip(), flow.source),
            Direction::Through => (flow.source.ip(), flow.destination),
        };
        if tracker.world.peers.scans(source) {
            return;
        }
        let least = tracker.thresholds().wrong_port;
        let knocks = self.knocks.entry(source);
        knocks.push_back(Knock { at, what, door });
        while knocks.len() > KEPT.max(least.count as usize)
            || knocks.front().is_some_and(|first| at.time.since(first.at.time) > least.window)
        {
            knocks.pop_front();
        }
        let refused = [TCP_REFUSED, TCP_SILENT, UDP_REFUSED].contains(&what);
        let first = knocks.front().map_or(at.time, |first| first.at.time);
        let lives = knocks.front().is_some_and(|first| tracker.world.peers.sent_since(door.ip(), first.at.time));
        // Any address may refuse once, for a moment.
        let tries = knocks.iter().filter(|knock| what != REFUSED_ADDRESS || knock.door == door).count();
        if !least.is_reached(tries) || (refused && !lives) {
            return;
        }
        let standing = standing(tracker, source);
        // It is served, and tries TCP beside that, as for large messages (RFC 3261 §18.1.1).
        if what == TCP_SILENT && standing == Standing::Known && is_heard_from(tracker, source, first) {
            return;
        }
        let kinds: BTreeSet<&str> = knocks.iter().map(|knock| knock.what).collect();
        let named = kinds.iter().copied().collect::<Vec<_>>().join(", ");
        let message = format!("{source}: {named} on port {} of {}", door.port(), door.ip());
        let raise = Raise::new(FindingId::WrongTransportOrPort, Subject::Source(source), message).standing(standing);
        // Strangers ask every host of the internet.
        let is_noise = standing == Standing::Stranger && knocks.iter().all(|knock| knock.what == TCP_SILENT);
        let raise = if is_noise { raise.severity(Severity::Info) } else { raise };
        let raise = aor.into_iter().fold(raise.related(Subject::Site(Site::of(source))), Raise::related);
        let raise =
            knocks.iter().fold(raise, |raise, Knock { at, what, door }| raise.evidence(at.time, at.frame, format!("{what} to {door}")));
        let known = tracker.world.peers.pbx_addresses();
        let pbx = known.iter().find(|pbx| pbx.ip() == door.ip()).or_else(|| known.first());
        let expected = |pbx: &SocketAddr| format!("{} to {pbx}", if *pbx == door { other_than(&kinds) } else { ANY_TRANSPORT });
        let raise = pbx.into_iter().fold(raise, |raise, pbx| raise.fill(Slot::Expected, expected(pbx)));
        findings.raise(raise, at.time);
    }

    /// Whether a REGISTER went to an address that never registered anybody, where it is known who does. That it was sent again and again
    /// shows that nobody answered, whatever the capture sees of that address.
    fn is_elsewhere(&self, tracker: &Tracker, report: &AttemptReport) -> bool {
        let flow = report.flow;
        !self.domains.is_empty()
            && tracker.world.peers.direction(flow) == Direction::Through
            && report.transmissions > 1
            && !is_heard(flow.transport, report.transmissions)
            && tracker.world.flows.last_seen(flow.reversed()) == PacketTime::MIN
    }

    /// Whether nobody was ever registered at that address.
    fn is_nobodys(&self, address: IpAddr) -> bool {
        self.doors.len() < DOORS && !self.doors.iter().any(|door| door.ip() == address)
    }

    /// Whether a REGISTER went to a port of the PBX's host from which nobody was ever answered, while others are served at another one. What
    /// a filter drops went to where others are served.
    fn is_closed(&self, tracker: &Tracker, report: &AttemptReport) -> bool {
        let (flow, door) = (report.flow, report.flow.destination);
        flow.transport == Transport::Udp
            && self.doors.len() < DOORS
            && !self.doors.contains(&door)
            && self.doors.iter().any(|served| served.ip() == door.ip())
            && !tracker.world.peers.pbx_addresses().contains(&door)
            && tracker.world.peers.sent_since(door.ip(), report.first.time)
            && tracker.world.flows.last_seen(flow.reversed()) == PacketTime::MIN
    }

    fn served(&mut self, tracker: &Tracker, report: &AttemptReport, findings: &mut FindingStore) {
        if let Some(domain) = domain(tracker, report)
            && !self.domains.contains(domain)
            && self.domains.len() < DOMAINS
        {
            self.domains.insert(domain.into());
        }
        if self.doors.len() < DOORS {
            self.doors.insert(report.flow.destination);
        }
        let source = report.flow.source.ip();
        if self.strays.remove(source).is_some() {
            findings.clear(FindingId::WrongDomain, &Subject::Source(source), report.last.time);
        }
        // The server had been down.
        let is_door = |knock: &Knock| knock.what == REFUSED_ADDRESS && knock.door == report.flow.destination;
        if self.knocks.get(source).is_some_and(|knocks| knocks.iter().any(is_door)) {
            self.knocks.remove(source);
            findings.clear(FindingId::WrongTransportOrPort, &Subject::Source(source), report.last.time);
        }
    }

    fn rejected(&mut self, tracker: &Tracker, report: &AttemptReport, findings: &mut FindingStore) {
        let (source, at, now) = (report.flow.source.ip(), report.answered, report.last.time);
        let Some(domain) = domain(tracker, report) else { return };
        let knows = !self.domains.is_empty() && self.domains.len() < DOMAINS;
        if !knows || self.domains.contains(domain) || tracker.world.peers.direction(report.flow) == Direction::Out {
            return;
        }
        let least = tracker.thresholds().wrong_port;
        let strays = self.strays.entry(source);
        strays.push_back(at);
        while strays.len() > KEPT.max(least.count as usize) || strays.front().is_some_and(|first| now.since(first.time) > least.window) {
            strays.pop_front();
        }
        if !least.is_reached(strays.len()) || tracker.world.peers.scans(source) {
            return;
        }
        let message = format!("{source}: registers for the unknown domain {domain}");
        let known = self.domains.iter().take(3).map(|known| &**known).collect::<Vec<_>>().join(", ");
        let raise = Raise::new(FindingId::WrongDomain, Subject::Source(source), message)
            .standing(standing(tracker, source))
            .related(Subject::Site(Site::of(source)))
            .fill(Slot::Expected, format!("the PBX serves {known}"));
        let fact = format!("REGISTER for {domain} answered {}", status_text(report.status));
        let raise = strays.iter().fold(raise, |raise, at| raise.evidence(at.time, at.frame, fact.clone()));
        let subject = Subject::Source(source);
        if let Some(aor) = tracker.registrations.aor(report.aor) {
            let symptom = Subject::Aor(aor.name.clone());
            findings.raise(raise.related(symptom.clone()), now);
            findings.replace((FindingId::WrongDomain, &subject), (FindingId::RegistrationRejected, &symptom), now);
        }
    }
}

/// The transports in question at the right port.
const ANY_TRANSPORT: &str = "UDP or TCP";

/// The transports that were not just refused.
fn other_than(kinds: &BTreeSet<&str>) -> &'static str {
    match (kinds.contains(TCP_REFUSED) || kinds.contains(TCP_SILENT), kinds.contains(UDP_REFUSED)) {
        (true, false) => "UDP",
        (false, true) => "TCP",
        _ => ANY_TRANSPORT,
    }
}

/// Whether ICMP says that a REGISTER sent along `flow` at `sent` went to nobody, where it is known who is a PBX. The PBX calls nobody there,
/// and nobody there was heard, neither by the sender nor by a PBX: a phone or a trunk that is down is at the right address.
fn is_refused_elsewhere(tracker: &Tracker, flow: Flow, sent: PacketTime) -> bool {
    let world = &tracker.world;
    let asked = flow.destination;
    let is_heard = |listener: SocketAddr| {
        let back = Flow { source: asked, destination: listener, ..flow };
        world.flows.last_seen(back) > PacketTime::MIN
    };
    world.peers.direction(flow) == Direction::Through
        && world.unreached.since(flow, sent)
        && world.peers.knows_pbx()
        && !world.peers.is_partner(asked.ip())
        && !world.peers.pbx_addresses().into_iter().chain([flow.source]).any(is_heard)
}

/// Whether a datagram towards a PBX carried SIP, rather than sound.
fn is_sip(tracker: &Tracker, flow: Flow) -> bool {
    tracker.world.peers.direction(flow) == Direction::In && tracker.world.flows.last_seen(flow) > PacketTime::MIN
}

/// The host of the AoR, in lower case.
fn domain<'t>(tracker: &'t Tracker, report: &AttemptReport) -> Option<&'t str> {
    let name = &tracker.registrations.aor(report.aor)?.name;
    Some(name.rsplit_once('@').map_or(&**name, |(_, host)| host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Thresholds;
    use crate::table::Rank;
    use crate::track::Settings;

    const PBX: &str = "203.0.113.10:5060";
    const PHONE: &str = "198.51.100.7:5060";
    const NOBODY: &str = "203.0.113.99:5060";

    fn flow(source: &str, destination: &str) -> Flow {
        Flow { transport: Transport::Udp, source: source.parse().unwrap(), destination: destination.parse().unwrap() }
    }

    fn at(seconds: i64) -> PacketTime {
        PacketTime::from_parts(1_700_000_000 + seconds, 0)
    }

    /// What ICMP refused at second 10.
    fn refused(pbxs: &[&str], flow: Flow) -> Tracker {
        let settings = Settings {
            seed: 0,
            pbxs: pbxs.iter().map(|pbx| pbx.parse().unwrap()).collect(),
            own: Vec::new(),
            trunks: Vec::new(),
            transactions: 10,
            calls: 10,
            bindings: 10,
            flows: 10,
            sources: 10,
            finished: 10,
            thresholds: Thresholds::default(),
        };
        let mut tracker = Tracker::new(&settings);
        tracker.signal(&Signal::Unreachable(flow), Sighting { time: at(10), frame: 1 });
        tracker
    }

    #[test]
    fn what_icmp_refuses_at_an_address_of_nobody_went_astray() {
        let stray = flow(PHONE, NOBODY);
        let tracker = refused(&[PBX], stray);
        assert!(is_refused_elsewhere(&tracker, stray, at(10)));
        assert!(!is_refused_elsewhere(&tracker, stray, at(11)), "the error is older");
        assert!(!is_refused_elsewhere(&tracker, flow(PHONE, "203.0.113.98:5060"), at(10)), "silence proves nothing");
        assert!(!is_refused_elsewhere(&refused(&[], stray), stray, at(10)), "nobody knows where the PBX is");
        for ordinary in [flow(PHONE, PBX), flow(PBX, PHONE)] {
            assert!(!is_refused_elsewhere(&refused(&[PBX], ordinary), ordinary, at(10)), "{ordinary:?}");
        }
    }

    #[test]
    fn who_is_called_or_heard_is_somebody() {
        let stray = flow(PHONE, NOBODY);
        let mut called = refused(&[PBX], stray);
        called.world.peers.note_called(stray.destination.ip(), None, at(5));
        assert!(!is_refused_elsewhere(&called, stray, at(10)));
        for listener in [PHONE, PBX] {
            let mut heard = refused(&[PBX], stray);
            heard.world.flows.note(flow(NOBODY, listener), Rank::Ordinary, at(5));
            assert!(!is_refused_elsewhere(&heard, stray, at(10)), "by {listener}");
        }
    }
}
