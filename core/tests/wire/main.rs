//! The wire, through its public doors.

mod arbitrary;
mod cuts;
mod doors;
mod golden;
mod lenient;
mod malformed;
mod properties;
mod reasons;
mod round_trip;
mod statements;
mod summary;
