//! Which addresses are the PBX, which are trunks, and which way a packet goes.
//!
//! A PBX address is configured, or learned: an address that answers REGISTER with 2xx or 401, except one whose answered REGISTERs all come
//! from a PBX address with a single Via; that one is a carrier at which the PBX registers (DETECTION §13).

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::config::Systems;
use crate::decode::ends::ip_digest;
use crate::decode::flow::Flow;
use crate::table::{Digest, Digester, ExpiringTable, Rank};
use crate::time::{PacketTime, Span};
use crate::track::called::Called;
use crate::track::event::Giveaway;
use crate::track::vocabulary::{Direction, PeerClass};

/// PBX addresses and registrars that are told apart at most. A host has a handful; of one with more, assumed ones give way.
const MOST: usize = 64;
/// How long a PBX that was heard since it was learned gives way to no other. Phones that register or are probed make theirs speak sooner.
const HEARD: Span = Span::from_secs(3600);
/// Packets to other peers that vouch for a direction. DETECTION §0.1 asks for 20 in either direction, which a small site does not have
/// within the time that its own scenarios leave; four in the very direction that is missing say as much.
const ENOUGH: usize = 4;
/// How long a silent source is remembered.
const IDLE: Span = Span::from_secs(24 * 3600);

/// The times of the last packets in one direction.
#[derive(Clone, Copy, Debug)]
struct Recent {
    times: [PacketTime; ENOUGH],
    next: usize,
}

impl Recent {
    const NONE: Self = Self { times: [PacketTime::MIN; ENOUGH], next: 0 };

    fn note(&mut self, now: PacketTime) {
        self.times[self.next] = now;
        self.next = (self.next + 1) % ENOUGH;
    }

    fn all_since(&self, since: PacketTime) -> bool {
        self.times[self.next] > PacketTime::MIN && self.times[self.next] >= since
    }

    fn latest(&self) -> PacketTime {
        self.times[(self.next + ENOUGH - 1) % ENOUGH]
    }
}

#[derive(Clone, Copy, Debug)]
struct Pbx {
    address: SocketAddr,
    /// An address of this host, of which it is not known yet that a PBX listens there.
    assumed: bool,
    sent: Recent,
    received: Recent,
}

/// What speaks for an address being the PBX's, the larger the more: its port before all, then that it is more than assumed. So a gateway
/// on the PBX's own host, at another port or another of its addresses, is told from the PBX. 0 where nothing does.
type Claim = u8;

impl Pbx {
    /// Whether another may take its place, where there are too many.
    fn gives_way(&self, now: PacketTime) -> bool {
        self.assumed || now.since(self.sent.latest()) > HEARD
    }
}

/// An address that answers REGISTER, and who asked it.
#[derive(Debug)]
struct Registrar {
    address: SocketAddr,
    client: IpAddr,
    /// More than one client address, or a REGISTER that a proxy forwarded.
    serves_many: bool,
}

/// What is known of a source address.
#[derive(Clone, Copy, Debug, Default)]
struct Source {
    registers: bool,
    called: Called,
    /// By what it was found out to scan.
    scans: Option<Giveaway>,
    /// The number of the phone system that it scanned when it was found out.
    scanned: Option<u8>,
}

/// The addresses that take part.
#[derive(Debug)]
pub struct Peers {
    digester: Digester,
    pbxs: Vec<Pbx>,
    trunks: Vec<IpAddr>,
    registrars: Vec<Registrar>,
    sources: ExpiringTable<Source>,
    learns: bool,
    systems: Systems,
    /// Whether any source was ever found to scan.
    scanned: bool,
}

impl Peers {
    /// Starts from what is configured. With configured PBX addresses nothing is learned. `own` are addresses of this host: a PBX is
    /// assumed there until others are learned.
    pub fn new(digester: Digester, capacity: usize, pbxs: &[SocketAddr], own: &[IpAddr], trunks: &[IpAddr]) -> Self {
        let mut peers = Self {
            digester,
            pbxs: Vec::new(),
            trunks: trunks.to_vec(),
            registrars: Vec::new(),
            sources: ExpiringTable::new(capacity),
            learns: pbxs.is_empty(),
            systems: Systems::default(),
            scanned: false,
        };
        for &address in pbxs.iter().take(MOST) {
            peers.add_pbx(address, false, PacketTime::MIN);
        }
        if peers.learns {
            for &ip in own {
                peers.add_pbx(SocketAddr::new(ip, 5060), true, PacketTime::MIN);
            }
        }
        peers
    }

