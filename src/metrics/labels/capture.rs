//! What became of packets and frames.

use super::{Labels, Pair};
use crate::decode::outcome::Skip;

label_enum! {
    /// Where packets were lost before they could be looked at.
    DropPlace in "where" {
        /// In the kernel's buffer.
        Kernel = "kernel",
        /// In the network interface.
        Interface = "interface",
        /// In a queue of siphound.
        Queue = "queue",
    }
}

label_enum! {
    /// What became of a fragmented datagram.
    FragmentResult in "result" {
        /// It became whole.
        Reassembled = "reassembled",
        /// Fragments of it never came.
        Incomplete = "incomplete",
    }
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FrameOutcome {
    /// It carried SIP.
    Sip,
    /// It carried only keep-alives.
    Keepalive,
    /// It carried nothing that could be used.
    Skipped(Skip),
}

impl Labels for FrameOutcome {
    const COUNT: usize = 2 + Skip::ALL.len();

    fn index(self) -> usize {
        match self {
            Self::Sip => 0,
            Self::Keepalive => 1,
            Self::Skipped(reason) => 2 + reason as usize,
        }
    }

    fn pairs(index: usize, pairs: &mut Vec<Pair>) {
        let value = match index {
            0 => "sip",
            1 => "keepalive",
            index => Skip::ALL.get(index - 2).map_or("other", |reason| reason.as_str()),
        };
        pairs.push(("outcome", value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_numbered_in_the_order_of_their_list() {
        assert!(Skip::ALL.iter().enumerate().all(|(index, value)| FrameOutcome::Skipped(*value).index() == index + 2));
    }
}
