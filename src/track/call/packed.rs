//! The form in which the record of a finished call is kept: byte after byte, about 90 of them, where the record itself takes 350 and its
//! texts an allocation each. A daemon keeps a million.
//!
//! Most texts were written a moment ago with another leg of the same call, and most addresses with any: where the same bytes stand in the
//! same chunk of the [`Log`](crate::table::log::Log), their place is written instead of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use xxhash_rust::xxh3::xxh3_64;

use crate::table::log::{Entry, Reader, put_number, put_signed};
use crate::time::PacketTime;
use crate::track::call::forks::{Branch, Fork, Forks};
use crate::track::call::record::{Beginning, CallRecord, CallView, Linked};
use crate::track::vocabulary::{EndedBy, Outcome};

/// A record as it is kept.
#[derive(Clone, Copy, Debug)]
pub struct FinishedCall<'a>(pub(super) Entry<'a>);

impl<'a> FinishedCall<'a> {
    /// What is kept of the call.
    pub fn record(self) -> CallView<'a> {
        let mut reader = Reader(self.0.bytes);
        let [flags, has_time] = reader.array();
        let has = |flag: u8| flags & flag != 0;
        let unit = if has(MICROS) { MICRO } else { 1 };
        let mut last = 0_i64;
        let mut time = || {
            last = last.wrapping_add(reader.signed().wrapping_mul(unit));
            PacketTime::from_nanos(last)
        };
        let started = time();
        let [progress, rang, ring_ended, answered, ended, disconnected, gave_up, left_up] =
            std::array::from_fn(|place| (has_time & (1 << place) != 0).then(&mut time));
        let [outcome, ended_by] = reader.array();
        let status = reader.number() as u16;
        let first_frame = reader.number();
        let mut texts = Texts { reader, chunk: self.0.chunk };
        CallRecord {
            outcome: named(Outcome::ALL, outcome),
            ended_by: named(EndedBy::ALL, ended_by),
            status,
            first_frame,
            source: texts.address(),
            destination: texts.address(),
            passed_on_to: has(PASSED_ON).then(|| texts.address()),
            call_id: texts.text(),
            from: texts.text(),
            to: texts.text(),
            end_reason: has(REASON).then(|| texts.text()),
            forks: if has(FORKED) { Forks::Packed(texts.forks(started)) } else { Forks::NONE },
            linked: Linked::Packed(texts),
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
/// Its times are whole microseconds, as those of most captures are.
const MICROS: u8 = 1 << 5;
const FORKED: u8 = 1 << 6;

/// Nanoseconds of a microsecond.
const MICRO: i64 = 1000;
/// Places of texts that are remembered: those of some hundred calls.
const PLACES: usize = 512;
/// Bytes of a place. A text that is no longer stands for itself.
const PLACE: usize = 2;

/// Packs records, and knows where in the last chunk which texts are.
#[derive(Debug)]
pub(super) struct Packer {
    /// Where a text was written last, by its hash; what stands there is looked at before it is referred to.
    places: Box<[u16; PLACES]>,
    /// What the record that is being packed adds to them: which one, and how far behind its beginning.
    added: Vec<(usize, usize)>,
}

impl Packer {
    pub(super) fn new() -> Self {
        Self { places: Box::new([0; PLACES]), added: Vec::new() }
    }

    /// Appends the form in which `record` is kept behind `chunk`.
    pub(super) fn pack(&mut self, record: &CallRecord, forks: &[Branch], chunk: &[u8], out: &mut Vec<u8>) {
        self.added.clear();
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
        // Most happen soon after the one before, so that the difference is short.
        let waits = || {
            std::iter::once(&record.started).chain(times.iter().flatten()).scan(0_i64, |last, time| {
                let before = std::mem::replace(last, time.as_nanos());
                Some(time.as_nanos().wrapping_sub(before))
            })
        };
        let is_micros = waits().all(|wait| wait % MICRO == 0);
        let flags = [
            (PASSED_ON, record.passed_on_to.is_some()),
            (REASON, record.end_reason.is_some()),
            (FORWARDED, record.forwarded),
            (MISSED, record.beginning == Beginning::Missed),
            (COMPLETED, record.completed),
            (MICROS, is_micros),
            (FORKED, !forks.is_empty()),
        ];
        out.push(flags.iter().filter(|(_, is_so)| *is_so).fold(0, |flags, (flag, _)| flags | flag));
        out.push(times.iter().zip(0..).filter(|(time, _)| time.is_some()).fold(0, |known, (_, place)| known | (1 << place)));
        let unit = if is_micros { MICRO } else { 1 };
        waits().for_each(|wait| put_signed(wait / unit, out));
        out.push(record.outcome.map_or(NONE, |outcome| outcome as u8));
        out.push(record.ended_by.map_or(NONE, |side| side as u8));
        put_number(u64::from(record.status), out);
        put_number(record.first_frame, out);
        for address in [record.source, record.destination].into_iter().chain(record.passed_on_to) {
            self.put_address(address, chunk, out);
        }
        let texts = [&record.call_id, &record.from, &record.to].into_iter().chain(&record.end_reason);
        texts.for_each(|text| self.put(text.as_bytes(), chunk, out));
        if !forks.is_empty() {
            put_number(forks.len() as u64, out);
            forks.iter().for_each(|branch| self.put_fork(&branch.fork, record.started, chunk, out));
        }
        record.linked.iter().for_each(|text| self.put(text.as_bytes(), chunk, out));
    }

    /// Appends a fork, its times as they lie behind the beginning of the call.
    fn put_fork(&mut self, fork: &Fork<Box<str>>, begin: PacketTime, chunk: &[u8], out: &mut Vec<u8>) {
        let times = [Some(fork.started), fork.rang, fork.ended];
        out.push(times.iter().zip(0..).filter(|(time, _)| time.is_some()).fold(0, |known, (_, place)| known | (1 << place)));
        times.iter().flatten().for_each(|time| put_signed(time.as_nanos().wrapping_sub(begin.as_nanos()), out));
        out.push(fork.outcome.map_or(NONE, |outcome| outcome as u8));
        put_number(u64::from(fork.status), out);
        self.put_address(fork.place, chunk, out);
        self.put(fork.user.as_bytes(), chunk, out);
    }

    fn put_address(&mut self, address: SocketAddr, chunk: &[u8], out: &mut Vec<u8>) {
        let [port_low, port_high] = address.port().to_le_bytes();
        match address.ip() {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                self.put(&[port_low, port_high, a, b, c, d], chunk, out);
            }
            IpAddr::V6(ip) => self.put(&[&[port_low, port_high][..], &ip.octets()].concat(), chunk, out),
        }
    }

    /// Takes note that what was packed last stands at `begin` of the chunk.
    pub(super) fn stands_at(&mut self, begin: usize) {
        for (hash, behind) in self.added.drain(..) {
            if let (Some(place), Ok(at)) = (self.places.get_mut(hash), u16::try_from(begin + behind)) {
                *place = at;
            }
        }
    }

    /// Appends a text or its place, behind its length and which of both it is.
    fn put(&mut self, text: &[u8], chunk: &[u8], out: &mut Vec<u8>) {
        let length = (text.len() as u64) << 1;
        if text.len() > PLACE {
            let hash = xxh3_64(text) as usize % PLACES;
            let place = self.places.get(hash).copied().unwrap_or_default();
            let there = usize::from(place)..usize::from(place) + text.len();
            if chunk.get(there) == Some(text) {
                put_number(length | 1, out);
                out.extend_from_slice(&place.to_le_bytes());
                return;
            }
            put_number(length, out);
            self.added.push((hash, out.len()));
        } else {
            put_number(length, out);
        }
        out.extend_from_slice(text);
    }
}

/// Stands for a word that is not known.
const NONE: u8 = u8::MAX;

fn named<T: Copy>(all: &[T], place: u8) -> Option<T> {
    all.get(usize::from(place)).copied()
}

/// Texts that stand one behind the other, some of them elsewhere in the chunk. Behind the end there are empty ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct Texts<'a> {
    reader: Reader<'a>,
    chunk: &'a [u8],
}

