//! Scripts: bytes that are decoded front to back into steps, and written the same way.

use arbitrary::{Arbitrary, Unstructured};

/// Bytes that are read as steps; beyond their end everything is zero.
pub(crate) struct Script<'a>(Unstructured<'a>);

impl<'a> Script<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(Unstructured::new(bytes))
    }

    /// Whether nothing is left.
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// The next number, little-endian.
    pub(crate) fn next<T: Arbitrary<'a> + Default>(&mut self) -> T {
        self.0.arbitrary().unwrap_or_default()
    }

    /// A number below `bound`, which is at most 256.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.next::<u8>()) % bound
    }

    /// One of several.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// The next `count` bytes, fewer where the end is near.
    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        self.0.bytes(count.min(self.0.len())).unwrap_or_default()
    }

    /// A length of two bytes, and so many bytes.
    pub(crate) fn block(&mut self) -> &'a [u8] {
        let count = self.next::<u16>();
        self.take(usize::from(count))
    }

    /// Everything that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0.take_rest()
    }
}

/// Writes what [`Script::block`] reads.
pub(crate) fn block(into: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(usize::from(u16::MAX))];
    into.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
    into.extend_from_slice(bytes);
}

/// The time between two steps: one byte for a usual one, 255 and four bytes for any other in milliseconds.
pub(crate) fn pause(script: &mut Script<'_>) -> i64 {
    match script.next::<u8>() {
        u8::MAX => i64::from(script.next::<i32>()).saturating_mul(1_000_000),
        byte => PAUSES[usize::from(byte) % PAUSES.len()],
    }
}

/// Writes what [`pause`] reads, to the millisecond.
pub(crate) fn write_pause(into: &mut Vec<u8>, nanos: i64) {
    match PAUSES.iter().position(|pause| *pause == nanos) {
        Some(index) => into.push(index as u8),
        None => {
            into.push(u8::MAX);
            let millis = (nanos / 1_000_000).clamp(i64::from(i32::MIN), i64::from(i32::MAX));
            into.extend_from_slice(&(millis as i32).to_le_bytes());
        }
    }
}

const MILLI: i64 = 1_000_000;
const SECOND: i64 = 1_000 * MILLI;

/// Nanoseconds between steps: what the rules of copies, timers and registrations turn on, and steps back.
const PAUSES: [i64; 31] = [
    0,
    1,
    MILLI,
    5 * MILLI,
    19 * MILLI,
    39 * MILLI,
    41 * MILLI,
    71 * MILLI,
    100 * MILLI,
    500 * MILLI,
    SECOND,
    2 * SECOND,
    4 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    32 * SECOND,
    35 * SECOND,
    60 * SECOND,
    90 * SECOND,
    181 * SECOND,
    300 * SECOND,
    601 * SECOND,
    3_600 * SECOND,
    86_400 * SECOND,
    -MILLI,
    -20 * MILLI,
    -SECOND,
    -3 * SECOND,
    -3_600 * SECOND,
    i64::MAX / 4,
];
