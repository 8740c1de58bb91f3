//! Numbers, names, addresses and digests replaced by others, the same everywhere.
use crate::decode::flow::Flow;
use crate::decode::signal::Signal;
use std::net::SocketAddr;
/// A mask.
pub struct Mask(u64);
impl Mask {
    /// By key.
    pub fn new(key: u64) -> Self { Self(key) }
    /// m
    pub fn message(&mut self, bytes: &[u8]) -> Vec<u8> { bytes.to_vec() }
    /// f
    pub fn flow(&mut self, flow: Flow) -> Flow { flow }
    /// s
    pub fn socket(&mut self, socket: SocketAddr) -> SocketAddr { socket }
    /// s
    pub fn signal(&mut self, signal: Signal) -> Signal { signal }
}
