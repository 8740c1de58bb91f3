//! What is known of the NATs, as the report and the findings tell it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::nat::estimate::Estimate;
use crate::track::nat::phone::Phone;
use crate::track::nat::site::SiteNat;
use crate::track::nat::stage::Stage;
use crate::track::nat::{Nat, advice};
use crate::track::registration::Registrations;
use crate::track::registration::device::Device;
use crate::track::site::Site;
use crate::track::vocabulary::Confidence;
use crate::track::world::World;

/// What is known of the NAT of a site, in all or at one stage.
#[derive(Clone, Copy, Debug)]
pub struct SiteView {
    /// The site.
    pub site: Site,
    /// When the first request told something.
    pub first: PacketTime,
    /// The stage, where the stages differ.
    pub stage: Option<Stage>,
    /// Bounds of the lifetime and how sure they are.
    pub estimate: Estimate,
    /// The longest regular silence of its phones. Where it forgot phones, of those; none then if any of them is not regular.
    pub gap: Option<Span>,
    /// The same, but of the regular ones only.
    regular: Option<Span>,
    /// The silence that no binding outlives, of whichever stage.
    fatal: Option<Span>,
    /// Smallest and largest share of moments in which a call to these phones would not arrive; none without a failure.
    pub loss: Option<[f64; 2]>,
}

impl SiteView {
    /// The keep-alive interval that would do, in seconds; none without a failure.
    pub fn keepalive(&self) -> Option<u32> {
        Some(advice::keepalive(self.estimate.lower, self.estimate.upper?))
    }

    /// Whether some of its phones are regular and some are not.
    pub fn is_partly_regular(&self) -> bool {
        self.gap.is_none() && self.regular.is_some()
    }

    /// Whether a phone that sends a keep-alive as often as that would still be forgotten: then nothing that phones offer is short enough.
    pub fn keepalive_is_too_long(&self) -> bool {
        self.keepalive().zip(self.estimate.upper).is_some_and(|(seconds, upper)| seconds > advice::longest_refresh(upper))
    }

    /// The longest interval in seconds at which the PBX's own requests would keep the bindings; none without a failure.
    pub fn qualify(&self) -> Option<u32> {
        Some(self.keepalive()?.min(advice::longest_refresh(self.estimate.upper?)))
    }

    /// The UDP timeout in seconds that the NAT needs at least; where its phones are not regular at least what any NAT should have. None
    /// without a failure.
    pub fn nat_timeout(&self) -> Option<u32> {
        let upper = self.estimate.upper?;
        let regular = self.regular.map(advice::nat_timeout);
        match self.gap {
            Some(_) => regular,
            None => regular.max(Some(advice::better_nat_timeout(upper))),
        }
    }

    /// The UDP timeout in seconds that leaves room; none without a failure.
    pub fn better_nat_timeout(&self) -> Option<u32> {
        Some(advice::better_nat_timeout(self.regular.max(self.gap).unwrap_or(self.estimate.upper?)))
    }
}

impl Nat {
    /// What is known of each site where a request told something, in the order in which the sites were found.
    pub fn views(&self) -> impl Iterator<Item = SiteView> {
        self.sites.iter().flat_map(|(_, site)| self.site_views(site))
    }

    /// The sites where a request told something, and when one first did, in the order in which they were found.
    pub fn sites(&self) -> impl Iterator<Item = (Site, PacketTime)> {
        self.sites.iter().filter(|(_, site)| !site.pool.is_empty()).filter_map(|(_, site)| Some((site.site, site.first?)))
    }

    /// What is known of one site, for each stage where they differ.
    pub fn views_of(&self, site: Site) -> Vec<SiteView> {
        let site = self.sites.find(self.site_key(site)).and_then(|found| self.sites.get(found));
        site.map(|site| self.site_views(site)).unwrap_or_default()
    }

