//! The messages of a subscription.

use std::time::Duration;

use packetboat::{End, Message, NothingCame, QoS};

use crate::wait::{Wait, WaitError, wait_for};

/// The messages of a subscription, across reconnects: a [`packetboat::Subscriber`] whose calls block. **Taking the next
/// message acknowledges the previous one** (unless acknowledging is manual).
///
/// As an iterator it waits for each message and ends with the stream. An item is an error only if the iterator is used
/// inside an async runtime, which its waiting would stop; it has ended then.
///
/// ```no_run
/// # fn example(client: packetboat_blocking::Client) -> Result<(), Box<dyn std::error::Error>> {
/// for message in client.subscribe("sensors/#")? {
///     println!("{}", message?.topic());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Subscriber {
    stream: packetboat::Subscriber,
    /// An iterator has told of misuse.
    misused: bool,
}

impl Subscriber {
    /// The next message, however long it takes; `None` when the stream has ended.
    pub fn next_message(&mut self) -> Result<Option<Message>, WaitError<NothingCame>> {
        wait_for(self.stream.next())
    }

    /// As [`next_message`](Self::next_message), but for no longer than this. The stream goes on afterwards.
    pub fn next_within(&mut self, limit: Duration) -> Result<Option<Message>, WaitError<NothingCame>> {
        self.stream.next_within(limit).wait()
    }

    /// The messages that are there, at least one and at most `maximum`; none when the stream has ended. The whole batch
    /// counts as one message: asking again acknowledges it.
    pub fn next_batch(&mut self, maximum: usize) -> Result<Vec<Message>, WaitError<NothingCame>> {
        wait_for(self.stream.next_batch(maximum))
    }

    /// The QoS the broker granted.
    #[must_use]
    pub fn granted(&self) -> Option<QoS> {
        self.stream.granted()
    }

    /// Why the stream has ended, if it has. Messages may still be in it.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.stream.end()
    }
}

impl From<packetboat::Subscriber> for Subscriber {
    fn from(stream: packetboat::Subscriber) -> Self {
        Self { stream, misused: false }
    }
}

impl Iterator for Subscriber {
    type Item = Result<Message, WaitError<NothingCame>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.misused {
            return None;
        }
        let next = self.next_message();
        self.misused = next.is_err();
        next.transpose()
    }
}
