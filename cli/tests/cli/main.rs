//! The command as users run it, against the embedded broker and, where there is one, mosquitto.

mod demo;
mod help;
mod interop;
mod mistakes;
mod publish;
mod session;
mod signals;
mod subscribe;
mod support;