    /// What is known of one site, at the stage where it is surest that bindings time out.
    pub fn view(&self, site: Site) -> Option<SiteView> {
        self.views_of(site).into_iter().max_by_key(|view| view.estimate.confidence)
    }

    /// The same as it concerns one device: with the silences and the loss of its way, which the NAT forgot for all devices on it.
    pub fn view_for(&self, registrations: &Registrations, site: Site, device: Handle) -> Option<SiteView> {
        let view = self.view(site)?;
        let phone = self.phone_of(registrations, device)?;
        let mates = self.phones_of(site).filter(|mate| mate.flow.source == phone.flow.source);
        Some(self.concerning(view, &ways(mates.chain([phone]))))
    }

    /// Whether a request that a site's NAT let fall at such an age and stage fell for the time of idleness and not by accident.
    pub fn is_beyond(&self, site: Site, stage: Stage, age: Span) -> bool {
        let site = self.sites.find(self.site_key(site)).and_then(|found| self.sites.get(found));
        site.is_some_and(|site| site.uppers[stage as usize].is_some_and(|upper| age >= upper))
    }

    /// How sure it is that bindings time out, for each site where a request told something.
    pub fn verdicts(&self) -> impl Iterator<Item = (Site, Option<Confidence>)> {
        self.sites.iter().filter(|(_, site)| !site.pool.is_empty()).map(|(_, site)| (site.site, site.confidence))
    }

    /// Whether nothing is sent to or by a device that would keep its binding open.
    pub fn lacks_keepalive(&self, world: &World, registrations: &Registrations, device: Handle, now: PacketTime) -> bool {
        let lacks = self.phone_of(registrations, device).is_some_and(Phone::lacks_keepalive);
        lacks && !self.is_pinged(world, registrations, device, now)
    }

    /// Whether the PBX sends a device keep-alives that it does not answer.
    pub fn is_pinged(&self, world: &World, registrations: &Registrations, device: Handle, now: PacketTime) -> bool {
        let phone = self.phone_of(registrations, device).filter(|phone| phone.lacks_keepalive());
        phone.is_some_and(|phone| self.is_kept_open(world, phone.flow.reversed(), now))
    }

    /// The devices of a site that its NAT forgets, and how many of its phones were heard within a day. Those that come from one port have
    /// one binding, and are forgotten together; who logged off while others there go on is not among them.
    pub fn failing(&self, registrations: &Registrations, site: Site) -> (Vec<Handle>, usize) {
        let forgotten: BTreeSet<_> = self.forgotten_of(site).map(|phone| phone.flow.source).collect();
        let logged_off = |phone: &Phone| registrations.device(phone.device).is_some_and(Device::is_logged_off);
        let goes_on =
            |phone: &&Phone| registrations.device(phone.device).is_some_and(|device| device.was_accepted() && !device.is_logged_off());
        let in_use: BTreeSet<_> = self.phones_of(site).filter(goes_on).map(|phone| phone.flow.source).collect();
        let mut phones: Vec<_> = self.phones_of(site).filter(|phone| !logged_off(phone) || !in_use.contains(&phone.flow.source)).collect();
        let count = phones.len();
        phones.retain(|phone| forgotten.contains(&phone.flow.source));
        (phones.into_iter().map(|phone| phone.device).collect(), count)
    }

    /// The devices of a site that share the binding of one of them, itself among them.
    pub fn sharing(&self, registrations: &Registrations, site: Site, device: Handle) -> Vec<Handle> {
        let Some(phone) = self.phone_of(registrations, device) else { return Vec::new() };
        let mates = self.phones_of(site).filter(|mate| mate.device != device && mate.flow.source == phone.flow.source);
        std::iter::once(device).chain(mates.map(|mate| mate.device)).collect()
    }

    /// The devices of a site whose phones were heard within a day.
    pub fn devices_of(&self, site: Site) -> Vec<Handle> {
        self.phones_of(site).map(|phone| phone.device).collect()
    }

