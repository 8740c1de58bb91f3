//! Which sites exchanged anything with the PBX lately: proof that the PBX and its network were well (DETECTION §2.5, condition c).

use crate::time::{PacketTime, Span};
use crate::track::site::Site;

/// Seconds before and after a request within which another site must have been served.
const NEAR: i64 = 10;
/// Seconds remembered: both sides of a request, with room.
const SECONDS: usize = 32;

/// Two different sites that were served in one second.
#[derive(Clone, Copy, Debug, Default)]
struct Served {
    second: i64,
    first: Option<Site>,
    other: Option<Site>,
}

/// The sites that were served in each of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Witnesses {
    seconds: [Served; SECONDS],
}

impl Witnesses {
    /// A request was answered between the PBX and a peer at `site`.
    pub(super) fn note(&mut self, site: Site, now: PacketTime) {
        let second = second(now);
        let Some(served) = self.seconds.get_mut(second.rem_euclid(SECONDS as i64) as usize) else { return };
        if served.second != second {
            *served = Served { second, first: None, other: None };
        }
        match (served.first, served.other) {
            (None, _) => served.first = Some(site),
            (Some(first), None) if first != site => served.other = Some(site),
            _ => {}
        }
    }

    /// Whether a site other than `site` was served within ten seconds of `time`.
    pub(super) fn others_served(&self, site: Site, time: PacketTime) -> bool {
        let second = second(time);
        let near = self.seconds.iter().filter(|served| (second - NEAR..=second + NEAR).contains(&served.second));
        near.flat_map(|served| [served.first, served.other]).flatten().any(|other| other != site)
    }

    /// When it is known who was served after `time`.
    pub(super) fn known_at(time: PacketTime) -> PacketTime {
        time + Span::from_secs(NEAR)
    }
}

fn second(time: PacketTime) -> i64 {
    time.as_nanos().div_euclid(Span::from_secs(1).as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> PacketTime {
        PacketTime::from_parts(seconds, 0)
    }

    fn site(text: &str) -> Site {
        Site::of(text.parse().unwrap())
    }

    #[test]
    fn only_other_sites_near_in_time_testify() {
        let mut witnesses = Witnesses::default();
        witnesses.note(site("198.51.100.7"), at(100));
        assert!(!witnesses.others_served(site("198.51.100.7"), at(100)), "not for itself");
        assert!(witnesses.others_served(site("198.51.100.80"), at(110)));
        assert!(!witnesses.others_served(site("198.51.100.80"), at(111)));
        witnesses.note(site("198.51.100.80"), at(100));
        assert!(witnesses.others_served(site("198.51.100.7"), at(91)));
    }
}
