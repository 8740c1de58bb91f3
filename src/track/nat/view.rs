//! What is known of the NATs, as the report and the findings tell it.

use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::nat::estimate::Estimate;
use crate::track::nat::phone::Phone;
use crate::track::nat::rhythm::Regular;
use crate::track::nat::site::SiteNat;
use crate::track::nat::stage::Stage;
use crate::track::nat::{Nat, advice};
use crate::track::registration::Registrations;
use crate::track::site::Site;
use crate::track::vocabulary::Confidence;

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
    /// The longest regular silence of its phones, of those that it forgot where there are any.
    pub gap: Option<Span>,
    /// Smallest and largest share of moments in which a call would not arrive; none without a failure.
    pub loss: Option<[f64; 2]>,
}

impl SiteView {
    /// The keep-alive interval that would do, in seconds; none without a failure.
    pub fn keepalive(&self) -> Option<u32> {
        Some(advice::keepalive(self.estimate.lower, self.estimate.upper?))
    }

    /// The UDP timeout in seconds that the NAT needs at least, where its phones are not regular what any NAT should have; none without a
    /// failure.
    pub fn nat_timeout(&self) -> Option<u32> {
        let upper = self.estimate.upper?;
        Some(self.gap.map_or_else(|| advice::better_nat_timeout(upper), advice::nat_timeout))
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

    /// What is known of one site.
    pub fn view(&self, site: Site) -> Option<SiteView> {
        let site = self.sites.get(self.sites.find(self.site_key(site))?)?;
        self.site_views(site).into_iter().max_by_key(|view| view.estimate.confidence)
    }

    /// How sure it is that bindings time out, for each site where a request told something.
    pub fn verdicts(&self) -> impl Iterator<Item = Option<Confidence>> {
        self.sites.iter().filter(|(_, site)| !site.pool.is_empty()).map(|(_, site)| site.confidence)
    }

    /// The longest regular silence of the phone of a device.
    pub fn silence(&self, registrations: &Registrations, device: Handle) -> Option<Regular> {
        self.phone_of(registrations, device)?.silence(&self.thresholds)
    }

    /// Whether a device sends nothing that would keep its binding open.
    pub fn lacks_keepalive(&self, registrations: &Registrations, device: Handle) -> bool {
        self.phone_of(registrations, device).is_some_and(Phone::lacks_keepalive)
    }

    /// Smallest and largest share of moments in which a call to a device would not arrive.
    pub fn loss(&self, registrations: &Registrations, device: Handle, estimate: &Estimate) -> Option<[f64; 2]> {
        let phone = self.phone_of(registrations, device)?;
        advice::loss(phone.gaps.recent(), estimate.lower, estimate.upper?)
    }

    /// The devices of a site to which a request failed, and how many of its phones were heard within a day.
    pub fn failing(&self, site: Site) -> (Vec<Handle>, usize) {
        let Some(site) = self.sites.find(self.site_key(site)).and_then(|found| self.sites.get(found)) else { return (Vec::new(), 0) };
        let phones = || site.phones.iter().filter_map(|phone| self.phones.get(*phone));
        (phones().filter(|phone| site.pool.has_failed(phone.number)).map(|phone| phone.device).collect(), phones().count())
    }

    fn phone_of(&self, registrations: &Registrations, device: Handle) -> Option<&Phone> {
        self.phones.get(registrations.device(device)?.phone?)
    }

    fn site_views(&self, site: &SiteNat) -> Vec<SiteView> {
        let Some(first) = site.first.filter(|_| !site.pool.is_empty()) else { return Vec::new() };
        let phones: Vec<_> = site.phones.iter().filter_map(|phone| self.phones.get(*phone)).collect();
        let concerned = |phone: &&&Phone| !site.pool.has_failures() || site.pool.has_failed(phone.number);
        let gap = phones.iter().filter(concerned).filter_map(|phone| phone.silence(&self.thresholds)).map(|regular| regular.longest).max();
        let silences = || phones.iter().flat_map(|phone| phone.gaps.recent());
        let view = |(stage, estimate): (Option<Stage>, Estimate)| SiteView {
            site: site.site,
            first,
            stage,
            estimate,
            gap,
            loss: estimate.upper.and_then(|upper| advice::loss(silences(), estimate.lower, upper)),
        };
        site.estimates(&self.thresholds).into_iter().map(view).collect()
    }
}
