//! The strict broker through its own door: each rule it watches, broken and kept, and how it behaves.

mod authenticating;
#[path = "../common/mod.rs"]
mod common;
mod connections;
mod delivering;
mod desk;
mod limits;
mod publishing;
mod resending;
mod retained;
mod sessions;
mod wills;
