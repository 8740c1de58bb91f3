//! Whose a finding is: the user's own, that of everybody at its address or on the PBX, or only that of its neighbours.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::detect::catalog::FindingId as F;
use crate::detect::finding::{Finding, Subject};
use crate::diagnose::case::Case;
use crate::diagnose::judge::is_about_capture;
use crate::diagnose::parties::Attempt;
use crate::report::model::{CallEntry, Problem};
use crate::time::PacketTime;
use crate::track::registration::device::Device;
use crate::track::site::Site;
use crate::track::vocabulary::{Direction, Outcome, RegistrationState};

/// Whom a finding concerns, seen from the user of a question; the nearest last.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Concern {
    /// Somebody else.
    Nobody,
    /// Other phones behind the user's address, or on another PBX.
    Neighbours,
    /// Everybody on the PBX, in a group, or behind the user's address.
    Everybody,
    /// The user by name, or one of its calls.
    User,
}

/// What a router or a guest of the network does to every phone behind an address, whoever suffered first.
const WHOLE_ADDRESS: [F; 5] = [F::SourceIpChanged, F::SipAlgSuspected, F::SipScanner, F::AuthBruteforce, F::ScannerSucceeded];

impl Case<'_> {
    /// Whom a finding concerns.
    pub(super) fn concern(&self, finding: &Finding) -> Concern {
        let suffers = || finding.sufferers.iter().any(|user| self.party.is_aor(user));
        let names_user = || suffers() || finding.related.iter().any(|subject| self.is_named(subject));
        match &finding.subject {
            Subject::Aor(aor) => if_so(self.party.is_aor(aor), Concern::User),
            Subject::Call(call_id) => if_so(self.is_in_question(call_id), Concern::User),
            _ if names_user() => Concern::User,
            // Of a part of all calls the user's own is told by what was found of the user.
            Subject::Pbx(_) if finding.id == F::UnansweredBurst => Concern::Nobody,
            Subject::Pbx(_) if self.is_elsewhere(finding) => {
                if self.has_failed_there(finding) {
                    Concern::Everybody
                } else {
                    Concern::Neighbours
                }
            }
            Subject::Pbx(_) | Subject::Capture => Concern::Everybody,
            Subject::Source(address) => if_so(self.is_at_address(*address), self.at_its_address(finding)),
            Subject::Site(site) => {
                let is_there = self.party.addresses().iter().any(|address| Site::of(*address) == *site);
                if_so(is_there, self.at_its_address(finding))
            }
            Subject::Trunk(address) => {
                let ends = |call: &CallEntry| [Some(call.destination), Some(call.source), call.passed_on_to];
                let mut met = self.attempts.iter().flat_map(Attempt::entries).flat_map(ends).flatten();
                if_so(met.any(|end| end.ip() == *address), Concern::Everybody)
            }
            Subject::Group(group) => if_so(self.is_in_group(group), Concern::Everybody),
        }
    }

    /// Whether the user has a phone at an address; of one that never registered, whether it calls from there.
    fn is_at_address(&self, address: IpAddr) -> bool {
        let calls_from_there = || self.made().any(|attempt| attempt.main.direction == Direction::In && attempt.main.source.ip() == address);
        let addresses = self.party.addresses();
        if addresses.is_empty() { calls_from_there() } else { addresses.contains(&address) }
    }

    /// Whether a finding is about a PBX that is not the one which serves the user.
    pub(super) fn is_elsewhere(&self, finding: &Finding) -> bool {
        let Subject::Pbx(server) = &finding.subject else { return false };
        let is_pbx = || self.scene.tracker.world.peers.pbx_addresses().iter().any(|known| known.ip() == server.ip());
        let own = || self.servers().collect::<BTreeSet<_>>();
        !is_about_capture(finding.id) && is_pbx() && !own().is_empty() && !own().contains(&server.ip())
    }

    /// The PBXs that phones of the user are registered at, or that refuse them.
    pub(super) fn servers(&self) -> impl Iterator<Item = IpAddr> {
        use RegistrationState as R;
        let answers = |device: &Device| matches!(device.state, R::Registered | R::Rejected | R::AuthLoop | R::Challenged);
        self.tracked_devices().filter(move |(_, device)| answers(device)).map(|(_, device)| device.flow.destination.ip())
    }

    /// Whether a call that the complaint may be about went to the PBX that a finding is about, while it was so, and was not answered.
    fn has_failed_there(&self, finding: &Finding) -> bool {
        let Subject::Pbx(server) = &finding.subject else { return false };
        let is_about_calls = !matches!(self.question.problem, Some(Problem::CannotConnect | Problem::LosesConnection));
        let (since, until) = (self.printed(finding.since), finding.cleared.map_or(PacketTime::MAX, |end| self.printed(end)));
        let failed = |call: &CallEntry| {
            let ends = [Some(call.source), Some(call.destination), call.passed_on_to];
            let is_there = ends.iter().flatten().any(|end| end.ip() == server.ip());
            is_there && call.outcome != Outcome::Answered && (since..=until).contains(&call.first_seen)
        };
        is_about_calls && self.in_question().flat_map(Attempt::entries).any(failed)
    }

    /// A finding about the user's address that does not name the user.
    fn at_its_address(&self, finding: &Finding) -> Concern {
        let names_others = finding.related.iter().any(|subject| matches!(subject, Subject::Aor(_) | Subject::Call(_)));
        // A full list does not tell who is not on it; and what nobody is named for is not done by a phone that is registered.
        let may_be_its = match names_others {
            true => finding.related.len() >= Finding::RELATED,
            false => !self.is_registered() || self.is_alone(),
        };
        if WHOLE_ADDRESS.contains(&finding.id) || self.party.is_address() || may_be_its { Concern::Everybody } else { Concern::Neighbours }
    }

    /// Whether credentials were refused of a device that never was accepted, while a phone of the user is registered elsewhere: that is a
    /// second device, or a stranger's.
    pub(super) fn is_of_another_device(&self, finding: &Finding) -> bool {
        let is_refused_at = |address: IpAddr| {
            let source = Subject::Source(address);
            finding.subject == source || finding.related.contains(&source)
        };
        let devices = || self.tracked_devices().map(|(_, device)| device);
        let is_another = |refused: &Device, own: &Device| {
            own.is_registered() && !is_refused_at(own.source().ip()) && own.user_agent != refused.user_agent
        };
        let mut refused = devices().filter(|device| !device.was_accepted() && is_refused_at(device.source().ip()));
        matches!(finding.id, F::AuthFailedLoop | F::AuthBruteforce) && refused.any(|refused| devices().any(|own| is_another(refused, own)))
    }

    fn is_named(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Aor(aor) => self.party.is_aor(aor),
            Subject::Call(call_id) => self.attempts.iter().flat_map(Attempt::entries).any(|call| *call.call_id == **call_id),
            _ => false,
        }
    }
}

fn if_so(is_so: bool, concern: Concern) -> Concern {
    if is_so { concern } else { Concern::Nobody }
}