    /// Tells the phone systems of the host apart, by the names that the user gave them.
    pub fn name_systems(&mut self, systems: Systems) {
        self.systems = systems;
    }

    /// The phone systems.
    pub fn systems(&self) -> &Systems {
        &self.systems
    }

    /// The PBX addresses, configured or learned, in order.
    pub fn pbx_addresses(&self) -> Vec<SocketAddr> {
        let mut known: Vec<_> = self.pbxs.iter().filter(|pbx| !pbx.assumed).map(|pbx| pbx.address).collect();
        known.sort_unstable();
        known
    }

    /// The names that the user gave those of them that have one.
    pub fn pbx_names(&self) -> BTreeMap<SocketAddr, String> {
        let named = |address: SocketAddr| Some((address, self.systems.name_at(address)?.to_owned()));
        self.pbx_addresses().into_iter().filter_map(named).collect()
    }

    /// What a drawing calls each of them: `PBX`, or `PBX berlin`.
    pub fn pbx_roles(&self) -> BTreeMap<SocketAddr, String> {
        let role = |address| self.systems.name_at(address).map_or_else(|| "PBX".to_owned(), |name| format!("PBX {name}"));
        self.pbx_addresses().into_iter().map(|address| (address, role(address))).collect()
    }

    /// Whether any PBX address is known, not merely assumed.
    pub fn knows_pbx(&self) -> bool {
        self.pbxs.iter().any(|pbx| !pbx.assumed)
    }

    /// Takes note of a packet along `flow`.
    pub fn note(&mut self, flow: Flow, now: PacketTime) {
        for pbx in &mut self.pbxs {
            if is_same_host(&pbx.address, &flow.source) {
                pbx.sent.note(now);
            } else if is_same_host(&pbx.address, &flow.destination) {
                pbx.received.note(now);
            }
        }
    }

    /// When the PBX at `address` last sent anything.
    pub fn last_sent(&self, address: SocketAddr) -> PacketTime {
        self.pbxs.iter().find(|pbx| pbx.address == address).map_or(PacketTime::MIN, |pbx| pbx.sent.latest())
    }

    /// Whether the PBX at `address` sent anything at or after `since`, from whatever port.
    pub fn sent_since(&self, address: IpAddr, since: PacketTime) -> bool {
        self.pbxs.iter().any(|pbx| pbx.address.ip() == address && pbx.sent.latest() > PacketTime::MIN && pbx.sent.latest() >= since)
    }

    /// Whether so many packets of a PBX were seen in the direction of `missing` since `since` that one more would have been seen too.
    pub fn direction_is_seen(&self, missing: Flow, since: PacketTime) -> bool {
        self.pbxs.iter().any(|pbx| {
            (pbx.address.ip() == missing.source.ip() && pbx.sent.all_since(since))
                || (pbx.address.ip() == missing.destination.ip() && pbx.received.all_since(since))
        })
    }

    /// Whether the PBX at `address` received anything at or after `since`.
    pub fn received_since(&self, address: SocketAddr, since: PacketTime) -> bool {
        self.pbxs
            .iter()
            .any(|pbx| pbx.address.ip() == address.ip() && pbx.received.latest() > PacketTime::MIN && pbx.received.latest() >= since)
    }

    /// Which way `flow` goes, seen from the PBX: the end with the better claim to be one is it.
    pub fn direction(&self, flow: Flow) -> Direction {
        // Most hosts have one PBX, and this is asked several times for each packet.
        if let [pbx] = &self.pbxs[..] {
            match (is_same_host(&pbx.address, &flow.source), is_same_host(&pbx.address, &flow.destination)) {
                (true, false) => return Direction::Out,
                (false, true) => return Direction::In,
                (false, false) => return Direction::Through,
                (true, true) => {}
            }
        }
        match self.claim(&flow.source).cmp(&self.claim(&flow.destination)) {
            Ordering::Less => Direction::In,
            Ordering::Greater => Direction::Out,
            Ordering::Equal => Direction::Through,
        }
    }