impl<'a> Texts<'a> {
    fn bytes(&mut self) -> &'a [u8] {
        let number = self.reader.number();
        let length = (number >> 1) as usize;
        if number & 1 == 0 {
            return self.reader.bytes(length);
        }
        let place = usize::from(u16::from_le_bytes(self.reader.array()));
        self.chunk.get(place..place.saturating_add(length)).unwrap_or_default()
    }

    /// Takes the forks out of a call that began at `begin`.
    fn forks(&mut self, begin: PacketTime) -> PackedForks<'a> {
        let left = self.reader.number();
        let forks = PackedForks { texts: *self, left, begin };
        let mut behind = forks;
        while behind.next().is_some() {}
        *self = behind.texts;
        forks
    }

    fn text(&mut self) -> &'a str {
        std::str::from_utf8(self.bytes()).unwrap_or_default()
    }

    fn address(&mut self) -> SocketAddr {
        let mut reader = Reader(self.bytes());
        let port = u16::from_le_bytes(reader.array());
        let ip = match reader.0.len() {
            16 => IpAddr::from(Ipv6Addr::from(reader.array::<16>())),
            _ => IpAddr::from(Ipv4Addr::from(reader.array::<4>())),
        };
        SocketAddr::new(ip, port)
    }
}

impl<'a> Iterator for Texts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        (!self.reader.0.is_empty()).then(|| self.text())
    }
}

/// The places that a proxy sent a call to, one behind the other.
#[derive(Clone, Copy, Debug)]
pub struct PackedForks<'a> {
    texts: Texts<'a>,
    left: u64,
    begin: PacketTime,
}

impl<'a> Iterator for PackedForks<'a> {
    type Item = Fork<&'a str>;

