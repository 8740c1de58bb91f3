//! Phones that get the probes of the PBX and answer none (DETECTION §2.7): a probe that stays unanswered after a silence that the binding
//! provably survives says nothing of the NAT.

use crate::sip::method::Method;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::event::Sighting;
use crate::track::nat::Nat;
use crate::track::nat::event::NatEvent;
use crate::track::nat::phone::{Asked, Phone, Probes, Wait};
use crate::track::nat::stage::Stage;
use crate::track::registration::Registrations;
use crate::track::site::Site;
use crate::track::world::World;

/// No binding dies so soon after a packet of the phone.
const ALIVE: Span = Span::from_secs(2);
/// Hardly any binding dies so soon.
const SHORT: Span = Span::from_secs(10);
/// Probes that must have reached a phone before it is said to ignore them: one may be lost by accident.
const REACHED: usize = 2;

impl Nat {
    /// Whether a lost request is a probe that reached a phone which never answered one.
    pub(super) fn is_ignored(&self, world: &World, handle: Handle, asked: &Asked) -> bool {
        let Some(phone) = self.phones.get(handle) else { return false };
        let (Wait::Lost(back), Method::Options, Probes::Unanswered) = (asked.wait, asked.method, phone.probes) else { return false };
        let known = self.site_of(phone).and_then(|site| site.pool.shortest_failure(Stage::Oneway));
        let survived = self.site_of(phone).and_then(|site| site.survived(asked.binding.stage(known)));
        let reaches = ALIVE.max(survived.unwrap_or_default()).max(phone.reached.unwrap_or_default());
        asked.silence <= reaches && world.would_see_answer(asked.flow, asked.sent.time, back)
    }

    /// Whether a lost probe may as well have been ignored: the phone never answered any, and silences like that are survived.
    pub(super) fn is_doubtful(&self, handle: Handle, silence: Span) -> bool {
        let Some(phone) = self.phones.get(handle).filter(|phone| phone.probes == Probes::Unanswered) else { return false };
        let survived = self.site_of(phone).and_then(|site| site.pool.longest_success(Stage::Stream));
        silence <= survived.unwrap_or_default().max(SHORT)
    }

    /// The phone answers probes.
    pub(super) fn note_answers_probes(&mut self, world: &mut World, handle: Handle, at: Sighting) {
        let Some(phone) = self.phones.get_mut(handle) else { return };
        if std::mem::replace(&mut phone.probes, Probes::Answered) == Probes::Answered {
            return;
        }
        let (number, site) = (phone.number, Site::of(phone.flow.source.ip()));
        if let Some(nat) = self.site_mut(site) {
            nat.pool.believe_probes(number);
            self.reconsider(world, site, at);
        }
    }

    /// Takes note that a request other than a probe arrived after a silence of `reached`, if so long is known, and that `ignored` probes
    /// reached the phone and were not answered.
    pub(super) fn note_reached(
        &mut self,
        world: &mut World,
        registrations: &Registrations,
        handle: Handle,
        reached: Option<Span>,
        ignored: u32,
        at: Sighting,
    ) {
        if let Some(phone) = self.phones.get_mut(handle) {
            phone.reached = phone.reached.max(reached);
            phone.ignored = phone.ignored.saturating_add(ignored);
        }
        self.judge_probes(world, registrations, handle, at);
    }

    /// Decides whether a phone gets the probes and does not answer them: then none of them counts as lost.
    fn judge_probes(&mut self, world: &mut World, registrations: &Registrations, handle: Handle, at: Sighting) {
        let Some(phone) = self.phones.get(handle) else { return };
        let Some(device) = registrations.device(phone.device) else { return };
        let reached = phone.reached;
        let missed = |silence: Span| self.site_of(phone).map_or(0, |site| site.pool.missed_probes(phone.number, silence));
        let ignored = phone.ignored as usize + reached.map_or(0, missed);
        let never = device.probes.answered == 0 && device.probes.sent >= self.thresholds.options_ignored;
        let (device, number, site) = (phone.device, phone.number, Site::of(phone.flow.source.ip()));
        match phone.probes {
            Probes::Unanswered if never && ignored >= REACHED => {}
            Probes::Unsupported { told: false } if reached.is_some() => {}
            _ => return,
        }
        if let Some(phone) = self.phones.get_mut(handle) {
            phone.probes = Probes::Unsupported { told: reached.is_some() };
            phone.asked.retain(|asked| asked.method != Method::Options);
        }
        if let Some(site) = self.site_mut(site) {
            site.pool.retract_probes(number);
        }
        world.tell_nat(NatEvent::ProbesIgnored { device, site, silence: reached, at });
        self.reconsider(world, site, at);
    }
}

/// Probes that a phone left unanswered in the silence in which it answered something sent after them.
pub(super) fn unanswered_before(phone: &Phone, answered: &Asked, last: PacketTime) -> u32 {
    if phone.probes != Probes::Unanswered || answered.method == Method::Options {
        return 0;
    }
    let since = answered.sent.time - answered.silence;
    let ignored = phone.asked.iter().filter(|asked| {
        let same_silence = asked.sent.time > since && asked.sent.time <= last && asked.flow.destination == answered.flow.destination;
        asked.method == Method::Options && asked.wait == Wait::Sign && same_silence
    });
    u32::try_from(ignored.count()).unwrap_or(u32::MAX)
}
