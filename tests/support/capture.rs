//! Capture files in the classic pcap format: little-endian, microseconds.

/// The moment at which every scene begins: 2026-01-31T09:00:00Z.
pub(crate) const EPOCH: i64 = 1_769_850_000;

const MAGIC: u32 = 0xa1b2_c3d4;
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

/// One frame of a capture file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Record {
    /// Microseconds since the Unix epoch.
    pub(crate) micros: i64,
    /// Bytes that were on the wire; more than `bytes` holds when the snap length cut the frame.
    pub(crate) original_len: u32,
    /// Bytes that were captured.
    pub(crate) bytes: Vec<u8>,
}

/// A capture file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CaptureFile {
    /// The number of the link type.
    pub(crate) link: u32,
    /// Whole frames in the order of the file.
    pub(crate) records: Vec<Record>,
    /// What is left of a frame at the end of a file that was cut.
    pub(crate) tail: Vec<u8>,
}

impl CaptureFile {
    /// The file as bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut file = Vec::new();
        file.extend_from_slice(&MAGIC.to_le_bytes());
        file.extend_from_slice(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        file.extend_from_slice(&262_144_u32.to_le_bytes());
        file.extend_from_slice(&self.link.to_le_bytes());
        for record in &self.records {
            let header = [
                record.micros.div_euclid(1_000_000) as u32,
                record.micros.rem_euclid(1_000_000) as u32,
                record.bytes.len() as u32,
                record.original_len,
            ];
            file.extend(header.iter().flat_map(|word| word.to_le_bytes()));
            file.extend_from_slice(&record.bytes);
        }
        file.extend_from_slice(&self.tail);
        file
    }

    /// Reads what [`Self::to_bytes`] writes.
    pub(crate) fn from_bytes(file: &[u8]) -> Self {
        assert_eq!(word(file, 0), MAGIC, "not a file of this generator");
        let mut records = Vec::new();
        let mut at = FILE_HEADER;
        while at + RECORD_HEADER <= file.len() {
            let end = at + RECORD_HEADER + word(file, at + 8) as usize;
            if end > file.len() {
                break;
            }
            records.push(Record {
                micros: i64::from(word(file, at)) * 1_000_000 + i64::from(word(file, at + 4)),
                original_len: word(file, at + 12),
                bytes: file[at + RECORD_HEADER..end].to_vec(),
            });
            at = end;
        }
        Self { link: word(file, 20), records, tail: file[at..].to_vec() }
    }

    /// The frames before the one at `index`, and the rest.
    pub(crate) fn halves(&self, index: usize) -> (Self, Self) {
        let (first, second) = self.records.split_at(index);
        let part = |records: &[Record]| Self { link: self.link, records: records.to_vec(), tail: Vec::new() };
        (part(first), part(second))
    }

    /// The smallest timestamp in microseconds, which times in a `case.toml` count from; 0 for an empty capture.
    pub(crate) fn first_micros(&self) -> i64 {
        self.records.iter().map(|record| record.micros).min().unwrap_or(0)
    }

    /// The largest timestamp in microseconds; 0 for an empty capture.
    pub(crate) fn last(&self) -> i64 {
        self.records.iter().map(|record| record.micros).max().unwrap_or(0)
    }
}

fn word(file: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]])
}
