//! What the decoder must know of messages, told by whoever knows SIP.

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

/// What stands at the front of a byte stream. Every count is at least 1 and at most the number of bytes given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framing {
    /// A message of so many bytes, line ends before it included.
    Message(usize),
    /// The beginning of a message that needs more bytes. Where its headers are complete it can be read as it is.
    Partial(Headers),
    /// So many bytes that belong to no message; a message may begin behind them.
    Junk(usize),
}

/// Whether the headers of an incomplete message are all there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Headers {
    /// Up to the empty line.
    Complete,
    /// Not yet.
    Incomplete,
}

/// Finds messages in bytes.
pub trait Framer {
    /// Tells how the payload of a datagram, or a stream, begins.
    fn opening(&self, bytes: &[u8]) -> Opening;

    /// Tells what stands at the front of a stream. Bytes are never empty.
    fn frame(&self, bytes: &[u8]) -> Framing;
}
