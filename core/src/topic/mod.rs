//! Topic names and topic filters (section 4.7 of both specifications, 4.8.2 of 5.0).
//!
//! [`TopicName`] and [`TopicFilter`] cannot hold a wrong value; whoever has one need not check again.

mod error;
mod filter;
mod matching;
mod name;
#[cfg(test)]
mod tests;

pub use error::TopicError;
pub use filter::TopicFilter;
pub use matching::matches;
pub(crate) use matching::{levels, matches_unshared};
pub use name::TopicName;
