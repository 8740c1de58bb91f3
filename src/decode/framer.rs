//! What the decoder must know of messages, told by whoever knows SIP.

use crate::decode::signal::KeepaliveKind;

/// How bytes begin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Opening {
    /// With a start line, perhaps after line ends.
    Start,
    /// With what may become one when more bytes come.
    Undecided,
    /// With something else.
    Other,
}

/// What stands at the front of a byte stream. Every length is at least 1 and at most the number of bytes given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framing {
    /// More bytes are needed to tell.
    NeedMore,
    /// A message of so many bytes.
    Message(usize),
    /// A keep-alive of so many bytes.
    Keepalive(usize, KeepaliveKind),
    /// So many bytes that belong to no message; one may begin behind them.
    Junk(usize),
}

/// Whether a message whose end was cut off can be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Headers {
    /// What identifies it is there.
    Sufficient {
        /// Bytes up to the end of the last whole line.
        lines: usize,
    },
    /// What identifies it is not.
    Missing,
}

/// How far the bytes at the front of a stream were read in vain, so that what comes piece by piece is read once.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Progress {
    /// Bytes that the message has for sure.
    pub needed: usize,
    /// Where the line begins whose end is awaited; 0 if it is not the headers that are unfinished.
    pub line: usize,
    /// Up to where no end of that line is.
    pub searched: usize,
    /// Whether a start line stands before it that ends the message, unless this line continues it.
    pub cut_short: bool,
}

/// Finds messages in bytes.
pub trait Framer {
    /// Tells how a datagram or a stream begins.
    fn opening(&self, bytes: &[u8]) -> Opening;

    /// Tells what stands at the front of a stream; `bytes` is never empty. `progress` is what was left by the last call with the same
    /// front, or empty.
    fn frame(&self, bytes: &[u8], progress: &mut Progress) -> Framing;

    /// Tells how much of a message that begins with a start line can be read.
    fn headers(&self, bytes: &[u8]) -> Headers;
}