    /// Whether a response may answer a request by the ways that the two took. Whoever can send to the PBX can send it the answer to its
    /// own request, too; but what comes from the host that was asked, or goes back to the host that asked, is not the asker's own. A
    /// host with several addresses may answer from another than it was asked at, and a capture on both sides of an address translation
    /// may have kept the one's request and the other's answer: that one has to come from a PBX as soon as any is known.
    pub fn can_answer(&self, request: Flow, response: Flow) -> bool {
        if is_same_host(&response.source, &request.destination) {
            return true;
        }
        if is_same_host(&response.source, &request.source) {
            return false;
        }
        is_same_host(&response.destination, &request.source)
            || match self.direction(response) {
                Direction::Out => true,
                Direction::Through => !self.knows_pbx(),
                Direction::In => false,
            }
    }

    /// The PBX end of a flow, if it has one.
    pub fn pbx_of(&self, flow: Flow) -> Option<SocketAddr> {
        match self.direction(flow) {
            Direction::In => Some(flow.destination),
            Direction::Out => Some(flow.source),
            Direction::Through => None,
        }
    }

    /// What the peer at `address` is.
    pub fn class(&self, address: IpAddr) -> PeerClass {
        if self.is_trunk(address) {
            return PeerClass::Trunk;
        }
        match self.source(address) {
            Some(source) if source.scans.is_some() => PeerClass::Scan,
            Some(_) => PeerClass::Endpoint,
            None if self.is_pbx_ip(address) => PeerClass::Unknown,
            None => PeerClass::Endpoint,
        }
    }

    /// Whether `address` is a trunk: configured, or called by the PBX and never seen to register, or found to be one by its calls.
    pub fn is_trunk(&self, address: IpAddr) -> bool {
        self.trunks.contains(&address)
            || self.source(address).is_some_and(|source| source.called != Called::Never && !source.registers && source.scans.is_none())
    }

    /// Whether the PBX accepted a registration from `address`, or calls it or registers there.
    pub fn is_partner(&self, address: IpAddr) -> bool {
        self.trunks.contains(&address) || self.source(address).is_some_and(|source| source.registers || source.called != Called::Never)
    }

    /// What an entry is worth that the peer at `address` brings about.
    pub fn rank(&self, address: IpAddr) -> Rank {
        match self.source(address) {
            Some(source) if source.scans.is_some() => Rank::Scanner,
            Some(_) => Rank::Ordinary,
            None if self.trunks.contains(&address) => Rank::Ordinary,
            None => Rank::Unanswered,
        }
    }

    /// Whether requests from `address` are a scanner's.
    pub fn scans(&self, address: IpAddr) -> bool {
        self.scanned && self.source(address).is_some_and(|source| source.scans.is_some())
    }

    /// Whether `address` is held to be a scanner's for the users alone that it tried out in vain.
    pub fn tries_users(&self, address: IpAddr) -> bool {
        self.source(address).is_some_and(|source| source.scans == Some(Giveaway::Users))
    }

    /// Marks the source of `flow` as a scanner.
    pub fn mark_scanner(&mut self, flow: Flow, giveaway: Giveaway, now: PacketTime) {
        self.scanned = true;
        let scanned = self.systems.find(flow.destination).and_then(|system| u8::try_from(system).ok());
        self.update(flow.source.ip(), now, |source| {
            source.scans = Some(giveaway);
            source.scanned = source.scanned.or(scanned);
        });
    }

    /// Takes back that `address` is that of a scanner.
    pub fn unmark_scanner(&mut self, address: IpAddr, now: PacketTime) {
        self.update(address, now, |source| (source.scans, source.scanned) = (None, None));
    }

    /// Takes note that `client` was accepted as registered, so that it is no trunk.
    pub fn note_registered(&mut self, client: IpAddr, now: PacketTime) {
        self.update(client, now, |source| source.registers = true);
    }

