//! The packetboat command.
fn main() {}
