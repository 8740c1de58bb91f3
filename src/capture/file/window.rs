//! A sliding window over the bytes of one file that knows where in the file it is.

use std::io::{self, Read};

/// Bytes read at once: fits the second-level cache, so that copying a frame out of it is cheap.
const WINDOW: usize = 256 * 1024;

/// A buffered reader whose unread bytes can be looked at as one slice.
pub(super) struct Window {
    input: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    consumed: u64,
}

/// Why fewer bytes are there than were asked for.
#[derive(Debug)]
pub(super) enum Short {
    /// The input ended after this many of them.
    End(usize),
    /// The input could not be read.
    Failed(io::Error),
}

impl Window {
    pub(super) fn new(input: Box<dyn Read + Send>) -> Self {
        Self { input, buffer: vec![0; WINDOW], start: 0, end: 0, consumed: 0 }
    }

    /// How many bytes of the file lie before the window.
    pub(super) fn position(&self) -> u64 {
        self.consumed
    }

    /// The next `count` bytes, without consuming them.
    pub(super) fn peek(&mut self, count: usize) -> Result<&[u8], Short> {
        if self.end - self.start < count {
            self.read_until(count)?;
        }
        Ok(self.ahead(0, count))
    }

    /// `count` bytes from `offset` on, as far as [`Self::peek`] brought them in.
    pub(super) fn ahead(&self, offset: usize, count: usize) -> &[u8] {
        self.buffer[..self.end].get(self.start + offset..self.start + offset + count).unwrap_or_default()
    }

    /// Moves on by `count` bytes that were peeked at.
    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.consumed += count as u64;
    }

    /// Moves on by `count` bytes without keeping them.
    pub(super) fn skip(&mut self, mut count: u64) -> Result<(), Short> {
        while count > 0 {
            self.peek(1)?;
            let step = (self.end - self.start).min(usize::try_from(count).unwrap_or(usize::MAX));
            self.consume(step);
            count -= step as u64;
        }
        Ok(())
    }

    fn read_until(&mut self, count: usize) -> Result<(), Short> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() < count {
            self.buffer.resize(count.next_power_of_two(), 0);
        }
        while self.end < count {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Err(Short::End(self.end)),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Decompressors report a file that is cut as an error of this kind.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(Short::End(self.end)),
                Err(error) => return Err(Short::Failed(error)),
            }
        }
        Ok(())
    }
}
