//! Ports for programs that want to be told theirs.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// A port where nobody listens, and nobody but who is given it will: it lies below those that the system deals out, and a UDP socket
/// of the same number keeps it for this process, so that no other test gets it.
pub(crate) fn free_port() -> u16 {
    loop {
        let random = RandomState::new().hash_one(0) % 20_000;
        let port = 10_000 + u16::try_from(random).unwrap();
        let Ok(kept) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) else { continue };
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            std::mem::forget(kept);
            return port;
        }
    }
}
