//! What it may be that a server leaves one source unanswered: words, remedies, and what tells them apart (DETECTION §1.3).

use std::net::SocketAddr;

use crate::decode::flow::Flow;
use crate::detect::catalog::FindingId;
use crate::detect::finding::{Finding, Subject};
use crate::detect::served::Served;
use crate::detect::store::FindingStore;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::vocabulary::Confidence;

/// What a server does that answers others at the same address.
pub(super) const OTHERS_THERE_ARE_SERVED: &str =
    "it answers other requests from there, so that address is not banned: a filter for this phone, or a request that the PBX drops";

/// What to do about a REGISTER that is left alone, where others from the same address are not.
pub(super) const DROPS_REGISTER: &str = "Second level: the PBX answers others at {ip}, so that address is not banned. Look in its log for what \
     becomes of the REGISTER of {aor}: a filter by port or User-Agent, a broken account, or a request that it drops as malformed.";

/// The same of an INVITE.
pub(super) const DROPS_INVITE: &str = "Second level: the PBX answers other requests from {ip}, so that address is not banned. Look in its log for \
     what becomes of this INVITE: a filter, an account without a route, or a request that it drops as malformed.";

/// What a server does that answers others.
pub(super) const MAY_BE_BLOCKED: &str = "fail2ban, a firewall or an ACL on the PBX may block it";

/// How many other sources the server of a request that was sent first at `first` served lately, and that in words.
pub(super) fn others_served(
    answered: &Served,
    tracker: &Tracker,
    request: Flow,
    first: PacketTime,
    findings: &FindingStore,
) -> (usize, String) {
    let (source, since) = (request.source.ip(), first - tracker.thresholds().others_served);
    let others = answered.others((source, request.destination.ip()), |at| at.since(since) > Span::ZERO);
    let was_confirmed = |finding: &Finding| finding.confidence == Confidence::Confirmed;
    let words = match others {
        0 if findings.get(FindingId::RegistrarSilent, &Subject::Source(source)).is_some_and(was_confirmed) => {
            "other sources were served before".to_owned()
        }
        0 => "no other source was served meanwhile to compare with".to_owned(),
        1 => "1 other source is served".to_owned(),
        n => format!("{n} other sources are served"),
    };
    (others, words)
}

/// How sure it is that a server leaves one source unanswered, by how many others it served meanwhile.
pub(super) fn proved_by(others: usize) -> Confidence {
    if others > 0 { Confidence::Confirmed } else { Confidence::Suspected }
}

/// What a server may do that answers nobody.
pub(super) fn is_gone(tracker: &Tracker, pbx: SocketAddr, since: PacketTime) -> String {
    format!("{pbx} sent nothing to anybody since {}: it may be down, or block it", tracker.clock(since))
}

/// What to do where the host of the PBX takes connections and nothing answers on them.
pub(super) const SERVICE_HANGS: &str =
    "Second level: check what serves SIP over TCP on the PBX: it takes connections and does not answer on them.";

/// What to do where a registrar fell silent altogether.
pub(super) const SERVER_IS_GONE: &str =
    "Second level: check that {pbx} runs and is connected; if it does, check fail2ban/iptables/ACL there for {ip} and unban it.";

/// Since when a registrar that was first asked at `first` has sent nothing at all, if it had before.
pub(super) fn silent_since(tracker: &Tracker, pbx: SocketAddr, first: PacketTime) -> Option<PacketTime> {
    let sent = tracker.world.peers.last_sent(pbx);
    (sent > PacketTime::MIN && sent < first).then_some(sent)
}

/// Whether the PBX took a connection on which it never answered: nobody sends a REGISTER over one that was not, and a filter takes none.
pub(super) fn is_let_in(tracker: &Tracker, flow: Flow) -> bool {
    flow.transport.is_stream() && tracker.world.flows.last_seen(flow.reversed()) == PacketTime::MIN
}
