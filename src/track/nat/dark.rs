//! Sites that were dark: the keep-alives of all phones there stopped at one time, as when the router or the line is down (DETECTION §2.7).
//! What is lost in the meantime, and a port that is another one afterwards, say nothing of how long a binding lives.

use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::nat::Nat;
use crate::track::nat::phone::Phone;
use crate::track::site::Site;

/// Phones of a site whose lapses are remembered.
const REMEMBERED: usize = 64;

/// A time in which a phone left out keep-alives.
#[derive(Clone, Copy, Debug)]
struct Lapse {
    phone: Handle,
    since: PacketTime,
    until: PacketTime,
}

/// The last lapse of each phone of a site.
#[derive(Debug, Default)]
pub(super) struct Lapses {
    lapses: Vec<Lapse>,
}

impl Lapses {
    fn note(&mut self, lapse: Lapse) {
        self.lapses.retain(|known| known.phone != lapse.phone);
        if self.lapses.len() >= REMEMBERED {
            self.lapses.remove(0);
        }
        self.lapses.push(lapse);
    }

    fn any(&self, phone: Handle, since: PacketTime, until: PacketTime) -> bool {
        self.lapses.iter().any(|lapse| lapse.phone == phone && lapse.since <= until && lapse.until >= since)
    }
}

impl Nat {
    /// Takes note of the time that passed between two keep-alives of a phone, if one is missing in between.
    pub(super) fn note_lapse(&mut self, handle: Handle, interval: Span, now: PacketTime) {
        let deviation = self.thresholds.ka_periodic_mad;
        let Some(phone) = self.phones.get(handle).filter(|phone| phone.rhythm.lacks_beats(deviation, interval)) else { return };
        let Some(site) = self.site_mut(Site::of(phone.flow.source.ip())) else { return };
        site.lapses.note(Lapse { phone: handle, since: now - interval, until: now });
    }

    /// Whether each other phone at the site of this one that sends keep-alives left some out between `since` and `until`.
    pub(super) fn was_dark(&self, handle: Handle, since: PacketTime, until: PacketTime) -> bool {
        let Some(phone) = self.phones.get(handle) else { return false };
        let Some(site) = self.site_of(phone) else { return false };
        let deviation = self.thresholds.ka_periodic_mad;
        let is_of_note = |other: &Phone| {
            let is_on = other.rhythm.last + other.reappears(Span::ZERO, &self.thresholds) >= since;
            other.flow.source != phone.flow.source && is_on && other.beat(&self.thresholds).is_some()
        };
        let has_lapsed = |handle: Handle, other: &Phone| {
            site.lapses.any(handle, since, until)
                || other.rhythm.last <= until && other.rhythm.lacks_beats(deviation, until.since(other.rhythm.last))
        };
        let others = site.phones.iter().filter(|&&other| other != handle).filter_map(|&other| Some((other, self.phones.get(other)?)));
        let mut of_note = others.filter(|(_, other)| is_of_note(other)).peekable();
        of_note.peek().is_some() && of_note.all(|(handle, other)| has_lapsed(handle, other))
    }
}
