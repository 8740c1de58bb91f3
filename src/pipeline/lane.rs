//! A bounded channel whose emptied buffers come back, so that a steady stream allocates nothing.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

/// Something that is filled, handed on, emptied and filled again.
pub trait Buffer: Default + Send {
    /// Empties it and keeps its memory.
    fn clear(&mut self);
    /// How many things it holds.
    fn len(&self) -> usize;
    /// Whether it holds nothing.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The end that fills buffers.
#[derive(Debug)]
pub struct Outlet<T> {
    full: Sender<T>,
    empty: Receiver<T>,
    spare: Option<T>,
}

/// The end that empties buffers.
#[derive(Debug)]
pub struct Inlet<T> {
    full: Receiver<T>,
    empty: Sender<T>,
}

/// The other end of a lane is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gone;

/// What came within some time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Received<T> {
    /// A full buffer.
    Full(T),
    /// Nothing yet.
    Nothing,
    /// No outlet is left, and no buffer.
    End,
}

/// What became of a buffer that was offered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Offered {
    /// It was taken.
    Taken,
    /// The lane was full: what the buffer held is lost.
    Refused,
}

/// A lane that holds at most `capacity` full buffers.
pub fn lane<T: Buffer>(capacity: usize) -> (Outlet<T>, Inlet<T>) {
    let (full, filled) = bounded(capacity);
    // Room for all buffers there can be: those in the lane and one in each hand.
    let (emptied, empty) = bounded(capacity + 2);
    (Outlet { full, empty, spare: None }, Inlet { full: filled, empty: emptied })
}

impl<T: Buffer> Outlet<T> {
    /// An empty buffer.
    pub fn buffer(&mut self) -> T {
        self.spare.take().or_else(|| self.empty.try_recv().ok()).unwrap_or_default()
    }

    /// Empties a buffer and keeps it to be filled again.
    pub fn keep(&mut self, mut buffer: T) {
        buffer.clear();
        self.spare = Some(buffer);
    }

    /// Hands a buffer on and waits while the lane is full; an empty one is kept.
    pub fn send(&mut self, buffer: T) -> Result<(), Gone> {
        if buffer.is_empty() {
            self.keep(buffer);
            return Ok(());
        }
        self.full.send(buffer).map_err(|_| Gone)
    }

    /// Hands a buffer on unless the lane is full.
    pub fn offer(&mut self, buffer: T) -> Result<Offered, Gone> {
        match self.full.try_send(buffer) {
            Ok(()) => Ok(Offered::Taken),
            Err(TrySendError::Full(refused)) => {
                self.keep(refused);
                Ok(Offered::Refused)
            }
            Err(TrySendError::Disconnected(_)) => Err(Gone),
        }
    }
}

/// Another producer for the same lane.
impl<T> Clone for Outlet<T> {
    fn clone(&self) -> Self {
        Self { full: self.full.clone(), empty: self.empty.clone(), spare: None }
    }
}

impl<T: Buffer> Inlet<T> {
    /// The next full buffer; waits for it, `None` when no outlet is left.
    pub fn recv(&self) -> Option<T> {
        self.full.recv().ok()
    }

    /// The next full buffer, awaited for `time` at most.
    pub fn recv_within(&self, time: Duration) -> Received<T> {
        match self.full.recv_timeout(time) {
            Ok(buffer) => Received::Full(buffer),
            Err(RecvTimeoutError::Timeout) => Received::Nothing,
            Err(RecvTimeoutError::Disconnected) => Received::End,
        }
    }

    /// The channel of full buffers, to select on.
    pub fn full(&self) -> &Receiver<T> {
        &self.full
    }

    /// Gives a buffer back to be filled again.
    pub fn give_back(&self, mut buffer: T) {
        buffer.clear();
        // Where there is no room, there are buffers enough.
        let _ = self.empty.try_send(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Buffer for Vec<u32> {
        fn clear(&mut self) {
            self.clear();
        }
        fn len(&self) -> usize {
            self.len()
        }
    }

    #[test]
    fn a_buffer_comes_back_with_its_memory() {
        let (mut outlet, inlet) = lane(1);
        let mut buffer: Vec<u32> = outlet.buffer();
        buffer.extend([1, 2, 3]);
        let memory = buffer.as_ptr();
        outlet.send(buffer).expect("room");
        inlet.give_back(inlet.recv().expect("the buffer"));
        let again = outlet.buffer();
        assert_eq!((again.as_ptr(), again.len()), (memory, 0));
    }

    #[test]
    fn an_empty_buffer_is_not_sent() {
        let (mut outlet, inlet) = lane::<Vec<u32>>(1);
        outlet.send(Vec::new()).expect("nothing to do");
        assert!(inlet.full().is_empty());
    }

    #[test]
    fn a_full_lane_refuses_and_keeps_order() {
        let (mut outlet, inlet) = lane(1);
        assert_eq!(outlet.offer(vec![1]), Ok(Offered::Taken));
        assert_eq!(outlet.offer(vec![2]), Ok(Offered::Refused));
        assert_eq!(inlet.recv(), Some(vec![1]));
        assert_eq!(outlet.offer(vec![3]), Ok(Offered::Taken));
        assert_eq!(inlet.recv(), Some(vec![3]));
    }

    #[test]
    fn either_end_notices_that_the_other_is_gone() {
        let (mut outlet, inlet) = lane::<Vec<u32>>(1);
        drop(inlet);
        assert_eq!(outlet.send(vec![1]), Err(Gone));
        assert_eq!(outlet.offer(vec![1]), Err(Gone));
        let (outlet, inlet) = lane::<Vec<u32>>(1);
        drop(outlet);
        assert_eq!(inlet.recv(), None);
    }
}
