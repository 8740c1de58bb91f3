//! The catalogue of metrics, their labels, and their exposition.
//!
//! The engine thread counts in a [`Tally`] of plain numbers, indexed by closed sets of labels. A scrape takes a [`Snapshot`] and turns it
//! into text away from that thread; see [`Snapshot::to_text`].

mod catalog;
mod doc;
mod expose;
mod family;
mod fold;
mod labels;
mod standing;
mod subjects;
mod tally;
mod timeline;
mod whose;

pub use self::catalog::{
    AnomalyLabel, CaptureTally, FindingLabel, Gauges, HistoryTally, OutputTally, PeerGauges, SiteGauges, SubjectTally, TableLabel, Tally,
    ToolGauges, VersionLabel,
};
pub use self::doc::markdown;
pub use self::expose::{CONTENT_TYPE, PbxNumbers, Snapshot};
pub use self::family::{Counter, Gauge, Histogram, NamedCounter, NamedGauge, Names, TimeCounter};
pub use self::fold::Fold;
pub use self::labels::{
    BindingChange, CallPhase, CodeLabel, DelayResult, Dir, DropPlace, FailureReason, FragmentResult, FrameOutcome, FromState,
    KeepaliveLabel, Labels, LossLabel, MessageKind, MethodLabel, NatProbe, NatStage, NatVerdict, NotificationResult, NotificationSink,
    QualifyResult, ServerResponse, SessionResult, ShortCall, StoreLabel, Subject, ToReachability, ToState, Unanswered,
};
pub use self::timeline::Timeline;
pub use self::whose::system_of;
