//! The form in which the record of a finished call is kept: byte after byte, about 150 of them, where the record itself takes 350 and its
//! texts an allocation each. A daemon keeps a million.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::time::PacketTime;
use crate::track::call::record::{Beginning, CallRecord, CallView, Linked};
use crate::track::vocabulary::{EndedBy, Outcome};

/// A record as it is kept.
#[derive(Clone, Copy, Debug)]
pub struct FinishedCall<'a>(pub(super) &'a [u8]);

impl<'a> FinishedCall<'a> {
    /// What is kept of the call.
    pub fn record(self) -> CallView<'a> {
        let mut reader = Reader(self.0);
        let [flags, has_time] = reader.array();
        let has = |flag: u8| flags & flag != 0;
        let started = PacketTime::from_nanos(i64::from_le_bytes(reader.array()));
        let mut last = started;
        let [progress, rang, ring_ended, answered, ended, disconnected, gave_up, left_up] = std::array::from_fn(|place| {
            let is_known = has_time & (1 << place) != 0;
            is_known.then(|| {
                last = PacketTime::from_nanos(last.as_nanos().wrapping_add(unfolded(reader.number())));
                last
            })
        });
        let [outcome, ended_by] = reader.array();
        CallRecord {
            outcome: named(Outcome::ALL, outcome),
            ended_by: named(EndedBy::ALL, ended_by),
            status: reader.number() as u16,
            first_frame: reader.number(),
            source: reader.address(),
            destination: reader.address(),
            passed_on_to: has(PASSED_ON).then(|| reader.address()),
            call_id: reader.text(),
            from: reader.text(),
            to: reader.text(),
            end_reason: has(REASON).then(|| reader.text()),
            linked: Linked::Packed(Texts(reader)),
            forwarded: has(FORWARDED),
            started,
            beginning: if has(MISSED) { Beginning::Missed } else { Beginning::Captured },
            progress,
            rang,
            ring_ended,
            answered,
            ended,
            disconnected,
            gave_up,
            left_up,
            completed: has(COMPLETED),
        }
    }
}

const PASSED_ON: u8 = 1;
const REASON: u8 = 1 << 1;
const FORWARDED: u8 = 1 << 2;
const MISSED: u8 = 1 << 3;
const COMPLETED: u8 = 1 << 4;

/// Appends the form in which `record` is kept.
pub(super) fn pack(record: &CallRecord, out: &mut Vec<u8>) {
    let flags = [
        (PASSED_ON, record.passed_on_to.is_some()),
        (REASON, record.end_reason.is_some()),
        (FORWARDED, record.forwarded),
        (MISSED, record.beginning == Beginning::Missed),
        (COMPLETED, record.completed),
    ];
    out.push(flags.iter().filter(|(_, is_so)| *is_so).fold(0, |flags, (flag, _)| flags | flag));
    let times = [
        record.progress,
        record.rang,
        record.ring_ended,
        record.answered,
        record.ended,
        record.disconnected,
        record.gave_up,
        record.left_up,
    ];
    out.push(times.iter().zip(0..).filter(|(time, _)| time.is_some()).fold(0, |known, (_, place)| known | (1 << place)));
    out.extend_from_slice(&record.started.as_nanos().to_le_bytes());
    // Most happen soon after the one before, so that the difference is short.
    times.iter().flatten().fold(record.started, |last, &time| {
        put_number(folded(time.as_nanos().wrapping_sub(last.as_nanos())), out);
        time
    });
    out.push(record.outcome.map_or(NONE, |outcome| outcome as u8));
    out.push(record.ended_by.map_or(NONE, |side| side as u8));
    put_number(u64::from(record.status), out);
    put_number(record.first_frame, out);
    [record.source, record.destination].into_iter().chain(record.passed_on_to).for_each(|address| put_address(address, out));
    let texts = [&record.call_id, &record.from, &record.to].into_iter().chain(&record.end_reason).chain(&record.linked);
    texts.for_each(|text| put_text(text, out));
}

/// Stands for a word that is not known.
const NONE: u8 = u8::MAX;

fn named<T: Copy>(all: &[T], place: u8) -> Option<T> {
    all.get(usize::from(place)).copied()
}

