//! Those who await the end of a message. Outcomes are the session's to keep; here are only wakers.

use std::task::Waker;

use packetboat_core::session::Ticket;

use super::remember;

/// Wakers by the index of their tickets. Few messages have one: most have ended before anybody asks.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    wakers: Vec<Option<Waker>>,
}

impl Receipts {
    /// Wake this one when the message has ended.
    pub(crate) fn wait(&mut self, ticket: Ticket, waker: &Waker, retired: &mut Vec<Waker>) {
        if self.wakers.len() <= ticket.index() {
            self.wakers.resize(ticket.index() + 1, None);
        }
        remember(&mut self.wakers[ticket.index()], waker, retired);
    }

    pub(crate) fn waker(&self, ticket: Ticket) -> Option<&Waker> {
        self.wakers.get(ticket.index())?.as_ref()
    }

    pub(crate) fn take(&mut self, ticket: Ticket) -> Option<Waker> {
        self.wakers.get_mut(ticket.index())?.take()
    }

    /// No message will end any more: wake them all to see that.
    pub(crate) fn close(&mut self, wake: &mut Vec<Waker>) {
        wake.extend(self.wakers.drain(..).flatten());
    }
}