    /// Takes note that `peer`, which was held to be that of a phone, is that of a carrier or a gateway, whether the PBX calls there or not.
    pub fn note_carrier(&mut self, peer: IpAddr, now: PacketTime) {
        self.update(peer, now, |source| (source.registers, source.called) = (false, Called::Otherwise));
    }

    /// Takes note that the PBX called `peer` as `user`, or registered there.
    pub fn note_called(&mut self, peer: IpAddr, user: Option<&[u8]>, now: PacketTime) {
        let called = user.map_or(Called::Otherwise, |user| self.called_as(user));
        self.update(peer, now, |source| source.called = source.called.and(called));
    }

    /// Whether the PBX calls `peer` as `user` and as nobody else.
    pub fn is_called_as(&self, peer: IpAddr, user: &[u8]) -> bool {
        self.source(peer).is_some_and(|source| source.called == self.called_as(user))
    }

    fn called_as(&self, user: &[u8]) -> Called {
        Called::As(self.digester.bytes(user).low64() as u32)
    }

    /// Takes note that a REGISTER along `flow` with `vias` Via values was answered by 2xx or 401 at `now`. Returns the PBX address, if one
    /// was learned by that.
    pub fn note_answered_register(&mut self, flow: Flow, vias: u16, now: PacketTime) -> Option<SocketAddr> {
        if !self.learns {
            return None;
        }
        let (client, is_known) = (flow.source.ip(), self.is_known(flow.destination));
        let position = match self.registrars.iter().position(|registrar| registrar.address == flow.destination) {
            Some(position) => position,
            None if is_known => return None,
            None => {
                self.make_room(now)?;
                self.registrars.push(Registrar { address: flow.destination, client, serves_many: false });
                self.registrars.len() - 1
            }
        };
        let registrar = self.registrars.get_mut(position)?;
        registrar.serves_many |= vias > 1 || registrar.client != client;
        if is_known {
            return None;
        }
        if !registrar.serves_many && self.pbxs.iter().any(|pbx| !pbx.assumed && pbx.address.ip() == registrar.client) {
            return None;
        }
        self.learn(flow.destination, now)?;
        Some(flow.destination)
    }

    /// Whether the server at the end of `flow` is known for the REGISTERs of its source alone: the one may be a carrier, and the other
    /// another address of the PBX.
    pub fn may_be_carrier(&self, flow: Flow) -> bool {
        let client = flow.source.ip();
        let is_alone =
            |registrar: &Registrar| registrar.address == flow.destination && !registrar.serves_many && registrar.client == client;
        self.learns && self.registrars.iter().any(is_alone) && !self.is_pbx_ip(client)
    }

    /// Takes note that the source of `flow` goes on with the calls of others. Returns it if it was learned by that to be a PBX's address,
    /// and the server at the other end to be a carrier.
    pub fn note_relay(&mut self, flow: Flow, now: PacketTime) -> Option<SocketAddr> {
        // The port of a connection says nothing.
        let port = if flow.transport.is_stream() { flow.destination.port() } else { flow.source.port() };
        let address = SocketAddr::new(flow.source.ip(), port);
        self.learn(address, now)?;
        Some(address)
    }

    /// Forgets sources that were silent for a day.
    pub fn expire(&mut self, now: PacketTime) {
        while let Some((handle, _)) = self.sources.pop_due(now) {
            self.sources.remove(handle);
        }
    }

    /// When [`Self::expire`] next has something to do.
    pub fn next_deadline(&self) -> PacketTime {
        self.sources.next_deadline()
    }

    /// Sources held, and sources dropped for lack of room.
    pub fn size(&self) -> (usize, u64) {
        (self.sources.len(), self.sources.evicted())
    }

    /// The remembered sources that scan, each with the number of the phone system that it tried.
    pub fn scanners(&self) -> impl Iterator<Item = Option<usize>> {
        self.sources.iter().filter(|(_, source)| source.scans.is_some()).map(|(_, source)| source.scanned.map(usize::from))
    }