/// A number in groups of seven bits, the lowest first: small ones are short.
pub(super) fn put_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    put_number(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

fn put_address(address: SocketAddr, out: &mut Vec<u8>) {
    match address.ip() {
        IpAddr::V4(ip) => {
            out.push(4);
            out.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(6);
            out.extend_from_slice(&ip.octets());
        }
    }
    out.extend_from_slice(&address.port().to_le_bytes());
}

/// A signed number as an unsigned one, so that those near 0 stay small.
fn folded(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn unfolded(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// Reads what was packed. Behind the end there are zeros and empty texts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// A number as [`put_number`] writes it.
    pub(super) fn number(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let [byte] = self.array();
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        number
    }

    /// The next `length` bytes.
    pub(super) fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at_checked(length).unwrap_or((self.0, &[]));
        self.0 = rest;
        bytes
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let (array, rest) = self.0.split_first_chunk().unwrap_or((&[0; N], &[]));
        self.0 = rest;
        *array
    }

    fn text(&mut self) -> &'a str {
        let length = self.number() as usize;
        std::str::from_utf8(self.bytes(length)).unwrap_or_default()
    }

    fn address(&mut self) -> SocketAddr {
        let ip = match self.array() {
            [6] => IpAddr::from(Ipv6Addr::from(self.array::<16>())),
            _ => IpAddr::from(Ipv4Addr::from(self.array::<4>())),
        };
        SocketAddr::new(ip, u16::from_le_bytes(self.array()))
    }
}

/// Texts that stand one behind the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Texts<'a>(Reader<'a>);

impl<'a> Iterator for Texts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        (!self.0.0.is_empty()).then(|| self.0.text())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time() -> impl Strategy<Value = PacketTime> {
        any::<i64>().prop_map(PacketTime::from_nanos)
    }

    fn address() -> impl Strategy<Value = SocketAddr> {
        (any::<IpAddr>(), any::<u16>()).prop_map(SocketAddr::from)
    }

    fn text() -> impl Strategy<Value = Box<str>> {
        let short = ".{0,12}".prop_map(Box::from);
        prop_oneof![short, (0..300_usize).prop_map(|length| "é".repeat(length).into())]
    }

    prop_compose! {
        fn record()(
            (call_id, from, to) in (text(), text(), text()),
            (source, destination, passed_on_to) in (address(), address(), proptest::option::of(address())),
            (forwarded, completed, is_missed) in any::<(bool, bool, bool)>(),
            (started, first_frame, status) in (time(), any::<u64>(), any::<u16>()),
            times in proptest::array::uniform8(proptest::option::of(time())),
            outcome in proptest::option::of(proptest::sample::select(Outcome::ALL)),
            ended_by in proptest::option::of(proptest::sample::select(EndedBy::ALL)),
            end_reason in proptest::option::of(text()),
            linked in proptest::collection::vec(text(), 0..5),
        ) -> CallRecord {
            let [progress, rang, ring_ended, answered, ended, disconnected, gave_up, left_up] = times;
            let beginning = if is_missed { Beginning::Missed } else { Beginning::Captured };
            CallRecord {
                call_id, from, to, source, destination, passed_on_to, forwarded, started, first_frame, beginning, progress, rang, ring_ended,
                answered, ended, disconnected, gave_up, outcome, status, ended_by, end_reason, linked, left_up, completed,
            }
        }
    }

    /// All that a record says, wherever its texts are.
    fn told(record: CallView<'_>) -> String {
        let linked: Vec<_> = record.linked.iter().collect();
        format!("{:?} {linked:?}", CallView { linked: Linked::Held(&[]), ..record })
    }

    proptest! {
        #[test]
        fn what_was_packed_is_what_is_read(record in record()) {
            let mut bytes = Vec::new();
            pack(&record, &mut bytes);
            prop_assert_eq!(told(FinishedCall(&bytes).record()), told(record.view()));
        }

        #[test]
        fn no_bytes_are_read_past_their_end(bytes in any::<Vec<u8>>()) {
            let record = FinishedCall(&bytes).record();
            prop_assert!(record.linked.iter().count() <= bytes.len());
        }
    }
}
