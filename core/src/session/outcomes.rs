//! How messages ended, told to their owners: by an event, or kept in the record until they ask.

use super::Session;
use super::event::{Event, Outcome, Tag, Ticket};
use super::handle::Handle;

impl<P: Handle> Session<P> {
    /// How a message accepted with [`Tag::KEPT`] ended, if it has. It stays until [`poll_outcome`](Self::poll_outcome)
    /// takes it.
    #[must_use]
    pub fn outcome(&self, ticket: Ticket) -> Option<&Outcome> {
        self.outbound.records.at(self.outbound.records.resolve(ticket)?).outcome.as_ref()
    }

    /// Take how a message accepted with [`Tag::KEPT`] ended. `None`: [`Event::Finished`] will say when to ask again;
    /// or the ticket is spent.
    #[inline]
    pub fn poll_outcome(&mut self, ticket: Ticket) -> Option<Outcome> {
        let slot = self.outbound.records.resolve(ticket)?;
        self.outbound.records.take_outcome(slot)
    }

    /// Nobody will ask how this message ended. The message itself goes on.
    pub fn forget(&mut self, ticket: Ticket) {
        let Some(slot) = self.outbound.records.resolve(ticket) else { return };
        if self.outbound.records.take_outcome(slot).is_none() {
            self.outbound.records.at_mut(slot).tag = Tag::NONE;
        }
    }

    /// Tell the owner of a message, which is in no list any more.
    #[allow(
        clippy::inline_always,
        reason = "every acknowledged message: the calls would be a tenth of the whole"
    )]
    #[inline(always)]
    pub(super) fn report(&mut self, slot: u32, outcome: Outcome) {
        let records = &mut self.outbound.records;
        match records.at(slot).tag {
            Tag::KEPT => {
                if records.keep(slot, outcome) {
                    let ticket = records.ticket(slot);
                    self.events.push_back(Event::Finished { ticket });
                }
            }
            tag => {
                records.remove(slot);
                if tag != Tag::NONE {
                    self.events.push_back(Event::Published { tag, outcome });
                }
            }
        }
    }
}
