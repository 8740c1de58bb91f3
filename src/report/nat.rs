//! What is known of the NATs in front of the sites.

use crate::report::model::{NatEntry, NatStage, Ratio, Seconds};
use crate::track::Tracker;
use crate::track::nat::{SiteView, Stage};

/// One entry for each site, or for each stage of a site where they differ.
pub(super) fn entries(tracker: &Tracker) -> Vec<NatEntry> {
    tracker.nat.views().map(|view| entry(tracker, &view)).collect()
}

/// The entry of one site, or of one stage of it.
pub fn entry(tracker: &Tracker, view: &SiteView) -> NatEntry {
    let estimate = &view.estimate;
    NatEntry {
        first_seen: tracker.printed(view.first),
        site: view.site.to_string(),
        devices: u64::from(tracker.registrations.devices_at(view.site.address())),
        stage: match view.stage {
            None => NatStage::Any,
            Some(Stage::Oneway) => NatStage::Oneway,
            Some(Stage::Stream) => NatStage::Stream,
        },
        lifetime_min_s: estimate.lower.map(Seconds),
        lifetime_max_s: estimate.upper.map(Seconds),
        successes: estimate.successes,
        failures: estimate.failures,
        confidence: estimate.confidence,
        keepalive_gap_s: view.gap.map(Seconds),
        recommended_keepalive_s: view.keepalive(),
        recommended_nat_timeout_s: view.nat_timeout(),
        expected_loss: view.loss.and_then(|[least, most]| Some([Ratio::new(least)?, Ratio::new(most)?])),
    }
}
