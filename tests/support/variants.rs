//! The same traffic captured otherwise: what a mirror port or a loaded host makes of it.

use super::capture::{CaptureFile, Record};
use super::random::Random;

/// Microseconds until the copy of a frame.
const COPY_AFTER: i64 = 200;
/// Microseconds by which frames get out of order at most.
const DISORDER: i64 = 20_000;

/// Each frame twice, the copy 0.2 ms later.
pub(crate) fn duplicated(file: &CaptureFile) -> CaptureFile {
    let copy = |record: &Record| Record { micros: record.micros + COPY_AFTER, ..record.clone() };
    let mut records = Vec::new();
    for run in ordered_runs(&file.records) {
        let mut both: Vec<Record> = run.iter().flat_map(|record| [record.clone(), copy(record)]).collect();
        both.sort_by_key(|record| record.micros);
        records.append(&mut both);
    }
    CaptureFile { records, ..file.clone() }
}

/// The frames out of order by up to 20 ms, with the timestamps they had.
pub(crate) fn shuffled(file: &CaptureFile) -> CaptureFile {
    let mut random = Random::seeded("shuffled");
    let mut records = Vec::new();
    for run in ordered_runs(&file.records) {
        let mut keyed: Vec<(i64, &Record)> =
            run.iter().map(|record| (record.micros + random.below(DISORDER as u64) as i64, record)).collect();
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
    fn shuffling_moves_frames_at_most_by_the_disorder_and_never_over_a_clock_step() {
        let mut times: Vec<i64> = (0..200).map(|index| 5_000_000 + index * 3_000).collect();
        times.extend((0..200).map(|index| index * 3_000));
        let shuffled = shuffled(&file(&times)).records;
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