    fn next(&mut self) -> Option<Fork<&'a str>> {
        let texts = &mut self.texts;
        self.left = self.left.checked_sub(1).filter(|_| !texts.reader.0.is_empty())?;
        let [has_time] = texts.reader.array();
        let mut time = || PacketTime::from_nanos(self.begin.as_nanos().wrapping_add(texts.reader.signed()));
        let [started, rang, ended] = std::array::from_fn(|place| (has_time & (1 << place) != 0).then(&mut time));
        let [outcome] = texts.reader.array();
        Some(Fork {
            started: started.unwrap_or(self.begin),
            rang,
            ended,
            outcome: named(Outcome::ALL, outcome),
            status: texts.reader.number() as u16,
            place: texts.address(),
            user: texts.text(),
        })
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

    fn any_record() -> CallRecord {
        let address = SocketAddr::from(([192, 0, 2, 1], 5060));
        let started = PacketTime::from_parts(1_700_000_000, 0);
        CallRecord {
            call_id: "".into(),
            from: "".into(),
            to: "".into(),
            source: address,
            destination: address,
            passed_on_to: None,
            forwarded: false,
            started,
            first_frame: 1,
            beginning: Beginning::Captured,
            progress: None,
            rang: None,
            ring_ended: None,
            answered: None,
            ended: None,
            disconnected: None,
            gave_up: None,
            outcome: None,
            status: 200,
            ended_by: None,
            end_reason: None,
            linked: Vec::new(),
            forks: (),
            left_up: None,
            completed: true,
        }
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
                forks: (),
            }
        }
    }

    prop_compose! {
        fn branch()(
            (place, user, started) in (address(), text(), time()),
            (rang, ended) in (proptest::option::of(time()), proptest::option::of(time())),
            (status, outcome) in (any::<u16>(), proptest::option::of(proptest::sample::select(Outcome::ALL))),
        ) -> Branch {
            Branch::of(Fork { place, user, started, rang, ended, status, outcome })
        }
    }

    /// All that a record says, wherever its texts are.
    fn told(record: CallView<'_>) -> String {
        let (linked, forks): (Vec<_>, Vec<_>) = (record.linked.iter().collect(), record.forks.iter().collect());
        format!("{:?} {linked:?} {forks:?}", CallView { linked: Linked::Held(&[]), forks: Forks::NONE, ..record })
    }

    /// The same with times that most captures have.
    fn in_micros(record: &CallRecord) -> CallRecord {
        let whole = |time: PacketTime| PacketTime::from_nanos(time.as_nanos() / MICRO * MICRO);
        let mut record = record.clone();
        record.started = whole(record.started);
        let times = [
            &mut record.progress,
            &mut record.rang,
            &mut record.ring_ended,
            &mut record.answered,
            &mut record.ended,
            &mut record.disconnected,
            &mut record.gave_up,
            &mut record.left_up,
        ];
        times.into_iter().for_each(|time| *time = time.map(whole));
        record
    }

    #[test]
    fn what_was_written_before_is_referred_to() {
        let record =
            CallRecord { call_id: "3c26700c1adb-8c2b7e0f4a11".into(), from: "1001".into(), to: "0049301234567".into(), ..any_record() };
        let (mut packer, mut chunk, mut again) = (Packer::new(), b"something".to_vec(), Vec::new());
        let mut first = Vec::new();
        packer.pack(&record, &[], &chunk, &mut first);
        packer.stands_at(chunk.len());
        chunk.extend_from_slice(&first);
        packer.pack(&record, &[], &chunk, &mut again);
        assert!(again.len() + 35 < first.len(), "{} after {}", again.len(), first.len());
        let mut elsewhere = Vec::new();
        packer.pack(&record, &[], &[], &mut elsewhere);
        assert_eq!(elsewhere, first, "another chunk has none of it");
    }

    proptest! {
        #[test]
        fn what_was_packed_is_what_is_read(
            records in proptest::collection::vec((record(), proptest::collection::vec(branch(), 0..3)), 1..20),
            is_micros in any::<bool>(),
        ) {
            let (mut packer, mut chunk) = (Packer::new(), Vec::new());
            // Each one twice: the second has its texts in the first.
            for (record, forks) in records.iter().flat_map(|record| [record, record]) {
                let record = if is_micros { in_micros(record) } else { record.clone() };
                let mut bytes = Vec::new();
                packer.pack(&record, forks, &chunk, &mut bytes);
                packer.stands_at(chunk.len());
                chunk.extend_from_slice(&bytes);
                prop_assert_eq!(told(FinishedCall(Entry { bytes: &bytes, chunk: &chunk }).record()), told(CallView { forks: Forks::Held(forks), ..record.view() }));
            }
        }

        #[test]
        fn no_bytes_are_read_past_their_end(bytes in any::<Vec<u8>>(), chunk in any::<Vec<u8>>()) {
            let record = FinishedCall(Entry { bytes: &bytes, chunk: &chunk }).record();
            prop_assert!(record.linked.iter().count() + record.forks.iter().count() <= bytes.len());
        }
    }
}