    /// Takes `address` for a PBX, if there is room, and no longer for one what turns out to be a carrier at which it registers.
    fn learn(&mut self, address: SocketAddr, now: PacketTime) -> Option<()> {
        if let Some(pbx) = self.pbxs.iter_mut().find(|pbx| pbx.address == address) {
            pbx.assumed = false;
        } else {
            self.add_pbx(address, false, now)?;
        }
        let carriers: Vec<_> = self
            .registrars
            .iter()
            .filter(|registrar| !registrar.serves_many && registrar.client == address.ip() && registrar.address != address)
            .map(|registrar| registrar.address)
            .collect();
        self.pbxs.retain(|pbx| !carriers.contains(&pbx.address));
        Some(())
    }

    /// Adds a PBX; `None` where there is no room.
    fn add_pbx(&mut self, address: SocketAddr, assumed: bool, now: PacketTime) -> Option<()> {
        let pbx = Pbx { address, assumed, sent: Recent::NONE, received: Recent::NONE };
        if self.pbxs.len() >= MOST {
            let by_worth = self.pbxs.iter().enumerate().min_by_key(|(_, pbx)| (!pbx.assumed, pbx.sent.latest()));
            let (least, _) = by_worth.filter(|(_, pbx)| !assumed && pbx.gives_way(now))?;
            self.pbxs.remove(least);
        }
        self.pbxs.push(pbx);
        Some(())
    }

    /// Lets go of a registrar where there are too many: one that is no PBX, or else the PBX that was silent for longest. `None` where all of
    /// them were heard lately.
    fn make_room(&mut self, now: PacketTime) -> Option<()> {
        if self.registrars.len() < MOST {
            return Some(());
        }
        let pbx = |registrar: &Registrar| self.pbxs.iter().find(|pbx| pbx.address == registrar.address && !pbx.assumed);
        let by_worth = self.registrars.iter().enumerate().map(|(place, registrar)| (place, pbx(registrar)));
        let (least, pbx) = by_worth.min_by_key(|(_, pbx)| pbx.map(|pbx| pbx.sent.latest()))?;
        if !pbx.is_none_or(|pbx| pbx.gives_way(now)) {
            return None;
        }
        self.registrars.remove(least);
        Some(())
    }

    fn is_known(&self, address: SocketAddr) -> bool {
        self.pbxs.iter().any(|pbx| pbx.address == address && !pbx.assumed)
    }

    /// The best claim of `address` to be a PBX.
    #[inline]
    fn claim(&self, address: &SocketAddr) -> Claim {
        let same_ip = self.pbxs.iter().filter(|pbx| is_same_host(&pbx.address, address));
        let claim = |pbx: &Pbx| 1 + 2 * u8::from(pbx.address.port() == address.port()) + u8::from(!pbx.assumed);
        same_ip.fold(0, |best, pbx| best.max(claim(pbx)))
    }

    /// Whether a PBX is known at `ip`, or assumed there.
    pub fn is_pbx_ip(&self, ip: IpAddr) -> bool {
        self.pbxs.iter().any(|pbx| pbx.address.ip() == ip)
    }

    fn source(&self, address: IpAddr) -> Option<&Source> {
        self.sources.get(self.sources.find(self.key(address))?)
    }

    fn update(&mut self, address: IpAddr, now: PacketTime, change: impl FnOnce(&mut Source)) {
        let key = self.key(address);
        let handle = self.sources.find(key).unwrap_or_else(|| self.sources.insert(key, Source::default(), now + IDLE, Rank::Unanswered).0);
        self.sources.set_deadline(handle, now + IDLE);
        self.sources.touch(handle);
        let Some(source) = self.sources.get_mut(handle) else { return };
        change(source);
        let rank = if source.scans.is_some() { Rank::Scanner } else { Rank::Precious };
        self.sources.set_rank(handle, rank);
    }

    fn key(&self, address: IpAddr) -> Digest {
        ip_digest(self.digester, address)
    }
}

