//! The command as users run it, against the embedded broker and, where there is one, mosquitto.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic, in its helpers too")]

#[allow(dead_code, reason = "each test program uses a part")]
#[path = "../../../client/tests/common/certificates.rs"]
mod certificates;
mod config;
mod demo;
mod help;
mod interop;
mod mistakes;
#[allow(dead_code, reason = "each test program uses a part")]
#[path = "../../../client/tests/common/proxy.rs"]
mod proxy;
mod publish;
mod request;
mod roads;
mod session;
mod signals;
mod subscribe;
mod support;
mod tls;