    /// How often the phone of a device sends keep-alives while it is on.
    pub fn beat(&self, registrations: &Registrations, device: Handle) -> Option<Span> {
        self.phone_of(registrations, device)?.beat(&self.thresholds)
    }

    /// The longest silence of a device that ended after `since`, counted back from when it was heard at `now`.
    pub fn longest_silence(&self, registrations: &Registrations, device: Handle, since: PacketTime, now: PacketTime) -> Option<Span> {
        let phone = self.phone_of(registrations, device)?;
        let mut end = now;
        let ended_after = phone.gaps.recent().take_while(|gap| {
            let counts = end >= since;
            end = end - *gap;
            counts
        });
        ended_after.max()
    }

    fn phones_of(&self, site: Site) -> impl Iterator<Item = &Phone> {
        let site = self.sites.find(self.site_key(site)).and_then(|found| self.sites.get(found));
        site.into_iter().flat_map(|site| &site.phones).filter_map(|phone| self.phones.get(*phone))
    }

    /// The phones of a site to which requests were lost.
    fn forgotten_of(&self, site: Site) -> impl Iterator<Item = &Phone> {
        let nat = self.sites.find(self.site_key(site)).and_then(|found| self.sites.get(found));
        self.phones_of(site).filter(move |phone| nat.is_some_and(|nat| nat.pool.has_failed(phone.number, nat.uppers)))
    }

    fn phone_of(&self, registrations: &Registrations, device: Handle) -> Option<&Phone> {
        self.phones.get(registrations.device(device)?.phone?)
    }

    fn site_views(&self, site: &SiteNat) -> Vec<SiteView> {
        let Some(first) = site.first.filter(|_| !site.pool.is_empty()) else { return Vec::new() };
        let phones = || site.phones.iter().filter_map(|phone| self.phones.get(*phone));
        let failing = ways(phones().filter(|phone| site.pool.has_failed(phone.number, site.uppers)));
        let phones = ways(phones());
        let estimates = site.estimates(&self.thresholds);
        let fatal = estimates.iter().map(|(_, estimate)| estimate.upper).reduce(|a, b| a.zip(b).map(|(a, b)| a.max(b))).flatten();
        let view = |(stage, estimate): (Option<Stage>, Estimate)| {
            let view = SiteView { site: site.site, first, stage, estimate, gap: None, regular: None, fatal, loss: None };
            if failing.is_empty() {
                SiteView { gap: self.slowest(&phones), ..self.concerning(view, &phones) }
            } else {
                self.concerning(view, &failing)
            }
        };
        estimates.into_iter().map(view).collect()
    }

    /// The longest regular silence of those phones that are regular.
    fn slowest(&self, phones: &[&Phone]) -> Option<Span> {
        phones.iter().filter_map(|phone| phone.silence(&self.thresholds)).map(|regular| regular.longest).max()
    }

    /// A view with the silences and the loss of these phones.
    fn concerning(&self, view: SiteView, phones: &[&Phone]) -> SiteView {
        let regular = self.slowest(phones);
        let all_regular = phones.iter().all(|phone| phone.silence(&self.thresholds).is_some());
        let silences = || phones.iter().flat_map(|phone| phone.contact.gaps.recent());
        let loss = view.estimate.upper.and_then(|_| advice::loss(silences(), view.estimate.lower, view.fatal));
        SiteView { gap: regular.filter(|_| all_regular), regular, loss, ..view }
    }
}

/// Of the phones that come from one port the one that is given what comes from there: it was heard most.
fn ways<'a>(phones: impl Iterator<Item = &'a Phone>) -> Vec<&'a Phone> {
    let mut ways: BTreeMap<SocketAddr, &Phone> = BTreeMap::new();
    let worth = |phone: &Phone| (phone.rhythm.has_begun(), phone.gaps.len(), Reverse(phone.number));
    for phone in phones {
        let way = ways.entry(phone.flow.source).or_insert(phone);
        *way = if worth(phone) > worth(way) { phone } else { way };
    }
    ways.into_values().collect()
}
