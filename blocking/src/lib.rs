#![doc = include_str!("../README.md")]

mod callback;
mod client;
mod driver;
mod subscriber;
mod wait;

pub use packetboat::{Callback, Message, Options, QoS, Receipt};

pub use client::Client;
pub use subscriber::Subscriber;
pub use wait::{Wait, WaitError, wait_for};
