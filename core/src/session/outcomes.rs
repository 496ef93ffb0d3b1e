//! How messages ended, told to their owners: by an event, or kept in the record until they ask.

use super::Session;
use super::event::{Event, Outcome, Tag, Ticket};
use super::handle::Handle;

impl<P: Handle> Session<P> {
    /// How a message accepted with [`Tag::KEPT`] ended, if it has and there is more to say than that it was acknowledged
    /// with success. It stays until [`poll_outcome`](Self::poll_outcome) takes it.
    #[must_use]
    pub fn outcome(&self, ticket: Ticket) -> Option<&Outcome> {
        self.outbound.records.at(self.outbound.records.resolve(ticket)?).outcome.as_ref()
    }

    /// Take how a message accepted with [`Tag::KEPT`] ended. `None`: [`Event::Finished`] will say when to ask again.
    ///
    /// That a message was acknowledged, and nothing more, is kept nowhere: it is what is true of a ticket that stands
    /// for nothing any more. So do not ask again for an outcome that was taken.
    #[inline]
    pub fn poll_outcome(&mut self, ticket: Ticket) -> Option<Outcome> {
        match self.outbound.records.resolve(ticket) {
            Some(slot) => self.outbound.records.take_outcome(slot),
            None => Some(Outcome::DELIVERED),
        }
    }

    /// All messages whose tickets are [before](Ticket::is_before) this were acknowledged, or their outcomes were taken:
    /// for owners who want to know without asking the session. `None`: there is nothing new to say, an outcome waits.
    #[must_use]
    pub fn settled(&self) -> Option<u64> {
        self.outbound.records.are_outcomes_taken().then(|| self.outbound.settled())
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
                let ticket = records.ticket(slot);
                let watched = if outcome.is_delivered() {
                    records.remove(slot);
                    records.at(slot).watched
                } else {
                    records.keep(slot, outcome)
                };
                if watched {
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
