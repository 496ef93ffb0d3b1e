//! Test equipment for MQTT clients: a strict broker, a link that misbehaves, and both together on a virtual clock.
//!
//! * [`broker`]: a strict broker without sockets and without a clock. It speaks 3.1, 3.1.1 and 5.0 and writes down
//!   every rule a client breaks.
//! * [`link`]: a network connection that delays, splits, stalls, fills up and breaks.
//! * [`pair`]: a client session and the broker with a link between them, on a virtual clock.
//! * [`world`]: random lives of such a pair, held to what the client promises.
//! * `net` (feature `net`): the same broker on a real socket, with faults on order.
//!
//! Everything that is left to chance follows from a seed: what failed once can be replayed.
//!
//! This crate is for tests and demonstrations. Its broker holds everything in memory, forgets it when it stops, and
//! closes the connection of whoever breaks a rule: do not run it in production.

pub mod broker;
pub mod link;
#[cfg(feature = "net")]
pub mod net;
pub mod pair;
pub mod world;
