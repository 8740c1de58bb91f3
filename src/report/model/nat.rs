//! What is known of the NAT in front of a site.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::{Ratio, Seconds};
use crate::time::PacketTime;
use crate::track::vocabulary::Confidence;

/// What was learned of the NAT of one public address (DETECTION §2.5).
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct NatEntry {
    /// When its first observation was made; orders the list, not printed.
    #[serde(skip)]
    pub first_seen: PacketTime,
    /// `198.51.100.7` or `2001:db8:1:2::/64`.
    pub site: String,
    /// Devices seen behind it.
    pub devices: u64,
    /// Which kind of binding the numbers hold for.
    pub stage: NatStage,
    /// Longest idle time that provably still worked.
    pub lifetime_min_s: Option<Seconds>,
    /// Shortest idle time that provably failed.
    pub lifetime_max_s: Option<Seconds>,
    /// Requests that provably arrived.
    pub successes: u64,
    /// Requests that provably did not arrive.
    pub failures: u64,
    /// How sure it is that bindings time out; printed as `none` where nothing failed.
    #[serde(serialize_with = "confidence_or_none")]
    #[schemars(with = "String")]
    pub confidence: Option<Confidence>,
    /// Longest regular gap between packets from these phones.
    pub keepalive_gap_s: Option<Seconds>,
    /// Keep-alive interval that would do (DETECTION §2.6), in seconds.
    pub recommended_keepalive_s: Option<u32>,
    /// NAT timeout of the router that would do, in seconds.
    pub recommended_nat_timeout_s: Option<u32>,
    /// Smallest and largest share of moments in which a call would not arrive.
    pub expected_loss: Option<[Ratio; 2]>,
}

/// Which kind of binding an observation holds for: many routers keep a flow with answers longer than one without.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NatStage {
    /// Packets went one way only.
    Oneway,
    /// Packets went both ways.
    Stream,
    /// Both agree, or cannot be told apart.
    Any,
}

impl NatEntry {
    pub(super) fn order(&self) -> impl Ord {
        (self.first_seen, self.site.as_str(), self.stage)
    }
}

fn confidence_or_none<S: Serializer>(confidence: &Option<Confidence>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(confidence.map_or("none", Confidence::as_str))
}
