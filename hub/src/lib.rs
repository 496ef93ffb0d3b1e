#![doc = include_str!("../README.md")]

pub mod bridge;
pub mod broker;
mod config;
mod connections;
mod filter;
mod hub;
mod listener;
mod publish;
mod service;
mod watched;

pub use broker::{MessageBroker, Payload};
pub use config::{HubConfig, LogLevel, LogSettings};
pub use connections::{AddError, Change, Connection, RemoveError, UpdateError, Watch};
pub use filter::{FilterError, Properties, PropertyFilter, PropertyValue};
pub use hub::Hub;
pub use listener::{Arrival, Filters, Listener, ListenerBuilder, ListenerCounts, RefusedFilter};
pub use publish::{Outcome, PublishToAll, ToAllError};
pub use service::{Changes, Service, ServiceError};
pub use watched::{Difference, Follow, FollowError, Followed, Reading, WatchedFiles};
