//! Answers that do not arrive where they were sent to (DETECTION §1.2, §4.3).

use crate::config::Thresholds;
use crate::detect::catalog::{FindingId, Slot};
use crate::detect::finding::{Raise, Subject};
use crate::detect::parties::related_user;
use crate::detect::registration::status_text;
use crate::detect::store::FindingStore;
use crate::track::Tracker;
use crate::track::event::{Event, LostAnswer};
use crate::track::site::Site;
use crate::track::vocabulary::{Confidence, Direction};

/// Repeats that leave no doubt: so many losses in a row are no accident.
const CERTAIN: u16 = 5;

/// Tells of answers that get lost on the way back.
pub(super) fn event(tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
    match event {
        Event::AnswerLost(lost) => answer_lost(tracker, lost, findings),
        Event::AnswerTaken { source, at } => {
            findings.clear(FindingId::ResponseNotReachingClient, &Subject::Source(*source), at.time);
        }
        _ => {}
    }
}

fn answer_lost(tracker: &Tracker, lost: &LostAnswer, findings: &mut FindingStore) {
    let peers = &tracker.world.peers;
    let source = lost.flow.source.ip();
    if peers.direction(lost.flow) != Direction::In || peers.scans(source) || !is_proof(tracker.thresholds(), lost) {
        return;
    }
    let answer = status_text(lost.status);
    let (asked, answered_by) = (lost.flow.destination, lost.answer.source);
    let is_anothers = asked != answered_by;
    let (who, why) = match is_anothers {
        true => (answered_by.to_string(), format!("it asked {asked}, and a NAT or a phone takes no answer from another address")),
        false => ("the PBX".to_owned(), format!("replies are lost on the way back to {source}")),
    };
    let time = tracker.clock(lost.answered.time);
    let message = format!("{source} repeats {} although {who} answered {answer} at {time}: {why}", lost.method);
    let raise = Raise::new(FindingId::ResponseNotReachingClient, Subject::Source(source), message);
    let raise = if is_anothers { raise.remedy(ANSWERS_FROM_ELSEWHERE) } else { raise }
        .confidence(if lost.repeats >= CERTAIN { Confidence::Confirmed } else { Confidence::Probable })
        .evidence(lost.first.time, lost.first.frame, format!("{} from {}", lost.method, lost.flow.source))
        .evidence(lost.answered.time, lost.answered.frame, format!("{answered_by} answered {answer} to {}", lost.answer.destination))
        .evidence(lost.last.time, lost.last.frame, format!("{} sent again, {} times since the answer", lost.method, lost.repeats))
        .related(Subject::Site(Site::of(source)))
        .related(Subject::Pbx(lost.flow.destination))
        .fill(Slot::Pbx, lost.flow.destination.to_string());
    findings.raise(related_user(tracker, raise, lost.flow.source), lost.last.time);
}

/// What to do about a PBX that answers from another address than it was asked at.
const ANSWERS_FROM_ELSEWHERE: &str = "Second level: have the PBX answer from the address that was asked, {pbx} (RFC 3581 §4): bind SIP to it, or \
     correct the address translation or routing of its host.";

fn is_proof(thresholds: &Thresholds, lost: &LostAnswer) -> bool {
    let many = u32::from(lost.repeats) >= thresholds.repeats_after_answer;
    many && lost.last.time.since(lost.answered.time) >= thresholds.repeats_after
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::flow::{Flow, Transport};
    use crate::sip::method::Method;
    use crate::time::{PacketTime, Span};
    use crate::track::event::Sighting;

    fn lost(repeats: u16, after_millis: i64) -> LostAnswer {
        let answered = PacketTime::from_parts(100, 0);
        let seen = |time| Sighting { time, frame: 1 };
        let flow = Flow {
            transport: Transport::Udp,
            source: "198.51.100.80:5060".parse().unwrap(),
            destination: "203.0.113.10:5060".parse().unwrap(),
        };
        LostAnswer {
            flow,
            method: Method::Register,
            first: seen(answered),
            last: seen(answered + Span::from_millis(after_millis)),
            answered: seen(answered),
            answer: flow.reversed(),
            status: 401,
            repeats,
        }
    }

    #[test]
    fn repeats_long_after_the_answer_prove_that_it_was_lost() {
        assert!(is_proof(&Thresholds::default(), &lost(2, 3495)));
    }

    #[test]
    fn one_lost_packet_and_a_slow_line_prove_nothing() {
        assert!(!is_proof(&Thresholds::default(), &lost(1, 4000)), "one answer may get lost");
        assert!(!is_proof(&Thresholds::default(), &lost(2, 1500)), "sent before an answer could arrive over a line of two seconds");
    }
}
