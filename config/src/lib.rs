#![doc = include_str!("../README.md")]

mod check;
mod config;
mod dialect;
mod error;
mod format;
mod node;
mod options;
mod schema;
mod topic_log;

pub use check::nearest_word;
pub use config::{Config, Origin};
pub use dialect::Dialect;
pub use error::{ConfigError, Problem};
pub use format::Format;
pub use node::{Node, Position, Value};
pub use schema::json_schema;
pub use topic_log::TopicLog;
