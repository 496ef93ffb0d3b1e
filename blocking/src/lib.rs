#![doc = include_str!("../README.md")]

mod callback;
mod client;
mod driver;
mod subscriber;
#[cfg(feature = "serde")]
mod typed;
mod wait;

pub use packetboat::{Callback, Message, Options, QoS, Receipt};

pub use client::Client;
pub use subscriber::Subscriber;
#[cfg(feature = "serde")]
pub use typed::TypedSubscriber;
pub use wait::{Wait, WaitError, wait_for};
