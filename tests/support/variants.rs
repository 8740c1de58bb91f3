//! The same traffic captured otherwise: what a mirror port or a loaded host makes of it.

use super::capture::{CaptureFile, Record};
use super::random::Random;

/// Microseconds until the copy of a frame.
const COPY_AFTER: i64 = 200;
/// Microseconds by which the frames of a loaded host get out of order at most.
pub(crate) const DISORDER: i64 = 20_000;
/// Microseconds of disorder that the reorder window is made for.
pub(crate) const GREAT_DISORDER: i64 = 50_000;

/// Each frame twice, the copy 0.2 ms later.
pub(crate) fn duplicated(file: &CaptureFile) -> CaptureFile {
    with_copies(file, Record::clone)
}

/// Each IPv4 packet before and after a router: the copy has one hop less to live.
pub(crate) fn routed(file: &CaptureFile) -> CaptureFile {
    with_copies(file, |record| {
        let mut copy = record.clone();
        let at = ip_offset(file.link, &copy.bytes);
        if let Some(header) = copy.bytes.get_mut(at..at + 20).filter(|header| header[0] >> 4 == 4) {
            header[8] -= 1;
            // The time to live is the high byte of its word, so the complement of the sum grows by as much (RFC 1624).
            let (sum, carry) = u16::from_be_bytes([header[10], header[11]]).overflowing_add(0x0100);
            header[10..12].copy_from_slice(&(sum + u16::from(carry)).to_be_bytes());
        }
        copy
    })
}

/// Each Ethernet frame as on the access port and, with an 802.1Q tag, on the trunk port of a switch; other links are left as they are.
pub(crate) fn tagged(file: &CaptureFile) -> CaptureFile {
    if file.link != ETHERNET {
        return file.clone();
    }
    with_copies(file, |record| {
        let (addresses, rest) = record.bytes.split_at(12);
        Record { original_len: record.original_len + 4, bytes: [addresses, &[0x81, 0x00, 0, 42], rest].concat(), ..record.clone() }
    })
}

const ETHERNET: u32 = 1;
const COOKED: u32 = 113;

fn ip_offset(link: u32, bytes: &[u8]) -> usize {
    match (link, bytes.get(12..14)) {
        (ETHERNET, Some([0x81, 0x00])) => 18,
        (ETHERNET, _) => 14,
        (COOKED, _) => 16,
        _ => 0,
    }
}

fn with_copies(file: &CaptureFile, altered: impl Fn(&Record) -> Record) -> CaptureFile {
    let copy = |record: &Record| {
        let copy = altered(record);
        Record { micros: copy.micros + COPY_AFTER, ..copy }
    };
    let mut records = Vec::new();
    for run in ordered_runs(&file.records) {
        let mut both: Vec<Record> = run.iter().flat_map(|record| [record.clone(), copy(record)]).collect();
        both.sort_by_key(|record| record.micros);
        records.append(&mut both);
    }
    CaptureFile { records, ..file.clone() }
}

/// The frames out of order by less than `disorder` microseconds, with the timestamps they had.
pub(crate) fn shuffled(file: &CaptureFile, disorder: i64) -> CaptureFile {
    let mut random = Random::seeded("shuffled");
    let mut records = Vec::new();
    for run in ordered_runs(&file.records) {
        let mut keyed: Vec<(i64, &Record)> =
            run.iter().map(|record| (record.micros + random.below(disorder as u64) as i64, record)).collect();
        keyed.sort_by_key(|(key, _)| *key);
        records.extend(keyed.into_iter().map(|(_, record)| record.clone()));
    }
    CaptureFile { records, ..file.clone() }
}

/// The stretches between steps of the capturing clock; within one, time does not run backwards.
fn ordered_runs(records: &[Record]) -> impl Iterator<Item = &[Record]> {
    records.chunk_by(|earlier, later| earlier.micros <= later.micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(times: &[i64]) -> CaptureFile {
        let records = times.iter().map(|micros| Record { micros: *micros, original_len: 1, bytes: vec![*micros as u8] }).collect();
        CaptureFile { link: 1, records, tail: vec![7] }
    }

    #[test]
    fn a_copy_follows_each_frame_and_order_holds() {
        let times: Vec<i64> = duplicated(&file(&[0, 100, 1_000])).records.iter().map(|record| record.micros).collect();
        assert_eq!(times, [0, 100, 200, 300, 1_000, 1_200]);
    }

    #[test]
    fn a_router_leaves_a_packet_whose_header_still_sums_up() {
        let packet = [0x45, 0, 0, 28, 0, 7, 0, 0, 64, 17, 0, 0, 198, 51, 100, 7, 203, 0, 113, 10, 0, 1, 0, 2, 0, 8, 0, 0];
        let sum = |bytes: &[u8]| {
            bytes.chunks(2).fold(0_u32, |sum, word| {
                let sum = sum + u32::from(u16::from_be_bytes([word[0], word[1]]));
                (sum & 0xffff) + (sum >> 16)
            })
        };
        let mut bytes = packet.to_vec();
        let checksum = !(sum(&packet[..20]) as u16);
        bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
        let file = CaptureFile { link: 101, records: vec![Record { micros: 0, original_len: 28, bytes }], tail: Vec::new() };
        let copy = &routed(&file).records[1];
        assert_eq!((copy.bytes[8], sum(&copy.bytes[..20])), (63, 0xffff));
    }

    #[test]
    fn shuffling_moves_frames_at_most_by_the_disorder_and_never_over_a_clock_step() {
        let mut times: Vec<i64> = (0..200).map(|index| 5_000_000 + index * 3_000).collect();
        times.extend((0..200).map(|index| index * 3_000));
        let shuffled = shuffled(&file(&times), DISORDER).records;
        assert_ne!(shuffled, file(&times).records);
        assert!(shuffled[..200].iter().all(|record| record.micros >= 5_000_000));
        assert!(shuffled.windows(2).all(|pair| pair[0].micros - pair[1].micros < DISORDER || pair[1].micros < 1_000_000));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let file = file(&[1_769_850_000_000_001, 1_769_850_000_000_002]);
        assert_eq!(CaptureFile::from_bytes(&file.to_bytes()), file);
    }
}
