//! What tracking tells the detectors and the metrics: each happening once, stamped with its own time.

use std::net::{IpAddr, SocketAddr};

use crate::decode::flow::{Flow, Transport};
use crate::decode::signal::{KeepaliveKind, Signal};
use crate::sip::method::Method;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::call::session::Lapse;
use crate::track::call::{Lost, Reliable};
use crate::track::nat::event::NatEvent;
pub use crate::track::registration::report::{AttemptEnd, AttemptReport};
pub use crate::track::unanswered::Unanswered;
use crate::track::vocabulary::{Confidence, Outcome, Reachability, RegistrationState};

/// A frame as evidence: when, and its number in the capture. A frame of 0 stands for an absence.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sighting {
    /// Engine time.
    pub time: PacketTime,
    /// Frame number, from 1; 0 where nothing was seen.
    pub frame: u64,
}

/// A request that was repeated although it was answered.
#[derive(Clone, Copy, Debug)]
pub struct LostAnswer {
    /// The request's way.
    pub flow: Flow,
    /// The method.
    pub method: Method,
    /// First transmission.
    pub first: Sighting,
    /// The last transmission so far.
    pub last: Sighting,
    /// The response that should have ended the repeats.
    pub answered: Sighting,
    /// The way that it took.
    pub answer: Flow,
    /// Its status.
    pub status: u16,
    /// Transmissions at least T1 after that.
    pub repeats: u16,
}

/// By what a scanner was found out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Giveaway {
    /// It calls itself by the name of a scanning tool.
    Tool,
    /// It tried many users in vain.
    Users,
    /// It tried to call many numbers without being registered.
    Numbers,
}

/// The classes of server response time (DETECTION §7.2).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum ServerClass {
    /// INVITE until 100.
    Invite100,
    /// A request without credentials until its challenge.
    Challenge,
    /// REGISTER with credentials until its final answer.
    AuthFinal,
    /// OPTIONS until its final answer.
    Options,
}

