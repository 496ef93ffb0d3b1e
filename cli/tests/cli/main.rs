//! The command as users run it, against the embedded broker and, where there is one, mosquitto.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic, in its helpers too")]

mod bench;
#[allow(dead_code, reason = "each test program uses a part")]
#[path = "../../../client/tests/common/certificates.rs"]
mod certificates;
mod config;
mod demo;
mod doctor;
mod help;
mod hub;
mod interop;
mod mistakes;
#[path = "../../../client/tests/common/port.rs"]
mod port;
#[allow(dead_code, reason = "each test program uses a part")]
#[path = "../../../client/tests/common/proxy.rs"]
mod proxy;
mod publish;
mod recording;
mod request;
mod roads;
mod session;
mod settings;
mod signals;
mod subscribe;
mod support;
mod terminal;
mod tls;