/// Whether two addresses differ in nothing but the port.
#[inline]
fn is_same_host(one: &SocketAddr, other: &SocketAddr) -> bool {
    match (one, other) {
        (SocketAddr::V4(one), SocketAddr::V4(other)) => one.ip() == other.ip(),
        (SocketAddr::V6(one), SocketAddr::V6(other)) => one.ip() == other.ip(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::flow::Transport;

    fn flow(source: &str, destination: &str) -> Flow {
        Flow { transport: Transport::Udp, source: source.parse().unwrap(), destination: destination.parse().unwrap() }
    }

    fn peers() -> Peers {
        Peers::new(Digester::new(0), 100, &[], &[], &[])
    }

    const NOW: PacketTime = PacketTime::MIN;

    fn at(second: i64) -> PacketTime {
        PacketTime::from_parts(second, 0)
    }

    const PHONE: &str = "198.51.100.7:40001";
    const PBX: &str = "203.0.113.10:5060";
    const CARRIER: &str = "192.0.2.50:5060";

    #[test]
    fn who_answers_register_is_the_pbx() {
        let mut peers = peers();
        assert_eq!(peers.direction(flow(PHONE, PBX)), Direction::Through);
        assert_eq!(peers.note_answered_register(flow(PHONE, PBX), 1, NOW), Some(PBX.parse().unwrap()));
        assert_eq!(peers.direction(flow(PHONE, PBX)), Direction::In);
        assert_eq!(peers.direction(flow(PBX, PHONE)), Direction::Out);
    }

    #[test]
    fn who_asked_does_not_answer() {
        let (second_phone, other_port) = ("198.51.100.8:5060", "203.0.113.10:5062");
        let (second_pbx, container, bridge) = ("203.0.113.11:5060", "172.17.0.2:5060", "172.17.0.1:41000");
        let asked = flow(PHONE, PBX);
        let unknown = peers();
        let mut learned = peers();
        learned.note_answered_register(asked, 1, NOW);
        let own = ["203.0.113.10".parse().unwrap(), "203.0.113.11".parse().unwrap()];
        let live = Peers::new(Digester::new(0), 100, &[], &own, &[]);
        for (response, before, after, on_the_host) in [
            (flow(PBX, PHONE), true, true, true),
            (flow(other_port, PHONE), true, true, true),
            // Another of its addresses, or the one within a container.
            (flow(second_pbx, PHONE), true, true, true),
            (flow(container, PHONE), true, true, true),
            // To the other side of an address translation.
            (flow(PBX, second_phone), true, true, true),
            (flow(container, bridge), true, false, true),
            // The asker itself, whatever it sends that to.
            (flow(PHONE, PBX), false, false, false),
            (flow("198.51.100.7:9", PBX), false, false, false),
            (flow(PHONE, second_pbx), false, false, false),
            // A helper of the asker.
            (flow(second_phone, second_pbx), true, false, false),
        ] {
            assert_eq!(unknown.can_answer(asked, response), before, "{response}, no PBX known");
            assert_eq!(learned.can_answer(asked, response), after, "{response}");
            assert_eq!(live.can_answer(asked, response), on_the_host, "{response}, on the PBX's host");
        }
        // A carrier that answers from another address than it was called at, and a gateway on the host of the PBX.
        assert!(learned.can_answer(flow(PBX, CARRIER), flow("192.0.2.51:5060", PBX)));
        assert!(learned.can_answer(flow("203.0.113.10:5080", PBX), flow(PBX, "203.0.113.10:5080")));
    }

    #[test]
    fn a_carrier_at_which_the_pbx_registers_is_none_in_either_order() {
        let mut first = peers();
        first.note_answered_register(flow(PHONE, PBX), 1, NOW);
        assert_eq!(first.note_answered_register(flow(PBX, CARRIER), 1, NOW), None);
        let mut second = peers();
        second.note_answered_register(flow(PBX, CARRIER), 1, NOW);
        second.note_answered_register(flow(PHONE, PBX), 1, NOW);
        assert_eq!(first.pbx_addresses(), second.pbx_addresses());
        assert_eq!(second.pbx_addresses(), [PBX.parse().unwrap()]);
    }

    #[test]
    fn a_gateway_on_the_host_of_the_pbx_is_told_from_it() {
        let own = ["203.0.113.10".parse().unwrap(), "127.0.0.1".parse().unwrap()];
        let mut peers = Peers::new(Digester::new(0), 100, &[], &own, &[]);
        assert!(!peers.knows_pbx(), "an address is assumed, none is known");
        let (other_port, loopback) = ("203.0.113.10:5080", "127.0.0.1:5060");
        assert_eq!(peers.direction(flow(other_port, PBX)), Direction::In);
        assert_eq!(peers.direction(flow("127.0.0.1:5080", loopback)), Direction::In);
        assert_eq!(peers.direction(flow(PBX, loopback)), Direction::Through);
        peers.note_answered_register(flow(PHONE, PBX), 1, NOW);
        assert_eq!(peers.direction(flow(PBX, loopback)), Direction::Out);
        assert_eq!(peers.direction(flow(loopback, PBX)), Direction::In);
        assert!(peers.knows_pbx());
    }

    #[test]
    fn a_host_of_many_addresses_leaves_room_for_the_pbx() {
        let own: Vec<IpAddr> = (0..200).map(|n| [10, 0, 0, n].into()).collect();
        let mut peers = Peers::new(Digester::new(0), 100, &[], &own, &[]);
        peers.note_answered_register(flow(PHONE, PBX), 1, NOW);
        assert_eq!(peers.pbx_addresses(), [PBX.parse().unwrap()]);
    }

    #[test]
    fn however_many_pretend_to_be_a_pbx_the_one_that_speaks_is_known() {
        let mut peers = peers();
        let mut second = 0;
        let mut pretend = |peers: &mut Peers, rounds: u32| {
            for n in 0..rounds {
                second += 1;
                let fake = SocketAddr::from(([192, 0, 2, (n % 200) as u8], 7_000 + (n / 200) as u16));
                peers.note_answered_register(Flow { destination: fake, ..flow("192.0.2.250:9", PBX) }, 1, at(second));
                peers.note(flow(PBX, PHONE), at(second));
            }
        };
        pretend(&mut peers, 500);
        assert_eq!(
            peers.note_answered_register(flow(PHONE, PBX), 1, at(500)),
            Some(PBX.parse().unwrap()),
            "it is learned though there are many"
        );
        pretend(&mut peers, 500);
        assert_eq!(peers.direction(flow(PHONE, PBX)), Direction::In);
        assert_eq!((peers.pbxs.len(), peers.registrars.len()), (MOST, MOST));
    }

    #[test]
    fn a_pbx_that_was_heard_gives_way_to_none_that_speak_more_often() {
        let mut peers = peers();
        let fake = |n: u16| SocketAddr::from(([192, 0, 2, 9], 7_000 + n));
        let pretend = |peers: &mut Peers, n, now| peers.note_answered_register(Flow { destination: fake(n), ..flow(PHONE, PBX) }, 1, now);
        let speak = |peers: &mut Peers, n, now| peers.note(Flow { source: fake(n), ..flow(PBX, PHONE) }, now);
        peers.note_answered_register(flow(PHONE, PBX), 1, at(0));
        peers.note(flow(PBX, PHONE), at(1));
        for n in 0..500 {
            pretend(&mut peers, n, at(2 + i64::from(n)));
            speak(&mut peers, n, at(2 + i64::from(n)));
        }
        assert_eq!(peers.direction(flow(PBX, PHONE)), Direction::Out, "though they were heard later");
        let later = at(2) + HEARD;
        assert_eq!(pretend(&mut peers, 600, later), Some(fake(600)), "one that nobody heard for long gives way");
        assert_eq!((peers.pbxs.len(), peers.registrars.len()), (MOST, MOST));
    }

    #[test]
    fn nothing_is_learned_beside_what_is_configured() {
        let mut peers = Peers::new(Digester::new(0), 100, &[CARRIER.parse().unwrap()], &[], &[]);
        assert_eq!(peers.note_answered_register(flow(PHONE, PBX), 1, NOW), None);
        assert_eq!(peers.pbx_addresses(), [CARRIER.parse().unwrap()]);
    }

    #[test]
    fn a_phone_that_registers_is_no_trunk_though_it_is_called() {
        let mut peers = peers();
        let now = PacketTime::from_parts(1, 0);
        peers.note_called("192.0.2.50".parse().unwrap(), None, now);
        peers.note_called("198.51.100.7".parse().unwrap(), None, now);
        peers.note_registered("198.51.100.7".parse().unwrap(), now);
        assert!(peers.is_trunk("192.0.2.50".parse().unwrap()));
        assert!(!peers.is_trunk("198.51.100.7".parse().unwrap()));
    }
}