/// How a probe of the PBX came out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProbeResult {
    /// Answered at the first transmission, within 2 s.
    Ok,
    /// Answered later than 2 s.
    Lagged,
    /// Answered only after a repeat.
    Late,
    /// Not answered.
    Lost,
}

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// A registering attempt began.
    RegistrationAttempt {
        /// The way of the REGISTER.
        flow: Flow,
        /// When.
        at: Sighting,
    },
    /// A registering attempt ended.
    RegistrationEnded(AttemptReport),
    /// `Contact: *` removed the bindings of devices at other addresses.
    BindingsCleared {
        /// The AoR.
        aor: Handle,
        /// The way of the REGISTER that did it.
        flow: Flow,
        /// Bindings removed.
        removed: u16,
        /// The 2xx.
        at: Sighting,
    },
    /// A device's registration changed its state.
    RegistrationState {
        /// The AoR.
        aor: Handle,
        /// The device.
        device: Handle,
        /// Before.
        from: RegistrationState,
        /// After.
        to: RegistrationState,
        /// What brought it about; frame 0 for a deadline.
        at: Sighting,
    },
    /// The connection ended over which a device had registered and that it had kept open.
    ConnectionEnded {
        /// The device.
        device: Handle,
        /// The end that said so first.
        by: SocketAddr,
        /// The FIN or RST.
        at: Sighting,
    },
    /// The PBX concluded a probe of a device.
    Probe {
        /// The device.
        device: Handle,
        /// How it came out.
        result: ProbeResult,
        /// First transmission to first answer; `None` without answer.
        rtt: Option<Span>,
        /// First transmission.
        sent: Sighting,
        /// How long the device had been silent then.
        silence: Span,
    },
    /// The PBX's picture of a device changed.
    Reachability {
        /// The device.
        device: Handle,
        /// Before.
        from: Reachability,
        /// After.
        to: Reachability,
        /// When; frame 0 for a deadline.
        at: Sighting,
        /// First transmission of the probe that showed it.
        probe: Sighting,
        /// Last round trip known before, in the sense of "Last qualify".
        last_rtt: Option<Span>,
        /// Transmissions of that probe.
        transmissions: u16,
    },
    /// A keep-alive followed another of its kind along a flow.
    KeepaliveInterval {
        /// Who sent it to whom.
        flow: Flow,
        /// Its bytes.
        kind: KeepaliveKind,
        /// Time since the one before.
        interval: Span,
    },
    /// A device was seen from another public address or port.
    BindingChange {
        /// The device.
        device: Handle,
        /// Where it was.
        old: SocketAddr,
        /// Where it is.
        new: SocketAddr,
        /// The packet that showed it.
        at: Sighting,
    },
    /// A device began a new REGISTER Call-ID and counts from the start again, as one does that was switched off.
    DeviceRestarted {
        /// The device.
        device: Handle,
        /// The way of its REGISTER.
        flow: Flow,
        /// The REGISTER.
        at: Sighting,
    },
    /// A REGISTER with the nonce of an earlier registration was answered.
    OldNonce {
        /// The registrar.
        pbx: SocketAddr,
        /// Who used it.
        client: SocketAddr,
        /// Whether it was still good.
        accepted: bool,
        /// The answer.
        at: Sighting,
    },
    /// What happened to phones behind NAT.
    Nat(NatEvent),
    /// A call attempt began.
    CallStarted {
        /// The call.
        call: Handle,
    },
    /// A call attempt got its outcome; once per attempt.
    CallOutcome {
        /// The call.
        call: Handle,
        /// The outcome.
        outcome: Outcome,
        /// The last final status; 0 without one.
        status: u16,
        /// What settled it.
        at: Sighting,
    },
    /// An answered call ended.
    CallEnded {
        /// The call.
        call: Handle,
        /// What ended it.
        at: Sighting,
    },
    /// An INVITE towards a callee went unanswered.
    InviteUnanswered {
        /// The call.
        call: Handle,
        /// The request.
        request: Unanswered,
    },
    /// A BYE was accepted.
    ByeAnswered {
        /// The call.
        call: Handle,
        /// First transmission to answer.
        delay: Span,
    },
    /// A BYE went unanswered, or was answered 408.
    ByeUnanswered {
        /// The call.
        call: Handle,
        /// The request.
        request: Unanswered,
    },
    /// A CANCEL went unanswered, of a call that rang, and no end of it was seen from where it went.
    CancelUnanswered {
        /// The call.
        call: Handle,
        /// The request.
        request: Unanswered,
    },
    /// A session was not refreshed, or a renegotiation went unanswered.
    SessionLapsed(Lapse),
    /// One end of a call had already forgotten it.
    DialogLost {
        /// The call.
        call: Handle,
        /// What tells.
        lost: Lost,
    },
    /// A call is older than calls ordinarily get; told again from time to time.
    CallAged {
        /// The call.
        call: Handle,
        /// When it was looked at.
        at: PacketTime,
    },
    /// A call was answered without any media: each port is 0.
    MediaRefused {
        /// The call.
        call: Handle,
        /// Who answered.
        by: SocketAddr,
        /// The 2xx.
        at: Sighting,
    },
    /// The PBX named a private address to a public peer as the place to send media to; told once for each call.
    PrivateMedia {
        /// The call.
        call: Handle,
        /// The way of the message.
        flow: Flow,
        /// The address.
        address: IpAddr,
        /// Whether it is that of another party, which a proxy passed on.
        relayed: bool,
        /// The message.
        at: Sighting,
    },
    /// The ACK of a 2xx went to another address than the 2xx came from, and the 2xx was repeated all the same.
    AckMisrouted {
        /// The call.
        call: Handle,
        /// First transmission of the 2xx.
        first: Sighting,
        /// Its last transmission so far.
        last: Sighting,
        /// The way of the ACK.
        ack_flow: Flow,
        /// The ACK.
        ack: Sighting,
        /// How often the 2xx was sent.
        transmissions: u16,
    },
    /// A leg is up although the other leg of its call has ended.
    LegLeftUp {
        /// The leg that ended.
        ended: Handle,
        /// The leg that is up.
        left: Handle,
        /// The BYE of the first.
        end: Sighting,
        /// When it was concluded.
        at: Sighting,
        /// How sure that is.
        confidence: Confidence,
    },
    /// A leg that had been left up ended.
    LegEnded {
        /// The leg that had ended first.
        ended: Handle,
        /// The leg that ended now.
        left: Handle,
        /// The BYE of the first.
        end: Sighting,
        /// The BYE of the second.
        at: Sighting,
        /// How sure it was.
        confidence: Confidence,
    },
    /// A leg that seemed left up has a life of its own.
    LegGoesOn {
        /// The leg that ended.
        ended: Handle,
        /// The leg that is up.
        left: Handle,
        /// When that became clear.
        at: Sighting,
    },
    /// A 2xx was repeated without an ACK, at least three times.
    AckSuspected {
        /// The call.
        call: Handle,
        /// The 2xx, first and last transmission.
        first: Sighting,
        /// Last transmission so far.
        last: Sighting,
        /// How often it was sent.
        transmissions: u16,
        /// The way of the 2xx.
        flow: Flow,
    },
    /// The sender of a 2xx that was never acknowledged, or whose ACK never arrives, gave up and sent BYE.
    AckMissing {
        /// The call.
        call: Handle,
        /// First transmission of the 2xx.
        first: Sighting,
        /// The BYE.
        bye: Sighting,
        /// How often the 2xx was sent.
        transmissions: u16,
        /// The way of the 2xx.
        flow: Flow,
        /// The last ACK, if any was sent, to where the 2xx came from.
        ack: Option<Sighting>,
    },
    /// The ACK of a 2xx that was suspected to have none came.
    AckArrived {
        /// The call.
        call: Handle,
        /// The ACK.
        at: Sighting,
    },
    /// A reliable provisional response was repeated at least three times without PRACK, or its sender gave the call up over it.
    PrackMissing {
        /// The call.
        call: Handle,
        /// The response.
        reliable: Reliable,
        /// The failure that ended the call; frame 0 before it.
        end: Sighting,
    },
    /// A call came by the same server again, with fewer hops left than before.
    Looping {
        /// The call.
        call: Handle,
        /// The way of the INVITE that came last.
        flow: Flow,
        /// How often it came by.
        passes: u16,
        /// Whether it had come back from that hop before. Through one application server after the other it goes in a spiral (RFC 3261 §16.3).
        again: bool,
        /// The INVITE that came last.
        at: Sighting,
    },
    /// A request asks for TLS but came without it, and was refused or never answered.
    TlsWanted {
        /// The way of the request.
        flow: Flow,
        /// The request.
        at: Sighting,
    },
    /// A request was repeated at least T1 after its answer.
    AnswerLost(LostAnswer),
    /// A source of which that was told took an answer.
    AnswerTaken {
        /// The source.
        source: IpAddr,
        /// The request that shows it.
        at: Sighting,
    },
    /// The PBX answered a request.
    ServerResponse {
        /// What kind of request.
        class: ServerClass,
        /// Who asked.
        client: SocketAddr,
        /// Transmissions of the request until then.
        transmissions: u16,
        /// First transmission to first response.
        delay: Span,
        /// Who answered.
        pbx: SocketAddr,
        /// When.
        at: PacketTime,
    },
    /// An address was learned to be a PBX.
    PbxLearned {
        /// The address.
        address: SocketAddr,
        /// What it answered.
        at: Sighting,
    },
    /// A source was found out to scan.
    ScannerFound {
        /// The source; its port is that of the packet that told.
        source: SocketAddr,
        /// By what.
        giveaway: Giveaway,
        /// What carried it.
        transport: Transport,
        /// The packet that told.
        at: Sighting,
    },
    /// A source that was held to scan is a site: all users that it tried were accepted from there.
    ScannerCleared {
        /// The source.
        source: IpAddr,
        /// The acceptance of the last of them.
        at: Sighting,
    },
    /// The capture told of something other than a message.
    Noticed {
        /// What.
        signal: Signal,
        /// When.
        at: Sighting,
    },
}
