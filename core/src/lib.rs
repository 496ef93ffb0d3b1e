//! The MQTT protocol, versions 3.1.1 and 5.0: packets, topics, sessions, routing, reconnecting.
//!
//! Nothing here touches a socket or reads a clock: bytes and times come in as arguments, bytes and deadlines go out.
#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod backoff;
pub mod rng;
pub mod route;
pub mod session;
pub mod time;
pub mod topic;
pub mod wire;
mod words;
